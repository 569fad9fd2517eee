"""Every step of the hold protocol model: what workers, publishers, the sweeper and the world may do next."""

from collections.abc import Callable, Sequence
from typing import TypeVar

from tests.protocol.model import HOLD, UNLOADED, Counter, Load, Request, Rules, State, Steps, Store

T = TypeVar("T")


def next_steps(state: State, rules: Rules) -> Steps:
    for i in (0, 1):
        yield from worker(state, i, rules)
        yield from sweeper(state, i, rules)
    yield from publisher(state, rules)
    yield from world(state, rules)


def worker(state: State, i: int, rules: Rules) -> Steps:
    """The next step of one request, or its worker's crash."""
    request = state.requests[i]
    if request.step not in STEPS:
        return
    yield from STEPS[request.step](state, i, rules)
    if request.step not in ("new", "admitted"):
        yield f"crash of {i}", _with(state, i, request._replace(step="dead", load=None))


def _read_grant(state: State, i: int, rules: Rules) -> Steps:
    """The chain as it is in SQL now, with the epoch of the same snapshot."""
    books = state.books
    windows = tuple(range(books.windows))
    read = state.requests[i]._replace(step="admitted", windows=windows, grant_epoch=books.epoch, run=books.run)
    yield f"{i} read grant", _with(state, i, read)


def _ask(state: State, i: int, rules: Rules) -> Steps:
    """One turn of `Holds.hold`. Its worker may or may not have heard that SQL judges."""
    if state.books.judges:
        yield from _judge_in_sql(state, i)
    yield from _ask_store(state, i, rules)


def _ask_store(state: State, i: int, rules: Rules) -> Steps:
    """What the hold script answers, and what the worker does about it."""
    request, books, store = state.requests[i], state.books, state.store
    if not rules.missing_is_unknown:
        yield from _hold(state, i, rules)
    elif rules.store_identity_checked and store.run != books.run:
        yield f"{i} notice another store", state._replace(books=books._replace(run=store.run, epoch=books.epoch + 1))
    else:
        yield from _renew(state, i, rules)
        if not store.epoch:
            return
        if store.older and rules.carries_records:
            for j in store.older:
                yield from _carry(state, j)
        elif _stale(request, store, rules):
            yield f"{i} grant is stale", _with(state, i, request._replace(step="new", windows=(), grant_epoch=0))
        elif rules.durable or request.grant_epoch <= store.epoch:
            # A grant newer than the epoch shows that the epoch is over. `strict` learns it from the intent as well.
            yield from _hold(state, i, rules)


def _judge_in_sql(state: State, i: int) -> Steps:
    """Check and intent in one transaction: what is posted and pending is all there is. No such call is in the store."""
    request, books = state.requests[i], state.books
    if request.grant_epoch < books.epoch:
        yield f"{i} grant is stale", _with(state, i, request._replace(step="new", windows=(), grant_epoch=0))
        return
    used = sum(books.ledger) + HOLD * books.holds.count("pending")
    if books.holds[i] != "none" or any(used + HOLD > state.left.limits[window] for window in request.windows):
        yield f"{i} denied by SQL", _with(state, i, request._replace(step="denied"))
        return
    books = books._replace(holds=_set(books.holds, i, "pending"), on=_set(books.on, i, request.windows))
    admitted = request._replace(step="intended", epoch=books.epoch)
    yield f"{i} admitted by SQL", _with(state._replace(books=books), i, admitted)


def _stale(request: Request, store: Store, rules: Rules) -> bool:
    """Whether the worker has to read grant and epoch anew before it may hold."""
    if not rules.durable and rules.reconnecting_forgets_epochs and request.run != store.run:
        return True
    if rules.grant_as_new_as_epoch:
        return request.grant_epoch < store.epoch
    return store.version > len(request.windows)


