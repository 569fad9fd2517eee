"""No key stands in the log, whoever wrote the line."""

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
