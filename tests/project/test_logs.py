"""No key stands in the log, whoever wrote the line."""

import json
import os
import subprocess
import sys

import pytest

from gateway_project.logs import hide_keys
from keys.secrets import generate, hidden

KEY = generate().plaintext


@pytest.mark.parametrize(
    "line",
    [
        "Bad Request: /key/{key}/regenerate",
        "Unauthorized: /key/info?key={key}&x=1",
        'Traceback: ["key", "{key}"]',
        "Bearer {key}, and more",
    ],
)
def test_a_key_in_a_line_is_shown_as_lists_show_it(line: str) -> None:
    line = line.format(key=KEY)
    event = hide_keys(None, "", {"event": line, "status": 400, "deep": {"paths": [line]}})
    assert KEY not in str(event)
    assert f"sk-...{KEY[-4:]}" in event["event"]
    assert event["status"] == 400


@pytest.mark.parametrize("line", ["", "task-1234567890", "the risk-averse-caller gave up", "sk-", "sk-1"])
def test_what_is_no_key_stays_as_it_is(line: str) -> None:
    assert hidden(line) == line


_WORKER = """
import logging, django
django.setup()
from gateway_project.celery import app
app.log.setup(loglevel="INFO", redirect_stdouts=True)
for name in ("django.request", "celery.app.trace", "somebody.else"):
    try:
        raise ValueError({key!r})
    except ValueError:
        logging.getLogger(name).error("it failed for {key}", exc_info=True)
"""


def test_whoever_logs_a_failure_logs_one_line_of_json_with_its_traceback_and_without_a_key() -> None:
    environment = os.environ | {"DJANGO_SETTINGS_MODULE": "gateway_project.settings"}
    script = [sys.executable, "-c", _WORKER.format(key=KEY)]
    done = subprocess.run(script, env=environment, capture_output=True, text=True, check=True, timeout=60)
    lines = [json.loads(line) for line in done.stderr.splitlines()]
    assert len(lines) == 3
    for line in lines:
        assert KEY not in str(line)
        assert line["event"] == f"it failed for sk-...{KEY[-4:]}"
        assert line["exception"].startswith("Traceback") and "ValueError: sk-..." in line["exception"]
