"""What the audit trail keeps of a row, column by column, in the words of the management API. Money: exact USD."""

from collections import defaultdict
from collections.abc import Iterable
from typing import Any

from django.db import models

from teams.columns import BESIDE
from teams.models import AuditEvent, Organization, Project, SharedBudget, Team, User
from teams.rows import Row, model_budgets, model_rates, usd, windows

#: Of no use to who reads the trail from outside; `object_id` says what an event is about.
_OURS = frozenset({"id", "epoch", "sql_until", "expiry_noted_at"})
_WORDS = {
    **BESIDE,
    "allowed_models": "models",
    "expires_at": "expires",
    "raise": "temp_budget_increase",
    "member_budget_id": "team_member_budget_id",
    "member_permissions": "team_member_permissions",
    "member_key_duration": "team_member_key_duration",
}
#: What is called after the thing itself.
_OWN_WORDS = {
    "keys.VirtualKey": {"alias": "key_alias", "masked": "key_name", "public_id": "key_id"},
    "teams.Team": {"name": "team_alias", "public_id": "team_id"},
    "teams.Project": {"name": "project_alias", "public_id": "project_id"},
    "teams.User": {"alias": "user_alias", "email": "user_email", "role": "user_role", "public_id": "user_id"},
    "teams.Organization": {"name": "organization_alias", "public_id": "organization_id"},
    "teams.SharedBudget": {"public_id": "budget_id"},
    "teams.Customer": {"public_id": "user_id"},
    "proxy.Deployment": {"public_id": "model_id"},
    "proxy.AccessGroup": {"public_id": "access_group_id", "name": "access_group"},
}
_REFERENCES: dict[str, type[models.Model]] = {
    "organization_id": Organization,
    "team_id": Team,
    "project_id": Project,
    "user_id": User,
    "shared_budget_id": SharedBudget,
    "member_budget_id": SharedBudget,
    "end_user_budget_id": SharedBudget,
}


class Words:
    """Translates a page of events, with one query for each kind of thing that they refer to."""

    def __init__(self, events: Iterable[AuditEvent]) -> None:
        wanted = defaultdict[type[models.Model], set[int]](set)
        for event in events:
            for column, model in _REFERENCES.items():
                kept = (event.before.get(column), event.after.get(column))
                wanted[model].update(pk for pk in kept if isinstance(pk, int))
        self._public = {
            model: dict(model._default_manager.filter(pk__in=pks).values_list("pk", "public_id"))
            for model, pks in wanted.items()
            if pks
        }

    def of(self, object_type: str, values: dict[str, Any]) -> Row | None:
        """None for an event that keeps nothing of the row."""
        words = _WORDS | _OWN_WORDS.get(object_type, {})
        row: Row = {}
        for column, value in values.items():
            if column == "budget_limits":
                row[column] = windows(value)
            elif column == "model_limits":
                row |= {"model_max_budget": model_budgets(value), **model_rates(value)}
            elif column.endswith("_nano"):
                name = column.removesuffix("_nano")
                row[words.get(name, name)] = usd(value)
            elif column not in _OURS:
                row[words.get(column, column)] = self._named(column, value)
        return row or None

    def _named(self, column: str, value: Any) -> Any:
        """What a reference points to, by its public id; by ours if it is gone."""
        return self._public.get(_REFERENCES[column], {}).get(value, value) if column in _REFERENCES else value
