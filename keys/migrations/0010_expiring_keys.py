from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("keys", "0009_list_orders")]

    operations = [
        migrations.AddIndex(
            model_name="virtualkey",
            index=models.Index(
                condition=models.Q(("deleted_at__isnull", True), ("expiry_noted_at__isnull", True)),
                fields=["expires_at"],
                name="keys_expiring",
            ),
        ),
    ]
