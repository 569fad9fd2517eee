"""When a refused call may be sent again: never a moment too early, and not at all where no waiting helps."""

from datetime import datetime, timedelta

import pytest

from keys.grants import ScopePolicy
from proxy.runtime.errors import GatewayError
from proxy.runtime.estimate import estimate
from proxy.runtime.plan import Rate
from proxy.runtime.refusals import rate_limited
from tests.factories import NOON
from tests.proxy.calls import call, target

KEY = ScopePolicy("key:1", "key 'k'", 1, ident="k")


def refused(kind: str, limit: int, *, at: datetime = NOON, least: int = 0) -> GatewayError:
    return rate_limited(kind, Rate(KEY, KEY.scope, limit), limit, at, least)


@pytest.mark.parametrize(("seconds", "wait"), [(0.0, "60"), (41.16, "19"), (59.17, "1"), (59.999, "1")])
def test_who_waits_as_told_comes_in_the_next_minute(seconds: float, wait: str) -> None:
    at = NOON + timedelta(seconds=seconds)
    told = refused("RPM", 1, at=at).headers
    assert told["retry-after"] == wait
    assert at + timedelta(seconds=int(wait)) >= datetime.fromisoformat(told["reset_at"])


def test_a_call_above_the_limit_itself_is_not_to_be_repeated() -> None:
    error = refused("TPM", 20, least=21)
    assert (error.status, error.headers["x-should-retry"]) == (429, "false")
    # Clients of LiteLLM read it of every refused rate; OpenAI's heed the header above before it.
    assert error.headers["retry-after"] == "60"
    assert "may use 21 tokens" in error.message and "lower max_tokens" in error.message
    assert refused("TPM", 20, least=20).headers["retry-after"] == "60"
    assert refused("RPM", 0, least=21).headers["retry-after"] == "60"


def test_a_call_without_a_cap_needs_no_more_than_its_input_and_one_token() -> None:
    capped, open_ended = (estimate(call(**cap), target(), 100) for cap in ({"max_tokens": 50}, {}))
    assert capped.least_tokens == capped.input + 50
    assert open_ended.least_tokens == open_ended.input + 1
