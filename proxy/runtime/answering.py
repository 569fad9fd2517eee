"""Handing the provider's answer on, and posting what it cost."""

from time import monotonic

from proxy.runtime import answer_headers, drawing, errors, faults, posting, relay, usage
from proxy.runtime.call import Call
from proxy.runtime.catalog import Target
from proxy.runtime.fallbacks import Course
from proxy.runtime.held import Held
from proxy.runtime.relay import Outcome
from proxy.runtime.routes import IMAGE
from proxy.runtime.served import Served
from proxy.runtime.streams import Stream
from proxy.runtime.upstream import Answer, NoAnswer


async def relay_and_post(served: Served, course: Course, held: Held, target: Target, answer: Answer) -> None:
    """Hand the answer on and post what it cost, also when the client or the provider breaks off."""
    faults.reach("after_send")
    gateway, timing = served.gateway, served.timing
    outcome, call = Outcome(), course.call
    headers = answer_headers.of_answer(held, target, answer, gateway.clock()) + course.headers()
    try:
        if call.stream and "text/event-stream" in answer.headers.get("content-type", ""):
            headers += answer_headers.of_time(timing)
            await _relay_stream(served, call, held, target, answer, outcome, headers)
            return
        reading = monotonic()
        body = await answer.read(gateway.config.max_answer_bytes)
        timing.away += monotonic() - reading
        _take_in(outcome, body, call, held, target)
    except NoAnswer as error:
        outcome.broken = True
        raise errors.upstream_failed(str(error), 504 if error.timed_out else 502) from error
    finally:
        charge = posting.of(held, target, outcome, gateway.clock())
        gateway.settlement.post(held, charge)
        await answer.close()
    headers += answer_headers.of_cost(held, target, charge) + answer_headers.of_time(timing)
    await relay.send_whole(served.request.send, answer.status, body, headers)


def _take_in(outcome: Outcome, body: bytes, call: Call, held: Held, target: Target) -> None:
    """What a whole answer says it used, or at least how much of it there is."""
    outcome.received_bytes = len(body)
    said = usage.loads(body)
    outcome.unreadable = not isinstance(said, dict)
    relay.note_answer(outcome, said)
    if call.route is IMAGE:
        relay.note_pictures(outcome, said, held.bound.service, by_piece=drawing.is_by_piece(target))
    if outcome.usage is None:
        relay.count_text(outcome, body)


async def _relay_stream(
    served: Served, call: Call, held: Held, target: Target, answer: Answer, outcome: Outcome, headers: relay.Headers
) -> None:
    """Hand a stream on, under the eyes of whoever may end it early."""
    gateway, request, intent = served.gateway, served.request, held.intent
    # Everything whose change may end the stream: also the person who owns a team's key, who is no link of the chain.
    scopes = frozenset(name for name, _ in held.plan.versions)
    stream = Stream(intent.token, call.customer, intent.tags, scopes, answer, target.on_disconnect)
    gateway.streams.opened(stream, request.receive)
    try:
        await relay.send_stream(
            request.send, stream, outcome, headers, wants_usage=call.wants_usage, clock=gateway.clock
        )
    finally:
        gateway.streams.closed(stream)
