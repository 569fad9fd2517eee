"""The admin's forms for virtual keys."""

from datetime import datetime, timedelta
from typing import Any

from django import forms
from django.conf import settings
from django.core.exceptions import ValidationError
from django.utils import timezone
from unfold.widgets import UnfoldAdminSelectWidget

from keys.key_rules import wrong_alias
from keys.models import VirtualKey
from teams.forms import LimitsForm, LinesField
from teams.models import Membership


class KeyForm(LimitsForm):
    """A key's page. The key itself is made by the service and shown once, after saving."""

    tags = LinesField(label="Tags", help_text="One per line; put on every call of the key.")
    allowed_routes = LinesField(label="Routes", help_text="One per line, e.g. /chat/completions. Empty: all.")

    class Meta:
        model = VirtualKey
        exclude = ()

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        helps = {
            "alias": "What people call it; at most one living key has it.",
            "organization": "Only for a key without a team: of nobody, or of a member of this organization.",
            "project": "One of the team's, whose limits hold too.",
            "service_account": "Name of the program that owns the key, instead of a user.",
            "expires_at": "Empty: never.",
            "end_user_budget": "What each customer gets whom a call with this key is the first to name.",
        }
        for name in helps.keys() & self.fields.keys():
            self.fields[name].help_text = helps[name]
            self.fields[name].required = False

    def clean_alias(self) -> str | None:
        alias: str | None = self.cleaned_data["alias"]
        if alias and "alias" in self.changed_data and (wrong := wrong_alias(alias, settings.KEY_RULES.alias)):
            raise ValidationError(wrong)
        return alias

    def clean_expires_at(self) -> datetime | None:
        expires: datetime | None = self.cleaned_data["expires_at"]
        if expires and "expires_at" in self.changed_data and expires <= timezone.now():
            raise ValidationError("this is in the past; to stop a key at once, block it")
        return expires

    def clean(self) -> dict[str, Any]:
        cleaned: dict[str, Any] = super().clean() or self.cleaned_data
        team, user, project = (cleaned.get(name) for name in ("team", "user", "project"))
        if project and project.team != team:
            self.add_error("project", f"it is a project of {project.team}; choose that team too")
        if user and cleaned.get("service_account"):
            self.add_error("service_account", "a key belongs to a person or to a service account, never to both")
        if team and user and not Membership.objects.filter(team=team, user=user).exists():
            self.add_error("user", f"{user} is no member of {team}; add the member first")
        return cleaned


class RegenerateForm(forms.Form):
    """How long the old secret goes on working."""

    grace_hours = forms.TypedChoiceField(
        label="The old key stops working",
        choices=((0, "at once"), (1, "in one hour"), (24, "in one day"), (168, "in one week")),
        coerce=int,
        initial=0,
        widget=UnfoldAdminSelectWidget,
    )

    @property
    def grace(self) -> timedelta:
        return timedelta(hours=self.cleaned_data["grace_hours"])
