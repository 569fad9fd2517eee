"""Running the driver against candidates, in turns: A B C, A B C, so that a noisy minute hits all of them."""

import json
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace

from bench import processes
from bench.load import MODEL, Job, Result
from bench.report import Round
from bench.servers import ROOT, Candidate, environment

#: Postings follow the last answer; their processor time belongs to the calls.
_SETTLING_SECONDS = 0.4


@dataclass(frozen=True)
class Load:
    """What candidates are put under, `rounds` times."""

    callers: int
    seconds: float
    rounds: int
    model: str = MODEL
    stream: bool = False
    spread: float = 0

    def job(self, candidate: Candidate) -> Job:
        return Job(
            host=candidate.host, port=candidate.port, path=candidate.path, tokens=candidate.tokens,
            callers=self.callers, seconds=self.seconds, model=self.model, stream=self.stream, spread=self.spread,
        )  # fmt: skip


def drive(candidate: Candidate, job: Job) -> Result:
    """One job in a driver of its own. Exits with the candidate's last words if it is gone."""
    done = subprocess.run(
        [sys.executable, "-m", "bench.load"],
        input=json.dumps(asdict(job)).encode(),
        stdout=subprocess.PIPE,
        cwd=ROOT,
        env=environment(),
        check=False,
    )
    if done.returncode:
        sys.exit(f"{candidate.name} does not answer; it said last:\n{candidate.last_words()}")
    return Result(**json.loads(done.stdout))


def interleaved(candidates: Sequence[Candidate], loads: Sequence[Load], *, workers: int) -> list[Round]:
    """Every candidate under every load, once per round, after one short warm-up each."""
    for candidate in candidates:
        drive(candidate, replace(max(loads, key=lambda load: load.callers), seconds=1).job(candidate))
    return [
        _measure(candidate, load.job(candidate), workers=workers, number=number)
        for number in range(max(load.rounds for load in loads))
        for load in loads
        if number < load.rounds
        for candidate in candidates
    ]


def _measure(candidate: Candidate, job: Job, *, workers: int, number: int) -> Round:
    """One round of one candidate."""
    others = candidate.other_pids()
    before = processes.cpu_seconds(candidate.worker_pids), processes.cpu_seconds(others)
    result = drive(candidate, job)
    time.sleep(_SETTLING_SECONDS)
    after = processes.cpu_seconds(candidate.worker_pids), processes.cpu_seconds(others)
    return Round(
        candidate=candidate.name,
        workers=workers,
        callers=job.callers,
        number=number,
        calls=result.calls,
        per_second=len(result.latencies) / result.measured_seconds,
        worker_cpu_seconds=after[0] - before[0],
        other_cpu_seconds=after[1] - before[1],
        failures=result.failures,
        first_failure=result.first_failure,
        latencies=result.latencies,
        chunks=result.chunks,
        first_bytes=result.first_bytes,
        chunk_delays=result.chunk_delays,
    )
