"""The life of a call, top to bottom. Everything that can cost money passes through `serve`."""

from dataclasses import replace
from time import monotonic
from typing import TYPE_CHECKING, Any

import orjson

from keys.grants import Grant, ScopePolicy
from proxy.runtime import (
    answer_headers,
    caps,
    defaults,
    drawing,
    errors,
    faults,
    permit,
    posting,
    reasons,
    relay,
    several,
    usage,
)
from proxy.runtime.answer_headers import Timing
from proxy.runtime.call import Call, read_call
from proxy.runtime.catalog import Target
from proxy.runtime.fallbacks import Course, kind_of
from proxy.runtime.held import Admission, Held, IntentUnknown, StaleGrant
from proxy.runtime.identify import identify
from proxy.runtime.journal import BooksUnavailable
from proxy.runtime.posting import SendFailed
from proxy.runtime.relay import Outcome
from proxy.runtime.request import Request, read_body
from proxy.runtime.routes import IMAGE, Route
from proxy.runtime.streams import Stream
from proxy.runtime.upstream import Answer, NoAnswer, NotSent

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
    models = await _models(gateway, call, grant.owners.team_id)
    if not models:
        await _attempts(gateway, request, request_id, token, call, timing)
        return

    async def attempt(part: Request, one: Call) -> None:
        await _attempts(gateway, part, request_id, token, one, Timing())

    await several.serve(request, call, models, attempt)


async def _models(gateway: "Gateway", call: Call, team: int | None) -> tuple[str, ...]:
    """The models of a call to several. No name is taken apart by a catalog that it was added to meanwhile."""
    catalog = await gateway.grants.catalog()
    names = several.named(call, catalog, team)
    if all(catalog.shelf_of(name, team) for name in names) or not await gateway.grants.has_news():
        return names
    return several.named(call, await gateway.grants.catalog(), team)


async def _attempts(
    gateway: "Gateway", request: Request, request_id: str, token: str, call: Call, timing: Timing
) -> None:
    course = Course(call, gateway.config.rules.max_fallbacks)
    while True:
        held, target = await _next_hold(gateway, request, request_id, token, course)
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
        await relay_and_post(gateway, request, course, held, target, answer, timing)
        return


async def _next_hold(
    gateway: "Gateway", request: Request, request_id: str, token: str, course: Course
) -> tuple[Held, Target]:
    """A hold for the next attempt; a fallback that the key may not call, or cannot afford, is passed over."""
    while True:
        try:
            return await admit_and_hold(gateway, request, request_id, token, course)
        except errors.GatewayError as refusal:
            if course.go_round(refusal):
                continue
            if refusal.type == errors.BUDGET_EXCEEDED:
                grant = await gateway.grants.get(token)
                instead = permit.cheaper(grant, course.call.model, await gateway.grants.catalog())
                if instead and course.take_cheaper(refusal, instead):
                    continue
            if not course.pass_over(refusal):
                told = course.told(refusal)
                _note(gateway, told, token, request_id, course)
                raise told from refusal


def _note(gateway: "Gateway", told: errors.GatewayError, token: str, request_id: str, course: Course) -> None:
    """A call of which nothing was sent is in the books of no attempt."""
    grant = gateway.grants.at_hand(token)
    if grant is not None and course.attempt == 1:
        gateway.turned_away.note(told, grant, request_id, course.asked.route.call_type, course.asked)


async def admit_and_hold(
    gateway: "Gateway", request: Request, request_id: str, token: str, course: Course
) -> tuple[Held, Target]:
    """Every attempt is admitted and held anew; a grant that changed meanwhile is read again."""
    if gateway.settlement.overloaded or not (gateway.journal.available or gateway.spooling.is_open):
        raise errors.unavailable("the ledger")
    for _ in range(FRESH_GRANTS):
        try:
            admission = await admit(gateway, request, request_id, token, course)
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


