"""No key stands in the log, whoever wrote the line."""

import pytest

from gateway_project.logs import hide_keys
from keys.secrets import generate, hidden

KEY = generate().plaintext


@pytest.mark.parametrize(
    "line",
    [
        f"Bad Request: /key/{KEY}/regenerate",
        f"Unauthorized: /key/info?key={KEY}&x=1",
        f'Traceback: {{"key": "{KEY}"}}',
        f"Bearer {KEY}, and more",
    ],
)
def test_a_key_in_a_line_is_shown_as_lists_show_it(line: str) -> None:
    event = hide_keys(None, "", {"event": line, "status": 400, "deep": {"paths": [line]}})
    assert KEY not in str(event)
    assert f"sk-...{KEY[-4:]}" in event["event"]
    assert event["status"] == 400


@pytest.mark.parametrize("line", ["", "task-1234567890", "the risk-averse-caller gave up", "sk-", "sk-1"])
def test_what_is_no_key_stays_as_it_is(line: str) -> None:
    assert hidden(line) == line
