"""The spend log by session: one row for all calls that a client counts together, or for all attempts of one."""

from dataclasses import dataclass
from typing import Any

from spend.logs import Fact, Log
from teams.money import usd_from_nano

#: What the calls of a session add up to; by anything else it stands where its farthest call does.
_ADDED = ("spend", "total_tokens", "prompt_tokens", "completion_tokens")


@dataclass(slots=True)
class _Session:
    newest: Fact
    place: Any
    count: int = 1
    nano: int = 0

    def add(self, fact: Fact, *, up: bool) -> None:
        self.place = self.place + fact.place if up else max(self.place, fact.place)
        self.newest = max(self.newest, fact, key=lambda one: one.at)
        self.count, self.nano = self.count + 1, self.nano + fact.nano


def sessions(log: Log, sort: str, order: str, start: int, size: int) -> tuple[list[dict[str, Any]], int]:
    """Sessions from number `start` on, each shown by its newest row and its totals, and how many there are."""
    found: dict[str, _Session] = {}
    for fact in log.facts(sort):
        if fact.session in found:
            found[fact.session].add(fact, up=sort in _ADDED)
        else:
            found[fact.session] = _Session(fact, fact.place, nano=fact.nano)
    ordered = sorted(
        found.values(), key=lambda one: (one.place, one.newest.at, one.newest.session), reverse=order == "desc"
    )
    shown = ordered[start : start + size]
    rows = log.rows([one.newest.pk for one in shown])
    return [row | _totals(one) for row, one in zip(rows, shown, strict=True)], len(found)


def _totals(session: _Session) -> dict[str, Any]:
    return {"session_total_count": session.count, "session_total_spend": usd_from_nano(session.nano)}
