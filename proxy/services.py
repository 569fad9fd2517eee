"""Every change to models, deployments, providers and credentials."""

from datetime import datetime
from urllib.parse import urlsplit

from django.conf import settings
from django.core.exceptions import ValidationError
from django.db import transaction

from keys import vault
from proxy import pool_services, stated, team_lists
from proxy.models import Credential, Deployment, LanguageModel, Provider
from proxy.providers import REGISTRY
from spend import book
from spend.models import Price
from teams import audit, changes
from teams.actors import Actor
from teams.models import new_public_id


@transaction.atomic
def sync_providers() -> None:
    """One row per registered provider, so that admins can pick them."""
    for spec in REGISTRY.values():
        address = settings.PROVIDER_ADDRESSES[spec.slug]
        Provider.objects.update_or_create(slug=spec.slug, defaults={"name": spec.name, "base_url": address})


@transaction.atomic
def store_credential(
    credential: Credential, secret: str, *, actor: Actor, moving: Deployment | None = None
) -> Credential:
    """Save a credential with its secret, encrypted for this row and host; replaces an earlier secret.

    The stored secret is never read back by any door; a masked value echoed by a client is refused. So is another host
    while models use the present one, but for the `moving` one. Raises ValidationError naming the field.
    """
    if not secret or set(secret) <= {"*", "•"} or "…" in secret:
        raise ValidationError({"secret": "paste the whole secret; a masked value is not accepted"})
    if not secret.isascii() or not secret.isprintable():
        raise ValidationError({"secret": "a secret has printable ASCII characters only: it travels in a header"})
    existed = credential.pk is not None
    if existed:
        _refuse_left_behind(credential, locked_credential(credential).host, moving)
    if credential.base_url and host_of(credential.base_url) != credential.host:
        credential.base_url = ""
    credential.full_clean(exclude=["envelope"])
    credential.save()
    credential.envelope = vault.seal(secret, _context(credential), settings.SALT_KEY)
    credential.save(update_fields=["envelope"])
    audit.record("credential.replaced" if existed else "credential.created", credential, actor=actor)
    _take_up(credential, actor)
    changes.publish_catalog()
    return credential


@transaction.atomic
def change_credential(credential: Credential, secret: str, *, actor: Actor) -> Credential:
    """Save a changed credential; without a new secret it keeps its own, which goes to the same host as before.

    Whoever changes only some of it starts from `locked_credential`. Raises ValidationError naming the field.
    """
    if secret:
        return store_credential(credential, secret, actor=actor)
    stored = locked_credential(credential)
    _refuse_left_behind(credential, stored.host)
    if stored.host != credential.host:
        raise ValidationError({"host": f"the stored secret is bound to {stored.host}; send it again for another host"})
    credential.full_clean(exclude=["envelope"])
    # Whoever read the credential before somebody else replaced its secret does not bring the old one back.
    credential.envelope = stored.envelope
    credential.save()
    audit.record("credential.updated", credential, actor=actor, before=audit.snapshot(stored))
    _take_up(credential, actor)
    changes.publish_catalog()
    return credential


def locked_credential(credential: Credential) -> Credential:
    """The credential as it is stored, unchanged by others until the transaction ends. Raises ValidationError."""
    stored = Credential.objects.select_for_update(no_key=True).filter(pk=credential.pk).first()
    if stored is None:
        raise ValidationError({"credential": "somebody else deleted this credential meanwhile"})
    return stored


def _refuse_left_behind(credential: Credential, before: str, moving: Deployment | None = None) -> None:
    """Models at the host `before` would silently not be called any more."""
    if credential.host != before and _leaves_behind(credential, credential.host, moving):
        raise ValidationError({"host": "models still use this credential at its present host; change them first"})


def _leaves_behind(credential: Credential, host: str, moving: Deployment | None) -> bool:
    others = credential.deployments.exclude(pk=moving.pk) if moving else credential.deployments.all()
    return any(host_of(row.base_url) != host for row in others)


