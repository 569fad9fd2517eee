"""Resolving holds whose worker died. Tombstone in SQL first, then release: never the other way round."""

from datetime import datetime
from typing import Any, cast

import orjson
import redis

from proxy.runtime.scripts import SETTLE
from spend import services
from spend.models import Hold
from spend.wire import Intent
from teams import store
from teams.models import Organization
from teams.scopes import store_prefix


def sweep(*, now: datetime) -> int:
    """Charge orphaned intents, then bring the counters in line. Repeatable; returns how many it touched."""
    orphans = services.post_orphans(now=now)
    client = store.client()
    touched = len(orphans)
    for organization_pk in Organization.objects.values_list("pk", flat=True):
        touched += _sweep_counters(client, organization_pk, now)
    return touched


def _sweep_counters(client: "redis.Redis", organization_pk: int, now: datetime) -> int:
    """Settle every hold that the counter store keeps beyond its lease, as the ledger says."""
    prefix = store_prefix(organization_pk)
    epoch = cast("str | None", client.get(f"{prefix}:epoch"))
    if epoch is None:
        return 0
    base = f"{prefix}:{epoch}"
    late = client.zrange(f"{base}:holds", "-inf", int(now.timestamp() * 1000), byscore=True, offset=0, num=500)
    settled = 0
    for hold_id in cast("list[str]", late):
        record = orjson.loads(cast("str | None", client.get(f"{base}:hold:{hold_id}")) or "{}")
        cost = _cost_of(hold_id, record, organization_pk, now)
        if cost is not None:
            client.eval(SETTLE.text, 1, prefix, hold_id, cost, -1, epoch)
            settled += 1
    return settled


def _cost_of(hold_id: str, record: dict[str, Any], organization_pk: int, now: datetime) -> int | None:
    """What a hold finally cost in nano-USD; None while its worker is alive, or until it is charged as an orphan."""
    row = Hold.objects.filter(pk=hold_id).first()
    if row is not None and row.state == Hold.State.PENDING:
        return None
    if row is None and "i" in record:
        services.adopt([Intent.from_json(record["i"])])
        return None
    if row is None:
        services.tombstone(hold_id, organization_pk=organization_pk, amount_nano=int(record.get("a", 0)), now=now)
    return services.settled_amounts({hold_id}).get(hold_id)
