"""The hold protocol as a state machine small enough to try everything. Pure: no database, no clock.

Two requests of one organization share a budget. Each walks read grant, hold, intent, send, post, settle; between any
two steps anything may happen that `World` allows: a crash, a lost store, a sweeper that thinks the worker
dead, a new budget window. `explore` visits every state there is and tells which promise breaks, with the
shortest way to break it. `Rules` are the protocol's own; switching one off must break something, or it is not needed.

The steps are in `steps.py`. An epoch that is loaded, fenced and published here is the one of decision 0001.
"""

import gc
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import NamedTuple, TypeVar

S = TypeVar("S")
HOLD = 2
"""What every request holds: the worst case of what it costs."""
UNLOADED = None
OVERSPENT, MISSING, HELD = "never overspent", "no billed call missing", "nothing held at rest"
DOUBLE, DRIFT = "at most one charge per hold", "counters equal the ledger at rest"
UNEXPOSED = ", but for calls in flight when the store was lost"


@dataclass(frozen=True)
class Rules:
    """What the protocol insists on. Each False is a shortcut that somebody may be tempted to take."""

    durable: bool = True
    """`strict`: the intent is a row in SQL. False is `fast`: the record that the hold script writes is all."""
    intent_before_send: bool = True
    intent_fenced_by_epoch: bool = True
    tombstone_before_release: bool = True
    resolved_once: bool = True
    """False: a posting charges without looking at what the hold has become."""
    missing_is_unknown: bool = True
    load_counts_pending: bool = True
    pending_matched_by_scope: bool = True
    """False: a pending hold counts only on the windows that it was held on, not on those added since."""
    raiser_publishes: bool = True
    """False: whoever finds the epoch unpublished publishes it, raised or not."""
    publishes_what_it_raised: bool = True
    """False: the raiser publishes the epoch that stands when it looks again."""
    grant_as_new_as_epoch: bool = True
    """False: an old grant holds in a new epoch, until the store is told of the scope's new version."""
    store_identity_checked: bool = True
    lost_counter_raises: bool = True
    """False: a counter that vanished is loaded again in the same epoch, beside holds that know the old one."""
    judge_changes_with_epoch: bool = True
    """False: SQL and the store take turns in judging within one epoch."""
    intent_fenced_by_judge: bool = True
    """False: an intent that the store judged passes while SQL judges, if only its epoch stands."""
    # The rest concerns `fast` alone: what the fenced intent does for `strict`.
    carries_records: bool = True
    """Records of an epoch that ended become pending holds in SQL before anything is loaded."""
    reconnecting_forgets_epochs: bool = True
    late_posting_raises: bool = True
    """A posting of an epoch that ended, unless it was carried, raises the epoch in the same transaction."""


class World(NamedTuple):
    """What may happen beside the requests, and how often at most."""

    starts_empty: bool = False
    """Whether the store has no epoch at first."""
    losses: int = 0
    swaps: int = 0
    """How often the store is replaced by an older copy of itself."""
    vanishings: int = 0
    """How often one counter disappears alone (never while one is being loaded)."""
    new_window: bool = False
    corrections: int = 0
    takeovers: int = 0
    """How often SQL judges in the place of a store that some worker does not reach, and others may."""
    lost_news: bool = False
    """Whether an epoch that was raised may stay unpublished, as when its raiser dies."""
    raises: int = 2
    """How often workers may raise an epoch, which bounds the search."""
    limits: tuple[int, int] = (3, 3)
    costs: tuple[int, ...] = (0, 1, 2)
    """What a provider may bill; 0 is a refusal that costs nothing."""


class Load(NamedTuple):
    """What a worker read from the ledger and is about to put into the store."""

    window: int
    epoch: int
    spent: int
    pending: tuple[int, ...]


class Request(NamedTuple):
    step: str = "new"
    windows: tuple[int, ...] = ()
    grant_epoch: int = 0
    run: int = 1
    epoch: int = 0
    load: Load | None = None
    billed: int = 0
    cost: int = 0
    """What is to be posted, then what the ledger says stands."""
    exposed: bool = False
    """Whether it was held, and not yet in SQL, when the store was lost."""


class Books(NamedTuple):
    """SQL: the truth. One entry per request in `holds`, `on`, `ledger` and `charges`."""

    epoch: int = 1
    run: int = 1
    windows: int = 1
    judges: bool = False
    """Whether SQL judges, and not the store."""
    holds: tuple[str, str] = ("none", "none")
    on: tuple[tuple[int, ...], tuple[int, ...]] = ((), ())
    ledger: tuple[int, int] = (0, 0)
    charges: tuple[int, int] = (0, 0)


class Counter(NamedTuple):
    spent: int
    held: int


