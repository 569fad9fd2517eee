"""Every change to models, deployments, providers and credentials."""

from datetime import datetime
from urllib.parse import urlsplit

from django.conf import settings
from django.core.exceptions import ValidationError
from django.db import transaction

from proxy import vault
from proxy.models import Credential, Deployment, LanguageModel, Provider
from proxy.providers import REGISTRY
from spend import book
from spend.models import Price
from teams import audit, changes
from teams.actors import Actor


@transaction.atomic
def sync_providers() -> None:
    """One row per registered provider, so that admins can pick them."""
    for spec in REGISTRY.values():
        Provider.objects.update_or_create(slug=spec.slug, defaults={"name": spec.name, "base_url": spec.base_url})


@transaction.atomic
def store_credential(credential: Credential, secret: str, *, actor: Actor) -> Credential:
    """Save a credential with its secret, encrypted for this row and host; replaces an earlier secret.

    The stored secret is never read back by any door; a masked value echoed by a client is refused.
    """
    if not secret or set(secret) <= {"*", "•"} or "…" in secret:
        raise ValidationError({"secret": "paste the whole secret; a masked value is not accepted"})
    if not secret.isascii() or not secret.isprintable():
        raise ValidationError({"secret": "a secret has printable ASCII characters only: it travels in a header"})
    existed = credential.pk is not None
    credential.full_clean(exclude=["envelope"])
    credential.save()
    credential.envelope = vault.seal(secret, _context(credential), settings.SALT_KEY)
    credential.save(update_fields=["envelope"])
    audit.record("credential.replaced" if existed else "credential.created", credential, actor=actor)
    changes.publish_catalog()
    return credential


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
    """
    complete(deployment)
    if price is None and not deployment.is_free and not _has_price(deployment, now):
        raise ValidationError(
            {
                "input_cost_per_token": "no price is known for "
                f"{deployment.provider.slug}/{deployment.upstream_model}: set input_cost_per_token and "
                "output_cost_per_token, or mark the model as free"
            }
        )
    deployment.model = _model(model_name)
    if secret:
        credential = Credential(
            name=f"{model_name} {deployment.public_id[:8]}",
            provider=deployment.provider,
            host=host_of(deployment.base_url),
        )
        deployment.credential = store_credential(credential, secret, actor=actor)
    deployment.full_clean()
    _refuse_foreign_credential(deployment)
    deployment.save(force_insert=True)
    if price is not None:
        set_own_price(deployment, price, actor=actor, now=now)
    audit.record("model.created", deployment, actor=actor)
    changes.publish_catalog()
    return deployment


@transaction.atomic
def update_deployment(deployment: Deployment, *, actor: Actor) -> Deployment:
    """Save a changed deployment; in force on every worker within a second."""
    before = audit.snapshot(Deployment.objects.get(pk=deployment.pk))
    deployment.full_clean()
    _refuse_foreign_credential(deployment)
    deployment.save()
    audit.record("model.updated", deployment, actor=actor, before=before)
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
    if credential is None:
        credential = Credential(name=f"{deployment.model.name} {deployment.public_id[:8]}")
    credential.provider, credential.host = deployment.provider, host
    deployment.credential = store_credential(credential, secret, actor=actor)
    deployment.save(update_fields=["credential", "updated_at"])


def set_own_price(deployment: Deployment, price: Price, *, actor: Actor, now: datetime) -> Price | None:
    """Add an unsaved price as this deployment's own from `now` on, unless it is the one in force already."""
    price.item, price.valid_from = deployment.price_item, now
    current = book.cards_at(now, [price.item]).get(price.item)
    if current is not None and book.same_prices(current, book.card_of(price)):
        return None
    return book.set_price(price, actor=actor)


@transaction.atomic
def delete_deployment(deployment: Deployment, *, actor: Actor) -> None:
    """Remove a deployment; a model that no deployment serves any more disappears with it."""
    audit.record("model.deleted", deployment, actor=actor, before=audit.snapshot(deployment), after={})
    model, credential = deployment.model, deployment.credential
    deployment.delete()
    if not model.deployments.exists():
        model.delete()
    if credential is not None and not credential.deployments.exists():
        delete_credential(credential, actor=actor)
    changes.publish_catalog()


def price_item(deployment: Deployment) -> str:
    """Item of the price book that covers the upstream model, under the name the book lists it by."""
    spec = REGISTRY[deployment.provider.slug]
    found = book.find_item(spec.prices, deployment.upstream_model) if spec.prices else None
    return found[0] if found else f"{spec.prices or spec.slug}/{deployment.upstream_model}"


def host_of(base_url: str) -> str:
    return urlsplit(base_url).netloc.rpartition("@")[2].lower()


def complete(deployment: Deployment) -> None:
    """Fill in what the provider implies. Raises ValidationError naming the field."""
    spec = REGISTRY[deployment.provider.slug]
    deployment.base_url = (deployment.base_url or deployment.provider.base_url).rstrip("/")
    if not deployment.base_url:
        raise ValidationError({"api_base": f"provider '{spec.slug}' has no default address: set api_base"})
    _check_address(deployment.base_url)
    if deployment.max_input_tokens is None and spec.prices:
        found = book.find_item(spec.prices, deployment.upstream_model)
        deployment.max_input_tokens = found[1] if found else None


def _check_address(base_url: str) -> None:
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


def _has_price(deployment: Deployment, now: datetime) -> bool:
    return bool(book.cards_at(now, [price_item(deployment)]))


def _model(name: str) -> LanguageModel:
    model, created = LanguageModel.objects.get_or_create(name=name)
    if created:
        model.full_clean()
    return model


def _context(credential: Credential) -> str:
    return f"proxy.credential|{credential.pk}|{credential.host}"
