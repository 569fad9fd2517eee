"""What clients say about a call for the spend log: the session it belongs to, and notes of their own."""

from django.db import migrations, models
from django.db.models import Q

_TABLES = ("hold", "ledgerentry", "refusal")


def _columns(table: str) -> list[migrations.AddField]:
    return [
        migrations.AddField(table, "session_id", models.CharField(max_length=255, null=True)),
        migrations.AddField(table, "log_metadata", models.JSONField("notes of the caller", null=True)),
    ]


def _index(table: str, name: str, **further: str) -> migrations.AddIndex:
    condition = Q(session_id__isnull=False, **further)
    return migrations.AddIndex(table, models.Index(fields=["session_id"], condition=condition, name=name))


class Migration(migrations.Migration):
    dependencies = [("spend", "0003_carried_over")]
    operations = [
        *(column for table in _TABLES for column in _columns(table)),
        _index("hold", "spend_hold_session", state="void"),
        _index("ledgerentry", "spend_entry_session"),
        _index("refusal", "spend_refusal_session"),
    ]
