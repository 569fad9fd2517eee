"""Resolving holds whose worker died. Tombstone in SQL first, then release: never the other way round."""

from datetime import datetime
from typing import cast

import redis

from proxy.runtime.scripts import SETTLE
from spend import services
from spend.models import Hold
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
        cost = _cost_of(client, base, hold_id, organization_pk, now)
        if cost is not None:
            client.eval(SETTLE.text, 1, prefix, hold_id, cost, -1, epoch)
            settled += 1
    return settled


def _cost_of(client: "redis.Redis", base: str, hold_id: str, organization_pk: int, now: datetime) -> int | None:
    """What a hold finally cost in nano-USD; None while its worker is alive."""
    row = Hold.objects.filter(pk=hold_id).first()
    if row is not None and row.state == Hold.State.PENDING:
        return None
    if row is None:
        amount = int(client.hget(f"{base}:hold:{hold_id}", "a") or 0)
        services.tombstone(hold_id, organization_pk=organization_pk, amount_nano=amount, now=now)
    return services.settled_amounts({hold_id}).get(hold_id)
