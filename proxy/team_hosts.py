"""Where whoever leads a team may have the team's models called: never just anywhere.

The gateway posts calls there from inside the network and hands the answers on, so an address of one's own choosing
would be a way to whatever that network trusts the gateway with.
"""

import ipaddress
from fnmatch import fnmatchcase
from urllib.parse import urlsplit

from django.conf import settings

from proxy.models import Deployment
from proxy.services import host_of


def may_host(deployment: Deployment) -> bool:
    """Whether it is the provider's own address or one of a model that is there for everybody, to the letter, or at a
    host that the platform allows."""
    address, host = deployment.base_url, host_of(deployment.base_url)
    if any(host == allowed or fnmatchcase(host, allowed) for allowed in settings.TEAM_MODEL_HOSTS):
        return not _goes_astray(address)
    if address == deployment.provider.base_url.rstrip("/") and not _is_this_machine(address):
        return True
    return Deployment.objects.filter(team=None, base_url=address).exclude(pk=deployment.pk).exists()


def _goes_astray(address: str) -> bool:
    """Whether what is added to the address would not end up behind its path."""
    parts = urlsplit(address)
    dotted = {".", ".."}.intersection(parts.path.replace("%2e", ".").replace("%2E", ".").split("/"))
    return bool(parts.query or parts.fragment or dotted or "#" in address or "?" in address)


def _is_this_machine(address: str) -> bool:
    """Servers that people run at home have such addresses; here it is the gateway's own machine."""
    name = urlsplit(address).hostname or ""
    try:
        return not ipaddress.ip_address(name).is_global
    except ValueError:
        return name == "localhost" or name.endswith(".localhost")
