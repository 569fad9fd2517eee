"""Setting the spend of a key back, without touching what was charged."""

from datetime import datetime

from django.core.exceptions import ValidationError
from django.db import transaction

from spend.models import SpendReset
from spend.rollups import counted_by_slice
from spend.wire import CounterRef
from teams import audit, changes
from teams.actors import Actor
from teams.models import Limits
from teams.rows import current_window, zone_of
from teams.services import organization_of
from teams.windows import window_at


@transaction.atomic
def reset_spend(key: Limits, to_nano: int, *, actor: Actor, now: datetime) -> int:
    """Have the main budget of a key or a member count `to_nano` in its current window, its further windows nothing.

    Returns what counted before. The ledger, and the budgets of everybody above the key, keep what was spent. Raises
    ValidationError if `to_nano` is more than what counts, or than the budget. A window of another duration that the
    key gets later counts everything that was spent in it.
    """
    key = type(key)._default_manager.select_for_update(no_key=True, of=("self",)).get(pk=key.pk)
    main = CounterRef(key.scope, "", current_window(key, now))
    counted = counted_by_slice(main)
    before, top = sum(counted.values()), key.effective("max_budget_nano")
    if to_nano > before:
        raise ValidationError({"reset_to": "is more than what was spent"})
    if top is not None and to_nano > top:
        raise ValidationError({"reset_to": "is more than max_budget"})
    rows = _rows(main, counted, before - to_nano, actor, now)
    for ref in _further(key, now) - {main}:
        slices = counted_by_slice(ref)
        rows += _rows(ref, slices, sum(slices.values()), actor, now)
    SpendReset.objects.bulk_create(rows)
    # Counters are mirrors: in a new epoch the gateway reads them anew, with what was forgiven.
    changes.raise_epoch(organization_of(key))
    audit.record(
        f"{key.scope_kind.value}.spend_reset",
        key,
        actor=actor,
        before={"spend_nano": before},
        after={"spend_nano": to_nano},
    )
    return before


def _further(key: Limits, now: datetime) -> set[CounterRef]:
    zone = zone_of(key)
    return {
        CounterRef(key.scope, budget.model, window_at(budget.duration, now, zone=zone, anchor=budget.anchor))
        for budget in key.budgets()
    }


def _rows(ref: CounterRef, counted: dict[int, int], amount: int, actor: Actor, now: datetime) -> list[SpendReset]:
    """Resets that add up to `amount`; of a rolling window the oldest slices are forgiven first."""
    rows, left = [], amount
    for number in sorted(counted):
        part = min(counted[number], left)
        if part > 0:
            left -= part
            rows.append(
                SpendReset(
                    scope=ref.scope, counter=ref.counter, slice=number, amount_nano=part, at=now, by=actor.signature
                )
            )
    return rows
