"""Saying what a budget counts from now on, without touching what was charged."""

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
def reset_spend(scope: Limits, to_nano: int, *, actor: Actor, now: datetime) -> int:
    """Have the main budget of a key or a member count `to_nano` in its current window, its further windows nothing.

    Returns what counted before. The ledger, and the budgets of everybody above the scope, keep what was spent. Raises
    ValidationError if `to_nano` is more than what counts, or than the budget. A window of another duration that the
    scope gets later counts everything that was spent in it.
    """
    scope = _locked(scope)
    before, top = sum(counted_by_slice(_main(scope, now)).values()), scope.effective("max_budget_nano")
    if to_nano > before:
        raise ValidationError({"reset_to": "is more than what was spent"})
    if top is not None and to_nano > top:
        raise ValidationError({"reset_to": "is more than max_budget"})
    return set_spend(scope, to_nano, actor=actor, now=now)


@transaction.atomic
def set_spend(scope: Limits, to_nano: int, *, actor: Actor, now: datetime) -> int:
    """As `reset_spend`, to any amount: what is more than what counts was spent elsewhere, and is carried over.

    Only the main budget counts what is carried over; when it was spent nobody knows, so further windows stay.
    """
    scope = _locked(scope)
    main = _main(scope, now)
    counted = counted_by_slice(main)
    before = sum(counted.values())
    if to_nano > before:
        rows = [_row(main, main.window.slice_of(now), before - to_nano, actor, now)]
    else:
        rows = _forgiven(main, counted, before - to_nano, actor, now)
        for ref in _further(scope, now) - {main}:
            slices = counted_by_slice(ref)
            rows += _forgiven(ref, slices, sum(slices.values()), actor, now)
    SpendReset.objects.bulk_create(rows)
    # Counters are mirrors: in a new epoch the gateway reads them anew, with what was forgiven or carried over.
    changes.raise_epoch(organization_of(scope))
    _note(scope, before, to_nano, actor)
    return before


@transaction.atomic
def carry_over(scope: Limits, nano: int, *, actor: Actor, now: datetime) -> int:
    """Have the main budget of a scope that is made in this transaction begin with what was spent before, elsewhere.

    Returns what counted before, which is nothing. No counter of it was loaded yet, so no epoch has to end.
    """
    if nano:
        main = _main(scope, now)
        SpendReset.objects.bulk_create([_row(main, main.window.slice_of(now), -nano, actor, now)])
        _note(scope, 0, nano, actor)
    return 0


def _locked(scope: Limits) -> Limits:
    return type(scope)._default_manager.select_for_update(no_key=True, of=("self",)).get(pk=scope.pk)


def _main(scope: Limits, now: datetime) -> CounterRef:
    return CounterRef(scope.scope, "", current_window(scope, now))


def _further(key: Limits, now: datetime) -> set[CounterRef]:
    zone = zone_of(key)
    return {
        CounterRef(key.scope, budget.model, window_at(budget.duration, now, zone=zone, anchor=budget.anchor))
        for budget in key.budgets()
    }


def _forgiven(ref: CounterRef, counted: dict[int, int], amount: int, actor: Actor, now: datetime) -> list[SpendReset]:
    """Resets that add up to `amount`; of a rolling window the oldest slices are forgiven first."""
    rows, left = [], amount
    for number in sorted(counted):
        part = min(counted[number], left)
        if part > 0:
            left -= part
            rows.append(_row(ref, number, part, actor, now))
    return rows


def _row(ref: CounterRef, number: int, amount: int, actor: Actor, now: datetime) -> SpendReset:
    return SpendReset(
        scope=ref.scope, counter=ref.counter, slice=number, amount_nano=amount, at=now, by=actor.signature
    )


def _note(scope: Limits, before: int, after: int, actor: Actor) -> None:
    audit.record(
        f"{scope.scope_kind.value}.spend_reset",
        scope,
        actor=actor,
        before={"spend_nano": before},
        after={"spend_nano": after},
    )
