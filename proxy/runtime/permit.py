"""Whether a grant allows a call, before anything is held. Pure: judged from the frozen grant alone."""

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any

from keys.grants import Grant, ScopePolicy
from proxy.gate_rules import GateRules
from proxy.runtime import errors
from proxy.runtime.call import Call
from proxy.runtime.catalog import Catalog, Target
from proxy.runtime.routes import MODEL, MODELS, Route
from teams.budgets import matches
from teams.scopes import ScopeKind, scope_kind

_NO_RULES = GateRules()
_GROUPS = {"llm_api_routes", "openai_routes"}
_EVERY_MODEL = frozenset({"all-proxy-models", "all-team-models", "*"})
#: Tag of the deployments for calls that no other tag places.
_REST = "default"
_NO_GROUPS: frozenset[str] = frozenset()
_EMPTY = Catalog()
_LEVEL = {
    ScopeKind.ORGANIZATION: "org",
    ScopeKind.ORGANIZATION_MEMBER: "user",
    ScopeKind.TEAM: "team",
    ScopeKind.MEMBER: "user",
    ScopeKind.PROJECT: "project",
    ScopeKind.USER: "user",
    ScopeKind.KEY: "key",
    ScopeKind.CUSTOMER: "customer",
    ScopeKind.TAG: "key",
}
_NAME = {
    ScopeKind.ORGANIZATION: "Organization",
    ScopeKind.ORGANIZATION_MEMBER: "Member of the organization",
    ScopeKind.TEAM: "Team",
    ScopeKind.MEMBER: "Team member",
    ScopeKind.PROJECT: "Project",
    ScopeKind.USER: "User",
    ScopeKind.CUSTOMER: "Customer",
    ScopeKind.TAG: "Tag",
}


def check_call(
    grant: Grant, policies: tuple[ScopePolicy, ...], model: str, call: Call, path: str, now: datetime,
    rules: GateRules = _NO_RULES, catalog: Catalog = _EMPTY,
) -> None:  # fmt: skip
    """Everything about a call that can be refused before it is held, in the order clients know (contract, 1.3).

    `model` is the one that is called instead of the one asked for, where an alias or a default says so.
    """
    _refuse_blocked(grant.key)
    known = catalog.is_allowed(policies, model)
    groups = _NO_GROUPS if known else catalog.groups_of(model, grant.owners.team_id)
    if not known:
        check_model((grant.key,), model, groups, catalog)
    check_status(grant, policies, now)
    if not known:
        # The organization comes last: of two scopes that refuse a model, the nearer one is named.
        check_model((*policies[1:], policies[0]), model, groups, catalog)
        catalog.allow(policies, model)
    if rules.enforce_user and not call.customer:
        raise errors.invalid("'user' param not passed in. 'enforce_user_param'=True", "user")
    check_route(grant, call.route, path, rules)


def check_status(grant: Grant, policies: tuple[ScopePolicy, ...], now: datetime) -> None:
    """Raises 401 for a key that is blocked, of a deactivated owner, expired, rotated out or below a blocked scope."""
    _refuse_blocked(grant.key)
    if grant.owner_deactivated:
        raise errors.unauthorized(
            "Authentication Error, the owner of this key was deactivated or blocked: ask your platform admin"
        )
    if grant.expires_at is not None and now >= grant.expires_at:
        raise errors.unauthorized(
            f"Authentication Error - Expired Key. It expired at {grant.expires_at.isoformat()}; create a new one",
            "expired_key",
            "key",
        )
    if grant.retires_at is not None and now >= grant.retires_at:
        raise errors.unauthorized(
            "Authentication Error - Expired Key. This secret was replaced by a newer one of the same key",
            "expired_key",
            "key",
        )
    for policy in policies:
        _refuse_blocked(policy)


def _refuse_blocked(policy: ScopePolicy) -> None:
    if not policy.blocked:
        return
    kind = scope_kind(policy.scope)
    told = "Key is blocked. Update via `/key/unblock` if you are an admin"
    if kind is not ScopeKind.KEY:
        told = f"{_NAME[kind]} is blocked: {policy.label}. Ask your platform admin to unblock it"
    raise errors.unauthorized(f"Authentication Error, {told}.")


