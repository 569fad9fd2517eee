"""Access groups as keys and teams show and name them: `access_group_ids`.

The groups, and whom they are assigned to, are known only above, which says with `assigns_groups` how to change it.
"""

from collections.abc import Callable, Collection, Mapping
from typing import Any

from django.db.models import Prefetch

from teams.actors import Actor
from teams.api_types import ApiError
from teams.callers import Caller

#: Relation by which a key or a team knows its groups.
RELATION = "access_groups"
#: Where rows of lists have theirs as a mere list: a manager and a queryset for each row are dear.
_LISTED = "listed_groups"
FIELD = "access_group_ids"
#: Gives a stored key or team exactly the groups with these ids. ApiError 400 for one that does not exist.
Assign = Callable[[Any, list[str], Actor], None]
_assign: list[Assign] = []
#: Which of some names mean a model that a list of models does not cover.
Tells = Callable[[Collection[str], Collection[str]], frozenset[str]]
_tells: list[Tells] = []


def assigns_groups(assign: Assign) -> Assign:
    """Have `assign` carry out what `assign_sent` is asked for."""
    _assign.append(assign)
    return assign


def tells_beyond(tells: Tells) -> Tells:
    """Have `tells` answer `beyond`."""
    _tells.append(tells)
    return tells


def beyond(names: Collection[str], models: Collection[str]) -> frozenset[str]:
    """Those of some names by which a list would mean a model that the list `models` does not cover."""
    return frozenset().union(*(tells(names, models) for tells in _tells)) if names else frozenset()


def listed_groups() -> "Prefetch[str, Any, str]":
    """To be prefetched with rows that are only shown."""
    return Prefetch(RELATION, to_attr=_LISTED)


def group_ids(row: Any) -> list[str]:
    listed = getattr(row, _LISTED, None)
    return sorted(group.public_id for group in (getattr(row, RELATION).all() if listed is None else listed))


def assign_sent(row: Any, body: Mapping[str, Any], caller: Caller, *, may: bool = False) -> bool:
    """Carry out what a validated body says of a stored key's or team's groups; omitted keeps them, null clears them.

    Returns whether that changed anything. Groups add models to what a row lists itself, so only platform admins hand
    them out, and who `may` in this case. ApiError 403.
    """
    if FIELD not in body:
        return False
    wanted = sorted(set(body[FIELD] or ()))
    if wanted == group_ids(row):
        return False
    if not (caller.is_admin or may):
        told = f"{FIELD}: only proxy admins may set it, and of a team's keys who leads the team and whom it lets"
        raise ApiError(403, told, param=FIELD)
    for assign in _assign:
        assign(row, wanted, caller.actor)
    return True
