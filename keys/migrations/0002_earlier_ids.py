"""Keep by which id the audit trail knows a key until its secret was replaced."""

from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ('keys', '0001_tables'),
    ]

    operations = [
        migrations.AddField(
            model_name='retiredsecret',
            name='public_id',
            field=models.CharField(blank=True, db_index=True, default='', max_length=16),
        ),
    ]
