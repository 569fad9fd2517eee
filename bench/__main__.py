"""`python -m bench`: start the candidates, load them in turns, print tables, write results and a chart."""

import argparse
import os
import shlex
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from contextlib import ExitStack
from datetime import UTC, datetime
from pathlib import Path

from bench import output, processes, sections, servers, tables
from bench.load import MODEL
from bench.output import Run
from bench.rounds import Load
from bench.servers import ROOT, Candidate, Unavailable

_SECTIONS = ("throughput", "streams", "growth")
_KINDS = ("embedded strict", "embedded fast", "full strict", "full fast")
#: With two workers the point is that they share: one durability is enough for it.
_KINDS_OF_MORE_WORKERS = ("embedded strict", "full strict")


def options() -> argparse.Namespace:
    full = os.environ.get("FULL", "0") not in ("", "0")
    parser = argparse.ArgumentParser(prog="make bench", description="Measure Latchkey beside a bare pass-through.")
    parser.add_argument("--quick", action="store_true", help="embedded strict, 1 and 32 callers, in about 40 s")
    parser.add_argument("--full", action="store_true", default=full, help="millions of rows (also FULL=1)")
    parser.add_argument("--only", default="", help=f"parts, of {','.join(_SECTIONS)}")
    parser.add_argument("--candidates", default="", help=f"words of candidates, of {', '.join(_KINDS)}")
    parser.add_argument("--callers", default="", help="numbers of callers, e.g. 1,64")
    parser.add_argument("--workers", default="", help="numbers of workers, e.g. 1,2")
    parser.add_argument("--rounds", type=int, default=0)
    parser.add_argument("--seconds", type=float, default=1.2, help="of each round")
    parser.add_argument("--streams", type=int, default=0, help="streams open at once")
    parser.add_argument("--keys", type=int, default=0, help="largest number of keys")
    parser.add_argument("--rows", type=int, default=0, help="largest number of ledger rows")
    parser.add_argument("--write-docs", action="store_true", help="put the tables into docs/performance.md")
    chosen = parser.parse_args()
    _defaults(chosen)
    return chosen


def _defaults(chosen: argparse.Namespace) -> None:
    """What was not asked for depends on how long the run may take."""
    quick, full = chosen.quick, chosen.full
    chosen.only = [part for part in chosen.only.split(",") if part] or (["throughput"] if quick else list(_SECTIONS))
    chosen.candidates = chosen.candidates or ("embedded strict" if quick else "")
    chosen.callers = _numbers(chosen.callers) or ([1, 32] if quick else [1, 16, 64, 256])
    chosen.workers = _numbers(chosen.workers) or ([1] if quick else [1, 2])
    chosen.rounds = chosen.rounds or (3 if quick else 5 if full else 2)
    chosen.streams = chosen.streams or (300 if full else 100)
    chosen.keys = chosen.keys or (1_000_000 if full else 10_000)
    chosen.rows = chosen.rows or (10_000_000 if full else 100_000)


def _numbers(text: str) -> list[int]:
    return [int(number) for number in text.split(",") if number]


def main() -> None:
    chosen = options()
    # Whoever ends the benchmark ends what it started; also in the background, where a shell has SIGINT ignored.
    for name in (signal.SIGTERM, signal.SIGINT):
        signal.signal(name, lambda number, frame: sys.exit(128 + number))
    run = Run(
        started=f"{datetime.now(UTC):%Y-%m-%d %H:%M} UTC",
        machine=processes.machine(),
        command="make bench" + (f' ARGS="{shlex.join(sys.argv[1:])}"' if sys.argv[1:] else ""),
        commit=_commit(),
    )
    before, busy = time.monotonic(), processes.Busy()
    try:
        with tempfile.TemporaryDirectory(prefix="latchkey-bench-") as folder, ExitStack() as stack:
            upstream = stack.enter_context(servers.provider(Path(folder)))
            for workers in chosen.workers:
                _run_group(run, chosen, Path(folder), upstream, workers)
    finally:
        # What was measured before a failure or an interruption is worth keeping.
        run.seconds, run.foreign_share = time.monotonic() - before, busy.foreign_share()
        _print(run)
        for path in output.write(run):
            print(f"written: {path.relative_to(ROOT)}")
    if chosen.write_docs:
        output.write_docs(run)


