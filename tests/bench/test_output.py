"""Charts and the documentation's tables, written from figures."""

import xml.etree.ElementTree as ElementTree
from dataclasses import replace
from pathlib import Path

import pytest

from bench import chart, output
from bench.output import Run
from bench.report import Growth, Memory, Round, figures_of
from bench.servers import BARE

PAGE = "# Speed\n\n<!-- bench:run -->\nold\n<!-- /bench:run -->\n\nMeaning.\n"


def a_run() -> Run:
    rounds = [
        Round(
            candidate=name, workers=1, callers=callers, number=0, calls=100, per_second=rate, worker_cpu_seconds=0.1,
            other_cpu_seconds=0, failures=0, first_failure="", latencies=[1000],
        )
        for callers in (1, 16)
        for name, rate in ((BARE, 1000.0), ("Latchkey embedded strict", 600.0))
    ]  # fmt: skip
    return Run("2026-01-31 12:00 UTC", "a machine", "make bench", "abc1234", figures=figures_of(rounds, BARE))


def test_the_chart_is_an_svg_with_a_bar_per_candidate_and_load() -> None:
    tree = ElementTree.fromstring(output.throughput_chart(a_run()))
    bars = [each for each in tree.iter("{http://www.w3.org/2000/svg}rect") if each.get("y") not in (None, "38")]
    texts = {each.text for each in tree.iter("{http://www.w3.org/2000/svg}text")}
    assert len(bars) == 4  # two panels, two loads
    assert {"0.60", "1 caller", "16 callers", "Latchkey embedded strict"} <= texts


def test_names_in_the_chart_are_escaped() -> None:
    ElementTree.fromstring(chart.bars("a < b", ["<x>"], [chart.Panel("p & q", ["g"], [[None]])]))


@pytest.mark.parametrize("most", [0.03, 0.6, 1.0, 1.3, 9.99, 10, 4711])
def test_a_scale_reaches_the_highest_bar_with_few_lines(most: float) -> None:
    top, step = chart.scale(most)
    assert top >= most
    assert 1 <= round(top / step) <= 6


def test_tables_of_the_page_are_replaced_and_its_words_are_kept() -> None:
    page = output.between_markers(PAGE, "run", "new")
    assert "old" not in page
    assert "new" in page
    assert page.endswith("Meaning.\n")
    assert output.between_markers(page, "run", "new") == page


def test_a_page_without_the_markers_is_refused_by_name() -> None:
    with pytest.raises(ValueError, match="bench:streams"):
        output.between_markers(PAGE, "streams", "new")


def test_the_documentation_has_a_place_for_every_table() -> None:
    page = Path(output.ROOT / "docs" / "performance.md").read_text()
    for name in ("run", "throughput", "streams", "memory", "growth-run", "growth", "pages"):
        assert output.between_markers(page, name, "x")


def test_growth_alone_leaves_what_other_runs_found() -> None:
    loaded = a_run()
    growth = [Growth("Latchkey embedded strict", 10, 10, loaded.figures[1], 1.0)]
    alone = replace(loaded, figures=[], growth=growth, memory=[Memory("Latchkey embedded strict", 1, "started", 1, 1)])
    assert list(alone.sections()) == ["growth-run", "growth"]
    assert list(replace(alone, figures=loaded.figures).sections()) == [
        "run", "throughput", "memory", "growth-run", "growth",
    ]  # fmt: skip


def test_failures_under_load_are_named() -> None:
    run = a_run()
    run.figures[1].failures, run.figures[1].first_failure = 3, "HTTP/1.1 503"
    assert run.failures() == ["Latchkey embedded strict: 3 failures: HTTP/1.1 503"]
