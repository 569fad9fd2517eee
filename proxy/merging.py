"""Changing a deployment to what a body in LiteLLM's shape says: all of it, or only what is named."""

from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime
from typing import Any

from django.db import transaction

from proxy import services, stated
from proxy.from_litellm import NewModel, read_model
from proxy.litellm_prices import by_the_million, is_price, other_prices, show_prices, stated_prices
from proxy.models import Deployment
from spend import book
from teams.actors import Actor
from teams.api_fields import plain_json

_COMPARED = (
    "upstream_model", "base_url", "mode", "max_input_tokens", "max_output_tokens", "is_free", "timeout_seconds",
    "max_retries", "stated", "params", "model_info", "provider_id", "team_id",
    "awaited_credential",
)  # fmt: skip


@transaction.atomic
def apply_to(known: Deployment, new: NewModel, *, actor: Actor, now: datetime) -> Deployment:
    """Make `known` what `new` says; nothing is written where nothing differs."""
    services.complete(new.deployment)
    columns = (*_COMPARED, "credential_id") if new.deployment.credential_id else _COMPARED
    columns = columns if known.source == Deployment.Source.CONFIG else (*columns, "access_groups")
    if new.name != known.model.name or any(getattr(known, n) != getattr(new.deployment, n) for n in columns):
        # The configuration file is applied while others change models: what it does not say stays as they left it.
        known = services.locked(known)
        for name in columns:
            setattr(known, name, getattr(new.deployment, name))
        # First the secret, which may have to be bound to another host than before.
        services.keep_secret(known, new.secret, actor=actor)
        services.update_deployment(known, actor=actor, model_name=new.name)
    services.keep_secret(known, new.secret, actor=actor)
    if new.price is not None:
        services.set_own_price(known, new.price, actor=actor, now=now)
    return known


@transaction.atomic
def patch(
    known: Deployment, name: str, params: Mapping[str, Any], info: Mapping[str, Any], *, actor: Actor, now: datetime
) -> Deployment:
    """A merge patch: what is not named keeps the value it has now. Raises ValidationError naming the field."""
    known = services.locked(known)
    params, prices = _prices(known, params, info, now)
    anew = _anew(known, params)
    kept = _params(known, params) | stated.held(known, but=anew) | prices
    merged = {**kept, **{field: value for field, value in params.items() if value is not None}}
    kept_info = _info(known, same_model="model" not in params)
    said = {field: value for field, value in info.items() if value is not None and not is_price(field)}
    merged_info = {**kept_info, **said}
    new = read_model(
        name or known.model.name,
        merged,
        merged_info,
        Deployment.Source(known.source),
        may_wait=merged.get("litellm_credential_name") == known.awaited_credential,
    )
    new.deployment.stated = {**stated.kept(known, but=anew), **stated.stated_in(params)}
    plain(new)
    if not params.get("litellm_credential_name"):
        _leave_waiting(known, new.deployment)
    if new.price is None:
        new.deployment.is_free = known.is_free
        services.refuse_unpriced(new.deployment, now)
    return apply_to(known, new, actor=actor, now=now)


def _prices(
    known: Deployment, params: Mapping[str, Any], info: Mapping[str, Any], now: datetime
) -> tuple[dict[str, Any], dict[str, Any]]:
    """`litellm_params` without prices that only say again what holds, and all prices that are the deployment's own.

    One that is sent comes before the one that holds; who sets one of those of the price book has the others from there.
    """
    cards = book.cards_at(now, [known.price_item, item := services.price_item(known)])
    own = cards.get(known.price_item)
    shown = show_prices(own or cards.get(item))
    wished = other_prices(info, shown)
    again = wished.keys() - other_prices(params, shown).keys()
    given = {field: value for field, value in params.items() if field not in again}
    wished |= by_the_million(info, given)
    sets = own or wished or other_prices(given, {})
    return given, (stated_prices(own or cards.get(item)) if sets else {}) | wished


def read_new(
    name: str, params: dict[str, Any], info: dict[str, Any], source: Deployment.Source, *, now: datetime,
    may_wait: bool = False,
) -> NewModel:  # fmt: skip
    """An unsaved model; one that names only some prices, none of them per token, has the others from the price book.

    Raises ValidationError naming the field.
    """
    model = read_model(name, params, info, source, may_wait=may_wait)
    if model.price is not None:
        return model
    card = book.cards_at(now, [item := services.price_item(model.deployment)]).get(item)
    wished = other_prices({**info, **params}, show_prices(card))
    if not card or not wished:
        return model
    return read_model(name, {**params, **stated_prices(card), **wished}, info, source, may_wait=may_wait)


def follow_the_book(model: NewModel, params: Mapping[str, Any], info: Mapping[str, Any], *, now: datetime) -> NewModel:
    """A new model that is made of another one's row goes by the price book where the row said what that asks for."""
    if model.price is None or not info.get("created_at") or any(map(is_price, params)):
        return model
    # The book's, of the model that it calls or of the one whose row it was.
    items = {services.price_item(model.deployment), str(info.get("key") or "")}
    same = any(not other_prices(info, show_prices(card)) for card in book.cards_at(now, items).values())
    return replace(model, price=None) if same else model


def _leave_waiting(known: Deployment, changed: Deployment) -> None:
    """A model that waits, as the credential of that name is for another host, does so until one of the two moves."""
    credential = changed.credential
    if known.awaited_credential and credential and credential.host != services.host_of(changed.base_url):
        changed.credential, changed.awaited_credential = None, known.awaited_credential


def _params(known: Deployment, given: Mapping[str, Any]) -> dict[str, Any]:
    """`litellm_params` as they are, but for address, timeout and retries, and the secret that another one replaces."""
    kept = {**known.params, "model": known.shown_model, "litellm_credential_name": known.credential_name or None}
    void = {"litellm_credential_name"} if given.get("api_key") else set()
    return {field: value for field, value in kept.items() if field not in void}


def _anew(known: Deployment, given: Mapping[str, Any]) -> set[str]:
    """Columns of address and patience that do not stay: set anew, or void with another upstream or another secret.

    Who names the credential that it has already means no other address than the one that was stated, if one was.
    """
    wanted = str(given.get("model") or known.shown_model)
    moved = not (wanted if "/" in wanted else f"openai/{wanted}").startswith(f"{known.provider.slug}/")
    named = given.get("litellm_credential_name")
    has_address = "base_url" in stated.columns_in(known.stated)
    is_void = moved or (named and not (named == known.credential_name and has_address))
    return stated.columns_in(given) | ({"base_url"} if is_void else set())


def _info(known: Deployment, *, same_model: bool) -> dict[str, Any]:
    sizes = {"max_input_tokens": known.max_input_tokens, "max_output_tokens": known.max_output_tokens}
    return {
        **known.model_info,
        **(sizes if same_model else {}),
        "mode": known.mode,
        "team_id": known.team.public_id if known.team else None,
        "access_groups": known.access_groups or known.model_info.get("access_groups"),
    }


def plain(model: NewModel) -> NewModel:
    """Prices were read exactly; what is merely kept goes into a JSON column."""
    model.deployment.params = plain_json(model.deployment.params)
    model.deployment.stated = plain_json(model.deployment.stated)
    model.deployment.model_info = plain_json(model.deployment.model_info)
    return model
