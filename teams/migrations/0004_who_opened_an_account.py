"""Who else may hold a way into somebody's account. Of links that were sent before, who sent them is noted."""

from django.conf import settings
from django.db import migrations, models


def take_senders(apps, schema_editor):
    people = apps.get_model("teams", "User").objects
    for link in apps.get_model("teams", "Invitation").objects.exclude(created_by=""):
        senders = people.filter(models.Q(public_id=link.created_by) | models.Q(username=link.created_by))
        link.user.opened_by.add(*senders.exclude(pk=link.user_id))


class Migration(migrations.Migration):
    dependencies = [("teams", "0003_who_changed_a_project")]
    operations = [
        migrations.AddField(
            "user",
            "opened_by",
            models.ManyToManyField(settings.AUTH_USER_MODEL, related_name="opened", editable=False),
        ),
        migrations.RunPython(take_senders, migrations.RunPython.noop),
    ]
