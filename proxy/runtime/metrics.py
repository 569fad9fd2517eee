"""What operators watch, in Prometheus' words. Workers share their counts through files in a folder.

The folder is named by `PROMETHEUS_MULTIPROC_DIR`, which `manage.py` sets for the processes it starts.
"""

import asyncio
import os
from collections import defaultdict
from datetime import datetime
from typing import TYPE_CHECKING

from prometheus_client import CONTENT_TYPE_LATEST, REGISTRY, CollectorRegistry, Counter, generate_latest, multiprocess

from keys.grants import Grant
from proxy.runtime import relay
from proxy.runtime.errors import forbidden
from proxy.runtime.identify import identify
from proxy.runtime.permit import check_status
from proxy.runtime.request import Request
from teams.budgets import matches

if TYPE_CHECKING:
    from proxy.runtime.app import Gateway

PATH = "/metrics"
_SHARE_SECONDS = 0.5
ANSWERS = Counter("latchkey_answers_total", "Answers of the gateway; 503 means one of ours is down.", ["status"])
DEGRADED = Counter(
    "latchkey_degraded_admissions_total", "Calls admitted while one of ours was away, by what let them.", ["policy"]
)
ALLOWANCE = Counter("latchkey_outage_allowance_nano_usd_total", "Held on hard budgets while nobody could judge them.")
UNKNOWN = Counter("latchkey_unknown_outcomes_total", "Attempts charged as held: sent, and never answered.")
ESTIMATED = Counter("latchkey_estimated_charges_total", "Answers without usage, charged by estimate.")
OVERRUNS = Counter("latchkey_overruns_total", "Charges above their hold: a price or an estimate is wrong.")
CUT = Counter("latchkey_streams_cut_total", "Open streams that were ended because their key is no longer good.")
UNNOTED = Counter("latchkey_refusals_not_noted_total", "Refused calls that the spend log does not show, as many were.")


_answered: defaultdict[int, int] = defaultdict(int)


def answered(status: int) -> None:
    """Count an answer. A count that workers share lies in a file, and is too slow to touch for every call."""
    _answered[status] += 1


def share() -> None:
    """Bring what this worker counted to where all can see it."""
    for status, count in list(_answered.items()):
        ANSWERS.labels(status).inc(count)
        del _answered[status]


async def keep_shared() -> None:
    while True:
        await asyncio.sleep(_SHARE_SECONDS)
        share()


async def serve(gateway: "Gateway", request: Request) -> None:
    """For platform admins alone: what a company calls, and how often, is no business of a key's holder.

    A file that opens them to everybody opens them to those whom it lets call at all.
    """
    config = gateway.config
    if not (config.rules.open_metrics and config.rules.may_come_from(request.client)):
        await _check(gateway, request)
    await relay.send_whole(request.send, 200, await text(), {"content-type": CONTENT_TYPE_LATEST})


async def _check(gateway: "Gateway", request: Request) -> None:
    config = gateway.config
    token = identify(request.headers, config.master_token, config.rules.key_header, gateway.grants.known)
    if token != config.master_token and not _opens(await gateway.grants.get(token), gateway.clock()):
        raise forbidden(
            "metrics are for the master key and personal keys of platform admins: send one as "
            "'Authorization: Bearer sk-...'",
            "auth_error",
        )


def _opens(grant: Grant, now: datetime) -> bool:
    """Whether a key acts for a platform admin. Whoever leads a team may know the secrets of its keys."""
    check_status(grant, grant.chain, now)
    allowed = not grant.allowed_routes or any(matches(entry, PATH) for entry in grant.allowed_routes)
    return allowed and grant.is_admin and grant.owners.team_id is None


async def text() -> bytes:
    """Counts of all workers of this machine, which share them twice a second; without a shared folder, of this one.

    They are collected in a thread: streams of other callers would wait while the files of many workers are read.
    """
    share()
    return await asyncio.to_thread(_collected)


def _collected() -> bytes:
    """Reads files and locked values alone; what only the event loop may touch was shared before."""
    if "PROMETHEUS_MULTIPROC_DIR" not in os.environ:
        return generate_latest(REGISTRY)
    registry = CollectorRegistry()
    multiprocess.MultiProcessCollector(registry)  # type: ignore[no-untyped-call]
    return generate_latest(registry)
