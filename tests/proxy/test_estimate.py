"""A hold is never below what the provider may charge for the call."""

from dataclasses import dataclass, field, replace
from typing import Any

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from proxy.runtime.catalog import Target
from proxy.runtime.errors import GatewayError
from proxy.runtime.estimate import Estimate, estimate
from proxy.runtime.routes import COMPLETION, EMBEDDING, IMAGE
from spend.pricing import Usage, charge_for, worst_case
from tests.proxy.calls import call, priced, said, schedule, target, wave

SPOKEN = priced(audio_input="0.00004", audio_output="0.00008")
SEARCHING = priced(web_search="0.01", code_session="0.03")
PICTURE = {"type": "image_url", "image_url": {"url": "https://example.com/a.png"}}


def judged(at: Any = None, /, **body: Any) -> Estimate:
    return estimate(call(**body), at or target(), 4096)


def refused(at: Any = None, /, **body: Any) -> str | None:
    with pytest.raises(GatewayError) as refusal:
        judged(at, **body)
    assert refusal.value.status == 400
    return refusal.value.param


def test_text_is_bounded_by_its_bytes_and_never_by_more_than_the_window() -> None:
    short = judged(messages=[{"role": "user", "content": "Grüße 🦊"}])
    assert short.input == 8 + 8 + len("user") + len("Grüße 🦊".encode())
    assert judged(messages=[{"role": "user", "content": "a" * 500_000}]).input == 128_000
    assert judged(target(max_input_tokens=None), messages=[{"role": "user", "content": "a" * 500_000}]).input > 500_000


def test_schemas_and_unknown_fields_count_as_input() -> None:
    plain = judged().input
    tool = {"type": "function", "function": {"name": "f", "description": "d" * 300}}
    assert judged(tools=[tool]).input > plain + 300
    for name in ("functions", "response_format", "unheard_of"):
        assert judged(**{name: {"x": "d" * 300}}).input > plain + 300
    assert judged(temperature=1, stop="x" * 300, user="u").input == plain


def test_templates_of_other_providers_may_add_instructions() -> None:
    elsewhere = target(provider="hosted_vllm")
    assert judged(elsewhere).input == judged().input + 128
    tool = {"type": "function", "function": {"name": "f"}}
    assert judged(elsewhere, tools=[tool]).input == judged(tools=[tool]).input + 128 + 512


@pytest.mark.parametrize(
    ("body", "output", "capped"),
    [
        ({"max_tokens": 10}, 10, True),
        ({"max_tokens": 1, "max_completion_tokens": 500}, 500, True),
        ({"max_tokens": 10, "n": 3}, 30, True),
        ({"max_tokens": 10, "n": 2, "best_of": 4}, 40, True),
        ({"max_tokens": 10**8, "n": 128}, 128 * 10**8, True),
        ({}, 16_384, False),
        ({"n": 2}, 32_768, False),
        ({"max_tokens": 0}, 16_384, False),
        ({"max_output_tokens": 5}, 16_384, False),
    ],
)
def test_output_is_the_largest_cap_for_every_choice(body: dict[str, Any], output: int, capped: bool) -> None:
    bound = judged(**body)
    assert (bound.output, bound.capped) == (output, capped)


def test_without_any_cap_the_default_is_the_bound() -> None:
    assert judged(target(max_output_tokens=None)).output == 4096


def test_a_cap_that_the_route_does_not_know_is_none() -> None:
    bound = estimate(call(COMPLETION, prompt="x", max_completion_tokens=5), target(), 4096)
    assert (bound.output, bound.capped) == (16_384, False)


@pytest.mark.parametrize(("prompt", "prompts"), [("abc", 1), (["a", "b", "c"], 3), ([1, 2, 3], 1), ([[1, 2], [3]], 2)])
def test_every_prompt_of_a_batch_has_its_own_output_and_window(prompt: Any, prompts: int) -> None:
    bound = estimate(call(COMPLETION, prompt=prompt, max_tokens=10, n=2), target(max_input_tokens=5), 4096)
    assert bound.output == 10 * 2 * prompts
    assert bound.input <= 5 * prompts
    many = estimate(call(EMBEDDING, input=["a" * 1000] * 7), target(max_input_tokens=900), 4096)
    assert (many.input, many.output) == (6300, 0)


def test_a_rejected_prediction_is_output_beyond_the_cap() -> None:
    bound = judged(max_tokens=10, n=2, prediction={"type": "content", "content": "x" * 100})
    assert bound.output > 20 + 200
    assert bound.beyond_cap == bound.output - 20


