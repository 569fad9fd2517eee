"""The ledger and the price book are append-only by rule of the database."""

from django.db import migrations

from teams.append_only import append_only


class Migration(migrations.Migration):
    dependencies = [("spend", "0002_initial")]
    operations = [append_only("spend_ledgerentry"), append_only("spend_price")]
