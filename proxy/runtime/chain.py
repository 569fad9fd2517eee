"""The life of a call, top to bottom. Everything that can cost money passes through `serve`."""

from dataclasses import replace
from time import monotonic
from typing import TYPE_CHECKING

from proxy.runtime import answer_headers, errors, permit, posting, reasons, several
from proxy.runtime.admission import admit
from proxy.runtime.answer_headers import Timing
from proxy.runtime.answering import relay_and_post
from proxy.runtime.call import Call, read_call
from proxy.runtime.catalog import Target
from proxy.runtime.fallbacks import Course
from proxy.runtime.held import Held, IntentUnknown, StaleGrant
from proxy.runtime.identify import identify
from proxy.runtime.posting import SendFailed
from proxy.runtime.request import Request, read_body
from proxy.runtime.routes import Route
from proxy.runtime.sending import send
from proxy.runtime.served import Served

if TYPE_CHECKING:
    from proxy.runtime.app import Gateway

#: How often a call may find its grant outdated. Each counter that was lost, in the organization's part of the store and
#: in the platform's, and each change of policy meanwhile costs one.
FRESH_GRANTS = 10


async def serve(gateway: "Gateway", request: Request, request_id: str, route: Route, path_model: str) -> None:
    """identify -> read -> (admit -> hold -> intent -> send), again or by a fallback as configured -> relay -> post."""
    timing, config = Timing(), gateway.config
    token = identify(request.headers, config.master_token, config.rules.key_header, gateway.grants.known)
    grant = await gateway.grants.get(token)
    try:
        call = read_call(route, await read_body(request, config), path_model, request.headers, config.rules)
    except errors.GatewayError as refusal:
        gateway.turned_away.note(refusal, grant, request_id, route.call_type)
        raise
    served = Served(gateway, request, request_id, token, timing)
    models = await _models(gateway, call, grant.owners.team_id)
    if not models:
        await _attempts(served, call)
        return

    async def attempt(part: Request, one: Call) -> None:
        await _attempts(replace(served, request=part, timing=Timing()), one)

    await several.serve(request, call, models, attempt)


async def _models(gateway: "Gateway", call: Call, team: int | None) -> tuple[str, ...]:
    """The models of a call to several. No name is taken apart by a catalog that it was added to meanwhile."""
    catalog = await gateway.grants.catalog()
    names = several.named(call, catalog, team)
    if all(catalog.shelf_of(name, team) for name in names) or not await gateway.grants.has_news():
        return names
    return several.named(call, await gateway.grants.catalog(), team)


async def _attempts(served: Served, call: Call) -> None:
    """Until a provider answers, or nobody is left to ask."""
    gateway, timing = served.gateway, served.timing
    course = Course(call, gateway.config.rules.max_fallbacks)
    while True:
        held, target = await _next_hold(served, course)
        sent = monotonic()
        try:
            answer = await send(gateway, course.call, held, target)
        except SendFailed as failed:
            gateway.settlement.post(held, posting.of_failure(held, target, failed, gateway.clock()))
            timing.away += monotonic() - sent
            failed.error.headers = {**failed.error.headers, **answer_headers.of_failure(held, target)}
            known = (await gateway.grants.catalog()).fallbacks
            if course.go_on(failed.error, failed.opens, target.model, target.max_retries, known):
                continue
            raise course.told(failed.error) from failed
        except BaseException:
            gateway.settlement.abandon(held)
            raise
        timing.away += monotonic() - sent
        await relay_and_post(served, course, held, target, answer)
        return


async def _next_hold(served: Served, course: Course) -> tuple[Held, Target]:
    """A hold for the next attempt; a fallback that the key may not call, or cannot afford, is passed over."""
    grants = served.gateway.grants
    while True:
        try:
            return await admit_and_hold(served, course)
        except errors.GatewayError as refusal:
            if course.go_round(refusal):
                continue
            if refusal.type == errors.BUDGET_EXCEEDED:
                grant = await grants.get(served.token)
                instead = permit.cheaper(grant, course.call.model, await grants.catalog())
                if instead and course.take_cheaper(refusal, instead):
                    continue
            if not course.pass_over(refusal):
                told = course.told(refusal)
                _note(served, told, course)
                raise told from refusal


def _note(served: Served, told: errors.GatewayError, course: Course) -> None:
    """A call of which nothing was sent is in the books of no attempt."""
    grant = served.gateway.grants.at_hand(served.token)
    if grant is not None and course.attempt == 1:
        call_type = course.asked.route.call_type
        served.gateway.turned_away.note(told, grant, served.request_id, call_type, course.asked)


async def admit_and_hold(served: Served, course: Course) -> tuple[Held, Target]:
    """Every attempt is admitted and held anew; a grant that changed meanwhile is read again."""
    gateway = served.gateway
    if gateway.settlement.overloaded or not (gateway.journal.available or gateway.spooling.is_open):
        raise errors.unavailable("the ledger")
    for _ in range(FRESH_GRANTS):
        try:
            admission = await admit(served, course)
            held = await gateway.holds.hold(admission, gateway.settled_shortly)
        except StaleGrant as stale:
            gateway.grants.forget(stale.scopes)
            continue
        except IntentUnknown as unknown:
            told = errors.unavailable("the database")
            failure = reasons.of(told, course.call.model)
            gateway.settlement.post(unknown.held, posting.nothing(unknown.held.intent, gateway.clock(), failure))
            raise told from unknown
        gateway.settlement.opened(held)
        return held, admission.target
    raise errors.unavailable("the key's policy, which is changing very often,")
