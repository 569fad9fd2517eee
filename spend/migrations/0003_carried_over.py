"""A reset may also say that an amount counts in addition: what was spent before, elsewhere."""

from django.db import migrations, models

from teams.append_only import append_only


class Migration(migrations.Migration):
    dependencies = [("spend", "0002_no_like_on_holds")]
    operations = [
        migrations.RemoveConstraint("spendreset", "spend_reset_positive"),
        migrations.AddConstraint(
            "spendreset",
            models.CheckConstraint(condition=~models.Q(amount_nano=0), name="spend_reset_not_zero"),
        ),
        # SQLite made the table anew, without its triggers.
        append_only("spend_spendreset"),
    ]
