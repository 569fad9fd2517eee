"""Comparing the counters with the ledger that they mirror, and mending what stays different.

Calls in flight make the two differ for moments, so a difference counts only if a second look finds the very same
one. Mending is a new epoch for the organization or the platform: its counters are then read from the ledger again.
"""

import time
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from datetime import datetime
from itertools import groupby
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
#: Counters that one run looks at; the next run goes on from there.
_MOST = 1000
_COUNTERS, _CURSOR = "lk:{*}:*:w:*", "lk:{g}:drift"
Difference = tuple[int, int]
"""What a counter has more than the ledger: spent and held, in nano-USD."""
Books = Mapping[str, tuple[int, ZoneInfo]]
"""By how the names of their present counters begin: the organizations that the store judges, and their zones."""


def mend(*, now: datetime, pause: Callable[[float], None] = time.sleep) -> int:
    """Returns how many counters were found wrong."""
    client = store.client()
    books = _books(client)
    suspects = _differences(client, books, _next_counters(client, books), now)
    if not suspects:
        return 0
    pause(2)
    still = _differences(client, books, suspects, now)
    found = {name: by for name, by in still.items() if by == suspects[name]}
    _mend(books, found)
    return len(found)


def _mend(books: Books, found: Mapping[str, Difference]) -> None:
    for counter, (spent, held) in found.items():
        log.error("counter drifted, read again", counter=counter, spent_nano_too_much=spent, held_nano_too_much=held)
    with transaction.atomic():
        for organization_pk in sorted({books[_base(name)][0] for name in found}):
            changes.raise_epoch(organization_pk)


def _books(client: "redis.Redis") -> Books:
    judged = Organization.objects.filter(sql_until__isnull=True).values_list("pk", "timezone")
    zones = {PLATFORM: Platform.objects.get().timezone, **dict(judged)}
    epochs = cast("list[str | None]", client.mget([f"{store_prefix(pk)}:epoch" for pk in zones]))
    known = ((pk, zone, epoch) for (pk, zone), epoch in zip(zones.items(), epochs, strict=True) if epoch)
    return {f"{store_prefix(pk)}:{epoch}": (pk, ZoneInfo(zone)) for pk, zone, epoch in known}


def _next_counters(client: "redis.Redis", books: Books) -> list[str]:
    """Names of the next counters in turn; where the last run stopped is kept in the store itself."""
    cursor = int(cast("str | None", client.get(_CURSOR)) or 0)
    found: list[str] = []
    while len(found) < _MOST:
        cursor, names = client.scan(cursor, match=_COUNTERS, count=1000)
        found += [name for name in cast("list[str]", names) if _base(name) in books]
        if not cursor:
            break
    client.set(_CURSOR, cursor, ex=86400)
    return found


def _base(name: str) -> str:
    return name.partition(":w:")[0]


def _differences(client: "redis.Redis", books: Books, names: Iterable[str], now: datetime) -> dict[str, Difference]:
    found: dict[str, Difference] = {}
    for base, some in groupby(sorted(names), _base):
        unwritten = _unwritten(client, base)
        for name in some:
            counter = name.removeprefix(f"{base}:w:")
            ref = CounterRef.named(counter, now, zone=books[base][1])
            by = _difference(cast("dict[str, str]", client.hgetall(name)), ref, unwritten[counter])
            if by is not None and any(by):
                found[name] = by
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
