"""`manage.py gateway`: the gateway alone, for installations on several machines."""

from gateway_project.management.role_command import RoleCommand


class Command(RoleCommand):
    help = "Serve the gateway alone. Run `manage.py prepare` first."
    role = "gateway"