@pytest.mark.parametrize(
    ("model", "detail", "tokens"),
    [
        ("gpt-4o", "low", 85), ("gpt-4o", "high", 1445), ("gpt-4o-2024-08-06", "auto", 1445),
        ("gpt-4o-mini", "low", 2833), ("gpt-4o-mini", None, 48_169), ("gpt-5", "high", 1190),
        ("gpt-5-mini", "low", 2489), ("o3", "high", 1275),
        ("ft:gpt-4o:house", "high", 1445), ("gpt-9", "high", 48_169),
    ],
)  # fmt: skip
def test_an_image_is_bounded_by_the_published_rule(model: str, detail: str | None, tokens: int) -> None:
    picture = {"type": "image_url", "image_url": {"url": "https://example.com/a.png", "detail": detail}}
    bound = judged(target(upstream_model=model), messages=said(picture, picture))
    assert (bound.image_input, bound.images) == (2 * tokens, 2)
    assert bound.input == 8 + 8 + len("user") + 2 * tokens


@pytest.mark.parametrize(
    "part",
    [
        {"type": "file", "file": {"file_id": "file-1"}},
        {"type": "file", "file": {"file_data": "data:application/pdf;base64,AAAA"}},
        {"type": "video_url", "video_url": {"url": "https://example.com/a.mp4"}},
        {"type": "something_new"},
        {"text": "no type"},
        7,
    ],
)
def test_what_nothing_bounds_is_as_large_as_the_window(part: Any) -> None:
    assert judged(messages=said(part)).input == 128_000
    assert refused(target(max_input_tokens=None), messages=said(part)) == "messages"


def test_an_image_of_a_provider_without_a_published_rule_is_as_large_as_the_window() -> None:
    bound = judged(target(provider="groq"), messages=said(PICTURE))
    assert (bound.input, bound.image_input) == (128_000, 128_000)
    assert judged(target(provider="xai"), messages=said(PICTURE)).image_input == 1_792


def test_images_hidden_in_other_fields_do_not_pass_for_text() -> None:
    disguised = {"type": "image_url", "text": "hi", "image_url": {"url": "https://example.com/a.png"}}
    assert judged(messages=said(disguised)).image_input == 1445
    multimodal = estimate(call(EMBEDDING, input=[PICTURE]), target(), 4096)
    assert multimodal.image_input == 1445
    messages = estimate(call(EMBEDDING, input="x", messages=said(PICTURE)), target(), 4096)
    assert messages.image_input == 1445


def heard(data: str, kind: str) -> Estimate:
    part = {"type": "input_audio", "input_audio": {"data": data, "format": kind}}
    return judged(target(price=SPOKEN), messages=said(part))


def test_a_recording_is_bounded_by_its_length() -> None:
    minute = heard(wave(60), "wav")
    assert 60 * 10 < minute.audio_input < 60 * 40
    assert heard(wave(60, rate=48_000), "wav").audio_input < 60 * 40
    assert heard("A" * 80_000, "mp3").audio_input == 60_000 * 32 // 1000 + 32
    assert heard(wave(60, kind=2), "wav").audio_input > 128_000
    assert heard("A" * 80_000, "wav").audio_input == 60_000 + 32
    assert heard("A" * 80_000, "opus").audio_input == 128_000


def test_sound_needs_a_price_of_its_own() -> None:
    part = {"type": "input_audio", "input_audio": {"data": wave(1), "format": "wav"}}
    assert refused(messages=said(part)) == "messages"
    assert refused(modalities=["text", "audio"], audio={"voice": "alloy"}) == "modalities"
    assert refused(audio={"voice": "alloy"}) == "audio"
    assert judged(target(price=SPOKEN), modalities=["audio"]).speaks
    assert judged(target(price=None, is_free=True), messages=said(part), modalities=["audio"]).speaks


def test_an_earlier_answer_that_was_spoken_is_as_large_as_the_window() -> None:
    history = [{"role": "assistant", "audio": {"id": "audio_1"}}]
    assert judged(target(price=SPOKEN), messages=history).audio_input == 128_000


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"tools": [{"type": "web_search_preview", "max_uses": 2}]}, "tools"),
        ({"tools": [{"type": "mcp", "server_url": "https://example.com"}]}, "tools"),
        ({"tools": "all"}, "tools"),
        ({"tools": [7]}, "tools"),
        ({"web_search_options": {}}, "web_search_options"),
        ({"search_parameters": {"mode": "auto"}}, "search_parameters"),
        ({"plugins": [{"id": "web"}]}, "plugins"),
        ({"enable_search": True}, "enable_search"),
    ],
)
def test_a_tool_that_the_provider_runs_needs_a_price(body: dict[str, Any], field: str) -> None:
    assert refused(**body) == field


