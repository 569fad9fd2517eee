"""A program's key that a plain member of a team makes spends within that member's limits."""

import django.db.models.deletion
from django.conf import settings
from django.db import migrations, models
from django.db.models import Q


class Migration(migrations.Migration):
    dependencies = [("keys", "0006_who_knows_a_key"), migrations.swappable_dependency(settings.AUTH_USER_MODEL)]
    operations = [
        migrations.AddField(
            "virtualkey",
            "sponsor",
            models.ForeignKey(
                settings.AUTH_USER_MODEL,
                django.db.models.deletion.PROTECT,
                related_name="sponsored_keys",
                null=True,
                blank=True,
                editable=False,
                verbose_name="spends within the limits of",
            ),
        ),
        migrations.AddConstraint(
            "virtualkey",
            models.CheckConstraint(
                condition=Q(user__isnull=True) | Q(sponsor__isnull=True),
                name="keys_sponsored_if_nobodys",
                violation_error_message="a key of a person spends within that person's limits",
            ),
        ),
    ]
