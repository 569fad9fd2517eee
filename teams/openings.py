"""The row that says who else may know a way into somebody's account; `teams.promotion` writes and reads it."""

from django.db import models


class Opening(models.Model):
    """Somebody was given a key of a person, or a link that sets the person's password.

    With a `team` it is a key of that team, whose holder has the person's rights in that team alone.
    """

    user = models.ForeignKey("teams.User", models.CASCADE, related_name="openings")
    by = models.ForeignKey("teams.User", models.CASCADE, related_name="+")
    team = models.ForeignKey("teams.Team", models.CASCADE, related_name="+", null=True)

    def __str__(self) -> str:
        return f"way into {self.user} that {self.by} may know"