def check_route(grant: Grant, route: Route, path: str, rules: GateRules = _NO_RULES) -> None:
    """Raises 403 unless the key's `allowed_routes`, if it has any, cover the path; and for a path of admins alone."""
    if rules.admin_routes and not grant.is_admin and any(map(rules.is_for_admins, (path, route.upstream))):
        raise errors.forbidden(
            f"user not allowed to access this route. Route={path} is an admin only route", "auth_error"
        )
    if not grant.allowed_routes:
        return
    groups = _GROUPS | ({"info_routes"} if route in (MODELS, MODEL) else set())
    bare = path.removeprefix("/v1")
    for entry in grant.allowed_routes:
        if entry in groups or any(matches(entry, form) for form in (path, bare, "/v1" + bare)):
            return
    raise errors.forbidden(
        f"Virtual key is not allowed to call this route. Only allowed to call routes: {list(grant.allowed_routes)}. "
        f"Tried to call route: {path}",
        "auth_error",
    )


def check_params(grant: Grant, body: Mapping[str, Any]) -> None:
    """Raises 400 for a field that the key insists on and the call does not bring."""
    for name in grant.enforced_params:
        outer, _, inner = name.partition(".")
        value = body.get(outer)
        if inner:
            value = value.get(inner) if isinstance(value, Mapping) else None
        if value in (None, ""):
            raise errors.invalid(f"BadRequest please pass param={name} in request: the key insists on it", name)


def resolve_alias(grant: Grant, model: str) -> str:
    return grant.aliases.get(model, model)


def in_full(grant: Grant, policies: Iterable[ScopePolicy], model: str, catalog: Catalog) -> str:
    """The name by which a model is served and limited. Raises 400 if a pattern of a limit covers its short name only.

    What is counted under one name does not count under another, so such a limit would never refuse.
    """
    full = catalog.in_full(model, grant.owners.team_id)
    if full == model:
        return model
    above = (grant.platform,) if grant.platform else ()
    for policy in (*policies, *above):
        limited = [budget.model for budget in policy.budgets if budget.model]
        limited += [rate.model for rate in policy.model_rates]
        if any(matches(entry, model) and entry != model and not matches(entry, full) for entry in limited):
            raise errors.invalid(
                f"'{model}' is limited here by that name and served as '{full}', so the limit would never refuse: "
                f"have it set for '{full}', or call the model by its full name",
                "model",
            )
    return full


def check_model(
    policies: Iterable[ScopePolicy], model: str, groups: frozenset[str] = _NO_GROUPS, catalog: Catalog = _EMPTY
) -> None:
    """Raises 403 unless every scope that lists models covers this one. The first that does not is named."""
    for policy in policies:
        if not allows(policy, model, groups, catalog):
            level = _LEVEL[scope_kind(policy.scope)]
            raise errors.forbidden(
                f"{level} not allowed to access model. This {level} may not use '{model}'; "
                "GET /v1/models lists what the key may use",
                f"{level}_model_access_denied",
                "model",
            )


def allows(policy: ScopePolicy, model: str, groups: frozenset[str] = _NO_GROUPS, catalog: Catalog = _EMPTY) -> bool:
    """Whether a scope's list covers a model, by its name or by one of the access groups it is in."""
    if not policy.models or any(covers(entry, model, groups) for entry in policy.models):
        return True
    return any(matches(entry, model) or entry in groups for entry in catalog.granted.get(policy.scope, ()))


def covers(entry: str, model: str, groups: frozenset[str]) -> bool:
    """Whether an entry of a list means a model, which `groups` are further names of."""
    return entry == model or entry in groups or entry in _EVERY_MODEL or matches(entry, model)


def callable_targets(targets: tuple[Target, ...], model: str) -> tuple[Target, ...]:
    """Deployments of a model that may be called: priced or free, and not without their credential. Raises 400."""
    if not targets:
        raise errors.invalid(
            f"Invalid model name passed in model={model}. Call GET /v1/models to see what this key may use", "model"
        )
    ready = tuple(target for target in targets if not target.waits)
    if not ready:
        raise errors.GatewayError(
            400,
            "credential_not_found",
            f"the credential of model '{model}' is not stored yet, or is for another host: ask your platform admin to "
            "store it",
            "model",
            {"x-should-retry": "false"},
        )
    priced = tuple(target for target in ready if target.is_free or target.price is not None)
    if not priced:
        raise errors.GatewayError(
            400,
            "model_not_priced",
            f"model '{model}' has no price, so no budget could hold it: ask your platform admin to set one",
            "model",
            {"x-should-retry": "false"},
        )
    return priced


