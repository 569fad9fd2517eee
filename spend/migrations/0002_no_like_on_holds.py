"""PostgreSQL gets a second index on a text key, for LIKE, which nobody asks of the table that every call writes twice."""

from django.db import migrations


class Migration(migrations.Migration):
    dependencies = [("spend", "0001_tables")]
    operations = [
        migrations.RunSQL("DROP INDEX IF EXISTS spend_hold_id_02d63ca0_like", migrations.RunSQL.noop),
    ]
