"""Who else may know a key. Of keys that others made before that was noted, it is who made them."""

from django.conf import settings
from django.db import migrations, models
from django.db.models import F


def take_makers(apps, schema_editor):
    known = apps.get_model("teams", "User").objects.values_list("public_id", "username", "email", "pk")
    people = {name: pk for *names, pk in known for name in names if name}
    VirtualKey = apps.get_model("keys", "VirtualKey")
    others = VirtualKey.objects.exclude(created_by="").exclude(created_by=F("user__public_id"), user__isnull=False)
    Known = VirtualKey.known_to.through
    Known.objects.bulk_create(
        (
            Known(virtualkey_id=key, user_id=people[maker])
            for key, maker in others.order_by().values_list("pk", "created_by").iterator()
            if maker in people
        ),
        batch_size=1000,
    )


class Migration(migrations.Migration):
    dependencies = [("keys", "0005_keys_by_maker"), migrations.swappable_dependency(settings.AUTH_USER_MODEL)]
    operations = [
        migrations.AddField(
            "virtualkey",
            "known_to",
            models.ManyToManyField(settings.AUTH_USER_MODEL, related_name="known_keys", editable=False),
        ),
        migrations.RunPython(take_makers, migrations.RunPython.noop),
    ]