def reveal(credential: Credential) -> str:
    """The secret, for the gateway alone. Raises vault.CannotDecrypt."""
    return vault.open_envelope(credential.envelope, _context(credential), [settings.SALT_KEY])


@transaction.atomic
def delete_credential(credential: Credential, *, actor: Actor) -> None:
    if credential.deployments.exists():
        raise ValidationError("models still use this credential; point them to another one first")
    audit.record("credential.deleted", credential, actor=actor, before=audit.snapshot(credential), after={})
    credential.delete()
    changes.publish_catalog()


@transaction.atomic
def add_deployment(
    deployment: Deployment,
    model_name: str,
    *,
    actor: Actor,
    now: datetime,
    secret: str = "",
    price: Price | None = None,
) -> Deployment:
    """Complete and save an unsaved deployment of the public model `model_name`.

    `secret` becomes a credential of its own, bound to the base URL's host. `price`, unsaved, overrides
    the price book for this deployment from `now` on. Raises ValidationError naming the field.

    Without a price it is refused here, but for models of the file: those are refused when they are called.
    """
    complete(deployment)
    if price is None and deployment.source != Deployment.Source.CONFIG:
        refuse_unpriced(deployment, now)
    deployment.model = _model(model_name)
    if secret:
        deployment.credential = store_credential(_own_credential(deployment), secret, actor=actor)
    deployment.created_by = deployment.updated_by = actor.signature
    deployment.full_clean()
    _refuse_foreign_credential(deployment)
    deployment.save(force_insert=True)
    if price is not None:
        set_own_price(deployment, price, actor=actor, now=now)
    team_lists.join(deployment, actor)
    pool_services.joined(deployment.groups)
    audit.record("model.created", deployment, actor=actor)
    changes.publish_catalog()
    return _with_awaited(deployment, actor)


def stands_beside_others(deployment: Deployment) -> bool:
    """Whether its name was called before it was there."""
    return Deployment.objects.filter(model=deployment.model_id).exclude(pk=deployment.pk).exists()


def locked(deployment: Deployment) -> Deployment:
    """The deployment as it is stored, unchanged by others until the transaction ends. Raises ValidationError."""
    rows = Deployment.objects.filter(pk=deployment.pk)
    # First the lock: what is joined to a row in the statement that locks it may be older than the row.
    list(rows.order_by("pk").select_for_update(no_key=True).values_list("pk"))
    stored = rows.with_owners().first()
    if stored is None:
        raise ValidationError({"id": "somebody else deleted this model meanwhile"})
    return stored


@transaction.atomic
def update_deployment(deployment: Deployment, *, actor: Actor, model_name: str = "") -> Deployment:
    """Save a changed deployment, under another public name if one is given; in force everywhere within a second.

    Whether it is blocked is not changed here: see `set_blocked`.
    """
    stored = locked(deployment)
    before = audit.snapshot(stored)
    deployment.blocked = stored.blocked
    deployment.awaited_credential = "" if deployment.credential else deployment.awaited_credential
    if model_name and model_name != stored.model.name:
        deployment.model = _model(model_name)
    deployment.updated_by = actor.signature
    deployment.full_clean()
    _refuse_foreign_credential(deployment)
    deployment.save()
    is_elsewhere = (stored.model_id, stored.team_id) != (deployment.model_id, deployment.team_id)
    if is_elsewhere:
        team_lists.leave(stored, actor)
        team_lists.join(deployment, actor)
        _forget_unserved(stored)
    pool_services.joined(deployment.groups if is_elsewhere else deployment.groups - stored.groups)
    audit.record("model.updated", deployment, actor=actor, before=before)
    changes.publish_catalog()
    return deployment


