"""Several processes as one: what must not end ends all, what may end is started again."""

import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.gateway.running import ROOT, eventually

_RUN = """
import sys
from gateway_project import supervisor
supervisor._PAUSE_SECONDS = 0.1
note, ends, restarts = sys.argv[1], float(sys.argv[2]), sys.argv[3] == "True"
ending = f"import time; open({note!r}, 'a').write('x'); time.sleep({ends}); raise SystemExit(3)"
children = [
    supervisor.Child("the server", [sys.executable, "-c", "import time; time.sleep(60)"]),
    supervisor.Child("the worker", [sys.executable, "-c", ending], restarts=restarts),
]
sys.exit(supervisor.Supervisor(children, needed={}).run(lambda: UP, lambda: None))
"""


def started(note: Path, *, ends: float, restarts: bool, up: bool) -> subprocess.Popen[str]:
    command = [sys.executable, "-c", _RUN.replace("UP", str(up)), str(note), str(ends), str(restarts)]
    return subprocess.Popen(command, cwd=ROOT, stderr=subprocess.PIPE, text=True)


def test_what_may_end_is_started_again_and_the_others_go_on(tmp_path: Path) -> None:
    note = tmp_path / "starts"
    process = started(note, ends=0.5, restarts=True, up=True)
    eventually(lambda: note.exists() and len(note.read_text()) >= 3)
    assert process.poll() is None
    process.send_signal(signal.SIGTERM)
    _, told = process.communicate(timeout=60)
    assert process.returncode == 0
    assert "the worker ended with code 3 and is started again" in told


@pytest.mark.parametrize(("restarts", "up"), [(False, True), (True, False)])
def test_what_must_not_end_or_never_came_up_ends_all(tmp_path: Path, *, restarts: bool, up: bool) -> None:
    process = started(tmp_path / "starts", ends=0, restarts=restarts, up=up)
    _, told = process.communicate(timeout=60)
    assert process.returncode == 1
    assert "Latchkey stops: the worker ended with code 3" in told
