"""Who else may know a way into somebody's account. Of links that were sent before, who sent them is noted."""

import django.db.models.deletion
from django.conf import settings
from django.db import migrations, models


def take_senders(apps, schema_editor):
    people = apps.get_model("teams", "User").objects
    openings = apps.get_model("teams", "Opening").objects
    for link in apps.get_model("teams", "Invitation").objects.exclude(created_by=""):
        senders = people.filter(models.Q(public_id=link.created_by) | models.Q(username=link.created_by))
        for sender in senders.exclude(pk=link.user_id):
            openings.get_or_create(user_id=link.user_id, by=sender, team=None)


def _to(model, related_name, **how):
    return models.ForeignKey(model, django.db.models.deletion.CASCADE, related_name=related_name, **how)


class Migration(migrations.Migration):
    dependencies = [("teams", "0003_who_changed_a_project")]
    operations = [
        migrations.CreateModel(
            "opening",
            [
                ("id", models.BigAutoField(primary_key=True, serialize=False, auto_created=True, verbose_name="ID")),
                ("user", _to(settings.AUTH_USER_MODEL, "openings")),
                ("by", _to(settings.AUTH_USER_MODEL, "+")),
                ("team", _to("teams.team", "+", null=True)),
            ],
        ),
        migrations.RunPython(take_senders, migrations.RunPython.noop),
    ]
