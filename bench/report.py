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
    chunks: int = 0
    first_bytes: list[int] = field(default_factory=list, repr=False)
    chunk_delays: list[int] = field(default_factory=list, repr=False)


@dataclass
class Stream:
    """Streams of one candidate. Delays run from the provider's sending to the driver's receiving."""

    candidate: str
    open: int
    chunks: int
    first_byte_p50_ms: float
    first_byte_p99_ms: float
    chunk_p50_ms: float
    chunk_p99_ms: float
    added_p50_ms: float | None
    worker_cpu_us_per_chunk: float
    failures: int
    first_failure: str


@dataclass
class Memory:
    """The largest worker of a candidate, in MB (10^6 bytes)."""

    candidate: str
    workers: int
    when: str
    rss_mb: float
    pss_mb: float


@dataclass
class Growth:
    """The cost of a call with so many rows in the tables."""

    candidate: str
    keys: int
    ledger_rows: int
    figure: "Figure"
    first_call_ms: float


@dataclass
class Page:
    """A report or list as its server sees it."""

    candidate: str
    keys: int
    ledger_rows: int
    path: str
    ms: float
    queries: int


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
    added_p50_ms: float | None
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
    latencies = _latencies(rounds)
    beside = {each.number: each.per_second for each in bare}
    shares = [each.per_second / beside[each.number] for each in rounds if beside.get(each.number)]
    cpu, bare_cpu = cpu_per_call(rounds), cpu_per_call(bare)
    p50 = percentile(latencies, 0.5) / 1000
    return Figure(
        candidate=first.candidate,
        workers=first.workers,
        callers=first.callers,
        rounds=len(rounds),
        per_second=median(each.per_second for each in rounds),
        share=median(shares) if shares else None,
        cpu_share=bare_cpu / cpu if cpu and bare_cpu else None,
        p50_ms=p50,
        added_p50_ms=p50 - percentile(_latencies(bare), 0.5) / 1000 if bare else None,
        p99_ms=percentile(latencies, 0.99) / 1000,
        worker_cpu_ms=cpu,
        other_cpu_ms=_per_call(rounds, sum(each.other_cpu_seconds for each in rounds)),
        failures=sum(each.failures for each in rounds),
        first_failure=next((each.first_failure for each in rounds if each.first_failure), ""),
    )


def figures_of(rounds: Sequence[Round], bare_name: str) -> list[Figure]:
    """One figure per candidate, number of workers and number of callers, in the order of the rounds."""
    groups: dict[tuple[int, int, str], list[Round]] = {}
    for each in rounds:
        groups.setdefault((each.workers, each.callers, each.candidate), []).append(each)
    return [
        figure_of(found, groups.get((workers, callers, bare_name), []))
        for (workers, callers, _), found in groups.items()
    ]


def stream_of(rounds: Sequence[Round], bare: Sequence[Round]) -> Stream:
    delays, bare_delays = _delays(rounds), _delays(bare)
    firsts = [first for each in rounds for first in each.first_bytes]
    chunks = sum(each.chunks for each in rounds)
    p50 = percentile(delays, 0.5) / 1000
    return Stream(
        candidate=rounds[0].candidate,
        open=rounds[0].callers,
        chunks=chunks,
        first_byte_p50_ms=percentile(firsts, 0.5) / 1000,
        first_byte_p99_ms=percentile(firsts, 0.99) / 1000,
        chunk_p50_ms=p50,
        chunk_p99_ms=percentile(delays, 0.99) / 1000,
        added_p50_ms=p50 - percentile(bare_delays, 0.5) / 1000 if bare_delays else None,
        worker_cpu_us_per_chunk=sum(each.worker_cpu_seconds for each in rounds) * 1e6 / chunks if chunks else 0.0,
        failures=sum(each.failures for each in rounds),
        first_failure=next((each.first_failure for each in rounds if each.first_failure), ""),
    )


def _latencies(rounds: Sequence[Round]) -> list[int]:
    return [latency for each in rounds for latency in each.latencies]


def _delays(rounds: Sequence[Round]) -> list[int]:
    return [delay for each in rounds for delay in each.chunk_delays]


def cpu_per_call(rounds: Sequence[Round]) -> float:
    """Milliseconds of the workers' processor time per answered call."""
    return _per_call(rounds, sum(each.worker_cpu_seconds for each in rounds))


def _per_call(rounds: Sequence[Round], seconds: float) -> float:
    calls = sum(each.calls for each in rounds)
    return seconds * 1000 / calls if calls else 0.0