async def admit(gateway: "Gateway", request: Request, request_id: str, token: str, course: Course) -> Admission:
    """Who calls, whether they may, and which deployment gets this attempt. Raises 400, 401 or 403."""
    call, attempt = course.call, course.attempt
    grant = await gateway.grants.get(token)
    organization = grant.owners.organization_id
    tags = tuple(dict.fromkeys((*grant.tags, *call.tags)))
    customer, policies = await _policies(gateway, grant, call, tags, request.path)
    permit.check_params(grant, call.body)
    try:
        model, targets = await permitted(gateway, grant, policies, call, request.path)
        if customer and customer.region:
            model, targets = await _in_region(gateway, grant, policies, call, request.path, customer, (model, targets))
        if call.fallbacks:
            others = [following.model for following in call.fallbacks]
            permit.check_fallbacks(grant, policies, others, await gateway.grants.catalog())
        if gateway.config.rules.tag_filtering:
            targets = permit.for_tags(targets, tags, model)
    except errors.GatewayError:
        await gateway.holds.refuse_stale(organization, policies)
        raise
    targets = permit.outside(targets, course.spent)
    target = targets[(gateway.turn() + attempt) % len(targets)]
    return Admission(
        request_id=request_id,
        grant=grant,
        policies=policies,
        customer_id=int(customer.scope.partition(":")[2]) if customer else None,
        tags=tags,
        call=defaults.applied(call if call.model == model else replace(call, model=model), target),
        target=target if call.timeout is call.retries is None else _as_wished(target, call),
        attempt=attempt,
    )


async def _policies(
    gateway: "Gateway", grant: Grant, call: Call, tags: tuple[str, ...], path: str
) -> tuple[ScopePolicy | None, tuple[ScopePolicy, ...]]:
    """The end user of a call, and its whole chain. Raises 400, 401 or 403."""
    if not (call.customer or tags):
        return None, grant.chain
    organization = grant.owners.organization_id
    if not gateway.grants.knows(organization, call.customer, tags):
        # Whoever is named for the first time gets a row, for good: not by a call that the key may not make at all, and
        # not as an older state of the key has it.
        await gateway.grants.refuse_outdated(grant.chain)
        await permitted(gateway, grant, grant.chain, call, path)
    customer = None
    if call.customer:
        customer = await gateway.grants.customer(organization, call.customer, grant.end_user_budget)
    named = (customer,) if customer else ()
    return customer, (*grant.chain, *named, *await gateway.grants.tags(organization, tags))


async def _in_region(
    gateway: "Gateway", grant: Grant, policies: tuple[ScopePolicy, ...], call: Call, path: str, customer: ScopePolicy,
    found: tuple[str, tuple[Target, ...]],
) -> tuple[str, tuple[Target, ...]]:  # fmt: skip
    """Deployments where the end user's calls may go; of the end user's default model if the one asked for has none."""
    model, targets = found
    inside = permit.in_region(targets, customer.region)
    if not inside and customer.default_model:
        instead = replace(call, model=customer.default_model)
        model, targets = await permitted(gateway, grant, policies, instead, path)
        inside = permit.in_region(targets, customer.region)
    if not inside:
        raise errors.forbidden(
            f"customer not allowed to access model. {customer.label} may only be served in '{customer.region}', where "
            f"'{model}' has no deployment (litellm_params.region_name)",
            "customer_model_access_denied",
            "model",
        )
    return model, inside


def _as_wished(target: Target, call: Call) -> Target:
    """As patient as the client wishes, and never more than the deployment allows."""
    return replace(
        target,
        timeout_seconds=min(target.timeout_seconds, call.timeout or target.timeout_seconds),
        max_retries=target.max_retries if call.retries is None else call.retries,
    )


async def permitted(
    gateway: "Gateway", grant: Grant, policies: tuple[ScopePolicy, ...], call: Call, path: str
) -> tuple[str, tuple[Target, ...]]:
    """The model's name and the deployments that may take the call. Raises 400, 401 or 403.

    Nobody is refused by a catalog that something was added to meanwhile.
    """
    asked, rules = permit.resolve_alias(grant, call.model), gateway.config.rules
    for last in (False, True):
        catalog = await gateway.grants.catalog()
        try:
            model = permit.in_full(grant, policies, asked, catalog)
            permit.check_call(grant, policies, model, call, path, gateway.clock(), rules, catalog)
            targets = await gateway.grants.targets(model, grant.owners.team_id, grant.platform_epoch)
            return model, permit.callable_targets(targets, model)
        except errors.GatewayError as refusal:
            if last or refusal.param != "model" or not await gateway.grants.has_news():
                raise
    raise AssertionError("the second round returns or raises")


