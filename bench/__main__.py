"""`python -m bench`: start the candidates, load them in turns, print tables, write results and charts."""

import argparse
import tempfile
from contextlib import ExitStack
from pathlib import Path

from bench import servers
from bench.load import Job
from bench.report import figure_of, throughput_table
from bench.rounds import interleaved
from bench.servers import Candidate, Unavailable


def main() -> None:
    parser = argparse.ArgumentParser(prog="make bench", description="Measure Latchkey beside a bare pass-through.")
    parser.add_argument("--quick", action="store_true", help="bare and embedded strict only, about 40 s")
    parser.parse_args()
    quick()


def quick() -> None:
    loads, rounds, seconds = [1, 32], 4, 1.5
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="latchkey-bench-")))
        upstream, _ = stack.enter_context(servers.provider(folder))
        candidates: list[Candidate] = [stack.enter_context(servers.bare(folder, upstream, 1))]
        try:
            candidates.append(
                stack.enter_context(
                    servers.latchkey(
                        folder / "es", upstream, 1, engine="embedded", durability="strict", models=["canned"]
                    )
                )
            )
        except Unavailable as reason:
            print(f"skipped: {reason}")

        def job_for(candidate: Candidate, callers: int) -> Job:
            return Job(port=candidate.port, tokens=candidate.tokens, callers=callers, seconds=seconds)

        found = interleaved(candidates, loads, rounds, job_for, workers=1)
    figures = []
    for callers in loads:
        bare = [each for each in found if each.candidate == candidates[0].name and each.callers == callers]
        for candidate in candidates:
            mine = [each for each in found if each.candidate == candidate.name and each.callers == callers]
            figures.append(figure_of(mine, bare))
    print(throughput_table(figures))
    for each in figures:
        if each.failures:
            print(f"{each.candidate}, {each.callers} callers: {each.first_failure}")


if __name__ == "__main__":
    main()
