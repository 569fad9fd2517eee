"""Asking providers whether they answer. Costs nothing: their list of models is asked for.

A server that has no such list is sent a call without messages, which no provider serves, so none bills it: whoever
says what is wrong with it would have answered a good one.
"""

import time
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import httpx

from keys import vault
from proxy import services
from proxy.models import Deployment, HealthCheck
from teams.actors import Actor

_TIMEOUT_SECONDS = 5
_KEPT = timedelta(days=30)
_AT_ONCE = 8
_NO_LIST = (404, 405, 501)
_SAYS_WHAT_IS_WRONG = (400, 422)
_EMPTY_CALLS: dict[str, tuple[str, dict[str, Any]]] = {
    Deployment.Mode.CHAT: ("/chat/completions", {"messages": []}),
    Deployment.Mode.COMPLETION: ("/completions", {"prompt": []}),
    Deployment.Mode.EMBEDDING: ("/embeddings", {"input": []}),
}


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
        asked = list(pool.map(lambda pair: _timed(*pair), prepared))
    return [Health(deployment, *found) for (deployment, _), found in zip(prepared, asked, strict=True)]


def try_out(deployment: Deployment, secret: str) -> str:
    """What keeps a deployment's provider from answering; empty if it answers."""
    return _problem(deployment, {"authorization": f"Bearer {secret}"} if secret else {})


def note(checked: Iterable[Health], *, actor: Actor, now: datetime) -> None:
    """Keep the results for a month."""
    HealthCheck.objects.bulk_create(
        HealthCheck(
            deployment_id=one.deployment.public_id,
            model_name=one.deployment.model.name,
            problem=one.problem[:255],
            milliseconds=one.milliseconds,
            checked_at=now,
            checked_by=actor.signature,
        )
        for one in checked
    )
    HealthCheck.objects.filter(checked_at__lt=now - _KEPT).delete()


def _timed(deployment: Deployment, headers: dict[str, str] | None) -> tuple[str, int]:
    started = time.monotonic()
    return _problem(deployment, headers), round((time.monotonic() - started) * 1000)


def _headers(deployment: Deployment) -> dict[str, str] | None:
    """None if the secret cannot be sent: not there yet, not decryptable, or bound to another host."""
    credential = deployment.credential
    if credential is None:
        return None if deployment.awaited_credential else {}
    if credential.host != services.host_of(deployment.base_url):
        return None
    try:
        return {"authorization": f"Bearer {services.reveal(credential)}"}
    except vault.CannotDecrypt:
        return None


def _problem(deployment: Deployment, headers: dict[str, str] | None) -> str:
    if headers is None:
        return "the credential is not there yet, or cannot be used for this address"
    try:
        base = deployment.base_url
        how: dict[str, Any] = {"headers": headers, "timeout": _TIMEOUT_SECONDS, "follow_redirects": False}
        status = httpx.get(f"{base}/models", **how).status_code
        if status in _NO_LIST:
            path, empty = _EMPTY_CALLS.get(deployment.mode, _EMPTY_CALLS[Deployment.Mode.CHAT])
            status = httpx.post(f"{base}{path}", json={"model": deployment.upstream_model, **empty}, **how).status_code
            status = 200 if status in _SAYS_WHAT_IS_WRONG else status
    except (httpx.HTTPError, httpx.InvalidURL) as error:
        return f"no answer: {type(error).__name__}"
    return "" if 200 <= status < 300 else f"the provider answered {status}"