def _hold(state: State, i: int, rules: Rules) -> Steps:
    """The hold script: judges every window before it writes to any. `fast` needs no further intent."""
    request, store = state.requests[i], state.store
    missing = [window for window in request.windows if store.counters[window] is UNLOADED]
    if missing and rules.missing_is_unknown:
        yield from _miss(state, i, missing[0], rules)
        return
    known = [store.counters[window] or Counter(0, 0) for window in request.windows]
    limits = state.left.limits
    if any(c.spent + c.held + HOLD > limits[w] for c, w in zip(known, request.windows, strict=True)):
        yield f"{i} denied", _with(state, i, request._replace(step="denied"))
        return
    counters = store.counters
    for counter, window in zip(known, request.windows, strict=True):
        counters = _set(counters, window, counter._replace(held=counter.held + HOLD))
    store = store._replace(counters=counters, records=_set(store.records, i, request.windows))
    if not rules.grant_as_new_as_epoch:
        store = store._replace(version=len(request.windows))
    step = "held" if rules.durable and rules.intent_before_send else "intended"
    yield f"{i} hold", _with(state._replace(store=store), i, request._replace(step=step, epoch=max(store.epoch, 1)))


def _renew(state: State, i: int, rules: Rules) -> Steps:
    """Whoever finds the epoch unpublished raises it; only the one who raised it will publish it."""
    books, store, left = state.books, state.store, state.left
    if store.epoch == books.epoch or books.judges:
        return
    if not rules.raiser_publishes and state.raised:
        yield f"{i} publish", state._replace(store=_published(store, books.epoch, rules))
    elif left.raises:
        yield f"{i} raise epoch", _raised(state, rules)


def _raised(state: State, rules: Rules) -> State:
    """A worker raises the epoch and is going to publish it."""
    epoch, left = state.books.epoch + 1, state.left
    promise = epoch if rules.publishes_what_it_raised else 0
    return state._replace(
        books=state.books._replace(epoch=epoch),
        raised=(*state.raised, promise),
        left=left._replace(raises=left.raises - 1),
    )


def _miss(state: State, i: int, window: int, rules: Rules) -> Steps:
    """Read a counter from the ledger, in one snapshot of SQL: a hold is either still pending or in the sum.

    Holds that know the counter say that it was there and is lost, and what they will write is not in SQL yet.
    """
    books, store = state.books, state.store
    if rules.lost_counter_raises and any(window in (record or ()) for record in store.records):
        if books.epoch == store.epoch and state.left.raises and not books.judges:
            yield f"{i} raise for a lost counter", _raised(state, rules)
    else:
        pending = tuple(j for j in (0, 1) if books.holds[j] == "pending" and _counts(state, j, window, rules))
        load = Load(window, store.epoch, sum(books.ledger), pending)
        yield f"{i} read ledger", _with(state, i, state.requests[i]._replace(step="loading", load=load))


def _counts(state: State, j: int, window: int, rules: Rules) -> bool:
    by_window = rules.pending_matched_by_scope or window in state.books.on[j]
    return rules.load_counts_pending and by_window


def _put(state: State, i: int, rules: Rules) -> Steps:
    """The load script: leaves a counter that is there, and an epoch that is not its own, alone."""
    request, store = state.requests[i], state.store
    load = request.load
    assert load is not None
    state = _with(state, i, request._replace(step="admitted", load=None))
    if store.epoch != load.epoch or store.counters[load.window] is not UNLOADED:
        yield f"{i} come late with counter", state
        return
    records = store.records
    for j in load.pending:
        records = _set(records, j, (*(records[j] or ()), load.window))
    counter = Counter(load.spent, HOLD * len(load.pending))
    counters = _set(store.counters, load.window, counter)
    yield f"{i} put counter", state._replace(store=store._replace(counters=counters, records=records))


def _intent(state: State, i: int, rules: Rules) -> Steps:
    """A pending row, refused if its epoch is over or the sweeper has buried it."""
    request, books = state.requests[i], state.books
    over = rules.intent_fenced_by_epoch and request.epoch != books.epoch
    over = over or (rules.intent_fenced_by_judge and books.judges)
    if over or books.holds[i] != "none":
        yield f"{i} intent refused", _with(state, i, request._replace(step="undoing"))
    else:
        books = books._replace(holds=_set(books.holds, i, "pending"), on=_set(books.on, i, request.windows))
        yield f"{i} intent", _with(state._replace(books=books), i, request._replace(step="intended"))


