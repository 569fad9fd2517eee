"""From rounds to figures: percentiles, shares, and the tables that show them."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from statistics import median


@dataclass
class Round:
    """One candidate under one load for a few seconds. Times in microseconds unless named otherwise."""

    candidate: str
    workers: int
    callers: int
    number: int
    calls: int
    per_second: float
    worker_cpu_seconds: float
    other_cpu_seconds: float
    failures: int
    first_failure: str
    latencies: list[int] = field(repr=False)
    first_bytes: list[int] = field(default_factory=list, repr=False)
    chunk_delays: list[int] = field(default_factory=list, repr=False)


@dataclass
class Figure:
    """All rounds of one candidate under one load, beside the bare pass-through in the same rounds."""

    candidate: str
    workers: int
    callers: int
    rounds: int
    per_second: float
    share: float | None
    cpu_share: float | None
    p50_ms: float
    p99_ms: float
    worker_cpu_ms: float
    other_cpu_ms: float
    failures: int
    first_failure: str


def percentile(values: Sequence[int], part: float) -> float:
    """The nearest-rank percentile of values in any order; 0 for none."""
    if not values:
        return 0.0
    ordered = sorted(values)
    return float(ordered[min(len(ordered) - 1, max(0, -int(-part * len(ordered) // 1) - 1))])


def figure_of(rounds: Sequence[Round], bare: Sequence[Round]) -> Figure:
    """`bare` holds the bare pass-through's rounds under the same load; shares compare round by round."""
    first = rounds[0]
    latencies = [latency for each in rounds for latency in each.latencies]
    beside = {each.number: each.per_second for each in bare}
    shares = [each.per_second / beside[each.number] for each in rounds if beside.get(each.number)]
    cpu, bare_cpu = cpu_per_call(rounds), cpu_per_call(bare)
    return Figure(
        candidate=first.candidate,
        workers=first.workers,
        callers=first.callers,
        rounds=len(rounds),
        per_second=median(each.per_second for each in rounds),
        share=median(shares) if shares else None,
        cpu_share=bare_cpu / cpu if cpu and bare_cpu else None,
        p50_ms=percentile(latencies, 0.5) / 1000,
        p99_ms=percentile(latencies, 0.99) / 1000,
        worker_cpu_ms=cpu,
        other_cpu_ms=_per_call(rounds, sum(each.other_cpu_seconds for each in rounds)),
        failures=sum(each.failures for each in rounds),
        first_failure=next((each.first_failure for each in rounds if each.first_failure), ""),
    )


def cpu_per_call(rounds: Sequence[Round]) -> float:
    """Milliseconds of the workers' processor time per answered call."""
    return _per_call(rounds, sum(each.worker_cpu_seconds for each in rounds))


def _per_call(rounds: Sequence[Round], seconds: float) -> float:
    calls = sum(each.calls for each in rounds)
    return seconds * 1000 / calls if calls else 0.0


def table(headings: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A Markdown table that is aligned enough to read in a terminal. The first column is text, the others numbers."""
    widths = [max(len(row[column]) for row in [headings, *rows]) for column in range(len(headings))]

    def line(cells: Sequence[str]) -> str:
        padded = [
            cell.ljust(width) if column == 0 else cell.rjust(width)
            for column, (cell, width) in enumerate(zip(cells, widths, strict=True))
        ]
        return "| " + " | ".join(padded) + " |"

    rule = ["-" * widths[0], *("-" * (width - 1) + ":" for width in widths[1:])]
    return "\n".join([line(headings), line(rule), *(line(row) for row in rows)])


def throughput_table(figures: Sequence[Figure]) -> str:
    headings = (
        "candidate", "workers", "callers", "calls/s", "share of bare", "p50 ms", "p99 ms",
        "worker CPU ms/call", "share by CPU", "other CPU ms/call", "failures",
    )  # fmt: skip
    rows = [
        (
            each.candidate, str(each.workers), str(each.callers), f"{each.per_second:.0f}", ratio(each.share),
            f"{each.p50_ms:.2f}", f"{each.p99_ms:.2f}", f"{each.worker_cpu_ms:.3f}", ratio(each.cpu_share),
            f"{each.other_cpu_ms:.3f}", str(each.failures),
        )
        for each in sorted(figures, key=lambda figure: (figure.workers, figure.callers))
    ]  # fmt: skip
    return table(headings, rows)


def ratio(value: float | None) -> str:
    return "-" if value is None else f"{value:.2f}"
