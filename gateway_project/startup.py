"""What is put in place before anything is served. Every step is idempotent."""

from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from django.conf import settings
from django.core.exceptions import ImproperlyConfigured
from django.db import transaction

from gateway_project import environment as env
from keys import secrets
from keys.making import hook_at
from keys.models import VirtualKey
from keys.services import ensure_master_key, issue_key
from proxy import pool_services
from proxy.from_config import ModelRefused, apply_models
from proxy.models import Deployment
from proxy.services import sync_providers
from spend.book import seed_prices
from teams import platform_services
from teams.actors import SYSTEM
from teams.models import Organization
from teams.services import default_organization, ensure_admin, update_limits

_DEMO_MODELS = {"latchkey-demo": "chat", "latchkey-demo-embedding": "embedding"}
_DEMO_PRICES = {"input_cost_per_token": "0.00000015", "output_cost_per_token": "0.0000006"}


@dataclass(frozen=True, slots=True)
class Demo:
    """What a newcomer needs to try things out; no password once somebody has given the admin another one."""

    admin_password: str | None
    key: str

    def __repr__(self) -> str:
        return "Demo()"


def prepare(*, now: datetime) -> None:
    """Providers, prices, the master key's row and the models of the configuration file."""
    _refuse_foreign_salt()
    _refuse_missing_hook()
    sync_providers()
    seed_prices(now=now)
    ensure_master_key(settings.MASTER_KEY)
    _set_zone(settings.ZONE)
    platform_services.apply_file(settings.PLATFORM_LIMITS, zone=settings.ZONE, actor=SYSTEM, now=now)
    pool_services.apply_file(settings.PROVIDER_BUDGETS, actor=SYSTEM, now=now)
    try:
        apply_models(settings.CONFIG.models, Deployment.Source.CONFIG, actor=SYSTEM, now=now)
    except ModelRefused as error:
        raise ImproperlyConfigured(f"LATCHKEY_CONFIG: {error}") from error
    if settings.ADMIN_PASSWORD:
        ensure_admin("admin", settings.ADMIN_PASSWORD)


def prepare_demo(provider_url: str, *, now: datetime) -> Demo:
    """Models of the demo provider, an admin login and a key with a budget of 5 USD a month."""
    folder = settings.DATA_DIR / "secrets"
    apply_models(_demo_models(provider_url), Deployment.Source.DEMO, actor=SYSTEM, now=now)
    password = settings.ADMIN_PASSWORD or env.generated(folder / "admin_password")
    is_valid = ensure_admin("admin", password).check_password(password)
    return Demo(password if is_valid else None, _demo_key(folder / "demo_key"))


@transaction.atomic
def _set_zone(zone: str) -> None:
    """The default organization's windows begin where the configuration file says, if it says so."""
    if not zone:
        return
    organization = Organization.objects.select_for_update(no_key=True).get(pk=default_organization().pk)
    if organization.timezone != zone:
        organization.timezone = zone
        update_limits(organization, actor=SYSTEM)


def _refuse_foreign_salt() -> None:
    """With another salt no key would authenticate and no credential open: better not to start."""
    sealed = VirtualKey.objects.order_by("pk").first()
    if sealed is not None and sealed.seal != secrets.seal_of(sealed.token, sealed.pk, settings.SEALING_KEY):
        raise ImproperlyConfigured("LATCHKEY_SALT_KEY is not the one that this database was set up with: restore it")


def _refuse_missing_hook() -> None:
    """A function that judges new keys and cannot be found would refuse the first of them, long after the start."""
    path = settings.KEY_RULES.hook
    try:
        if path and not callable(hook_at(path)):
            raise ImproperlyConfigured(f"LATCHKEY_CONFIG: custom_key_generate: {path} is no function")
    except ImportError as error:
        raise ImproperlyConfigured(f"LATCHKEY_CONFIG: custom_key_generate: {error}") from error


def remove_demo(*, now: datetime) -> None:
    """Without the demo its models are gone; the demo key has nothing left to call."""
    apply_models((), Deployment.Source.DEMO, actor=SYSTEM, now=now)


def _demo_models(provider_url: str) -> tuple[dict[str, object], ...]:
    return tuple(
        {
            "model_name": name,
            "litellm_params": {"model": f"demo/{name}", "api_base": provider_url, **_DEMO_PRICES},
            "model_info": {"id": name, "mode": mode, "max_input_tokens": 32768, "max_output_tokens": 1024},
        }
        for name, mode in _DEMO_MODELS.items()
    )


def _demo_key(path: Path) -> str:
    key = env.generated(path, make=lambda: secrets.generate().plaintext)
    if not VirtualKey.objects.filter(token=secrets.token_of(key)).exists():
        # It is printed: no model that somebody pays for is its business.
        limits = {"max_budget_nano": 5 * 10**9, "budget_duration": "30d", "rpm_limit": 600}
        row = VirtualKey(alias="demo", allowed_models=[*_DEMO_MODELS], **limits)
        issue_key(row, actor=SYSTEM, custom=key)
    return key
