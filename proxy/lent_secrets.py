"""Provider secrets of the environment that admins may use by name, `os.environ/NAME`, when they make models by API.

Only what the configuration file itself uses as a model's `api_key` is lent, and only for the addresses that it is
there for: everything else in the environment is none of the API's business. Platform admins may use it for any model
there; whoever leads a team, for what the file offers everybody anyway, at the price that everybody pays.
"""

from collections.abc import Mapping
from typing import Any

from django.conf import settings
from django.core.exceptions import ValidationError

from proxy.litellm_prices import is_price
from proxy.models import Credential, Deployment
from proxy.runtime.catalog import captured
from proxy.services import host_of, reveal

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


def is_offered(deployment: Deployment) -> bool:
    """Whether the file offers everybody the same upstream model, at the same address and by the same secret."""
    rows = Deployment.objects.filter(source=Deployment.Source.CONFIG, team=None, provider=deployment.provider)
    same = [row for row in rows.with_owners() if host_of(row.base_url) == host_of(deployment.base_url)]
    upstream = deployment.upstream_model
    covering = [row for row in same if row.upstream_model == upstream or captured(row.upstream_model, upstream)]
    secret = reveal(deployment.credential) if deployment.credential else ""
    return any(row.credential is not None and reveal(row.credential) == secret for row in covering)
