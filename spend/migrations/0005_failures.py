"""When an attempt was called off, and what its caller was told."""

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("spend", "0004_sessions")]
    operations = [
        migrations.AddField("hold", "failed_at", models.DateTimeField(null=True)),
        migrations.AddField("hold", "error_status", models.SmallIntegerField(null=True)),
        migrations.AddField("hold", "error_kind", models.CharField(max_length=64, null=True)),
        migrations.AddField("hold", "error_message", models.CharField(max_length=500, null=True)),
    ]
