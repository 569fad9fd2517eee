"""Who else may know a secret that was replaced: of earlier ones, whoever may know the one that took their place."""

from django.conf import settings
from django.db import migrations, models


def take_present_ones(apps, schema_editor):
    Retired = apps.get_model("keys", "RetiredSecret")
    Known = apps.get_model("keys", "VirtualKey").known_to.through
    KnownOld = Retired.known_to.through
    rows = Known.objects.filter(virtualkey__retired_secrets__isnull=False)
    pairs = rows.order_by().values_list("virtualkey__retired_secrets", "user_id").iterator()
    KnownOld.objects.bulk_create(
        (KnownOld(retiredsecret_id=old, user_id=person) for old, person in pairs), batch_size=1000
    )


class Migration(migrations.Migration):
    dependencies = [("keys", "0007_sponsors"), migrations.swappable_dependency(settings.AUTH_USER_MODEL)]
    operations = [
        migrations.AddField(
            "retiredsecret",
            "known_to",
            models.ManyToManyField(settings.AUTH_USER_MODEL, related_name="known_retired_secrets"),
        ),
        migrations.RunPython(take_present_ones, migrations.RunPython.noop),
    ]