def _send(state: State, i: int, rules: Rules) -> Steps:
    for cost in state.left.costs:
        sent = state.requests[i]._replace(step="sent", billed=cost, cost=cost)
        yield f"{i} send, billed {cost}", _with(state, i, sent)


def _post(state: State, i: int, rules: Rules) -> Steps:
    """Resolve the hold once; who comes second is told what stands. Without intents the row is new."""
    request, books = state.requests[i], state.books
    unknown = books.holds[i] == "none" and not (rules.durable and rules.intent_before_send)
    if unknown and not rules.durable and rules.late_posting_raises and request.epoch != books.epoch:
        epoch = books.epoch + 1
        state = state._replace(books=books._replace(epoch=epoch), raised=(*state.raised, epoch))
    if unknown or books.holds[i] == "pending" or not rules.resolved_once:
        state = _resolve(state, i, request.cost)
    yield f"{i} post", _with(state, i, request._replace(step="posted", cost=state.books.ledger[i]))


def _resolve(state: State, i: int, amount: int) -> State:
    books = state.books
    holds = _set(books.holds, i, "posted" if amount else "void")
    charges = _set(books.charges, i, books.charges[i] + (1 if amount else 0))
    ledger = _set(books.ledger, i, books.ledger[i] + amount)
    return state._replace(books=books._replace(holds=holds, charges=charges, ledger=ledger))


def _settle_posted(state: State, i: int, rules: Rules) -> Steps:
    request = state.requests[i]
    yield f"{i} settle", _with(_settle(state, i, request.cost), i, request._replace(step="done"))


def _undo(state: State, i: int, rules: Rules) -> Steps:
    yield f"{i} undo", _with(_settle(state, i, 0), i, state.requests[i]._replace(step="refused"))


def _settle(state: State, i: int, cost: int) -> State:
    """The settle script: by hold id, on the windows of the epoch that stands; unknown holds change nothing."""
    store = state.store
    counters = store.counters
    for window in store.records[i] or ():
        counter = counters[window]
        if counter is not None:
            counters = _set(counters, window, Counter(counter.spent + cost, counter.held - HOLD))
    older = tuple(j for j in store.older if j != i)
    return state._replace(store=store._replace(counters=counters, records=_set(store.records, i, None), older=older))


def _carry(state: State, i: int) -> Steps:
    """`fast`: what is in flight from an epoch that ended becomes a pending row, then leaves the store."""
    books, store = state.books, state.store
    if books.holds[i] == "none":
        carried = books._replace(holds=_set(books.holds, i, "pending"), on=_set(books.on, i, (0,)))
        yield f"carry {i} to SQL", state._replace(books=carried)
    else:
        rest = tuple(j for j in store.older if j != i)
        yield f"drop old record of {i}", state._replace(store=store._replace(older=rest))


STEPS: dict[str, Callable[[State, int, Rules], Steps]] = {
    "new": _read_grant,
    "admitted": _ask,
    "loading": _put,
    "held": _intent,
    "undoing": _undo,
    "intended": _send,
    "sent": _post,
    "posted": _settle_posted,
}


def sweeper(state: State, i: int, rules: Rules) -> Steps:
    """Leases may have run out at any moment, whether the worker is dead or only slow."""
    books, store = state.books, state.store
    if books.holds[i] == "pending":
        yield f"sweeper charges {i}", _resolve(state, i, HOLD)
    if i in store.older:
        yield from _carry(state, i)
    if store.records[i] is None:
        return
    if books.holds[i] in ("posted", "void"):
        yield f"sweeper settles {i}", _settle(state, i, books.ledger[i])
    elif books.holds[i] == "none" and not rules.durable:
        yield f"sweeper charges the record of {i}", _resolve(state, i, HOLD)
    elif books.holds[i] == "none" and rules.tombstone_before_release:
        yield f"tombstone for {i}", state._replace(books=books._replace(holds=_set(books.holds, i, "void")))
    elif books.holds[i] == "none":
        yield f"sweeper drops {i}", _settle(state, i, 0)


