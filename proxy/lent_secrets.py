"""Provider secrets of the environment that admins may use by name, `os.environ/NAME`, when they make models by API.

Only what the configuration file itself uses as a model's `api_key` is lent, and only for the addresses that it is
there for: everything else in the environment is none of the API's business. Platform admins may use it for any model
there; whoever leads a team, for what the file offers that team anyway, at the price that everybody pays.
"""

from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime
from typing import Any

from django.conf import settings
from django.core.exceptions import ValidationError

from keys.grants import ScopePolicy
from keys.loading import policy_of
from proxy import shelves
from proxy.litellm_prices import is_price
from proxy.models import Credential, Deployment
from proxy.runtime import permit
from proxy.runtime.catalog import Catalog, captured, filled
from proxy.services import host_of, reveal
from teams.models import Team

PREFIX = "os.environ/"
#: What says, beside prices, how much of a budget is held for a call.
_TERMS = {"base_model", "max_tokens", "max_completion_tokens", "max_input_tokens", "max_output_tokens"}


def is_borrowed(api_key: Any) -> bool:
    return isinstance(api_key, str) and api_key.startswith(PREFIX)


def secret_for(api_key: str, address: str, field: str) -> str:
    """The secret itself, whether it was sent or named. Raises ValidationError for a name that is not lent."""
    if not is_borrowed(api_key):
        return api_key
    name, host = api_key.removeprefix(PREFIX), host_of(address)
    for lent in settings.CONFIG.lent:
        if lent.name == name and host in map(host_of, lent.addresses):
            return str(lent.secret)
    raise ValidationError(
        {
            field: f"{api_key[:128]} is not lent to {host}: name the api_key of a model in the configuration "
            "file, for a model at the same address, or send the secret itself"
        }
    )


def holds_lent(credential: Credential | None) -> bool:
    """Whether a model's own credential is one of the environment's secrets."""
    return (
        credential is not None
        and credential.is_own
        and reveal(credential) in {one.secret for one in settings.CONFIG.lent}
    )


def own_terms(*given: Mapping[str, Any]) -> list[str]:
    """Fields that set what a call costs, or what is held for it."""
    return [
        name
        for part in given
        for name, value in part.items()
        if value is not None and (name in _TERMS or is_price(name))
    ]


def is_offered(deployment: Deployment, now: datetime) -> bool:
    """Whether the file offers the model's team the same upstream model, at the same address and by the same secret.

    That is, by a public name that the team and its organization may call.
    """
    rows = Deployment.objects.filter(source=Deployment.Source.CONFIG, team=None, provider=deployment.provider)
    offers = {row.public_id: name for row in rows.with_owners() if (name := _name_of_same(row, deployment))}
    served = [
        name
        for public_id, name in offers.items()
        if any(target.deployment == public_id for target in shelves.targets_of(name, None, now))
    ]
    chain = _chain(deployment.team) if deployment.team and served else ()
    catalog = shelves.load_catalog(now) if served else Catalog()
    return any(
        all(permit.allows(policy, name, catalog.groups_of(name, None), catalog) for policy in chain) for name in served
    )


def _name_of_same(row: Deployment, deployment: Deployment) -> str | None:
    """By which public name a row of the file serves what the deployment serves; None if it does not."""
    if host_of(row.base_url) != host_of(deployment.base_url) or _secret(row) != _secret(deployment):
        return None
    parts = captured(row.upstream_model, deployment.upstream_model)
    if parts is None:
        return None
    name = row.model.name
    return filled(name, parts) if name.count("*") == len(parts) else name


def _secret(deployment: Deployment) -> str:
    return reveal(deployment.credential) if deployment.credential else ""


def _chain(of: Team) -> tuple[ScopePolicy, ScopePolicy]:
    """What limits the models of a team, but for names that are on its list because models of its own have them."""
    team = Team.objects.select_related("organization", "shared_budget").get(pk=of.pk)
    epoch = team.organization.epoch
    own = set(Deployment.objects.filter(team=team).values_list("model__name", flat=True))
    listed = tuple(name for name in team.allowed_models if name not in own)
    models = listed or (("no-default-models",) if team.allowed_models else ())
    return policy_of(team.organization, epoch=epoch), replace(policy_of(team, epoch=epoch), models=models)
