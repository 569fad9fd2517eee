"""Asking providers whether they answer. Costs nothing: only their list of models is asked for."""

from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import httpx

from proxy import services, vault
from proxy.models import Deployment

_TIMEOUT_SECONDS = 5
_AT_ONCE = 8


@dataclass(frozen=True, slots=True)
class Health:
    """`problem` is empty if the deployment answered."""

    deployment: Deployment
    problem: str = ""


def check_all(deployments: Iterable[Deployment]) -> list[Health]:
    """Health of each deployment, in order. The database is read here, the threads only talk HTTP."""
    prepared = [(deployment, _headers(deployment)) for deployment in deployments]
    with ThreadPoolExecutor(_AT_ONCE) as pool:
        problems = list(pool.map(lambda pair: _problem(pair[0].base_url, pair[1]), prepared))
    return [Health(deployment, problem) for (deployment, _), problem in zip(prepared, problems, strict=True)]


def _headers(deployment: Deployment) -> dict[str, str] | None:
    """None if the secret cannot be sent: not decryptable, or bound to another host."""
    credential = deployment.credential
    if credential is None:
        return {}
    if credential.host != services.host_of(deployment.base_url):
        return None
    try:
        return {"authorization": f"Bearer {services.reveal(credential)}"}
    except vault.CannotDecrypt:
        return None


def _problem(base_url: str, headers: dict[str, str] | None) -> str:
    if headers is None:
        return "the credential cannot be used for this address"
    try:
        response = httpx.get(f"{base_url}/models", headers=headers, timeout=_TIMEOUT_SECONDS, follow_redirects=False)
    except (httpx.HTTPError, httpx.InvalidURL) as error:
        return f"no answer: {type(error).__name__}"
    return "" if response.is_success else f"the provider answered {response.status_code}"
