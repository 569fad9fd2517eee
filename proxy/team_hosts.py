"""Where whoever leads a team may have the team's models called: never just anywhere.

The gateway posts calls there from inside the network and hands the answers on, so an address of one's own choosing
would be a way to whatever that network trusts the gateway with.
"""

from fnmatch import fnmatchcase

from django.conf import settings

from proxy.models import Deployment
from proxy.services import host_of


def may_host(deployment: Deployment) -> bool:
    """Whether the provider itself is there, a model that the platform offers everybody, or a host that it allows."""
    host = host_of(deployment.base_url)
    if host == host_of(deployment.provider.base_url):
        return True
    if any(fnmatchcase(host, pattern) for pattern in settings.TEAM_MODEL_HOSTS):
        return True
    offered = Deployment.objects.filter(team=None, base_url__icontains=host).values_list("base_url", flat=True)
    return host in map(host_of, offered)
