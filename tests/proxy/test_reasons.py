"""Why an attempt failed, as the books keep it: no word of a provider's, which may be the caller's or a credential."""

import pytest

from proxy.runtime import reasons, strict_json
from proxy.runtime.errors import GatewayError, upstream_failed
from spend.wire import Failure

PROMPT = "My bank account is DE02 1203 0000 0000 2020 51"


def test_what_failed_on_our_way_is_told_in_our_words() -> None:
    assert reasons.of(upstream_failed("no answer", 504), "house") == Failure(504, "upstream_error", "no answer")


@pytest.mark.parametrize("kind", [PROMPT, PROMPT.lower().replace(" ", "_"), "sk-upstream-0123456789", ""])
def test_what_a_provider_says_is_not_kept(kind: str) -> None:
    kept = reasons.of(GatewayError(400, kind, f"bad input: {PROMPT}"), "house")
    assert kept == Failure(400, "upstream_error", "the provider of 'house' refused the call with status 400")


def test_the_usual_kinds_of_refusals_are() -> None:
    assert reasons.of(GatewayError(429, "insufficient_quota", "x"), "house").kind == "insufficient_quota"


def test_a_body_that_cannot_be_read_is_not_quoted_either() -> None:
    with pytest.raises(strict_json.NotStrictJSON) as refusal:
        strict_json.loads(f'{{"a": 1, "{PROMPT}": 1, "{PROMPT}": 2}}'.encode())
    assert "DE02" not in str(refusal.value)
    assert "a key appears twice" in str(refusal.value) and "column" in str(refusal.value)
