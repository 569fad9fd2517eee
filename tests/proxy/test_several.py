"""One request to several models, of which some fail."""

from collections.abc import MutableMapping
from dataclasses import replace
from typing import Any

import orjson
import pytest

from proxy.runtime import errors, several
from proxy.runtime.call import Call
from proxy.runtime.counters import StoreUnavailable
from proxy.runtime.journal import BooksUnavailable
from proxy.runtime.request import Request
from tests.protocol.worker import call_of

CALL = replace(call_of(None), model="good,bad")


async def answers(bad: Exception, names: tuple[str, ...] = ("good", "bad")) -> Any:
    sent: list[MutableMapping[str, Any]] = []

    async def send(message: MutableMapping[str, Any]) -> None:
        sent.append(message)

    async def attempt(request: Request, call: Call) -> None:
        if call.model == "bad":
            raise bad
        await request.send({"type": "http.response.body", "body": b'{"model": "good"}'})

    request = Request.from_scope({"path": "/", "raw_path": b"/", "method": "POST", "headers": []}, None, send)  # type: ignore[arg-type]
    await several.serve(request, CALL, names, attempt)
    return orjson.loads(b"".join(message.get("body", b"") for message in sent))


@pytest.mark.parametrize("away", [StoreUnavailable("gone"), BooksUnavailable("gone")], ids=["store", "database"])
async def test_what_was_paid_for_is_answered_though_something_of_ours_is_lost_meanwhile(away: Exception) -> None:
    good, bad = await answers(away)
    assert good == {"model": "good"}
    assert (bad["error"]["type"], bad["error"]["code"]) == ("service_unavailable", "503")


async def test_if_none_is_answered_the_first_failure_is_the_answer() -> None:
    with pytest.raises(errors.GatewayError) as refusal:
        await answers(StoreUnavailable("gone"), ("bad", "bad"))
    assert refusal.value.status == 503
