from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from teams.windows import BadDuration, duration_delta, parse_budget_duration, parse_duration, window_at

ZONES = ["UTC", "Europe/Berlin", "America/New_York", "Asia/Kathmandu", "America/Havana", "Pacific/Apia", "Africa/Cairo"]
DURATIONS = ["30s", "90s", "1m", "7m", "1h", "5h", "24h", "36h", "1d", "2d", "10d", "7d", "1w", "2w", "30d", "1mo"]
ANCHOR = datetime(2025, 1, 15, 10, 30, tzinfo=UTC)


def bounds(duration: str, at: str, zone: str) -> tuple[str, str]:
    window = window_at(duration, datetime.fromisoformat(at), zone=ZoneInfo(zone), anchor=ANCHOR)
    assert window.start is not None
    assert window.end is not None
    return window.start.isoformat(), window.end.isoformat()


@pytest.mark.parametrize(
    ("duration", "start", "end"),
    [
        ("30s", "2026-03-11T15:44:30", "2026-03-11T15:45:00"),
        ("15m", "2026-03-11T15:30:00", "2026-03-11T15:45:00"),
        ("1h", "2026-03-11T15:00:00", "2026-03-11T16:00:00"),
        ("hourly", "2026-03-11T15:00:00", "2026-03-11T16:00:00"),
        ("5h", "2026-03-11T15:00:00", "2026-03-11T20:00:00"),
        ("10h", "2026-03-11T10:00:00", "2026-03-11T20:00:00"),
        ("24h", "2026-03-11T00:00:00", "2026-03-12T00:00:00"),
        ("1d", "2026-03-11T00:00:00", "2026-03-12T00:00:00"),
        ("daily", "2026-03-11T00:00:00", "2026-03-12T00:00:00"),
        ("7d", "2026-03-09T00:00:00", "2026-03-16T00:00:00"),
        ("1w", "2026-03-09T00:00:00", "2026-03-16T00:00:00"),
        ("weekly", "2026-03-09T00:00:00", "2026-03-16T00:00:00"),
        ("30d", "2026-03-01T00:00:00", "2026-04-01T00:00:00"),
        ("1mo", "2026-03-01T00:00:00", "2026-04-01T00:00:00"),
        ("monthly", "2026-03-01T00:00:00", "2026-04-01T00:00:00"),
    ],
)
def test_windows_align_to_the_calendar(duration: str, start: str, end: str) -> None:
    assert bounds(duration, "2026-03-11T15:44:59+00:00", "UTC") == (f"{start}+00:00", f"{end}+00:00")


@pytest.mark.parametrize(
    ("at", "zone", "start", "end", "hours"),
    [
        ("2026-03-29T12:00:00+00:00", "Europe/Berlin", "2026-03-29T00:00:00+01:00", "2026-03-30T00:00:00+02:00", 23),
        ("2026-10-25T12:00:00+00:00", "Europe/Berlin", "2026-10-25T00:00:00+02:00", "2026-10-26T00:00:00+01:00", 25),
        ("2026-03-08T12:00:00+00:00", "America/New_York", "2026-03-08T00:00:00-05:00", "2026-03-09T00:00:00-04:00", 23),
        ("2026-11-01T12:00:00+00:00", "America/New_York", "2026-11-01T00:00:00-04:00", "2026-11-02T00:00:00-05:00", 25),
        ("2026-03-29T18:20:00+00:00", "Asia/Kathmandu", "2026-03-30T00:00:00+05:45", "2026-03-31T00:00:00+05:45", 24),
    ],
)
@pytest.mark.parametrize("duration", ["1d", "24h"])
def test_a_day_is_as_long_as_the_zone_says(duration: str, at: str, zone: str, start: str, end: str, hours: int) -> None:
    assert bounds(duration, at, zone) == (start, end)
    length = datetime.fromisoformat(end) - datetime.fromisoformat(start)
    assert length == timedelta(hours=hours)


@pytest.mark.parametrize(
    ("at", "start", "end"),
    [
        ("2026-01-31T23:59:59+00:00", "2026-01-01", "2026-02-01"),
        ("2026-02-28T23:59:59+00:00", "2026-02-01", "2026-03-01"),
        ("2028-02-29T12:00:00+00:00", "2028-02-01", "2028-03-01"),
        ("2026-12-31T23:59:59.999999+00:00", "2026-12-01", "2027-01-01"),
        ("2027-01-01T00:00:00+00:00", "2027-01-01", "2027-02-01"),
    ],
)
def test_months_end_when_they_end(at: str, start: str, end: str) -> None:
    assert bounds("30d", at, "UTC") == (f"{start}T00:00:00+00:00", f"{end}T00:00:00+00:00")


