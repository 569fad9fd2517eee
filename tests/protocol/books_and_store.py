"""What SQL and the counter store say of each budget window, read without any of the code that is under test."""

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from zoneinfo import ZoneInfo

import redis
from django.conf import settings

from spend.models import Hold, LedgerEntry
from spend.wire import CounterRef, Intent
from teams.changes import epoch_row
from teams.models import CounterServer, Organization
from teams.scopes import store_prefix
from teams.windows import window_at

BySlice = dict[int, int]


@dataclass(frozen=True)
class Extra:
    """An amount of one call (nano-USD) that counters and SQL may rightly disagree about, until `until`."""

    scopes: tuple[str, ...]
    model: str
    at: datetime
    nano: int
    until: datetime
    short: int = 0
    """What was posted beyond the hold, and the counter does not know yet."""

    @classmethod
    def of(cls, intent: Intent, until: datetime, cost: int = 0) -> "Extra":
        nano = intent.amount_nano
        return cls(intent.scopes, intent.model, intent.admitted_at, nano, until, max(0, cost - nano))


def total(extras: Iterable[Extra], ref: CounterRef) -> int:
    return sum(extra.nano for extra in extras if ref.has(extra.scopes, extra.model, extra.at))


def shortage(extras: Iterable[Extra], ref: CounterRef) -> int:
    return sum(extra.short for extra in extras if ref.has(extra.scopes, extra.model, extra.at))


def as_of(ref: CounterRef, now: datetime, zone: str) -> CounterRef:
    """A rolling window has moved on since its counter was loaded."""
    if not ref.window.slice_seconds:
        return ref
    window = window_at(ref.window.duration, now, zone=ZoneInfo(zone), anchor=now)
    return CounterRef(ref.scope, ref.model, window)


def posted(ref: CounterRef) -> BySlice:
    """Nano-USD in the ledger, by slice of the window."""
    rows = LedgerEntry.objects.values_list("scopes", "model", "admitted_at", "amount_nano")
    return _by_slice(ref, rows)


def pending(ref: CounterRef) -> BySlice:
    rows = Hold.objects.filter(state=Hold.State.PENDING)
    return _by_slice(ref, rows.values_list("scopes", "model", "admitted_at", "amount_nano"))


def _by_slice(ref: CounterRef, rows: Iterable[tuple[list[str], str, datetime, int]]) -> BySlice:
    found: BySlice = defaultdict(int)
    for scopes, model, at, nano in rows:
        if ref.has(scopes, model, at):
            found[ref.window.slice_of(at)] += nano
    return found


class StoreView:
    """The counters that the next hold would be judged by."""

    def __init__(self, organization_pk: int) -> None:
        self._organization, self._prefix = organization_pk, store_prefix(organization_pk)
        self.raw = redis.Redis.from_url(settings.REDIS_URL)

    def close(self) -> None:
        self.raw.close()

    def is_current(self, run_id: str) -> bool:
        """Whether the epoch that is published stands, in a store whose loss has been noticed and that judges."""
        epoch = epoch_row(self._organization).values_list("epoch", flat=True).get()
        noticed = CounterServer.objects.filter(run_id=run_id).exists()
        return noticed and self.epoch == epoch and not self.judged_in_sql

    @property
    def judged_in_sql(self) -> bool:
        return Organization.objects.filter(pk=self._organization, sql_until__isnull=False).exists()

    @property
    def zone(self) -> str:
        """In which its windows are computed."""
        return epoch_row(self._organization).values_list("timezone", flat=True).get()

    @property
    def epoch(self) -> int:
        return int(self.raw.get(f"{self._prefix}:epoch") or 0)  # type: ignore[arg-type]

    def names(self) -> list[str]:
        """Names of the counters of the current epoch, as `CounterRef.counter` gives them."""
        start = f"{self._prefix}:{self.epoch}:w:"
        return sorted(key.decode().removeprefix(start) for key in self.raw.scan_iter(f"{start}*"))

    def counter(self, name: str, ref: CounterRef) -> tuple[BySlice, BySlice]:
        """What a counter says is spent and held, by slice; only slices that still count."""
        spent: BySlice = defaultdict(int)
        held: BySlice = defaultdict(int)
        fields = self.raw.hgetall(f"{self._prefix}:{self.epoch}:w:{name}")
        for key, value in fields.items():  # type: ignore[union-attr]
            kind, _, number = key.decode().partition(":")
            if kind in ("s", "h") and int(number or 0) >= ref.window.first_slice * bool(ref.window.slice_seconds):
                (spent if kind == "s" else held)[int(number or 0)] += int(value)
        return spent, held

    def delete(self, name: str) -> None:
        self.raw.delete(f"{self._prefix}:{self.epoch}:w:{name}")

    def lose(self) -> None:
        """Everything under this hash tag, as when one shard of a cluster is gone."""
        for key in list(self.raw.scan_iter(f"{self._prefix}:*")):
            self.raw.delete(key)

    def open_holds(self) -> int:
        return int(self.raw.zcard(f"{self._prefix}:{self.epoch}:holds"))  # type: ignore[arg-type]

    def copy(self) -> dict[bytes, tuple[bytes, int]]:
        """The whole store, with the milliseconds that each key has left."""
        keys = self.raw.keys()
        return {key: (self.raw.dump(key), max(0, self.raw.pttl(key))) for key in keys}  # type: ignore[union-attr, misc, type-var, arg-type]

    def put_back(self, copy: dict[bytes, tuple[bytes, int]]) -> None:
        self.raw.flushall()
        for key, (value, left) in copy.items():
            self.raw.restore(key, left, value)