def publisher(state: State, rules: Rules) -> Steps:
    """Whoever raised an epoch publishes it, once, at some time later; or never."""
    for k, epoch in enumerate(state.raised):
        others = (*state.raised[:k], *state.raised[k + 1 :])
        if epoch == 0:
            yield "raiser looks up", state._replace(raised=(*others, state.books.epoch))
            continue
        store = _published(state.store, epoch, rules)
        yield f"publish {epoch}", state._replace(store=store, raised=others)
        if state.left.lost_news:
            yield f"drop news of {epoch}", state._replace(raised=others)


def _published(store: Store, epoch: int, rules: Rules) -> Store:
    """A published epoch is never lowered. What an older one held is out of reach, but for whole records."""
    if store.epoch >= epoch:
        return store
    left = [] if rules.durable else [i for i in (0, 1) if store.records[i] is not None and i not in store.older]
    return Store(run=store.run, epoch=epoch, version=store.version, older=(*store.older, *left))


def world(state: State, rules: Rules) -> Steps:
    """What nobody asked for."""
    left, books, store = state.left, state.books, state.store
    if left.losses:
        yield (
            "lose store",
            _exposed(state)._replace(store=Store(store.run, 0), left=left._replace(losses=left.losses - 1)),
        )
    if left.swaps and state.copy is None:
        yield "copy store", state._replace(copy=store)
    if left.swaps and state.copy is not None:
        swapped = state.copy._replace(run=store.run + 1)
        left = left._replace(swaps=left.swaps - 1)
        yield "swap store", _exposed(state)._replace(store=swapped, copy=None, left=left)
    if left.vanishings and not any(request.load for request in state.requests):
        for window, counter in enumerate(store.counters):
            if counter is not None:
                bare = store._replace(counters=_set(store.counters, window, UNLOADED))
                yield f"vanish {window}", state._replace(store=bare, left=left._replace(vanishings=left.vanishings - 1))
    if left.new_window and books.windows == 1:
        books = books._replace(windows=2, epoch=books.epoch + 1)
        yield "add window", state._replace(books=books, raised=(*state.raised, books.epoch))
    yield from _change_judge(state, rules)
    yield from _correct(state)


def _change_judge(state: State, rules: Rules) -> Steps:
    """Whoever does not reach the store has SQL judge; whoever does hands it back. Neither asks the other one."""
    books, left = state.books, state.left
    changed = books._replace(judges=not books.judges, epoch=books.epoch + rules.judge_changes_with_epoch)
    if books.judges:
        raised = (*state.raised, changed.epoch) if rules.judge_changes_with_epoch else state.raised
        yield "hand back to the store", state._replace(books=changed, raised=raised)
    elif left.takeovers:
        yield "take over by SQL", state._replace(books=changed, left=left._replace(takeovers=left.takeovers - 1))


def _exposed(state: State) -> State:
    """Note which requests the loss of the store catches with nothing in SQL."""
    holds = state.books.holds
    first, second = (
        request._replace(exposed=request.exposed or (request.epoch > 0 and holds[i] == "none"))
        for i, request in enumerate(state.requests)
    )
    return state._replace(requests=(first, second))


def _correct(state: State) -> Steps:
    """What was charged as the worst case is brought to what was billed; counters are read anew."""
    books, left = state.books, state.left
    for i, request in enumerate(state.requests):
        certain = request.step in ("dead", "posted", "done")
        if left.corrections and certain and books.charges[i] and books.ledger[i] != request.billed:
            mended = books._replace(ledger=_set(books.ledger, i, request.billed), epoch=books.epoch + 1)
            rest = left._replace(corrections=left.corrections - 1)
            yield f"correct {i}", state._replace(books=mended, raised=(*state.raised, mended.epoch), left=rest)


def _with(state: State, i: int, request: Request) -> State:
    return state._replace(requests=_set(state.requests, i, request))


def _set(values: Sequence[T], i: int, value: T) -> tuple[T, T]:
    return (value, values[1]) if i == 0 else (values[0], value)
