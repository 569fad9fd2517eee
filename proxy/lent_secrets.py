"""Provider secrets of the environment that admins may use by name, `os.environ/NAME`, when they make models by API.

Only what the configuration file itself uses as a model's `api_key` is lent, and only for the addresses that it is
there for: everything else in the environment is none of the API's business.
"""

from typing import Any

from django.conf import settings
from django.core.exceptions import ValidationError

from proxy.services import host_of

PREFIX = "os.environ/"


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