@pytest.mark.parametrize("kind", [[], {}, ["text"], {"text": 1}, 1, True])
def test_a_type_that_is_no_text_is_refused_by_the_field_it_stands_in(kind: Any) -> None:
    assert refused(messages=[{"role": "user", "content": [{"type": kind, "text": "hi"}]}]) == "messages"
    assert refused(tools=[{"type": kind, "max_uses": 1}]) == "tools"


def test_a_free_model_takes_any_tool_and_any_part() -> None:
    free = target(price=None, is_free=True, max_input_tokens=None)
    body = {"tools": [{"type": "web_search_preview"}], "plugins": [{"id": "web"}], "service_tier": "scale"}
    assert judged(free, messages=said(PICTURE, {"type": "file"}), **body).input > 0


def test_a_tool_that_the_provider_runs_needs_a_bound() -> None:
    searching = target(price=SEARCHING)
    assert refused(searching, tools=[{"type": "web_search_20250305"}]) == "tools"
    assert refused(searching, tools=[{"type": "web_search_20250305", "max_uses": 0}]) == "tools"
    assert refused(searching, web_search_options={"search_context_size": "low"}) == "web_search_options"
    bound = judged(searching, tools=[{"type": "web_search_20250305", "max_uses": 3}], max_tokens=10)
    assert (bound.web_searches, bound.input) == (3, 4 * 128_000)
    assert judged(searching, web_search_options={"max_uses": 2}, n=2).web_searches == 4
    assert judged(searching, search_parameters={"max_search_results": 5}).web_searches == 5
    assert judged(searching, tools=[{"type": "code_interpreter"}], max_tool_calls=2).code_sessions == 2
    assert judged(searching, search_parameters={"mode": "off"}).web_searches == 0


def test_a_search_model_searches_once_for_every_answer() -> None:
    searching = target(upstream_model="gpt-4o-search-preview", price=SEARCHING)
    assert judged(searching).web_searches == 1
    assert judged(searching, web_search_options={}, n=2).web_searches == 2
    assert refused(replace(searching, price=priced())) == "model"
    assert judged(replace(searching, price=priced(request="0.025"))).input == 128_000


def test_a_service_tier_is_held_at_the_dearest_that_may_be_served() -> None:
    card = priced({"priority": schedule(input="0.000005", output="0.00002")})
    tiered = target(price=card)
    amounts = {
        name: worst_case(judged(tiered, service_tier=name), card) for name in (None, "auto", "default", "priority")
    }
    assert amounts[None] == amounts["auto"] == amounts["priority"] == 2 * amounts["default"]
    assert refused(tiered, service_tier="scale") == "service_tier"
    assert refused(tiered, service_tier=7) == "service_tier"
    assert refused(service_tier="priority") == "service_tier"
    assert judged(service_tier="flex").service == "flex"
    assert judged(target(price=None, is_free=True), service_tier="priority").service == "priority"


_texts = st.sampled_from(["", "hi", "Grüße an alle", "🦊🦊", "a" * 500, '\n\t"\\', "日本語"])
#: Model, and what its tiles and an image cost by the published rule.
_models = st.sampled_from([("gpt-4o", 170, 85), ("gpt-4o-mini", 5667, 2833), ("o3", 150, 75), ("gpt-5", 140, 70)])
_cards = st.sampled_from([
    priced(audio_input="0.00004", audio_output="0.00008", cached="0.000001", cache_write="0.000003", image="0.001"),
    priced(
        {"priority": schedule(input="0.000009", audio_input="0.0001"), "flex": schedule(input="0.000001")},
        audio_input="0.00002", audio_output="0.00001", image_input="0.00001", reasoning="0.00002",
    ),
])  # fmt: skip
_options = st.fixed_dictionaries({"service_tier": st.sampled_from([None, "auto", "default", "flex"])}, optional={
    "max_tokens": st.integers(1, 500), "max_completion_tokens": st.integers(1, 500), "n": st.integers(1, 4),
    "modalities": st.just(["text", "audio"]), "prediction": st.just({"type": "content", "content": "z" * 50}),
    "tools": st.just([{"type": "function", "function": {"name": "look", "parameters": {"type": "object"}}}]),
})  # fmt: skip
_SERVED = {"default": ["default", ""], "flex": ["flex", "default", ""]}


