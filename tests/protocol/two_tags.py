"""The second half of a hold, as a state machine small enough to try everything. Pure: no database, no clock.

Two requests of two organizations, and one ceiling over both that has room for one of them. What is held lies under
three hash tags, each of which may be lost alone, with an epoch of its own: one per organization and the platform's.
What the first half does alone is tried in `model.py`; here are the orders of events that need both.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import NamedTuple, TypeVar

from tests.protocol.model import DRIFT, HELD, HOLD, MISSING, OVERSPENT, Counter, Report, search

T = TypeVar("T")
LIMIT = 3
BOTH = (0, 1)


@dataclass(frozen=True)
class Rules:
    """What the protocol insists on. Each False is a shortcut that somebody may be tempted to take."""

    durable: bool = True
    """`strict`. False is `fast`: where no ceiling is known, the record of the first half is all that there is."""
    intent_fenced_by_both: bool = True
    """False: the intent looks at its organization's epoch alone."""
    ceiling_raises_every_epoch: bool = True
    """False: a new ceiling raises the platform's epoch alone, whose fence calls from before it do not know."""
    grant_as_new_as_epoch: bool = True
    missing_is_unknown: bool = True
    load_counts_everybody: bool = True
    """False: a counter is read with the pending holds of the reader's own organization."""
    load_in_one_snapshot: bool = True
    tombstone_before_release: bool = True
    # The rest concerns `fast` alone.
    row_under_a_ceiling: bool = True
    """False: under a ceiling, too, the record of the first half stands for the intent."""
    carries_everybody: bool = True
    """False: a new ceiling's counter is read without what records of all organizations keep from before."""


class World(NamedTuple):
    """What may happen beside the requests, and how often at most."""

    ceiling: bool = True
    """Whether there is one from the start; otherwise somebody sets it at some time."""
    platform_losses: int = 0
    organization_losses: int = 0
    lost_news: bool = False
    costs: tuple[int, ...] = (2,)


class Load(NamedTuple):
    epoch: int
    spent: int
    pending: tuple[int, ...] | None
    """None: the sum was read, and what is pending is yet to be."""


class Request(NamedTuple):
    step: str = "new"
    ceiling: bool = False
    """What its grant says, with the epochs it was read in: its organization's and the platform's."""
    read_in: tuple[int, int] = (0, 0)
    first: int = 0
    second: int = 0
    """Epochs of the halves that it holds or held; 0 is none."""
    after: str = ""
    """What becomes of it when both halves are taken back."""
    load: Load | None = None
    billed: int = 0
    cost: int = 0


class Books(NamedTuple):
    ceiling: bool = True
    epochs: tuple[int, int] = (1, 1)
    platform: int = 1
    holds: tuple[str, str] = ("none", "none")
    ledger: tuple[int, int] = (0, 0)


class Store(NamedTuple):
    """Epoch 0 is none. Records of an organization's ended epoch stay, out of reach of its counters: `older`."""

    epochs: tuple[int, int] = (1, 1)
    records: tuple[bool, bool] = (False, False)
    older: tuple[bool, bool] = (False, False)
    platform: int = 1
    counter: Counter | None = None
    halves: frozenset[int] = frozenset()


class State(NamedTuple):
    left: World
    books: Books
    requests: tuple[Request, Request] = (Request(), Request())
    store: Store = Store()
    news: tuple[tuple[int, int], ...] = ()
    """Epochs that a change of policy raised and has yet to publish: the tag (2 is the platform's) and the epoch."""


Steps = Iterator[tuple[str, State]]


def explore(rules: Rules, world: World, until: str = "") -> Report:
    start = State(left=world, books=Books(ceiling=world.ceiling))
    return search(start, lambda state: next_steps(state, rules), always_broken, broken_at_rest, until)


def always_broken(state: State) -> Iterator[str]:
    """A ceiling refuses whoever comes after it was set; what was held before that is not its fault."""
    books = state.books
    booked = sum(books.ledger) + HOLD * books.holds.count("pending")
    if any(r.second for r in state.requests) and max(sum(r.billed for r in state.requests), booked) > LIMIT:
        yield OVERSPENT


