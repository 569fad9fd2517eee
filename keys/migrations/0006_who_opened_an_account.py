"""Of keys of people that others made before that was noted."""

from django.db import migrations
from django.db.models import F


def take_makers(apps, schema_editor):
    known = apps.get_model("teams", "User").objects.values_list("public_id", "username", "email", "pk")
    people = {name: pk for *names, pk in known for name in names if name}
    keys = apps.get_model("keys", "VirtualKey").objects.filter(user__isnull=False)
    others = keys.exclude(created_by=F("user__public_id")).order_by()
    Opening = apps.get_model("teams", "Opening")
    Opening.objects.bulk_create(
        Opening(user_id=user, by_id=people[maker], team_id=team)
        for user, team, maker in others.values_list("user_id", "team_id", "created_by").distinct()
        if people.get(maker, user) != user
    )


class Migration(migrations.Migration):
    dependencies = [("keys", "0005_keys_by_maker"), ("teams", "0004_who_opened_an_account")]
    operations = [migrations.RunPython(take_makers, migrations.RunPython.noop)]
