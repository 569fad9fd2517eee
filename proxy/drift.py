"""Comparing the counters with the ledger that they mirror, and mending what stays different.

Calls in flight make the two differ for moments, so a difference counts only if a second look finds the very same
one. Mending is a new epoch for the organization or the platform: its counters are then read from the ledger again.
"""

import time
from collections import Counter
from collections.abc import Callable, Iterable
from datetime import datetime
from typing import cast
from zoneinfo import ZoneInfo

import orjson
import redis
import structlog
from django.db import transaction

from spend import rollups
from spend.models import Hold
from spend.wire import CounterRef
from teams import changes, store
from teams.models import Organization, Platform
from teams.scopes import PLATFORM, store_prefix

log = structlog.get_logger()
#: Counters of one organization that one run looks at; the next run goes on from there.
_MOST = 500
Difference = tuple[int, int]
"""What a counter has more than the ledger: spent and held, in nano-USD."""


def mend(*, now: datetime, pause: Callable[[float], None] = time.sleep) -> int:
    """Returns how many counters were found wrong."""
    client, wrong = store.client(), 0
    judged = Organization.objects.filter(sql_until__isnull=True)
    zones = [(PLATFORM, Platform.objects.get().timezone), *judged.values_list("pk", "timezone")]
    for organization_pk, zone_name in zones:
        prefix = store_prefix(organization_pk)
        epoch = cast("str | None", client.get(f"{prefix}:epoch"))
        if epoch is None:
            continue
        zone, base = ZoneInfo(zone_name), f"{prefix}:{epoch}"
        suspects = _differences(client, base, _next_counters(client, prefix, f"{base}:w:"), now, zone)
        if suspects:
            pause(2)
            still = _differences(client, base, suspects, now, zone)
            found = {counter: by for counter, by in still.items() if by == suspects[counter]}
            wrong += len(found)
            _mend(organization_pk, found)
    return wrong


def _mend(organization_pk: int, found: dict[str, Difference]) -> None:
    for counter, (spent, held) in found.items():
        log.error("counter drifted, read again", counter=counter, spent_nano_too_much=spent, held_nano_too_much=held)
    if found:
        with transaction.atomic():
            changes.raise_epoch(organization_pk)


def _next_counters(client: "redis.Redis", prefix: str, base: str) -> list[str]:
    """Names of the next counters in turn; where the last run stopped is kept in the store itself."""
    cursor = int(cast("str | None", client.get(f"{prefix}:drift")) or 0)
    found: list[str] = []
    while len(found) < _MOST:
        cursor, keys = client.scan(cursor, match=f"{_escaped(base)}*", count=1000)
        found += [key.removeprefix(base) for key in cast("list[str]", keys)]
        if not cursor:
            break
    client.set(f"{prefix}:drift", cursor, ex=86400)
    return found


def _differences(
    client: "redis.Redis", base: str, counters: Iterable[str], now: datetime, zone: ZoneInfo
) -> dict[str, Difference]:
    found, unwritten = {}, _unwritten(client, base)
    for counter in counters:
        fields = cast("dict[str, str]", client.hgetall(f"{base}:w:{counter}"))
        by = _difference(fields, CounterRef.named(counter, now, zone=zone), unwritten[counter])
        if by is not None and any(by):
            found[counter] = by
    return found


def _unwritten(client: "redis.Redis", base: str) -> "Counter[str]":
    """Nano-USD held on each counter by calls that SQL does not know of yet (durability `fast`)."""
    ids = cast("list[str]", client.zrange(f"{base}:holds", 0, -1))
    texts = cast("list[str | None]", client.mget([f"{base}:hold:{hold_id}" for hold_id in ids])) if ids else []
    records = {hold_id: orjson.loads(text) for hold_id, text in zip(ids, texts, strict=True) if text}
    alone = {hold_id for hold_id, record in records.items() if "i" in record}
    alone -= set(Hold.objects.filter(pk__in=alone).values_list("pk", flat=True))
    held: Counter[str] = Counter()
    for hold_id in alone:
        for counter, *_ in records[hold_id]["w"]:
            held[counter] += int(records[hold_id]["a"])
    return held


def _difference(fields: dict[str, str], ref: CounterRef, unwritten_nano: int) -> Difference | None:
    """None for a counter that is gone."""
    if "g" not in fields:
        return None
    first, known = ref.window.first_slice, rollups.load_counter(ref)
    spent, held = (
        sum(int(value) for name, value in fields.items() if name[0] == kind and int(name[2:] or 0) >= first)
        for kind in ("s", "h")
    )
    return (
        spent - sum(nano for _, nano in known.spent),
        held - unwritten_nano - sum(nano for _, nano, _, number in known.pending if number >= first),
    )


def _escaped(text: str) -> str:
    """A pattern that matches the text itself."""
    return "".join(f"\\{char}" if char in "*?[]\\" else char for char in text)
