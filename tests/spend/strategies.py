"""Prices, bounds and usages within them, drawn at random."""

from datetime import UTC, datetime
from decimal import Decimal

from hypothesis import strategies as st

from spend.pricing import CLASSES, Bound, PriceCard, Rates, Schedule, Tier, Usage, rates_from

START = datetime(2026, 1, 1, tzinfo=UTC)

_usd = st.integers(0, 10**9).map(lambda pico: Decimal(pico).scaleb(-12))
rates: st.SearchStrategy[Rates] = st.fixed_dictionaries(
    {"input": _usd, "output": _usd}, optional=dict.fromkeys(CLASSES[2:], _usd)
).map(rates_from)
_tiers = st.lists(
    st.builds(Tier, st.sampled_from([100, 1000, 200_000]), rates), max_size=2, unique_by=lambda tier: tier.above
).map(tuple)
schedules = st.builds(Schedule, rates, _tiers)
cards = st.builds(
    PriceCard,
    st.just(1),
    st.just(START),
    schedules,
    st.dictionaries(st.sampled_from(["flex", "priority", "batch"]), schedules, max_size=2),
)
bounds = st.builds(
    Bound,
    input=st.integers(0, 300_000),
    output=st.integers(0, 300_000),
    audio_input=st.integers(0, 300_000),
    image_input=st.integers(0, 300_000),
    speaks=st.booleans(),
    images=st.integers(0, 20),
    pictures=st.integers(0, 20),
    web_searches=st.integers(0, 20),
    code_sessions=st.integers(0, 2),
    file_searches=st.integers(0, 20),
    service=st.sampled_from(["", "auto", "default", "flex", "priority"]),
)


@st.composite
def used_within(draw: st.DrawFn, bound: Bound) -> Usage:
    """Any usage that `bound` allows, as a provider may report it."""

    def upto(most: int) -> int:
        return draw(st.integers(0, max(0, most)))

    total, made = upto(bound.input), upto(bound.output)
    audio = upto(min(total, bound.audio_input))
    image = upto(min(total - audio, bound.image_input))
    audio_cached, image_cached = upto(audio), upto(image)
    text = total - audio - image
    text_cached = upto(text)
    written = upto(text - text_cached)
    reasoning = upto(made)
    spoken = upto(made - reasoning) if bound.speaks else 0
    reported = ["", "unheard-of", bound.service] + (["priority", "flex"] if bound.service in ("", "auto") else [])
    return Usage(
        input=total,
        output=made,
        cached=audio_cached + image_cached + text_cached,
        cache_write=written,
        cache_write_1h=upto(written),
        reasoning=reasoning,
        audio_input=audio,
        audio_cached=audio_cached,
        audio_output=spoken,
        image_input=image,
        image_cached=image_cached,
        image_output=upto(made - reasoning - spoken),
        images=upto(bound.images),
        pictures=upto(bound.pictures),
        web_searches=upto(bound.web_searches),
        code_sessions=upto(bound.code_sessions),
        file_searches=upto(bound.file_searches),
        service=draw(st.sampled_from(reported)),
    )
