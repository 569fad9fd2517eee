"""What was forgiven of a scope's spend: the ledger keeps every charge, a reset only says what no longer counts.

A reset belongs to the budget window that it was made in, by the name of the window's counter. It is subtracted
wherever the spend of that window is read: when a counter is loaded, in answers, and on pages. One below 0 was carried
over: it was spent elsewhere, the ledger knows nothing of it, and it counts in addition.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping

from spend.models import SpendReset
from spend.wire import CounterRef


def forgiven(refs: Iterable[CounterRef]) -> Mapping[str, Mapping[int, int]]:
    """Nano-USD that no longer count in each window (below 0: in addition), by counter and slice; one query."""
    first = {ref.counter: ref.window.first_slice for ref in refs}
    found: dict[str, dict[int, int]] = defaultdict(lambda: defaultdict(int))
    rows = SpendReset.objects.filter(counter__in=first).values_list("counter", "slice", "amount_nano")
    for counter, number, amount in rows:
        # What has left a rolling window takes its forgiveness along.
        if number >= first[counter]:
            found[counter][number] += amount
    return found


def forgiven_in(refs: Iterable[CounterRef]) -> Mapping[str, int]:
    """The same, by counter alone."""
    return {counter: sum(slices.values()) for counter, slices in forgiven(refs).items()}
