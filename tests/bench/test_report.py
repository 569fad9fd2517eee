"""The pure parts of the benchmark. What it measures is never asserted."""

import pytest

from bench.report import Round, figure_of, percentile
from bench.tables import table


def a_round(candidate: str, number: int, per_second: float, *, cpu: float = 1.0, calls: int = 1000) -> Round:
    return Round(
        candidate=candidate, workers=1, callers=16, number=number, calls=calls, per_second=per_second,
        worker_cpu_seconds=cpu, other_cpu_seconds=0.5, failures=0, first_failure="", latencies=[1000, 3000, 2000],
    )  # fmt: skip


@pytest.mark.parametrize(("part", "expected"), [(0.5, 50), (0.99, 99), (1.0, 100), (0.001, 1)])
def test_a_percentile_is_a_value_that_was_measured(part: float, expected: int) -> None:
    assert percentile(list(range(100, 0, -1)), part) == expected


def test_the_percentile_of_nothing_is_zero() -> None:
    assert percentile([], 0.5) == 0


def test_a_share_compares_within_a_round_so_that_a_slow_minute_does_not_count() -> None:
    bare = [a_round("bare", 0, 1000), a_round("bare", 1, 100), a_round("bare", 2, 1000)]
    ours = [a_round("ours", 0, 500), a_round("ours", 1, 50), a_round("ours", 2, 500)]
    assert figure_of(ours, bare).share == 0.5


def test_the_share_by_processor_time_says_how_often_ours_costs_what_bare_costs() -> None:
    figure = figure_of([a_round("ours", 0, 500, cpu=0.4, calls=100)], [a_round("bare", 0, 500, cpu=0.1, calls=100)])
    assert (figure.worker_cpu_ms, figure.cpu_share) == (4.0, 0.25)


def test_without_a_bare_round_there_is_no_share() -> None:
    figure = figure_of([a_round("ours", 0, 500)], [])
    assert (figure.share, figure.cpu_share, figure.p50_ms) == (None, None, 2.0)


def test_a_table_is_aligned_markdown() -> None:
    assert table(["name", "calls"], [["bare", "1"], ["ours", "1000"]]).splitlines() == [
        "| name | calls |",
        "| ---- | ----: |",
        "| bare |     1 |",
        "| ours |  1000 |",
    ]
