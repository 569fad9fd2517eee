"""The stored credential that a model names and that is not there yet."""

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("proxy", "0003_stated")]
    operations = [
        migrations.AddField(
            "deployment",
            "awaited_credential",
            models.CharField("waits for", blank=True, default="", editable=False, max_length=255),
        ),
    ]