def outside(targets: tuple[Target, ...], spent: frozenset[str]) -> tuple[Target, ...]:
    """Deployments that are in none of the pools which have nothing left, if there are any."""
    if not spent:
        return targets
    return tuple(target for target in targets if spent.isdisjoint(target.pool_scopes)) or targets


def for_tags(targets: tuple[Target, ...], tags: tuple[str, ...], model: str) -> tuple[Target, ...]:
    """Deployments that share a tag with the call; without one, those tagged `default`. Raises 401.

    A call without tags may go to every deployment of a model that has none for the rest (contract, 8).
    """
    wanted = frozenset(tags)
    chosen = tuple(target for target in targets if target.tags & wanted)
    chosen = chosen or tuple(target for target in targets if _REST in target.tags)
    if chosen or not wanted:
        return chosen or targets
    untagged = tuple(target for target in targets if not target.tags)
    if not untagged:
        raise errors.unauthorized(
            f"Not allowed to access model due to tags configuration: no deployment of '{model}' has one of the tags "
            f"{', '.join(sorted(wanted))}, and none is tagged '{_REST}'",
            "auth_error",
            "tags",
        )
    return untagged


def in_region(targets: tuple[Target, ...], region: str) -> tuple[Target, ...]:
    """Deployments in a region: `eu` is also `eu-west-1`. One whose region nobody said is in none."""
    return tuple(target for target in targets if target.region.lower().partition("-")[0] == region)


def cheaper(grant: Grant, model: str, catalog: Catalog) -> list[str] | None:
    """Models that the key names for when this one no longer fits a budget, by whichever of its names it says so."""

    def real(name: str) -> str:
        return catalog.in_full(resolve_alias(grant, name), grant.owners.team_id)

    wanted = real(model)
    return next((others for name, others in grant.budget_fallbacks.items() if real(name) == wanted), None)


def check_fallbacks(grant: Grant, policies: Iterable[ScopePolicy], names: Iterable[str], catalog: Catalog) -> None:
    """Raises 403 for a model that a call asks to fall back to and may not use, though nothing falls back to it here."""
    for name in names:
        model = catalog.in_full(resolve_alias(grant, name), grant.owners.team_id)
        check_model(policies, model, catalog.groups_of(model, grant.owners.team_id), catalog)


def visible_models(policies: Iterable[ScopePolicy], catalog: Catalog, team: int | None) -> list[str]:
    """Names that a chain may call. Aliases of a key or a team are further names of the same models, and not listed."""
    policies = tuple(policies)
    known = {name for shelf in catalog.shelves(team) for name in shelf.names()}
    known = {name for name in known if catalog.in_full(name, team) == name}
    return sorted(name for name in known if may_call(policies, name, catalog, team))


def visible_aliases(policies: Iterable[ScopePolicy], catalog: Catalog, team: int | None) -> list[str]:
    """Aliases for everybody, of models that a chain may call; the hidden ones are not shown."""
    policies = tuple(policies)
    meant = {alias: catalog.in_full(alias, team) for alias in catalog.aliases.listed()}
    served = {alias: model for alias, model in meant.items() if catalog.shelf_of(model, team) is not None}
    return [alias for alias, model in served.items() if may_call(policies, model, catalog, team)]


def visible_wildcards(policies: Iterable[ScopePolicy], catalog: Catalog, team: int | None) -> list[str]:
    """Wildcards all of whose models a chain may call."""
    policies = tuple(policies)
    known = {name for shelf in catalog.shelves(team) for name in shelf.wildcards}
    return sorted(name for name in known if may_call(policies, name, catalog, team))


def visible_groups(policies: Iterable[ScopePolicy], catalog: Catalog, team: int | None) -> list[str]:
    """Access groups with a model that a chain may call."""
    policies = tuple(policies)
    found: set[str] = set()
    for shelf in catalog.shelves(team):
        for name, groups in shelf.groups.items():
            if not groups <= found and may_call(policies, name, catalog, team):
                found |= groups
    return sorted(found)


def may_call(policies: Iterable[ScopePolicy], model: str, catalog: Catalog, team: int | None) -> bool:
    """Whether every scope of a chain allows a model."""
    groups = catalog.groups_of(model, team)
    return all(allows(policy, model, groups, catalog) for policy in policies)