def _run_group(run: Run, chosen: argparse.Namespace, folder: Path, upstream: str, workers: int) -> None:
    """Everything that is measured with this number of workers."""
    with ExitStack() as stack:
        candidates = _start(stack, run, chosen, folder, upstream, workers)
        run.memory += sections.memory(candidates, workers, "started")
        if "throughput" in chosen.only:
            _say(f"throughput, workers: {workers}")
            loads = [Load(callers, chosen.seconds, chosen.rounds) for callers in chosen.callers]
            run.figures += sections.throughput(candidates, loads, workers)
        if "streams" in chosen.only and workers == 1:
            _say(f"{chosen.streams} streams")
            run.streams += sections.streams(candidates, chosen.streams, max(1, chosen.rounds // 2))
        run.memory += sections.memory(candidates, workers, "after load")
        if "growth" in chosen.only and workers == 1:
            _grow(run, chosen, candidates)


def _start(
    stack: ExitStack, run: Run, chosen: argparse.Namespace, folder: Path, upstream: str, workers: int
) -> list[Candidate]:
    _say(f"starting the candidates, workers: {workers}")
    candidates = [stack.enter_context(servers.bare(folder, upstream, workers))]
    for kind in _KINDS if workers == 1 else _KINDS_OF_MORE_WORKERS:
        if any(word not in kind for word in chosen.candidates.split()):
            continue
        engine, durability = kind.split()
        home, models = folder / f"{engine}-{durability}-{workers}", [MODEL, sections.STREAM_MODEL]
        try:
            candidates.append(
                stack.enter_context(
                    servers.latchkey(home, upstream, workers, engine=engine, durability=durability, models=models)
                )
            )
        except Unavailable as reason:
            run.skipped.append(f"Latchkey {kind}, workers {workers}: {reason}")
            _say(run.skipped[-1])
    other = servers.other()
    if other is not None and workers == 1:
        candidates.append(other)
    return candidates


def _grow(run: Run, chosen: argparse.Namespace, candidates: list[Candidate]) -> None:
    """Keys first, then ledger rows; the strict engines only, since durability does not change what is looked up."""
    chosen_ones = [each for each in candidates if each.name == servers.BARE or each.name.endswith(" strict")]
    keys = sorted({10_000, 100_000, chosen.keys} - {each for each in (10_000, 100_000) if each > chosen.keys})
    rows = sorted({min(100_000, chosen.rows), chosen.rows})
    steps = [(0, 0), *((count, 0) for count in keys), *((chosen.keys, count) for count in rows)]
    for grown, pages in sections.growth(chosen_ones, steps, Load(16, chosen.seconds, chosen.rounds)):
        run.growth += grown
        run.pages += pages
        _say(f"tables have {grown[0].keys:,} keys and {grown[0].ledger_rows:,} ledger rows" if grown else "no tables")
        for line in [tables.growth(grown), tables.pages(pages)]:
            print(line, file=sys.stderr, flush=True)


def _print(run: Run) -> None:
    for name, text in run.sections().items():
        print(f"\n## {name}\n\n{text}")
    print()
    for failure in dict.fromkeys(run.failures()):
        print(f"FAILED {failure}")
    if servers.other() is None and shutil.which("litellm"):
        print("litellm is installed: docs/performance.md says how to put it into the same tables.")


def _commit() -> str:
    command = ["git", "describe", "--always", "--dirty"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    return done.stdout.strip() or "unknown"


def _say(text: str) -> None:
    print(f"... {text}", file=sys.stderr, flush=True)


if __name__ == "__main__":
    main()
