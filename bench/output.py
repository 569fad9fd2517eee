"""Where a run goes: standard output, `bench/results/`, and with `--write-docs` the tables of docs/performance.md."""

import json
import re
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path

from bench import chart, tables
from bench.report import Figure, Growth, Memory, Page, Stream
from bench.servers import BARE, ROOT

RESULTS = ROOT / "bench" / "results"
_DOCS = ROOT / "docs" / "performance.md"
_PICTURE = ROOT / "docs" / "images" / "performance.svg"


@dataclass
class Run:
    """Everything one run found. `foreign_share`: the part of the machine that others used meanwhile."""

    started: str
    machine: str
    command: str
    commit: str
    foreign_share: float = 0
    seconds: float = 0
    skipped: list[str] = field(default_factory=list)
    figures: list[Figure] = field(default_factory=list)
    streams: list[Stream] = field(default_factory=list)
    memory: list[Memory] = field(default_factory=list)
    growth: list[Growth] = field(default_factory=list)
    pages: list[Page] = field(default_factory=list)

    def sections(self) -> dict[str, str]:
        """Name -> Markdown, only of what was measured. Growth takes long, so it may be measured in a run of its own."""
        loaded = bool(self.figures or self.streams)
        found = {
            "run": self.header() if loaded else "",
            "throughput": tables.throughput(self.figures) if self.figures else "",
            "streams": tables.streams(self.streams) if self.streams else "",
            "memory": tables.memory(self.memory) if loaded else "",
            "growth-run": self.header() if self.growth else "",
            "growth": tables.growth(self.growth) if self.growth else "",
            "pages": tables.pages(self.pages) if self.pages else "",
        }
        return {name: text for name, text in found.items() if text}

    def header(self) -> str:
        lines = [
            f"* when: {self.started}, {self.seconds:.0f} s, commit {self.commit}",
            f"* machine: {self.machine}",
            f"* command: `{self.command}`",
            f"* other work on the machine meanwhile: {self.foreign_share:.0%} of its processor time",
            *(f"* skipped: {reason}" for reason in self.skipped),
        ]
        return "\n".join(lines)

    def failures(self) -> list[str]:
        """What went wrong under load; a figure with failures is no figure."""
        every: Sequence[Figure | Stream] = [*self.figures, *self.streams, *(each.figure for each in self.growth)]
        return [f"{each.candidate}: {each.failures} failures: {each.first_failure}" for each in every if each.failures]


def write(run: Run) -> list[Path]:
    """Results as JSON and a chart, under the run's date and as `latest`; nothing if nothing was measured."""
    if not run.memory:
        return []
    RESULTS.mkdir(exist_ok=True)
    text, picture = json.dumps(asdict(run), indent=1), throughput_chart(run)
    stamp = run.started.replace(":", "").replace(" ", "-")
    written = []
    for name in (stamp, "latest"):
        (RESULTS / f"{name}.json").write_text(text)
        written.append(RESULTS / f"{name}.json")
        if picture:
            (RESULTS / f"{name}.svg").write_text(picture)
            written.append(RESULTS / f"{name}.svg")
    return [path for path in written if path.stem == "latest"]


def write_docs(run: Run) -> None:
    page = _DOCS.read_text()
    for name, text in run.sections().items():
        page = between_markers(page, name, text)
    _DOCS.write_text(page)
    if run.figures:
        _PICTURE.write_text(throughput_chart(run))


def between_markers(page: str, name: str, text: str) -> str:
    """The page with what stands between the markers of `name` replaced. Raises ValueError if it has none."""
    begin, end = f"<!-- bench:{name} -->", f"<!-- /bench:{name} -->"
    pattern = re.compile(re.escape(begin) + ".*?" + re.escape(end), re.DOTALL)
    if not pattern.search(page):
        raise ValueError(f"the page has no markers {begin} and {end}")
    return pattern.sub(lambda _: f"{begin}\n\n{text}\n\n{end}", page)


def throughput_chart(run: Run) -> str:
    """Shares of the bare pass-through with one worker; empty if there is nothing to compare."""
    figures = [figure for figure in run.figures if figure.workers == 1 and figure.candidate != BARE]
    names = list(dict.fromkeys(figure.candidate for figure in figures))
    loads = sorted({figure.callers for figure in figures})
    if not names:
        return ""
    by = {(figure.callers, figure.candidate): figure for figure in figures}
    groups = [f"{load} caller{'s' if load > 1 else ''}" for load in loads]

    def panel(title: str, attribute: str, mark: float | None) -> chart.Panel:
        values = [[getattr(by.get((load, name)), attribute, None) for name in names] for load in loads]
        return chart.Panel(title, groups, values, mark)

    return chart.bars(
        "Latchkey beside a bare pass-through, one worker",
        names,
        [
            panel("Throughput as a share of the bare pass-through (dashed: half)", "share", 0.5),
            panel("Worker's processor time per call, ms", "worker_cpu_ms", None),
        ],
        f"{run.started} · {run.machine}",
    )