async def cut_if_refused(gateway: "Gateway", stream: Stream) -> None:
    """Judge an open stream by the policies as they are now; one that would not be admitted any more is cut."""
    try:
        grant = await gateway.grants.get(stream.token)
        organization = grant.owners.organization_id
        policies = (*grant.chain, *await gateway.grants.tags(organization, stream.tags))
        customer = await gateway.grants.known_customer(organization, stream.customer) if stream.customer else None
        policies = (*policies, customer) if customer else policies
        permit.check_status(grant, policies, gateway.clock())
    except errors.GatewayError as refusal:
        await gateway.streams.cut(stream, refusal)
    except BooksUnavailable:
        return


async def send(gateway: "Gateway", call: Call, held: Held, target: Target) -> Answer:
    """Call the provider. Raises SendFailed for everything that is not an answer to hand on."""
    headers = {"content-type": "application/json", "accept-encoding": "identity"}
    if target.secret:
        headers["authorization"] = f"Bearer {target.secret}"
    try:
        answer = await gateway.upstream.send(target, call.route.upstream, payload(call, held, target), headers)
    except NotSent as error:
        raise SendFailed(errors.upstream_failed(f"the provider of '{call.model}' cannot be reached")) from error
    except NoAnswer as error:
        told = errors.upstream_failed(f"{error} ('{call.model}')", 504 if error.timed_out else 502)
        raise SendFailed(told, unknown=True) from error
    if answer.status < 300:
        return answer
    raise await refusal_of(answer, call, target, gateway.config.max_answer_bytes)


def payload(call: Call, held: Held, target: Target) -> bytes:
    """The body that goes on: ours alone are the model's real name, the cap's field, and the wish for usage."""
    call = defaults.applied(call, target)
    body = caps.capped({**call.body, "model": target.upstream_model}, call.route, target, held.injected_cap)
    if call.stream:
        body["stream_options"] = {**(call.body.get("stream_options") or {}), "include_usage": True}
    return orjson.dumps(body)


async def refusal_of(answer: Answer, call: Call, target: Target, at_most: int) -> SendFailed:
    """A provider's refusal, with the usage that a few report even then."""
    try:
        said = usage.loads(await answer.read(min(at_most, 2**20)))
    except NoAnswer:
        said = None
    finally:
        await answer.close()
    outcome = Outcome()
    relay.note_answer(outcome, said)
    return SendFailed(_in_our_words(answer, call, target, said), outcome=outcome, opens=kind_of(answer.status, said))


def _in_our_words(answer: Answer, call: Call, target: Target, said: Any) -> errors.GatewayError:
    """The provider's own words are kept where they are about the client's request, without our credential in them."""
    error = said.get("error") if isinstance(said, dict) else None
    if answer.status in (401, 403) or answer.status < 400:
        return errors.upstream_failed(f"the provider of '{call.model}' refused our credential or address")
    if answer.status >= 500:
        return errors.upstream_failed(f"the provider of '{call.model}' failed with status {answer.status}")
    message = error.get("message") if isinstance(error, dict) else None
    if isinstance(message, str) and target.secret:
        message = message.replace(target.secret, "***")
    kind = error.get("type") if isinstance(error, dict) else None
    param = error.get("param") if isinstance(error, dict) else None
    headers = {name: answer.headers[name] for name in ("retry-after", "retry-after-ms") if name in answer.headers}
    return errors.GatewayError(
        answer.status,
        kind if isinstance(kind, str) else "invalid_request_error",
        message if isinstance(message, str) else f"the provider answered with status {answer.status}",
        param if isinstance(param, str) else None,
        headers,
    )


async def relay_and_post(
    gateway: "Gateway", request: Request, course: Course, held: Held, target: Target, answer: Answer, timing: Timing
) -> None:
    """Hand the answer on and post what it cost, also when the client or the provider breaks off."""
    faults.reach("after_send")
    outcome, call = Outcome(), course.call
    headers = answer_headers.of_answer(held, target, answer, gateway.clock()) + course.headers()
    try:
        if call.stream and "text/event-stream" in answer.headers.get("content-type", ""):
            headers += answer_headers.of_time(timing)
            await relay_stream(gateway, request, call, held, target, answer, outcome, headers)
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
    await relay.send_whole(request.send, answer.status, body, headers)


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


async def relay_stream(
    gateway: "Gateway", request: Request, call: Call, held: Held, target: Target, answer: Answer, outcome: Outcome,
    headers: relay.Headers,
) -> None:  # fmt: skip
    """Hand a stream on, under the eyes of whoever may end it early."""
    intent = held.intent
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
