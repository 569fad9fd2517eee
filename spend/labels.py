"""How reports name the owners of what they sum: one query for all of a kind. Primary key 0 is nobody."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

from keys.models import VirtualKey
from teams.models import Customer, Organization, Team, User

#: Databases take only so many parameters in one statement.
_AT_ONCE = 20_000


@dataclass(frozen=True, slots=True)
class KeyLabel:
    token: str = ""
    alias: str | None = None
    masked: str | None = None
    team_id: str | None = None


@dataclass(frozen=True, slots=True)
class Label:
    """The public id of a person, team, organization or customer, and what people call it."""

    name: str = ""
    alias: str | None = None
    email: str | None = None


def key_labels(pks: Iterable[int]) -> dict[int, KeyLabel]:
    found = {0: KeyLabel()}
    for some in _parts(pks):
        rows = VirtualKey.objects.filter(pk__in=some)
        for pk, token, alias, masked, team in rows.values_list("pk", "token", "alias", "masked", "team__public_id"):
            found[pk] = KeyLabel(token, alias, masked, team)
    return found


def user_labels(pks: Iterable[int]) -> dict[int, Label]:
    found = {0: Label()}
    for some in _parts(pks):
        rows = User.objects.filter(pk__in=some).values_list("pk", "public_id", "alias", "email")
        found |= {pk: Label(name, alias or None, email or None) for pk, name, alias, email in rows}
    return found


def team_labels(pks: Iterable[int]) -> dict[int, Label]:
    rows = Team.objects.filter(pk__in=set(pks)).values_list("pk", "public_id", "name")
    return {0: Label()} | {pk: Label(name, alias or None) for pk, name, alias in rows}


def organization_labels(pks: Iterable[int]) -> dict[int, Label]:
    rows = Organization.objects.filter(pk__in=set(pks)).values_list("pk", "public_id", "name")
    return {0: Label()} | {pk: Label(name, alias) for pk, name, alias in rows}


def customer_labels(pks: Iterable[int]) -> dict[int, Label]:
    found = {0: Label()}
    for some in _parts(pks):
        rows = Customer.objects.filter(pk__in=some).values_list("pk", "public_id", "alias")
        found |= {pk: Label(name, alias or None) for pk, name, alias in rows}
    return found


def namesakes(column: str, pks: Iterable[int]) -> dict[int, Label]:
    """These people or customers, and all others of the same public ids: who was deleted and made anew among them."""
    model: type[User] | type[Customer] = User if column == "user_id" else Customer
    told = ("alias", "email") if column == "user_id" else ("alias",)
    found = {0: Label()}
    for some in _parts(pks):
        ids = model._default_manager.filter(pk__in=some).order_by().values("public_id")
        rows = model._default_manager.filter(public_id__in=ids).order_by().values_list("pk", "public_id", *told)
        found |= {pk: Label(name, *(text or None for text in texts)) for pk, name, *texts in rows}
    return found


#: By the column that names them.
OWNERS: Mapping[str, Callable[[Iterable[int]], dict[int, Label]]] = {
    "user_id": user_labels,
    "team_id": team_labels,
    "organization_id": organization_labels,
    "customer_id": customer_labels,
}


def _parts(pks: Iterable[int]) -> Iterable[list[int]]:
    every = sorted(set(pks) - {0})
    return (every[start : start + _AT_ONCE] for start in range(0, len(every), _AT_ONCE))
