"""Where deployments are, for what is told about calls of them."""

from collections.abc import Iterable, Mapping

from proxy.models import Deployment
from proxy.runtime.catalog import shown_address
from teams.callers import Caller


def addresses_of(caller: Caller, names: Iterable[str]) -> Mapping[str, str]:
    """By the deployment's id; those that are no more, or are not the caller's to know, are left out."""
    rows = Deployment.objects.addressed_to(caller).filter(public_id__in=set(names)).order_by()
    return {name: shown_address(base_url) for name, base_url in rows.values_list("public_id", "base_url")}
