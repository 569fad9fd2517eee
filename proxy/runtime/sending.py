"""Calling the provider, and what is told of one that refuses."""

from typing import TYPE_CHECKING, Any

import orjson

from proxy.runtime import caps, defaults, errors, relay, usage
from proxy.runtime.call import Call
from proxy.runtime.catalog import Target
from proxy.runtime.fallbacks import kind_of
from proxy.runtime.held import Held
from proxy.runtime.posting import SendFailed
from proxy.runtime.relay import Outcome
from proxy.runtime.upstream import Answer, NoAnswer, NotSent

if TYPE_CHECKING:
    from proxy.runtime.app import Gateway

_ABOUT_RETRIES = ("retry-after", "retry-after-ms", "x-should-retry")


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
        told = f"the provider of '{call.model}' refused our credential or address"
        return errors.upstream_failed(told, headers=dict(errors.NO_RETRY))
    headers = {name: answer.headers[name] for name in _ABOUT_RETRIES if name in answer.headers}
    if answer.status >= 500:
        return errors.upstream_failed(
            f"the provider of '{call.model}' failed with status {answer.status}", headers=headers
        )
    message = error.get("message") if isinstance(error, dict) else None
    if isinstance(message, str) and target.secret:
        message = message.replace(target.secret, "***")
    kind = error.get("type") if isinstance(error, dict) else None
    param = error.get("param") if isinstance(error, dict) else None
    return errors.GatewayError(
        answer.status,
        kind if isinstance(kind, str) else "invalid_request_error",
        message if isinstance(message, str) else f"the provider answered with status {answer.status}",
        param if isinstance(param, str) else None,
        headers,
    )
