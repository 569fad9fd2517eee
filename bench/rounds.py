"""Running the driver against candidates, in turns: A B C, A B C, so that a noisy minute hits all of them."""

import json
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict

from bench import processes
from bench.load import Job, Result
from bench.report import Round
from bench.servers import ROOT, Candidate, environment

#: Postings follow the last answer; their processor time belongs to the calls.
_SETTLING_SECONDS = 0.4


def drive(job: Job) -> Result:
    """One job in a driver of its own."""
    done = subprocess.run(
        [sys.executable, "-m", "bench.load"],
        input=json.dumps(asdict(job)).encode(),
        stdout=subprocess.PIPE,
        cwd=ROOT,
        env=environment(),
        check=True,
    )
    return Result(**json.loads(done.stdout))


def measure(candidate: Candidate, job: Job, *, workers: int, number: int) -> Round:
    """One round of one candidate."""
    others = candidate.other_pids()
    before = processes.cpu_seconds(candidate.worker_pids), processes.cpu_seconds(others)
    result = drive(job)
    time.sleep(_SETTLING_SECONDS)
    after = processes.cpu_seconds(candidate.worker_pids), processes.cpu_seconds(others)
    return Round(
        candidate=candidate.name,
        workers=workers,
        callers=job.callers,
        number=number,
        calls=result.calls,
        per_second=result.measured / result.measured_seconds,
        worker_cpu_seconds=after[0] - before[0],
        other_cpu_seconds=after[1] - before[1],
        failures=result.failures,
        first_failure=result.first_failure,
        latencies=result.latencies,
        first_bytes=result.first_bytes,
        chunk_delays=result.chunk_delays,
    )


def interleaved(
    candidates: Sequence[Candidate],
    loads: Sequence[int],
    rounds: int,
    job_for: Callable[[Candidate, int], Job],
    *,
    workers: int,
) -> list[Round]:
    """Every candidate under every number of callers, once per round, after one short warm-up each."""
    for candidate in candidates:
        warm = job_for(candidate, max(loads))
        warm.seconds = min(1.0, warm.seconds)
        drive(warm)
    return [
        measure(candidate, job_for(candidate, callers), workers=workers, number=number)
        for number in range(rounds)
        for callers in loads
        for candidate in candidates
    ]
