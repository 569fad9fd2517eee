"""Reading the catalog: from rows of models, prices and access groups to the view that gateway workers cache."""

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

import structlog
from django.conf import settings
from django.db.models import Max

from keys import vault
from keys.grants import ScopePolicy
from keys.loading import policy_above, policy_of
from proxy import services
from proxy.models import AccessGroup, Deployment, Fallback, Pool
from proxy.providers import REGISTRY
from proxy.runtime import defaults
from proxy.runtime.catalog import Catalog, Shelf, Target, by_precision, captured, filled, names_of_provider
from proxy.wildcards import behind
from spend import book
from spend.models import Markup
from spend.pricing import PriceCard
from teams.actors import MASTER
from teams.callers import Caller
from teams.models import Platform, PolicyChange, Team, User
from teams.reach import MASTER_ROLE, caller_of

log = structlog.get_logger()


def load_catalog(now: datetime) -> Catalog:
    # First what was announced: a change that is committed from here on is news.
    announced, pools = PolicyChange.objects.aggregate(newest=Max("pk"))["newest"] or 0, _pools()
    by_team: dict[int | None, list[Deployment]] = defaultdict(list)
    for row in _rows():
        by_team[row.team_id].append(row)
    priced = _prices([row for rows in by_team.values() for row in rows], now)
    items = book.items_at(now) if any(row.is_wildcard for rows in by_team.values() for row in rows) else []
    shelves = {team: _shelf(rows, priced, items, pools) for team, rows in by_team.items()}
    read = Catalog(
        everybody=shelves.pop(None, Shelf()),
        of_team={team: shelf for team, shelf in shelves.items() if team is not None},
        granted=AccessGroup.granted(),
        fallbacks=Fallback.over(settings.FALLBACKS).meant_by(settings.MODEL_ALIASES.models),
        aliases=settings.MODEL_ALIASES,
        announced=announced,
        platform_epoch=pools.epoch,
    )
    return _with_aliases(read) if read.aliases.models else read


def _with_aliases(read: Catalog) -> Catalog:
    """The same, with its aliases among the names by which limits may mean a model."""

    def named(shelf: Shelf, team: int | None) -> Shelf:
        models = {
            name: tuple(replace(target, groups=target.groups | read.aliases_of(name, team)) for target in targets)
            for name, targets in shelf.models.items()
        }
        return replace(shelf, models=models)

    of_team = {team: named(shelf, team) for team, shelf in read.of_team.items()}
    return replace(read, everybody=named(read.everybody, None), of_team=of_team)


def concrete(model: str, team: int | None, now: datetime) -> tuple[Target, ...]:
    """Deployments of a model that only a wildcard covers, each priced as the model that it then is."""
    rows = [row for row in _rows().filter(team=team, model__name__contains="*") if captured(row.model.name, model)]
    best = next(iter(by_precision({row.model.name for row in rows})), None)
    rows = [row for row in rows if row.model.name == best]
    targets, pools, groups = [], _pools(), frozenset[str]().union(*(row.groups for row in rows))
    for row in rows:
        row.upstream_model = filled(row.upstream_model, captured(row.model.name, model) or ())
        row.upstream_model = row.upstream_model.removeprefix(f"{row.provider.slug}/")
        found = services.listed_item(row)
        row.max_input_tokens = row.max_input_tokens or (found[1] if found else None)
        targets.append(_target(row, _prices([row], now)))
    served = (replace(target, model=model) for target in targets if target is not None)
    return tuple(pools.joined_by(target, groups) for target in served)


def targets_of(model: str, team: int | None, now: datetime) -> tuple[Target, ...]:
    """What serves a model for keys of a team, as the gateway would find it."""
    for owner in (team, None) if team else (None,):
        model = model if owner else settings.MODEL_ALIASES.models.get(model, model)
        rows = list(_rows().filter(team=owner, model__name=model))
        priced = _prices(rows, now)
        found = tuple(target for row in rows if (target := _target(row, priced)) is not None)
        found = found or concrete(model, owner, now)
        if found:
            return found
    return ()


def targets_behind(upstream: str, team: int | None, now: datetime) -> tuple[Target, ...]:
    """What may have given an answer that bears the provider's own name of a model; a team's own first."""
    rows = list(_rows().filter(upstream_model=upstream).exclude(model__name__contains="*"))
    rows = [row for owner in dict.fromkeys((team, None)) for row in rows if row.team_id == owner]
    priced = _prices(rows, now)
    return tuple(target for row in rows if (target := _target(row, priced)) is not None)


def team_view(
    public_id: str, user_pk: int | None, is_master: bool
) -> tuple[tuple[ScopePolicy, ...], int, dict[str, str]] | None:
    """Chain, primary key and aliases of a team that somebody may ask about; None if they may not."""
    asker = User.objects.filter(pk=user_pk).first() if user_pk else None
    caller = Caller(MASTER, MASTER_ROLE) if is_master else caller_of(asker) if asker else Caller(MASTER)
    team = Team.objects.visible_to(caller).select_related("organization", "shared_budget").filter(public_id=public_id)
    found = team.first()
    if found is None:
        return None
    epoch = found.organization.epoch
    return (policy_of(found.organization, epoch=epoch), policy_of(found, epoch=epoch)), found.pk, found.model_aliases


