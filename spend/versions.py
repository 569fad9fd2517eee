"""Whether the policies that a call was admitted by are still those that are stored."""

from collections import defaultdict
from collections.abc import Iterable
from typing import Any

from django.db.models import Model

from keys.models import VirtualKey
from teams.models import (
    Customer,
    Membership,
    Organization,
    OrganizationMembership,
    Project,
    SharedBudget,
    Tag,
    Team,
    User,
)
from teams.scopes import ScopeKind, scope_kind, scope_name, scope_pk

Version = tuple[str, int]
_ROWS: dict[ScopeKind, type[Model]] = {
    model.scope_kind: model
    for model in (
        Organization, OrganizationMembership, Team, Membership, Project, User, VirtualKey, Customer, Tag, SharedBudget,
    )
}  # fmt: skip


def outdated(versions: Iterable[Version]) -> set[Version]:
    """Those that are not the present ones, or of scopes that are gone. One query for each kind of scope."""
    wanted, present = set(versions), set[Version]()
    pks: dict[ScopeKind, set[int]] = defaultdict(set)
    for scope, _ in wanted:
        pks[scope_kind(scope)].add(scope_pk(scope))
    for kind, some in pks.items():
        rows: Any = _ROWS[kind]._default_manager.filter(pk__in=some).values_list("pk", "version")
        present |= {(scope_name(kind, pk), version) for pk, version in rows}
    return wanted - present