class Store(NamedTuple):
    """The counters of the published epoch; those of older ones are out of reach by name. Epoch 0 is none."""

    run: int = 1
    epoch: int = 1
    version: int = 0
    counters: tuple[Counter | None, Counter | None] = (UNLOADED, UNLOADED)
    records: tuple[tuple[int, ...] | None, tuple[int, ...] | None] = (None, None)
    older: tuple[int, ...] = ()
    """Requests whose record, with the whole intent in it, is left from an epoch that ended (`fast` only)."""


class State(NamedTuple):
    requests: tuple[Request, Request] = (Request(), Request())
    books: Books = Books()
    store: Store = Store()
    copy: Store | None = None
    raised: tuple[int, ...] = ()
    """Epochs that somebody raised and has yet to publish; 0 is one that its raiser has yet to look up."""
    left: World = World()
    """What may still happen."""


Steps = Iterator[tuple[str, State]]
NextSteps = Callable[[State, Rules], Steps]
#: Steps that nobody can count on: a state is at rest when no other is left.
FAULTS = ("crash", "lose", "swap", "copy", "vanish", "drop news", "add window", "correct", "take over")


class Report(NamedTuple):
    states: int
    broken: dict[str, list[str]]
    """The promises that do not hold, each with the shortest way there."""


def explore(rules: Rules, world: World, next_steps: NextSteps, until: str = "") -> Report:
    start = State(store=Store(epoch=0 if world.starts_empty else 1), left=world)
    return search(start, lambda state: next_steps(state, rules), always_broken, broken_at_rest, until)


def search(
    start: S,
    steps_of: Callable[[S], Iterable[tuple[str, S]]],
    always: Callable[[S], Iterable[str]],
    in_the_end: Callable[[S], Iterable[str]],
    until: str = "",
) -> Report:
    """Visit every state that can be reached, breadth first, or until a promise is found broken."""
    with _garbage_left():
        return _search(start, steps_of, always, in_the_end, until)


@contextmanager
def _garbage_left() -> Iterator[None]:
    """States are tuples without cycles, and so many that looking for cycles takes a third of the time."""
    gc.disable()
    try:
        yield
    finally:
        gc.enable()


def _search(
    start: S,
    steps_of: Callable[[S], Iterable[tuple[str, S]]],
    always: Callable[[S], Iterable[str]],
    in_the_end: Callable[[S], Iterable[str]],
    until: str,
) -> Report:
    came_from: dict[S, tuple[S, str] | None] = {start: None}
    waiting, broken = deque([start]), {}
    while waiting and until not in broken:
        state = waiting.popleft()
        steps = list(steps_of(state))
        at_rest = all(label.startswith(FAULTS) for label, following in steps if following != state)
        for promise in (*always(state), *(in_the_end(state) if at_rest else ())):
            if promise not in broken:
                broken[promise] = _path(came_from, state)
        for label, following in steps:
            if following not in came_from:
                came_from[following] = (state, label)
                waiting.append(following)
    return Report(len(came_from), broken)


def always_broken(state: State) -> Iterator[str]:
    """Promises that hold at every instant."""
    books = state.books
    if _overspent(state, range(len(state.requests))):
        yield OVERSPENT
        if _overspent(state, [i for i, request in enumerate(state.requests) if not request.exposed]):
            yield OVERSPENT + UNEXPOSED
    if max(books.charges) > 1:
        yield DOUBLE


def broken_at_rest(state: State) -> Iterator[str]:
    """Promises that hold once everybody is done and the sweeper has been."""
    books, store = state.books, state.store
    missing = [request for i, request in enumerate(state.requests) if request.billed > books.ledger[i]]
    if missing:
        yield MISSING
    if any(not request.exposed for request in missing):
        yield MISSING + UNEXPOSED
    if "pending" in books.holds or any(store.records) or store.older:
        yield HELD
    if store.epoch == books.epoch and store.run == books.run and not books.judges:
        known = [counter for counter in store.counters if counter is not None]
        if any(counter.held for counter in known):
            yield HELD
        if any(counter.spent != sum(books.ledger) for counter in known):
            yield DRIFT


def _overspent(state: State, which: Iterable[int]) -> bool:
    """Whether these requests were billed, or charged, more than a window allows that any of them was held on.

    A window that was added later refuses whoever comes then; what was spent before it is not its fault.
    """
    books = state.books
    held = [(state.requests[i], books.ledger[i] + HOLD * (books.holds[i] == "pending")) for i in which]
    total = max(sum(request.billed for request, _ in held), sum(booked for _, booked in held))
    return any(
        total > limit and any(window in request.windows and request.epoch for request, _ in held)
        for window, limit in enumerate(state.left.limits)
    )


def _path(came_from: Mapping[S, tuple[S, str] | None], state: S) -> list[str]:
    labels = []
    while (step := came_from[state]) is not None:
        state, label = step
        labels.append(label)
    return labels[::-1]