@transaction.atomic
def set_blocked(deployment: Deployment, blocked: bool, *, actor: Actor) -> Deployment:
    """A blocked deployment is not called until it is unblocked."""
    deployment = locked(deployment)
    before = audit.snapshot(deployment)
    deployment.blocked, deployment.updated_by = blocked, actor.signature
    deployment.save(update_fields=["blocked", "updated_by", "updated_at"])
    (team_lists.leave if blocked else team_lists.join)(deployment, actor)
    if not blocked:
        pool_services.joined(deployment.groups)
    audit.record("model.blocked" if blocked else "model.unblocked", deployment, actor=actor, before=before)
    changes.publish_catalog()
    return deployment


@transaction.atomic
def keep_secret(deployment: Deployment, secret: str, *, actor: Actor) -> None:
    """Have the deployment's own credential hold `secret` for its present host; nothing happens if it does."""
    credential, host = deployment.credential, host_of(deployment.base_url)
    if not secret:
        return
    if credential is not None and credential.host == host and reveal(credential) == secret:
        return
    if credential is None or not credential.is_own or _leaves_behind(credential, host, deployment):
        credential = _own_credential(deployment)
    else:
        credential = locked_credential(credential)
    credential.provider, credential.host = deployment.provider, host
    deployment.credential = store_credential(credential, secret, actor=actor, moving=deployment)
    deployment.save(update_fields=["credential", "updated_at"])


def set_own_price(deployment: Deployment, price: Price, *, actor: Actor, now: datetime) -> Price | None:
    """Add an unsaved price as this deployment's own from `now` on, unless it is the one in force already."""
    price.item, price.valid_from = deployment.price_item, now
    current = book.cards_at(now, [price.item]).get(price.item)
    if current is not None and book.same_prices(current, book.card_of(price)):
        return None
    deployment.updated_by = actor.signature
    deployment.save(update_fields=["updated_by", "updated_at"])
    return book.set_price(price, actor=actor)


@transaction.atomic
def delete_deployment(deployment: Deployment, *, actor: Actor) -> None:
    """Remove a deployment; a model that no deployment serves any more disappears with it."""
    audit.record("model.deleted", deployment, actor=actor, before=audit.snapshot(deployment), after={})
    credential = deployment.credential
    team_lists.leave(deployment, actor)
    deployment.delete()
    _forget_unserved(deployment)
    if credential is not None and credential.is_own and not credential.deployments.exists():
        delete_credential(credential, actor=actor)
    changes.publish_catalog()


def price_item(deployment: Deployment) -> str:
    """Item of the price book that covers the upstream model, under the name the book lists it by."""
    spec = REGISTRY[deployment.provider.slug]
    found = listed_item(deployment)
    return found[0] if found else f"{spec.prices or spec.slug}/{deployment.upstream_model}"


def listed_item(deployment: Deployment) -> tuple[str, int | None] | None:
    """Item and context window in the price book; `base_model` names the model that an upstream name hides."""
    prices, name = REGISTRY[deployment.provider.slug].prices, deployment.upstream_model
    base = deployment.model_info.get("base_model")
    if isinstance(base, str) and base:
        prefix, slash, rest = base.partition("/")
        known = slash and prefix in REGISTRY
        prices, name = (REGISTRY[prefix].prices, rest) if known else (prices or "openai", base)
    return book.find_item(prices, name) if prices and "*" not in name else None


def host_of(base_url: str) -> str:
    return urlsplit(base_url).netloc.rpartition("@")[2].lower()


def complete(deployment: Deployment) -> None:
    """Fill in what the provider implies. Raises ValidationError naming the field."""
    spec = REGISTRY[deployment.provider.slug]
    deployment.base_url = (deployment.base_url or deployment.provider.base_url).rstrip("/")
    if deployment.base_url:
        check_address(deployment.base_url)
    elif not deployment.awaited_credential:
        raise ValidationError({"api_base": f"provider '{spec.slug}' has no default address: set api_base"})
    if deployment.max_input_tokens is None:
        found = listed_item(deployment)
        deployment.max_input_tokens = found[1] if found else None