def test_a_month_begins_at_local_midnight() -> None:
    assert bounds("1mo", "2026-03-31T22:30:00+00:00", "Europe/Berlin")[0] == "2026-04-01T00:00:00+02:00"
    assert bounds("1mo", "2026-04-01T01:30:00+00:00", "America/New_York")[0] == "2026-03-01T00:00:00-05:00"


def test_hours_count_from_local_midnight_and_the_last_window_ends_with_the_day() -> None:
    assert bounds("5h", "2026-01-10T22:00:00+00:00", "UTC")[1] == "2026-01-11T00:00:00+00:00"
    assert bounds("1h", "2026-01-10T10:00:00+00:00", "Asia/Kathmandu")[0] == "2026-01-10T15:00:00+05:45"


def test_days_that_no_calendar_unit_aligns_count_from_the_day_the_budget_was_set() -> None:
    assert bounds("10d", "2025-01-24T23:59:00+00:00", "UTC")[0] == "2025-01-15T00:00:00+00:00"
    assert bounds("10d", "2025-01-25T00:00:00+00:00", "UTC")[0] == "2025-01-25T00:00:00+00:00"
    assert bounds("10d", "2025-01-14T12:00:00+00:00", "UTC")[0] == "2025-01-05T00:00:00+00:00"


def test_a_budget_without_a_duration_lasts_for_ever() -> None:
    window = window_at("", ANCHOR, zone=ZoneInfo("UTC"), anchor=ANCHOR)
    assert (window.start, window.end, window.ident) == (None, None, "lifetime")


instants = st.datetimes(datetime(2020, 1, 1), datetime(2035, 1, 1), timezones=st.just(UTC))  # noqa: DTZ001


@given(duration=st.sampled_from(DURATIONS), at=instants, zone=st.sampled_from(ZONES))
def test_every_instant_lies_in_its_window(duration: str, at: datetime, zone: str) -> None:
    window = window_at(duration, at, zone=ZoneInfo(zone), anchor=ANCHOR)
    assert window.start is not None
    assert window.end is not None
    assert window.start.astimezone(UTC) <= at < window.end.astimezone(UTC)


@given(duration=st.sampled_from(DURATIONS), at=instants, zone=st.sampled_from(ZONES))
def test_windows_tile(duration: str, at: datetime, zone: str) -> None:
    """The end of a window is the start of the next one; its last instant is still its own."""
    window = window_at(duration, at, zone=ZoneInfo(zone), anchor=ANCHOR)
    assert window.end is not None
    end = window.end.astimezone(UTC)
    after = window_at(duration, end, zone=ZoneInfo(zone), anchor=ANCHOR)
    last = window_at(duration, end - timedelta(microseconds=1), zone=ZoneInfo(zone), anchor=ANCHOR)
    assert after.start is not None
    assert after.start.astimezone(UTC) == end
    assert (last.ident, last.end) == (window.ident, window.end)
    assert after.ident != window.ident


@pytest.mark.parametrize(
    "text", ["", "0d", "-1d", "1.5h", "1y", "d", "30 d", "2mo", "1000000d", "99999w", "30D", "1d\n", "٣d"]
)
def test_what_is_not_a_duration_is_refused_with_what_is(text: str) -> None:
    with pytest.raises(BadDuration, match=r"duration|supported|hundred years"):
        parse_duration(text)


def test_validity_periods_are_exact() -> None:
    assert duration_delta("90s") == timedelta(seconds=90)
    assert duration_delta("2w") == timedelta(days=14)
    assert duration_delta("1mo") == timedelta(days=30)


def test_a_rolling_window_counts_every_slice_that_the_last_24_hours_touch() -> None:
    at = datetime(2026, 3, 10, 12, 30, tzinfo=UTC)
    window = window_at("rolling 24h", at, zone=ZoneInfo("UTC"), anchor=at)
    assert window.ident == "rolling 24h" and window.end is None
    assert window.start == datetime(2026, 3, 9, 12, 0, tzinfo=UTC)
    assert window.slice_of(at) - window.first_slice == 24


@pytest.mark.parametrize(("text", "seconds"), [("60s", 2), ("1h", 120), ("6h", 900), ("24h", 3600), ("30d", 108_000)])
def test_slices_of_a_rolling_window_fit_the_quarters_of_rollups_where_they_can(text: str, seconds: int) -> None:
    assert window_at(f"rolling {text}", ANCHOR, zone=ZoneInfo("UTC"), anchor=ANCHOR).slice_seconds == seconds


@pytest.mark.parametrize("text", ["rolling", "rolling 59s", "rolling 1mo", "rolling rolling 1h", "1h rolling"])
def test_a_rolling_duration_is_refused_where_it_cannot_roll(text: str) -> None:
    with pytest.raises(BadDuration):
        parse_budget_duration(text)
