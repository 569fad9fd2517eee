"""The organization of everything that names none, and the audit trail's append-only rule."""

from typing import Any

from django.db import migrations

from teams.append_only import append_only


def create_default(apps: Any, schema_editor: Any) -> None:
    organization = apps.get_model("teams", "Organization")
    organization.objects.get_or_create(public_id="default", defaults={"name": "Default organization"})


class Migration(migrations.Migration):
    dependencies = [("teams", "0001_initial")]
    operations = [
        migrations.RunPython(create_default, migrations.RunPython.noop),
        append_only("teams_auditevent"),
    ]