def _rows() -> Any:
    return Deployment.objects.filter(blocked=False).with_owners()


def _shelf(
    rows: Iterable[Deployment], priced: Mapping[str, PriceCard], items: Collection[str], pools: "_Pools"
) -> Shelf:
    models: dict[str, tuple[Target, ...]] = {}
    groups: dict[str, frozenset[str]] = {}
    created, wildcards, listed = {}, set(), dict[str, str]()
    for row in rows:
        name, at = row.model.name, int(row.model.created_at.timestamp())
        created[name] = at
        if row.groups:
            groups[name] = groups.get(name, frozenset()) | row.groups
        if row.is_wildcard:
            wildcards.add(name)
            found = dict.fromkeys((model for model, _ in behind(row, items)), name)
            listed |= found
            created |= dict.fromkeys(found, at)
        elif (target := _target(row, priced)) is not None:
            models[name] = (*models.get(name, ()), target)
    models = {
        name: tuple(pools.joined_by(target, groups.get(name, frozenset())) for target in targets)
        for name, targets in models.items()
    }
    return Shelf(models, groups, created, by_precision(wildcards), listed, _short(listed))


@dataclass(frozen=True, slots=True)
class _Pools:
    """What there is of pools, and the platform's epoch, which was read before them."""

    epoch: int
    policies: Mapping[tuple[str, str], ScopePolicy]

    def joined_by(self, target: Target, groups: frozenset[str]) -> Target:
        """The target with its model's further names, and the pools of its provider and its access groups."""
        named = [(Pool.Kind.PROVIDER.value, target.provider)]
        named += [(Pool.Kind.ACCESS_GROUP.value, group) for group in sorted(groups)]
        pools = tuple(self.policies[name] for name in named if name in self.policies)
        scopes = tuple(pool.scope for pool in pools)
        further = groups | names_of_provider(target)
        return replace(target, pools=pools, pool_scopes=scopes, groups=further) if pools or further else target


def _pools() -> _Pools:
    epoch = Platform.objects.values_list("epoch", flat=True).get()
    return _Pools(
        epoch,
        {
            (row.kind, row.name): policy_above(row, epoch=epoch, label=str(row), ident=f"{row.kind}:{row.name}")
            for row in Pool.objects.all()
        },
    )


def _short(listed: Mapping[str, str]) -> dict[str, str]:
    """Names without their provider's; one that several providers have names none of their models."""
    found: dict[str, list[str]] = defaultdict(list)
    for model, wildcard in listed.items():
        provider, _, own = model.partition("/")
        if provider in REGISTRY and wildcard.startswith(f"{provider}/") and "/" not in own:
            found[own].append(model)
    return {own: models[0] for own, models in found.items() if len(models) == 1}


def _prices(rows: list[Deployment], now: datetime) -> dict[str, PriceCard]:
    """The price in force of each deployment that has one: its own, else the book's; with its provider's markup."""
    priced = book.cards_at(now, {row.price_item for row in rows})
    listed = {row.price_item: services.price_item(row) for row in rows if row.price_item not in priced}
    by_list = book.cards_at(now, set(listed.values()))
    found = priced | {own: by_list[item] for own, item in listed.items() if item in by_list}
    marked = Markup.over(settings.MARKUPS)
    slugs = {row.price_item: row.provider.slug for row in rows}
    return {item: marked.card_for(slugs[item], card) for item, card in found.items()}


def _target(row: Deployment, priced: Mapping[str, PriceCard]) -> Target | None:
    """None, and a red line in the log, for a deployment whose credential cannot be read."""
    try:
        secret = services.reveal(row.credential) if row.credential else ""
    except vault.CannotDecrypt as error:
        log.error("deployment left out", deployment=row.public_id, reason=str(error))
        return None
    if row.credential and row.credential.host != services.host_of(row.base_url):
        log.error("deployment left out", deployment=row.public_id, reason="its credential is bound to another host")
        return None
    try:
        return _built(row, secret, priced.get(row.price_item))
    except (AttributeError, TypeError, ValueError):
        # One row that something else wrote keeps nobody from the other models.
        log.exception("deployment left out", deployment=row.public_id)
        return None


def _built(row: Deployment, secret: str, price: PriceCard | None) -> Target:
    return Target(
        deployment=row.public_id,
        model=row.model.name,
        provider=row.provider.slug,
        upstream_model=row.upstream_model,
        base_url=row.base_url,
        secret=secret,
        max_input_tokens=row.max_input_tokens,
        max_output_tokens=row.max_output_tokens,
        price=price,
        is_free=row.is_free or (price is not None and price.is_free),
        timeout_seconds=row.timeout_seconds,
        max_retries=row.max_retries,
        defaults=defaults.fields(row.params),
        usual_output_tokens=defaults.cap(row.params, row.max_output_tokens),
        on_disconnect=row.params.get("on_disconnect") or REGISTRY[row.provider.slug].on_disconnect,
        region=str(row.params.get("region_name") or ""),
        tags=frozenset(row.params.get("tags") or ()),
        waits=bool(row.awaited_credential),
    )
