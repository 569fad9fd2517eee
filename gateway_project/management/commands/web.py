"""`manage.py web`: the web alone, for installations on several machines."""

from gateway_project.management.role_command import RoleCommand


class Command(RoleCommand):
    help = "Serve the web alone. Run `manage.py prepare` first."
    role = "web"