def broken_at_rest(state: State) -> Iterator[str]:
    books, store = state.books, state.store
    if any(request.billed > books.ledger[i] for i, request in enumerate(state.requests)):
        yield MISSING
    if "pending" in books.holds or any(store.records) or any(store.older) or store.halves:
        yield HELD
    if store.platform == books.platform and store.counter is not None:
        if store.counter.held:
            yield HELD
        if store.counter.spent != sum(books.ledger):
            yield DRIFT


def next_steps(state: State, rules: Rules) -> Steps:
    for i in BOTH:
        request = state.requests[i]
        if request.step in STEPS:
            yield from STEPS[request.step](state, i, rules)
            if request.step not in ("new", "admitted"):
                yield f"crash of {i}", _with(state, i, request._replace(step="dead", load=None))
        yield from _sweeper(state, i, rules)
    yield from _publisher(state)
    yield from _world(state, rules)


def _read_grant(state: State, i: int, rules: Rules) -> Steps:
    books = state.books
    read = Request("admitted", books.ceiling, (books.epochs[i], books.platform))
    yield f"{i} read grant", _with(state, i, read)


def _first_half(state: State, i: int, rules: Rules) -> Steps:
    request, store = state.requests[i], state.store
    if store.epochs[i] == 0 or request.read_in[0] > store.epochs[i]:
        yield f"{i} renew", _renewed(state, i)
    elif rules.grant_as_new_as_epoch and request.read_in[0] < store.epochs[i]:
        yield f"{i} grant is stale", _with(state, i, Request())
    else:
        store = store._replace(records=_set(store.records, i, True))
        step = "half" if request.ceiling else _ready(request, rules)
        held = request._replace(step=step, first=store.epochs[i])
        yield f"{i} hold", _with(state._replace(store=store), i, held)


def _ready(request: Request, rules: Rules) -> str:
    """Whether a row in SQL comes before the send."""
    return "held" if rules.durable or (request.ceiling and rules.row_under_a_ceiling) else "intended"


def _second_half(state: State, i: int, rules: Rules) -> Steps:
    request, store = state.requests[i], state.store
    if rules.missing_is_unknown and (store.platform == 0 or request.read_in[1] > store.platform):
        yield f"{i} renew platform", _platform_renewed(state)
    elif rules.grant_as_new_as_epoch and request.read_in[1] < store.platform:
        yield f"{i} grant of the platform is stale", _with(state, i, request._replace(step="undo first", after="new"))
    elif store.counter is None and rules.missing_is_unknown:
        yield from _read_ledger(state, i, rules)
    elif (counter := store.counter or Counter(0, 0)).spent + counter.held + HOLD > LIMIT:
        yield f"{i} denied", _with(state, i, request._replace(step="undo first", after="refused"))
    else:
        counter = counter._replace(held=counter.held + HOLD)
        state = state._replace(store=store._replace(counter=counter, halves=store.halves | {i}))
        held = request._replace(second=max(1, store.platform))
        yield f"{i} hold on platform", _with(state, i, held._replace(step=_ready(request, rules)))
        yield f"{i} hold on platform, reply lost", _with(state, i, held._replace(step="undo first", after="refused"))


def _read_ledger(state: State, i: int, rules: Rules) -> Steps:
    """The sum over all organizations, and every pending hold, in one snapshot of SQL."""
    store, books = state.store, state.books
    if not rules.durable and rules.carries_everybody:
        for j in BOTH:
            if store.epochs[j] != books.epochs[j]:
                yield f"renew {j} for the platform", _renewed(state, j)
                return
            if store.older[j]:
                yield f"carry {j} to SQL", _carried(state, j)
                return
    pending = _pending(state, i, rules) if rules.load_in_one_snapshot else None
    load = Load(store.platform, sum(books.ledger), pending)
    yield f"{i} read ledger", _with(state, i, state.requests[i]._replace(step="loading", load=load))


def _pending(state: State, i: int, rules: Rules) -> tuple[int, ...]:
    return tuple(j for j in BOTH if state.books.holds[j] == "pending" and (rules.load_counts_everybody or j == i))


