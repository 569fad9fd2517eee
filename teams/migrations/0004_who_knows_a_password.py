"""Who may know a link, and the password that was set by one. Of earlier ones, whoever made the link."""

from django.conf import settings
from django.db import migrations, models


def take_makers(apps, schema_editor):
    User, Invitation = apps.get_model("teams", "User"), apps.get_model("teams", "Invitation")
    known = User.objects.values_list("public_id", "username", "email", "pk")
    people = {name: pk for *names, pk in known for name in names if name}
    for link in Invitation.objects.order_by("pk").iterator():
        maker = people.get(link.created_by)
        if maker is not None and maker != link.user_id:
            link.known_to.add(maker)
            if link.accepted_at is not None:
                link.user.password_known_to.add(maker)


class Migration(migrations.Migration):
    dependencies = [("teams", "0003_who_changed_a_project")]
    operations = [
        migrations.AddField(
            "invitation",
            "known_to",
            models.ManyToManyField(settings.AUTH_USER_MODEL, related_name="+"),
        ),
        migrations.AddField(
            "user",
            "password_known_to",
            models.ManyToManyField(settings.AUTH_USER_MODEL, related_name="+", editable=False),
        ),
        migrations.RunPython(take_makers, migrations.RunPython.noop),
    ]
