"""What was stated of a deployment's address and patience, beside what holds.

Of what is there nobody knows; as what differs from the usual must have been stated, that goes on being shown.
"""

from typing import Any

from django.db import migrations, models

_USUAL_TIMEOUT, _USUAL_RETRIES = 600, 2


def remember(apps: Any, schema_editor: Any) -> None:
    for row in apps.get_model("proxy", "Deployment").objects.select_related("provider", "credential"):
        shared = row.credential if row.credential and not row.credential.is_own else None
        usual = {row.provider.base_url.rstrip("/"), shared.base_url if shared else ""}
        stated = {
            "api_base": None if row.base_url in usual else row.base_url,
            "timeout": None if row.timeout_seconds == _USUAL_TIMEOUT else row.timeout_seconds,
            "max_retries": None if row.max_retries == _USUAL_RETRIES else row.max_retries,
        }
        row.stated = {name: value for name, value in stated.items() if value is not None}
        row.save(update_fields=["stated"])


class Migration(migrations.Migration):
    dependencies = [("proxy", "0002_display_names")]
    operations = [
        migrations.AddField("deployment", "stated", models.JSONField(blank=True, default=dict, editable=False)),
        migrations.RunPython(remember, migrations.RunPython.noop),
    ]