def _put(state: State, i: int, rules: Rules) -> Steps:
    request, store = state.requests[i], state.store
    load = request.load
    assert load is not None
    if load.pending is None:
        load = load._replace(pending=_pending(state, i, rules))
        yield f"{i} read what is pending", _with(state, i, request._replace(load=load))
        return
    if store.platform == load.epoch and store.counter is None:
        pending = load.pending
        counter = Counter(load.spent, HOLD * len(pending))
        state = state._replace(store=store._replace(counter=counter, halves=store.halves | set(pending)))
    yield f"{i} put counter", _with(state, i, request._replace(step="half", load=None))


def _intent(state: State, i: int, rules: Rules) -> Steps:
    request, books = state.requests[i], state.books
    fits = request.first == books.epochs[i]
    if rules.intent_fenced_by_both and request.second:
        fits = fits and request.second == books.platform
    if fits and books.holds[i] == "none":
        books = books._replace(holds=_set(books.holds, i, "pending"))
        yield f"{i} intent", _with(state._replace(books=books), i, request._replace(step="intended"))
    else:
        yield f"{i} intent refused", _with(state, i, request._replace(step="undo first", after="refused"))


def _send(state: State, i: int, rules: Rules) -> Steps:
    for cost in state.left.costs:
        sent = state.requests[i]._replace(step="sent", billed=cost, cost=cost)
        yield f"{i} send, billed {cost}", _with(state, i, sent)


def _post(state: State, i: int, rules: Rules) -> Steps:
    """Resolve the hold once. What SQL hears of only now (`fast`) is counted by nobody if its epoch is over."""
    request, books = state.requests[i], state.books
    unwritten = books.holds[i] == "none" and not rules.durable
    if unwritten and request.first != books.epochs[i]:
        epochs = _set(books.epochs, i, books.epochs[i] + 1)
        books = books._replace(epochs=epochs, platform=books.platform + 1)
        state = state._replace(books=books, news=(*state.news, (i, epochs[i]), (2, books.platform)))
    if books.holds[i] == "pending" or unwritten:
        state = _resolved(state, i, request.cost)
    yield f"{i} post", _with(state, i, request._replace(step="posted", cost=state.books.ledger[i]))


def _settle_first(state: State, i: int, rules: Rules) -> Steps:
    yield f"{i} settle", _with(_released(state, i), i, state.requests[i]._replace(step="half settled"))


def _settle_second(state: State, i: int, rules: Rules) -> Steps:
    """Also of a call that held nothing there: a counter that was read meanwhile knows it."""
    request = state.requests[i]
    yield f"{i} settle on platform", _with(_settled(state, i, request.cost), i, request._replace(step="done"))


def _undo_first(state: State, i: int, rules: Rules) -> Steps:
    yield f"{i} undo", _with(_released(state, i), i, state.requests[i]._replace(step="undo second"))


def _undo_second(state: State, i: int, rules: Rules) -> Steps:
    request = state.requests[i]
    following = Request() if request.after == "new" else request._replace(step="refused")
    yield f"{i} undo on platform", _with(_settled(state, i, 0), i, following)


STEPS: dict[str, Callable[[State, int, Rules], Steps]] = {
    "new": _read_grant,
    "admitted": _first_half,
    "half": _second_half,
    "loading": _put,
    "held": _intent,
    "undo first": _undo_first,
    "undo second": _undo_second,
    "intended": _send,
    "sent": _post,
    "posted": _settle_first,
    "half settled": _settle_second,
}


def _sweeper(state: State, i: int, rules: Rules) -> Steps:
    """Leases may have run out at any moment, whether the worker is dead or only slow; one half is judged like both."""
    books, store = state.books, state.store
    if books.holds[i] == "pending":
        yield f"sweeper charges {i}", _resolved(state, i, HOLD)
    own, above = store.records[i] or store.older[i], i in store.halves
    if books.holds[i] in ("posted", "void"):
        if own:
            yield f"sweeper settles {i}", _released(state, i)
        if above:
            yield f"sweeper settles {i} on platform", _settled(state, i, books.ledger[i])
    elif books.holds[i] == "none" and (own or above):
        yield from _judge_half(state, i, rules)


def _judge_half(state: State, i: int, rules: Rules) -> Steps:
    """Under a ceiling nothing but the row stands for an intent; without one, in `fast`, the record does."""
    books, may_be_sent = state.books, not (state.requests[i].ceiling and rules.row_under_a_ceiling)
    if not rules.durable and may_be_sent and (state.store.records[i] or state.store.older[i]):
        yield f"sweeper takes over {i}", _carried(state, i)
    elif rules.tombstone_before_release:
        yield f"tombstone for {i}", state._replace(books=books._replace(holds=_set(books.holds, i, "void")))
    else:
        yield f"sweeper drops {i}", _settled(_released(state, i), i, 0)


