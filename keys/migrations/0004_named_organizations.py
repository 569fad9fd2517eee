"""Whether a key says itself which organization it is in; of those that are there nobody knows, so they go on saying."""

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("keys", "0003_budget_of_new_customers")]
    operations = [
        migrations.AddField("virtualkey", "names_organization", models.BooleanField(default=True, editable=False)),
        migrations.AlterField("virtualkey", "names_organization", models.BooleanField(default=False, editable=False)),
    ]
