"""What people see: the entrance, the self-service scale, the photo booth, the technician's page."""