def check_address(base_url: str) -> None:
    """Raises ValidationError. A host is needed to bind the credential to; a password in an address would be shown."""
    try:
        parts = urlsplit(base_url)
        usable = parts.scheme in ("http", "https") and bool(parts.hostname)
    except ValueError:
        usable = False
    if not usable:
        raise ValidationError({"api_base": "write an address that starts with https:// or http:// and names a host"})
    if "@" in parts.netloc:
        raise ValidationError({"api_base": "write the address without a user name or password"})


def _refuse_foreign_credential(deployment: Deployment) -> None:
    """A secret goes to the one host it was stored for."""
    credential = deployment.credential
    if credential is not None and credential.host != host_of(deployment.base_url):
        raise ValidationError({"credential": f"it is bound to {credential.host}, not to the host of the base URL"})


def is_awaited(name: str) -> bool:
    """Whether models wait for a credential of this name."""
    return Deployment.objects.filter(awaited_credential=name).exists()


def _take_up(credential: Credential, actor: Actor) -> None:
    """Give a stored credential to the models that were made before it and name it; to those at its own host, that is.

    The others go on waiting: a secret goes nowhere but to the host that it was stored for.
    """
    if credential.is_own:
        return
    _one_by_one()
    rows = Deployment.objects.with_owners().filter(awaited_credential=credential.name)
    for row in rows.select_for_update(of=("self",), no_key=True):
        if "base_url" not in stated.columns_in(row.stated):
            row.base_url = (credential.base_url or row.provider.base_url).rstrip("/")
        if host_of(row.base_url) == credential.host:
            row.credential = credential
            update_deployment(row, actor=actor)


def _with_awaited(deployment: Deployment, actor: Actor) -> Deployment:
    """The deployment, with the credential that it waits for if somebody stored that meanwhile."""
    if not deployment.awaited_credential:
        return deployment
    _one_by_one()
    credential = Credential.objects.filter(name=deployment.awaited_credential, is_own=False).first()
    if credential is not None:
        _take_up(credential, actor)
        deployment.refresh_from_db()
    return deployment


def _one_by_one() -> None:
    """Until the transaction ends nobody else stores a credential, or makes a model that waits for one.

    Otherwise two that are made at once would not see each other.
    """
    Provider.objects.order_by("pk").select_for_update(no_key=True).first()


def refuse_unpriced(deployment: Deployment, now: datetime) -> None:
    """Raises ValidationError unless the book has a price. A wildcard's models are priced one by one, when called."""
    listed = REGISTRY[deployment.provider.slug].prices
    known = listed if "*" in deployment.upstream_model else book.cards_at(now, [price_item(deployment)])
    if not known and not deployment.is_free:
        raise ValidationError(
            {
                "input_cost_per_token": "no price is known for "
                f"{deployment.provider.slug}/{deployment.upstream_model}: set input_cost_per_token and "
                "output_cost_per_token, or mark the model as free"
            }
        )


def _own_credential(deployment: Deployment) -> Credential:
    """Unsaved; it comes and goes with its deployment."""
    return Credential(
        # Not made of anything that its maker chose: names of credentials are what other models are called by.
        name=new_public_id(),
        display_name=f"{deployment.model.name[:200]} {deployment.public_id}"[:255],
        provider=deployment.provider,
        host=host_of(deployment.base_url),
        is_own=True,
    )


def _model(name: str) -> LanguageModel:
    model, created = LanguageModel.objects.get_or_create(name=name)
    if created:
        model.full_clean()
    return model


def _forget_unserved(deployment: Deployment) -> None:
    """A public name that no deployment serves any more is no model."""
    if not Deployment.objects.filter(model=deployment.model_id).exists():
        LanguageModel.objects.filter(pk=deployment.model_id).delete()


def _context(credential: Credential) -> str:
    return f"proxy.credential|{credential.pk}|{credential.host}"
