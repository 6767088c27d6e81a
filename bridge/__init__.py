"""The centre's half: takes the stations' facts to Odoo, and Odoo's members and products to them."""
