"""Lists of the keys that somebody made look them up by their maker."""

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("keys", "0004_named_organizations")]
    operations = [
        migrations.AddIndex(
            "virtualkey",
            models.Index(
                fields=["created_by", "-id"], condition=models.Q(deleted_at__isnull=True), name="keys_by_maker"
            ),
        ),
    ]
