"""The parts of a run. Each takes running candidates and returns figures."""

import http.client
import json
import secrets
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from statistics import median

from bench import processes
from bench.load import Job, request_bytes
from bench.report import Figure, Growth, Memory, Page, Stream, figures_of, stream_of
from bench.rounds import Load, interleaved
from bench.servers import BARE, ROOT, Candidate, Latchkey

_CHUNKS, _PACE_MS = 50, 20
STREAM_MODEL = f"stream-{_CHUNKS}x{_PACE_MS}"
_FRESH_KEYS = 15


def throughput(candidates: Sequence[Candidate], loads: Sequence[Load], workers: int) -> list[Figure]:
    return figures_of(interleaved(candidates, loads, workers=workers), BARE)


def streams(candidates: Sequence[Candidate], count: int, rounds: int) -> list[Stream]:
    """Many streams at once, each a second long, beginning spread over a second."""
    load = Load(count, 4, rounds, model=STREAM_MODEL, stream=True, spread=_CHUNKS * _PACE_MS / 1000)
    found = interleaved(candidates, [load], workers=1)
    by_name = {candidate.name: [each for each in found if each.candidate == candidate.name] for candidate in candidates}
    return [stream_of(rounds, by_name.get(BARE, [])) for rounds in by_name.values()]


def memory(candidates: Sequence[Candidate], workers: int, when: str) -> list[Memory]:
    found = []
    for candidate in candidates:
        sizes = [processes.memory_mb(pid) for pid in candidate.worker_pids]
        if sizes:
            rss, pss = max(sizes)
            found.append(Memory(candidate.name, workers, when, rss, pss))
    return found


def growth(
    candidates: Sequence[Candidate], steps: Sequence[tuple[int, int]], load: Load
) -> Iterator[tuple[list[Growth], list[Page]]]:
    """Fill the tables step by step, (keys, ledger rows) at least, and measure the same call and pages after each."""
    ours = [candidate for candidate in candidates if isinstance(candidate, Latchkey)]
    for keys, rows in steps:
        for candidate in ours:
            candidate.books.add_keys(keys)
            if rows:
                candidate.books.add_ledger_rows(rows)
        figures = {figure.candidate: figure for figure in throughput(candidates, [load], 1)}
        grown, pages = [], []
        for candidate in ours:
            first = _first_call_ms(candidate)
            size = candidate.books.count("keys_virtualkey"), candidate.books.count("spend_ledgerentry")
            grown.append(Growth(candidate.name, *size, figures[candidate.name], first))
            pages += _pages(candidate, *size)
        yield grown, pages


def _first_call_ms(candidate: Latchkey) -> float:
    """Median time of the first call of a key that no worker has met: its whole chain is read from the database."""
    connection = http.client.HTTPConnection(candidate.host, candidate.port, timeout=60)
    took = []
    for _ in range(_FRESH_KEYS):
        key = candidate.issue_key("bench", f"fresh-{secrets.token_hex(4)}")
        _, _, body = request_bytes(Job(candidate.port, [key], 1, 0), key).partition(b"\r\n\r\n")
        headers = {"authorization": f"Bearer {key}", "content-type": "application/json"}
        start = time.perf_counter()
        connection.request("POST", candidate.path, body, headers)
        connection.getresponse().read()
        took.append((time.perf_counter() - start) * 1000)
    connection.close()
    return median(took)


def _pages(candidate: Latchkey, keys: int, rows: int) -> list[Page]:
    """Reports and lists, measured inside Latchkey's own environment. What this version does not offer is left out."""
    today = datetime.now(UTC).date()
    month = f"start_date={today - timedelta(days=30)}&end_date={today}"
    hour = f"start_date={today - timedelta(days=1)}%2000:00:00&end_date={today}%2000:00:00"
    paths = [
        "/admin/", "/admin/keys/virtualkey/", "/admin/spend/ledgerentry/",
        "/key/list?size=100&return_full_object=true",
        f"/spend/logs/v2?{hour}&page_size=50", f"/spend/logs?{month}", f"/global/spend/report?{month}",
        f"/global/activity?{month}", f"/team/daily/activity?{month}", f"/organization/daily/activity?{month}",
    ]  # fmt: skip
    command = [sys.executable, "-m", "bench.pages", *paths]
    values = candidate.values | {"LOG_LEVEL": "ERROR", "PYTHONWARNINGS": "ignore"}
    done = subprocess.run(command, cwd=ROOT, env=values, stdout=subprocess.PIPE, check=True)
    return [
        Page(candidate.name, keys, rows, each["path"].partition("?")[0], each["ms"], each["queries"])
        for each in json.loads(done.stdout)
        if each["status"] == 200
    ]
