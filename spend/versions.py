"""Whether the policies that a call was admitted by are still those that are stored."""

from collections import defaultdict
from collections.abc import Iterable

from django.apps import apps

from teams.models import Limits, SharedBudget
from teams.scopes import scope_kind, scope_name, scope_pk

Version = tuple[str, int]


def outdated(versions: Iterable[Version]) -> set[Version]:
    """Those that are not the present ones, or of scopes that are gone. One query for each kind of scope."""
    wanted, present = set(versions), set[Version]()
    pks = defaultdict(set)
    for scope, _ in wanted:
        pks[scope_kind(scope)].add(scope_pk(scope))
    for model in apps.get_models():
        if issubclass(model, Limits | SharedBudget) and (some := pks.get(model.scope_kind)):
            rows = model._default_manager.filter(pk__in=some).values_list("pk", "version")
            present |= {(scope_name(model.scope_kind, pk), version) for pk, version in rows}
    return wanted - present
