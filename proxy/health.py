"""Asking providers whether they answer. Costs nothing: only their list of models is asked for."""

import time
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import datetime, timedelta

import httpx

from keys import vault
from proxy import services
from proxy.models import Deployment, HealthCheck
from teams.actors import Actor

_TIMEOUT_SECONDS = 5
_KEPT = timedelta(days=30)
_AT_ONCE = 8


@dataclass(frozen=True, slots=True)
class Health:
    """`problem` is empty if the deployment answered."""

    deployment: Deployment
    problem: str = ""
    milliseconds: int = 0


def check_all(deployments: Iterable[Deployment]) -> list[Health]:
    """Health of each deployment, in order. The database is read here, the threads only talk HTTP."""
    prepared = [(deployment, _headers(deployment)) for deployment in deployments]
    with ThreadPoolExecutor(_AT_ONCE) as pool:
        asked = list(pool.map(lambda pair: _timed(pair[0].base_url, pair[1]), prepared))
    return [Health(deployment, *found) for (deployment, _), found in zip(prepared, asked, strict=True)]


def try_out(base_url: str, secret: str) -> str:
    """What keeps a provider from answering at an address; empty if it answers."""
    return _problem(base_url, {"authorization": f"Bearer {secret}"} if secret else {})


def note(checked: Iterable[Health], *, actor: Actor, now: datetime) -> None:
    """Keep the results for a month."""
    HealthCheck.objects.bulk_create(
        HealthCheck(
            deployment_id=one.deployment.public_id,
            model_name=one.deployment.model.name,
            problem=one.problem[:255],
            milliseconds=one.milliseconds,
            checked_at=now,
            checked_by=actor.label,
        )
        for one in checked
    )
    HealthCheck.objects.filter(checked_at__lt=now - _KEPT).delete()


def _timed(base_url: str, headers: dict[str, str] | None) -> tuple[str, int]:
    started = time.monotonic()
    return _problem(base_url, headers), round((time.monotonic() - started) * 1000)


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