@dataclass
class Prompt:
    """Messages, and what a provider may make of them: tokens of text, images and sound."""

    messages: list[dict[str, Any]] = field(default_factory=list)
    text: int = 3
    pictures: int = 0
    image_tokens: int = 0
    audio: int = 0


@st.composite
def prompts(draw: st.DrawFn, per_tile: int, per_image: int) -> Prompt:
    made = Prompt()
    for _ in range(draw(st.integers(1, 4))):
        parts: list[Any] = []
        for kind in draw(st.lists(st.sampled_from(["text", "image", "audio"]), max_size=3)):
            if kind == "text":
                parts.append({"type": "text", "text": draw(_texts)})
                made.text += len(parts[-1]["text"].encode())
            elif kind == "image":
                detail = draw(st.sampled_from(["low", "high", "auto"]))
                parts.append({"type": "image_url", "image_url": {"url": "data:image/png;base64,A", "detail": detail}})
                made.image_tokens += per_image + (0 if detail == "low" else per_tile * draw(st.integers(1, 8)))
                made.pictures += 1
            else:
                seconds = draw(st.integers(0, 3))
                parts.append({"type": "input_audio", "input_audio": {"data": wave(seconds, 8000), "format": "wav"}})
                made.audio += 10 * seconds
        content = parts or draw(_texts)
        made.messages.append({"role": draw(st.sampled_from(["user", "system"])), "content": content})
        made.text += 4 + (len(content.encode()) if isinstance(content, str) else 0)
    return made


@st.composite
def bills(draw: st.DrawFn) -> tuple[Target, dict[str, Any], Usage]:
    """A deployment, a well-formed call of it, and a usage that a provider may bill for that call."""
    model, per_tile, per_image = draw(_models)
    prompt, body = draw(prompts(per_tile, per_image)), draw(_options)
    text = prompt.text + 20 * ("tools" in body)
    cap = max(body.get("max_tokens", 0), body.get("max_completion_tokens", 0)) or 16_384
    made, cached = (cap + 50 * ("prediction" in body)) * body.get("n", 1), draw(st.integers(0, text))
    used = Usage(
        input=text + prompt.image_tokens + prompt.audio,
        output=made,
        cached=cached,
        cache_write=draw(st.integers(0, text - cached)),
        audio_input=prompt.audio,
        image_input=draw(st.sampled_from([0, prompt.image_tokens])),
        reasoning=draw(st.sampled_from([0, made // 2])),
        audio_output=made // 2 if "modalities" in body else 0,
        images=prompt.pictures,
        service=draw(st.sampled_from(_SERVED.get(body["service_tier"] or "", ["", "priority", "flex"]))),
    )
    at = target(upstream_model=model, price=draw(_cards))
    # What does not fit into the context window is refused by every provider, and not billed.
    assume(used.input <= (at.max_input_tokens or 0))
    return at, body | {"messages": prompt.messages}, used


@given(bills())
def test_no_bill_for_a_well_formed_call_is_above_its_hold(bill: tuple[Target, dict[str, Any], Usage]) -> None:
    at, body, used = bill
    assert at.price is not None
    held = worst_case(judged(at, **body), at.price)
    assert charge_for(used, at.price).nano <= held


def test_pictures_are_held_by_the_piece_or_at_their_largest() -> None:
    painter = target(upstream_model="gpt-image-1-mini", max_output_tokens=None)
    by_tokens = estimate(call(IMAGE, prompt="an otter", n=3), painter, 4096)
    assert (by_tokens.output, by_tokens.pictures, by_tokens.capped) == (3 * 6_240, 3, True)
    unheard = estimate(call(IMAGE, prompt="an otter"), target(max_output_tokens=None), 4096)
    assert unheard.output == 4096
    flat = target(price=priced(input="0", output="0", picture="0.01"))
    by_piece = estimate(call(IMAGE, prompt="an otter", n=2, size="any"), flat, 4096)
    assert (worst_case(by_piece, flat.price), by_piece.service) == (20_000_000, "")
    sized = target(price=priced({"hd-1024x1024": schedule(picture="0.08")}, picture="0.04"))
    large = estimate(call(IMAGE, prompt="an otter", quality="hd"), sized, 4096)
    charged = charge_for(Usage(pictures=1, service=large.service), sized.price).nano
    assert worst_case(large, sized.price) >= charged == 80_000_000


def test_what_a_picture_costs_is_no_price_for_text() -> None:
    assert refused(target(price=priced(input="0", output="0", picture="0.01"))) == "model"
    assert judged(target(price=priced(picture="0.01"))).pictures == 0
