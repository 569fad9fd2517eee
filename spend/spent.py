"""What many scopes have spent, for lists and pages: the number of queries does not grow with the rows."""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from itertools import chain

from django.db.models import Q, Sum

from spend import ever
from spend.models import LedgerEntry, Rollup
from spend.resets import forgiven_in
from spend.rollups import COLUMNS, QUARTER, next_quarter, quarter_of
from spend.wire import CounterRef
from teams.budgets import matches
from teams.models import Limits
from teams.rows import current_window, zone_of
from teams.scopes import scope_kind, scope_pk, share_of
from teams.windows import window_at


@dataclass(frozen=True, slots=True)
class Stretch:
    """What a scope spent from an instant on (None: ever), on models that an entry of a model list covers ('': all)."""

    scope: str
    start: datetime | None
    model: str = ""

    def counts(self, model: str) -> bool:
        return not self.model or matches(self.model, model)


def spent_now(rows: Iterable[Limits], *, now: datetime) -> dict[str, int]:
    """Nano-USD that each row's scope spent in the window of its main budget at `now`; without a window, ever.

    The rows come with their organization and shared budget selected, so that no row costs a query of its own.
    """
    refs = [CounterRef(row.scope, "", current_window(row, now)) for row in rows]
    spent = spent_in(Stretch(ref.scope, ref.window.start) for ref in refs)
    less = forgiven_in(refs)
    return {ref.scope: spent[Stretch(ref.scope, ref.window.start)] - less.get(ref.counter, 0) for ref in refs}


def spent_by_window(rows: Iterable[Limits], *, now: datetime) -> dict[tuple[str, str, str], int]:
    """Nano-USD spent in the window at `now` of every budget of the rows, by scope, model and duration."""
    wanted = {}
    for row in rows:
        zone = zone_of(row)
        for budget in row.budgets():
            window = window_at(budget.duration, now, zone=zone, anchor=budget.anchor)
            wanted[row.scope, budget.model, budget.duration] = CounterRef(row.scope, budget.model, window)
    stretches = {name: _stretches(ref) for name, ref in wanted.items()}
    spent, less = spent_in(chain.from_iterable(stretches.values())), forgiven_in(wanted.values())
    return {
        name: sum(spent[part] for part in stretches[name]) - less.get(ref.counter, 0) for name, ref in wanted.items()
    }


def _stretches(ref: CounterRef) -> list[Stretch]:
    """What counts in a window: by the model's name, and where that is an access group, by its share."""
    by_name = Stretch(ref.scope, ref.window.start, ref.model)
    return [by_name, Stretch(share_of(ref.scope, ref.model), ref.window.start)] if ref.model else [by_name]


def spent_in(stretches: Iterable[Stretch]) -> dict[Stretch, int]:
    """Nano-USD posted on each stretch, by the instant of admission. One or two queries per start that a scope has."""
    spent = dict.fromkeys(stretches, 0)
    for starts, members in _layers(spent):
        by_model = any(stretch.model for own in members.values() for stretch in own)
        for scope, model, amount in chain(_sums(starts, by_model=by_model), _edges(starts)):
            for stretch in members[scope]:
                if stretch.counts(model):
                    spent[stretch] += amount
    return spent


def _layers(stretches: Iterable[Stretch]) -> Iterator[tuple[dict[str, datetime | None], dict[str, list[Stretch]]]]:
    """The stretches in as few parts as possible, of which each has one start per scope."""
    by_scope: dict[str, dict[datetime | None, list[Stretch]]] = defaultdict(lambda: defaultdict(list))
    for stretch in stretches:
        by_scope[stretch.scope][stretch.start].append(stretch)
    while by_scope:
        taken = {scope: starts.popitem() for scope, starts in by_scope.items()}
        yield {scope: start for scope, (start, _) in taken.items()}, {scope: own for scope, (_, own) in taken.items()}
        by_scope = defaultdict(dict, {scope: starts for scope, starts in by_scope.items() if starts})


def _sums(starts: Mapping[str, datetime | None], *, by_model: bool) -> Iterator[tuple[str, str, int]]:
    """Sums of whole quarters of an hour, by scope and model; of all models together where nobody asks for one."""
    grouped: dict[datetime | None, list[str]] = defaultdict(list)
    for scope, start in starts.items():
        grouped[next_quarter(start) if start else None].append(scope)
    if None in grouped and not by_model:
        yield from ((scope, "", total) for scope, total in ever.of_scopes(grouped.pop(None)).items())
    if not grouped:
        return
    wanted = Q()
    for start, scopes in grouped.items():
        wanted |= Q(scope__in=scopes, quarter__gte=start) if start else Q(scope__in=scopes)
    rows = Rollup.objects.filter(wanted).order_by()
    if by_model:
        yield from rows.values_list("scope", "model").annotate(total=Sum("amount_nano"))
    else:
        summed = rows.values_list("scope").annotate(total=Sum("amount_nano"))
        yield from ((scope, "", total) for scope, total in summed)


def _edges(starts: Mapping[str, datetime | None]) -> Iterator[tuple[str, str, int]]:
    """Entries between a window's start and the quarter of an hour after it, where the two differ."""
    ragged: dict[tuple[str, datetime], list[int]] = defaultdict(list)
    for scope, start in starts.items():
        if start and next_quarter(start) != start:
            ragged[COLUMNS.get(scope_kind(scope), ""), quarter_of(start)].append(scope_pk(scope))
    if not ragged:
        return
    wanted = Q()
    for (column, quarter), pks in ragged.items():
        owners = Q(**{f"{column}__in": pks}) if column else Q()
        wanted |= owners & Q(admitted_at__gte=quarter, admitted_at__lt=quarter + QUARTER)
    entries = LedgerEntry.objects.filter(wanted).values_list("model", "amount_nano", "admitted_at", "scopes")
    for model, amount, at, scopes in entries:
        for scope in scopes:
            start = starts.get(scope)
            if start and start <= at < next_quarter(start):
                yield scope, model, amount
