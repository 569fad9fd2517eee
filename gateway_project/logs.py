"""What every line of the log goes through, whoever wrote it."""

import logging
from typing import Any

from keys.secrets import hidden


def hide_keys(_logger: Any, _method: str, event: dict[str, Any]) -> dict[str, Any]:
    """No key in any value: paths of the management API name keys, and Django logs the path of what it refuses."""
    return {name: _hidden(value) for name, value in event.items()}


def _hidden(value: Any) -> Any:
    if isinstance(value, str):
        return hidden(value)
    if isinstance(value, dict):
        return {name: _hidden(one) for name, one in value.items()}
    return [_hidden(one) for one in value] if isinstance(value, list | tuple) else value


class ShortRefusals(logging.Filter):
    """What was refused is one line of the log: where in the code that happened helps nobody."""

    def filter(self, record: logging.LogRecord) -> bool:
        if record.name == "django.request" and record.levelno < logging.ERROR:
            record.exc_info = None
        return True
