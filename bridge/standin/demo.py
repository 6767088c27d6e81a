"""The shop of the demo: its members, employees, products and barcode rules.

The one rule: everything here is invented, and every number is as a real shop's would be: badges
under the till's customer rule 042, products under its weight rule 21 with a right check digit.
"""

from bridge.standin.database import Database
from bridge.standin.rpc import User
from devices.ean import ean13

NAME = "demo"
PASSWORD = "demo-bridge"  # noqa: S105 - of a stand-in on 127.0.0.1
USERS = {
    "admin": User(2, frozenset({"admin"})),
    "bridge": User(8, frozenset({PASSWORD})),
    "lowly": User(9, frozenset({"lowly"}), keeper=False),
}
MEMBERS = (
    (101, "Camille Durand", "fr_FR"),
    (102, "Ahmed Benali", "fr_FR"),
    (103, "Lucía Romero", "es_ES"),
    (104, "Jean-Baptiste Lefèvre", "fr_FR"),
    (105, "Emma Clarke", "en_GB"),
    (106, "Fatou Diop", "fr_FR"),
    (107, "MOREAU Hélène", "fr_FR"),
    (108, "Théo Garnier", "fr_FR"),
)
EMPLOYEES = ((11, "Nadia Petit", "0410000000113"), (12, "Paul Roche", "0410000000120"))
PRODUCTS = (
    ("Pommes Gala", "104", 2.95, "Fruits"),
    ("Bananes", "118", 1.99, "Fruits"),
    ("Citrons", "122", 3.60, "Fruits"),
    ("Carottes", "212", 1.80, "Légumes"),
    ("Oignons", "220", 1.60, "Légumes"),
    ("Tomates", "231", 3.40, "Légumes"),
    ("Courgettes", "240", 2.70, "Légumes"),
    ("Pâtes", "505", 2.40, "Vrac sec"),
    ("Riz complet", "512", 3.10, "Vrac sec"),
    ("Lentilles vertes", "530", 4.20, "Vrac sec"),
    ("Pois chiches", "533", 3.90, "Vrac sec"),
    ("Amandes", "547", 14.90, "Vrac sec"),
)
RULES = (
    (14, "Price Barcodes 2 Decimals", "price", "ean13", "23.....{NNNDD}"),
    (20, "Discount Barcodes", "discount", "any", "22{NN}"),
    (36, "Weight Barcodes 3 Decimals", "weight", "ean13", "21.....{NNDDD}"),
    (40, "Customer Barcodes", "client", "any", "042"),
    (50, "Cashier Barcodes", "cashier", "any", "041"),
    (60, "Location barcodes", "location", "any", "414"),
    (70, "Package barcodes", "package", "any", "PACK"),
    (80, "Lot barcodes", "lot", "any", "10"),
    (90, "Product Barcodes", "product", "any", ".*"),
)
KG, UNITS, GRAM = 12, 1, 13


def badge_of(member: int) -> str:
    return ean13(f"0420{member:06d}00")


BADGES = {
    **{name: badge_of(number) for number, name, _ in MEMBERS},
    **{f"{name} (employee)": badge for _, name, badge in EMPLOYEES},
    "nobody's badge": ean13("042099999999"),
}
"""Who → the number on the badge."""


def stock(version: int = 18) -> Database:
    """A stock Odoo with the demo shop in it."""
    db = Database(NAME, version=version)
    grams = 1000.0 if version >= 19 else 1.0
    with db.transaction():
        db.create("barcode.nomenclature", {"name": "Default Nomenclature"}, number=1)
        db.create("res.company", {"name": "La Coop", "nomenclature_id": 1}, number=1)
        for name, user in USERS.items():
            db.create("res.users", {"name": name, "company_id": 1}, number=user.id)
        for sequence, name, kind, encoding, pattern in RULES:
            db.create(
                "barcode.rule",
                {
                    "name": name,
                    "barcode_nomenclature_id": 1,
                    "sequence": sequence,
                    "type": kind,
                    "encoding": encoding,
                    "pattern": pattern,
                },
            )
        db.create("uom.uom", {"name": "Units", "factor": 1.0}, number=UNITS)
        db.create("uom.uom", {"name": "kg", "factor": grams, "rounding": 0.001}, number=KG)
        db.create("uom.uom", {"name": "g", "factor": 1000.0 / grams}, number=GRAM)
        for number, name, language in MEMBERS:
            db.create(
                "res.partner",
                {
                    "name": name,
                    "barcode": badge_of(number),
                    "ref": f"M{number:05d}",
                    "lang": language,
                },
                number=number,
            )
        db.create("res.partner", {"name": "Ferme des Tilleuls", "is_company": True})
        for number, name, badge in EMPLOYEES:
            db.create("hr.employee", {"name": name, "barcode": badge}, number=number)
        _stock_shelves(db)
    return db


def _stock_shelves(db: Database) -> None:
    categories = {
        name: db.create("product.category", {"name": name, "complete_name": f"All / {name}"})
        for name in ("Fruits", "Légumes", "Vrac sec", "Épicerie")
    }
    for name, number, price, category in PRODUCTS:
        add_product(
            db, name, number, price, categories[category], barcode=ean13(f"2100{number}00000")
        )
    # Not for the scale, and not sold by the kilogram although the box is ticked.
    add_product(
        db, "Café moulu 250 g", "801", 4.30, categories["Épicerie"],
        barcode=ean13("376012345678"), to_weight=False, uom=UNITS,
    )  # fmt: skip
    add_product(
        db, "Salade", "260", 1.50, categories["Légumes"],
        barcode=ean13("210026000000"), uom=UNITS,
    )  # fmt: skip


def add_product(
    db: Database,
    name: str,
    number: str,
    price: float,
    category: int,
    *,
    barcode: str,
    to_weight: bool = True,
    uom: int = KG,
) -> int:
    """A product of one variant; returns the variant's id."""
    template = db.create(
        "product.template",
        {
            "name": name,
            "list_price": price,
            "uom_id": uom,
            "categ_id": category,
            "to_weight": to_weight,
        },
    )
    return db.create(
        "product.product",
        {"product_tmpl_id": template, "default_code": number, "barcode": barcode},
    )
