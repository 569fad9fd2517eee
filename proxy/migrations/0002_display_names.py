"""What people call a credential, beside the name that models refer to."""

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("proxy", "0001_tables")]
    operations = [
        migrations.AddField("credential", "display_name", models.CharField(blank=True, default="", max_length=255)),
    ]
