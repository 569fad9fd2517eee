"""Which fields somebody may change who may change the rest of an object (ApiError 403), and how far (400). No views."""

from collections.abc import Callable, Iterable, Mapping
from types import MappingProxyType
from typing import Any

from teams.access_groups import beyond
from teams.api_types import ApiError
from teams.columns import FIXED, NUMBERS, OF_MEMBER, OF_PLACE
from teams.models import Limits, Team, Terms
from teams.narrowing import uncovered, wider
from teams.scopes import ScopeKind
from teams.tag_limits import limited_tags, tags_of
from teams.windows import length_of

#: Columns of which any other value needs who is above.
_FIXED = FIXED | {"blocked": "blocked", "organization_id": "organization_id"}
NO_OTHER_NAMES: Mapping[str, str] = MappingProxyType({})
_CALLED = {ScopeKind.MEMBER: OF_MEMBER, ScopeKind.ORGANIZATION_MEMBER: OF_PLACE}


def never_raised(before: Terms, after: Terms, called: Mapping[str, str] = NO_OTHER_NAMES) -> None:
    """Whoever a limit holds may lower it, not raise it, be it the scope's own or of its shared budget: ApiError 403.

    `called` tells what the request calls limits that have other names elsewhere.
    """
    called = called or _CALLED.get(before.scope_kind, called)
    for column, name in NUMBERS.items():
        old, new = before.effective(column), after.effective(column)
        if old is not None and (new is None or new > old):
            raise _refused(called.get(name, name))
    for column, name in _FIXED.items():
        if getattr(before, column, None) != getattr(after, column, None):
            raise _refused(called.get(name, name))
    if isinstance(before, Team) and isinstance(after, Team):
        if length_of(after.member_key_duration) > length_of(before.member_key_duration):
            raise _refused("team_member_key_duration")
        gone = [tag for tag in tags_of(before) if tag not in tags_of(after)]
        if limited_tags(before.organization_id, gone):
            raise _refused("tags")


def never_widened(before: Limits, after: Limits) -> None:
    """As above, and what is open stays as narrow as it is: models, and the time zone in which windows end.

    Nobody does so for oneself: an organization's admins for it, people for their place there or in a team.
    """
    never_raised(before, after)
    if before.allowed_models and (not after.allowed_models or foreign_models(after.allowed_models, before)):
        raise _refused(_CALLED.get(before.scope_kind, NO_OTHER_NAMES).get("models", "models"))
    if getattr(before, "timezone", "") != getattr(after, "timezone", ""):
        raise _refused("timezone")


def unless_above(above: bool) -> Callable[[Any, Any], None] | None:
    """The check of a change by somebody who is above the object (none), or whom it holds."""
    return None if above else never_raised


def refuse_wider(child: Limits, above: Limits, stored: Limits, *, below: bool = True) -> None:
    """A child only ever narrows: ApiError 400 naming what it has beyond what `above` has, and had not in `stored`.

    `below` says that `above` is a part of its chain, and not only of whoever makes it.
    """
    if name := wider(child, above, stored):
        told = f"{name}: is beyond what {_called(above)} has; write a value within it"
        raise ApiError(400, told, param=name)
    refuse_models(set(child.allowed_models) - set(stored.allowed_models), above, below=below)


def refuse_models(wanted: Iterable[str], owner: Limits, *, below: bool = False) -> None:
    """ApiError 400 naming entries of a list of models that go beyond the owner's, see `foreign_models`."""
    if foreign := foreign_models(wanted, owner, below=below):
        told = f"models: {_called(owner)} does not allow {', '.join(sorted(foreign)[:5])}"
        raise ApiError(400, told, param="models")


def foreign_models(wanted: Iterable[str], owner: Limits, *, below: bool = False) -> set[str]:
    """Entries that open more than the owner's list does; what is `below` it is held to that list at every call too."""
    foreign, by_pattern = uncovered(wanted, owner.allowed_models, below=below)
    return foreign | beyond(by_pattern, owner.allowed_models)


def _called(owner: Limits) -> str:
    return f"{owner._meta.verbose_name} '{owner}'"


def _refused(name: str) -> ApiError:
    return ApiError(
        403, f"{name}: only an admin of the organization or the platform may raise or change it", param=name
    )
