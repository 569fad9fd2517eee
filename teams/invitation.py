"""The row of an invitation; `teams.invitations` makes and accepts them."""

from django.db import models

from teams.terms import new_public_id


class Invitation(models.Model):
    """A way in for one person, once: whoever presents its secret sets the password of the account."""

    public_id = models.CharField(max_length=64, unique=True, default=new_public_id)
    user = models.ForeignKey("teams.User", models.CASCADE, related_name="invitations")
    secret_hash = models.CharField(max_length=64, unique=True)
    known_to = models.ManyToManyField("teams.User", related_name="+")
    """Who may know the link: whoever made it, and whoever may know the key that made it."""
    created_at = models.DateTimeField(auto_now_add=True)
    created_by = models.CharField(max_length=255)
    updated_at = models.DateTimeField(auto_now=True)
    updated_by = models.CharField(max_length=255)
    expires_at = models.DateTimeField()
    accepted_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        ordering = ["-pk"]

    def __str__(self) -> str:
        return f"invitation of {self.user}"