def _publisher(state: State) -> Steps:
    for k, (tag, epoch) in enumerate(state.news):
        rest = state._replace(news=(*state.news[:k], *state.news[k + 1 :]))
        yield f"publish {epoch} of {tag}", _published(rest, tag, epoch)
        if state.left.lost_news:
            yield f"drop news of {epoch}", rest


def _published(state: State, tag: int, epoch: int) -> State:
    store = state.store
    if tag == 2:
        if store.platform >= epoch:
            return state
        return state._replace(store=store._replace(platform=epoch, counter=None, halves=frozenset()))
    if store.epochs[tag] >= epoch:
        return state
    older = _set(store.older, tag, store.older[tag] or store.records[tag])
    records, epochs = _set(store.records, tag, False), _set(store.epochs, tag, epoch)
    return state._replace(store=store._replace(epochs=epochs, records=records, older=older))


def _renewed(state: State, i: int) -> State:
    epoch = state.books.epochs[i] + 1
    return _published(state._replace(books=state.books._replace(epochs=_set(state.books.epochs, i, epoch))), i, epoch)


def _platform_renewed(state: State) -> State:
    epoch = state.books.platform + 1
    return _published(state._replace(books=state.books._replace(platform=epoch)), 2, epoch)


def _world(state: State, rules: Rules) -> Steps:
    left, books, store = state.left, state.books, state.store
    if left.platform_losses:
        # Without the rule, whoever finds nothing takes it for zero, in whatever epoch.
        epoch = 0 if rules.missing_is_unknown else store.platform
        lost = store._replace(platform=epoch, counter=None, halves=frozenset())
        fewer = left._replace(platform_losses=left.platform_losses - 1)
        yield "lose the platform's counters", state._replace(store=lost, left=fewer)
    if left.organization_losses:
        epochs, gone = _set(store.epochs, 0, 0), _set(store.records, 0, False)
        lost = store._replace(epochs=epochs, records=gone, older=_set(store.older, 0, False))
        fewer = left._replace(organization_losses=left.organization_losses - 1)
        yield "lose an organization's counters", state._replace(store=lost, left=fewer)
    if not books.ceiling:
        books = books._replace(ceiling=True, platform=books.platform + 1)
        news = [(2, books.platform)]
        if rules.ceiling_raises_every_epoch:
            books = books._replace(epochs=(books.epochs[0] + 1, books.epochs[1] + 1))
            news += [(0, books.epochs[0]), (1, books.epochs[1])]
        yield "add window: a ceiling", state._replace(books=books, news=(*state.news, *news))


def _resolved(state: State, i: int, amount: int) -> State:
    books = state.books
    holds = _set(books.holds, i, "posted" if amount else "void")
    return state._replace(books=books._replace(holds=holds, ledger=_set(books.ledger, i, books.ledger[i] + amount)))


def _carried(state: State, i: int) -> State:
    books, store = state.books, state.store
    holds = _set(books.holds, i, "pending") if books.holds[i] == "none" else books.holds
    store = store._replace(older=_set(store.older, i, False))
    return state._replace(books=books._replace(holds=holds), store=store)


def _released(state: State, i: int) -> State:
    store = state.store
    records, older = _set(store.records, i, False), _set(store.older, i, False)
    return state._replace(store=store._replace(records=records, older=older))


def _settled(state: State, i: int, cost: int) -> State:
    """The settle script on the second half: by id, in the epoch that stands; an unknown id changes nothing."""
    store = state.store
    if i not in store.halves or store.counter is None:
        return state._replace(store=store._replace(halves=store.halves - {i}))
    counter = Counter(store.counter.spent + cost, store.counter.held - HOLD)
    return state._replace(store=store._replace(counter=counter, halves=store.halves - {i}))


def _with(state: State, i: int, request: Request) -> State:
    return state._replace(requests=_set(state.requests, i, request))


def _set(values: tuple[T, T], i: int, value: T) -> tuple[T, T]:
    return (value, values[1]) if i == 0 else (values[0], value)
