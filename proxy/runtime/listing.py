"""`GET /v1/models`: what the key may use. Costs nothing, so it holds nothing."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING
from urllib.parse import parse_qsl

import orjson

from keys.grants import Grant, ScopePolicy
from proxy.fallback_rules import GENERAL, KINDS
from proxy.runtime import errors, permit, relay
from proxy.runtime.catalog import Catalog
from proxy.runtime.held import StaleGrant
from proxy.runtime.identify import identify
from proxy.runtime.request import Request
from proxy.runtime.routes import MODEL, Route

if TYPE_CHECKING:
    from proxy.runtime.app import Gateway


@dataclass(frozen=True, slots=True)
class View:
    """A chain as models are listed for: the key's own, or that of a team it may ask about."""

    policies: tuple[ScopePolicy, ...]
    team: int | None
    aliases: Mapping[str, str] = field(default_factory=dict)


async def serve(gateway: "Gateway", request: Request, route: Route, name: str) -> None:
    token = identify(request.headers, gateway.config.master_token, gateway.config.rules.key_header)
    grant = await current(gateway, token)
    permit.check_status(grant, grant.chain, gateway.clock())
    permit.check_route(grant, route, request.path, gateway.config.rules)
    query = dict(parse_qsl(request.query, keep_blank_values=True))
    view = await _view(gateway, grant, token, query.get("team_id", ""))
    await gateway.grants.has_news()
    catalog = await gateway.grants.catalog()
    if route is MODEL:
        answer = await _one(gateway, view, catalog, name)
    else:
        entries = [_entry(each, view, catalog, query) for each in _names(view, catalog, query)]
        answer = {"object": "list", "data": entries}
    await relay.send_whole(request.send, 200, orjson.dumps(answer), {"content-type": "application/json"})


async def current(gateway: "Gateway", token: str) -> Grant:
    """The grant as it is now: without a hold, the announced versions are compared here."""
    grant = await gateway.grants.get(token)
    try:
        await gateway.holds.refuse_stale(grant.owners.organization_id, grant.chain)
    except StaleGrant as stale:
        gateway.grants.forget(stale.scopes)
        grant = await gateway.grants.get(token)
    return grant


async def _view(gateway: "Gateway", grant: Grant, token: str, team: str) -> View:
    """Raises 403 for a team that the key's owner is not in."""
    if not team or team == grant.team_public_id:
        return View(grant.chain, grant.owners.team_id, grant.aliases)
    asked = (team, grant.owners.user_id, token == gateway.config.master_token)
    found = await gateway.journal.ask("teams", asked)
    if found is None:
        raise errors.forbidden(f"this key may not list the models of team '{team[:128]}'", "auth_error", "team_id")
    policies, pk, aliases = found
    return View(policies, pk, aliases)


def _names(view: View, catalog: Catalog, query: Mapping[str, str]) -> list[str]:
    groups = permit.visible_groups(view.policies, catalog, view.team)
    if _on(query, "only_model_access_groups"):
        return groups
    models = permit.visible_models(view.policies, catalog, view.team)
    names = sorted({*models, *permit.visible_aliases(view.policies, catalog, view.team)})
    if _on(query, "return_wildcard_routes"):
        names += permit.visible_wildcards(view.policies, catalog, view.team)
    return names + (groups if _on(query, "include_model_access_groups") else [])


async def _one(gateway: "Gateway", view: View, catalog: Catalog, name: str) -> dict[str, object]:
    """Also a model that nothing but a wildcard covers, if it can be called."""
    names, real = permit.visible_models(view.policies, catalog, view.team), _real(name, view, catalog)
    if real not in names and not await _is_callable(gateway, view, catalog, real):
        message = f"The model '{name}' does not exist, or this key may not use it"
        raise errors.GatewayError(404, "not_found_error", message, "model")
    return _entry(name, view, catalog, {})


async def _is_callable(gateway: "Gateway", view: View, catalog: Catalog, name: str) -> bool:
    if not permit.may_call(view.policies, name, catalog, view.team):
        return False
    targets = await gateway.grants.targets(name, view.team)
    return any(target.is_free or target.price is not None for target in targets)


def _entry(name: str, view: View, catalog: Catalog, query: Mapping[str, str]) -> dict[str, object]:
    real = _real(name, view, catalog)
    created = next((s.created[real] for s in catalog.shelves(view.team) if real in s.created), 0)
    entry: dict[str, object] = {"id": name, "object": "model", "created": created, "owned_by": "latchkey"}
    if _on(query, "include_metadata"):
        kind = query.get("fallback_type") or GENERAL
        if kind not in KINDS:
            raise errors.invalid(f"Invalid fallback_type: choose one of {', '.join(KINDS)}", "fallback_type")
        found = catalog.fallbacks.after(real, kind)
        entry["metadata"] = {
            "fallbacks": [one for one in found if permit.may_call(view.policies, one, catalog, view.team)]
        }
    return entry


def _real(name: str, view: View, catalog: Catalog) -> str:
    """The name by which a model is served to a chain."""
    return catalog.in_full(view.aliases.get(name, name), view.team)


def _on(query: Mapping[str, str], name: str) -> bool:
    value = query.get(name, "").lower()
    if value not in ("", "0", "1", "true", "false", "yes", "no"):
        raise errors.invalid(f"{name}: write true or false", name)
    return value in ("1", "true", "yes")
