"""Resolving holds whose worker died. Tombstone in SQL first, then release: never the other way round."""

from collections import defaultdict
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from typing import Any, cast

import orjson
import redis

from proxy.runtime.scripts import ENDED, SETTLE
from spend import services
from spend.models import Hold
from spend.wire import Intent
from teams import store
from teams.models import Organization
from teams.scopes import PLATFORM, store_prefix

#: Organizations that the store is asked about in one round trip.
_AT_ONCE = 1000


def sweep(*, now: datetime) -> int:
    """Charge orphaned intents, then bring the counters in line. Repeatable; returns how many it touched."""
    client = store.client()
    # Only records of organizations stand for intents, so those are taken over before the platform's are judged.
    organizations = [*Organization.objects.values_list("pk", flat=True), PLATFORM]
    for organization_pk in _with_work(client, organizations, now):
        _take_over(client, organization_pk, now)
    touched = len(services.post_orphans(_abandoned(client, now), now=now))
    for organization_pk in _with_work(client, organizations, now):
        touched += _sweep_counters(client, organization_pk, now)
    return touched


def _with_work(client: "redis.Redis", organization_pks: Sequence[int], now: datetime) -> Iterator[int]:
    """Those with holds beyond their lease, or with epochs that ended. Many at once: most organizations are idle."""
    for first in range(0, len(organization_pks), _AT_ONCE):
        some = organization_pks[first : first + _AT_ONCE]
        prefixes = [store_prefix(pk) for pk in some]
        epochs = cast("list[str | None]", client.mget([f"{prefix}:epoch" for prefix in prefixes]))
        asked = client.pipeline(transaction=False)
        for prefix, epoch in zip(prefixes, epochs, strict=True):
            asked.exists(f"{prefix}:ended")
            asked.zcount(f"{prefix}:{epoch or 0}:holds", "-inf", int(now.timestamp() * 1000))
        counts = asked.execute()
        yield from (pk for pk, ended, late in zip(some, counts[::2], counts[1::2], strict=True) if ended or late)


def _take_over(client: "redis.Redis", organization_pk: int, now: datetime) -> None:
    """Write intents to SQL that only the counter store has: of epochs that ended, and of holds beyond their lease."""
    prefix = store_prefix(organization_pk)
    ended, of_ended = cast("tuple[list[str], list[list[str]]]", client.eval(ENDED.text, 1, prefix))
    intents = [Intent.from_json(text).leased_until(float(lease)) for text, lease in of_ended]
    late = _late_holds(client, prefix, _epoch(client, prefix), now)
    intents += [Intent.from_json(record["i"]) for _, record in late if "i" in record]
    if intents:
        services.adopt(intents)
    if ended:
        client.srem(f"{prefix}:ended", *ended)


def _abandoned(client: "redis.Redis", now: datetime) -> list[str]:
    """Late holds that are late in the counter store as well.

    What a worker renews there is alive, though SQL did not hear of it: after an outage of SQL every hold is late.
    """
    by_epoch: dict[str, list[str]] = defaultdict(list)
    for hold in services.late_holds(now=now):
        by_epoch[f"{store_prefix(hold.organization_pk)}:{hold.epoch}:holds"].append(hold.hold_id)
    abandoned = []
    for name, hold_ids in by_epoch.items():
        leases = client.zmscore(name, hold_ids)
        for hold_id, lease in zip(hold_ids, leases, strict=True):
            if lease is None or lease <= now.timestamp() * 1000:
                abandoned.append(hold_id)
            else:
                services.renew_leases([hold_id], until=datetime.fromtimestamp(lease / 1000, UTC))
    return abandoned


def _epoch(client: "redis.Redis", prefix: str) -> str:
    return cast("str | None", client.get(f"{prefix}:epoch")) or "0"


def _late_holds(client: "redis.Redis", prefix: str, epoch: str, now: datetime) -> list[tuple[str, dict[str, Any]]]:
    """Ids and records of holds that the counter store keeps beyond their lease."""
    base = f"{prefix}:{epoch}"
    late = cast(
        "list[str]",
        client.zrange(f"{base}:holds", "-inf", int(now.timestamp() * 1000), byscore=True, offset=0, num=500),
    )
    records = cast("list[str | None]", client.mget([f"{base}:hold:{hold_id}" for hold_id in late])) if late else []
    return [(hold_id, orjson.loads(text or "{}")) for hold_id, text in zip(late, records, strict=True)]


def _sweep_counters(client: "redis.Redis", organization_pk: int, now: datetime) -> int:
    """Settle every hold that the counter store keeps beyond its lease, as the ledger says."""
    prefix, settled = store_prefix(organization_pk), 0
    epoch = _epoch(client, prefix)
    for hold_id, record in _late_holds(client, prefix, epoch, now):
        cost = _cost_of(hold_id, record, organization_pk, now)
        if cost is not None:
            client.eval(SETTLE.text, 1, prefix, hold_id, cost, -1, epoch, "")
            settled += 1
    return settled


def _cost_of(hold_id: str, record: dict[str, Any], organization_pk: int, now: datetime) -> int | None:
    """What a hold finally cost in nano-USD; None while its worker is alive, or until it is charged as an orphan."""
    row = Hold.objects.filter(pk=hold_id).first()
    if row is None and "i" in record:
        return None
    if row is None and organization_pk == PLATFORM and not record.get("w"):
        # Held for a rate alone: the organization's half, where the money is, decides about the call.
        return 0
    if row is None:
        owner = int(record.get("o", organization_pk))
        services.tombstone(hold_id, organization_pk=owner, amount_nano=int(record.get("a", 0)), now=now)
    return services.settled_amounts({hold_id}).get(hold_id)
