"""Of personal keys that others made before that was noted with their owners."""

from django.db import migrations
from django.db.models import F


def take_makers(apps, schema_editor):
    known = apps.get_model("teams", "User").objects.values_list("public_id", "username", "email", "pk")
    people = {name: pk for *names, pk in known for name in names if name}
    keys = apps.get_model("keys", "VirtualKey").objects.filter(team=None, user__isnull=False)
    Opened = apps.get_model("teams", "User").opened_by.through
    others = keys.exclude(created_by=F("user__public_id")).values_list("user_id", "created_by").distinct()
    Opened.objects.bulk_create(
        [Opened(from_user_id=user, to_user_id=people[maker]) for user, maker in others if maker in people],
        ignore_conflicts=True,
    )


class Migration(migrations.Migration):
    dependencies = [("keys", "0005_keys_by_maker"), ("teams", "0004_who_opened_an_account")]
    operations = [migrations.RunPython(take_makers, migrations.RunPython.noop)]
