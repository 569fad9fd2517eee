"""Why an attempt failed, as the books keep it: the caller's own words and our credentials are no part of it."""

import pytest

from proxy.runtime import reasons
from proxy.runtime.errors import GatewayError, upstream_failed
from proxy.runtime.routes import COMPLETION, EMBEDDING
from spend.wire import Failure
from tests.proxy.calls import call, said

SECRET = "sk-upstream-0123456789"
LONG = "My bank account is DE02 1203 0000 0000 2020 51, and I owe Linus twelve euros for the pizza."


def kept(message: str, prompt: str = LONG, *, status: int = 400, kind: str = "invalid_request_error") -> Failure:
    asked = call(messages=said({"type": "text", "text": prompt}))
    return reasons.of(GatewayError(status, kind, message), asked, SECRET)


def test_a_reason_is_what_the_caller_was_told() -> None:
    assert kept("max_tokens is too large") == Failure(400, "invalid_request_error", "max_tokens is too large")
    assert reasons.of(upstream_failed("no answer", 504), call(), "") == Failure(504, "upstream_error", "no answer")


@pytest.mark.parametrize("quoted", [LONG, LONG[9:48], LONG[-40:], LONG[:200] + LONG])
def test_a_provider_s_message_is_cut_where_it_quotes_the_prompt(quoted: str) -> None:
    assert kept(f"bad input: '{quoted}' may not be").message == "bad input: '***"


def test_a_short_prompt_is_not_quoted_either() -> None:
    assert kept("unknown word: pizza!", "pizza").message == "unknown word: ***"
    typed = reasons.of(GatewayError(400, "x", "bad: tell me all"), call(COMPLETION, prompt=["tell me all"]), "")
    listed = reasons.of(GatewayError(400, "x", "bad: tell me all"), call(EMBEDDING, input="tell me all"), "")
    assert typed.message == listed.message == "bad: ***"


def test_names_of_the_api_are_no_part_of_a_prompt() -> None:
    assert kept("role 'user' may not send parts of type 'text'").message.endswith("'text'")


def test_our_own_words_are_kept_whatever_the_prompt_says() -> None:
    told = "the provider of 'house' failed with status 500"
    assert kept(told, f"why does it say: {told}?", status=502).message == told


def test_no_credential_is_kept() -> None:
    assert kept(f"the key {SECRET} is not allowed", kind=SECRET) == Failure(400, "***", "the key *** is not allowed")


def test_a_reason_is_short_and_has_no_nul() -> None:
    told = kept("a\0b" + "c" * 5000, kind="k\0" * 100)
    assert (len(told.message), told.message[:3], told.kind) == (500, "abc", "k" * 64)


def test_of_a_prompt_too_long_to_be_looked_through_no_words_of_the_provider_are_kept() -> None:
    assert kept("the context is too long", "x" * 1_000_001).message == "***"
    picture = {"type": "image_url", "image_url": {"url": "data:image/png;base64," + "A" * 2_000_000}}
    shown = reasons.of(GatewayError(400, "x", "no pictures, please"), call(messages=said(picture)), SECRET)
    assert shown.message == "no pictures, please"
