"""The scripts of the counter store, with the digests they are called by. Pure: files only."""

import hashlib
from dataclasses import dataclass
from pathlib import Path

from teams.scopes import PUBLISH_EPOCH

_FOLDER = Path(__file__).parent / "lua"


@dataclass(frozen=True, slots=True)
class Script:
    text: str
    digest: str


def _script(text: str) -> Script:
    return Script(text, hashlib.sha1(text.encode(), usedforsecurity=False).hexdigest())


HOLD, SETTLE, LOAD, ENDED, SHRINK = (
    _script((_FOLDER / f"{name}.lua").read_text()) for name in ("hold", "settle", "load", "ended", "shrink")
)
EPOCH = _script(PUBLISH_EPOCH)
EVERY = (HOLD, SETTLE, LOAD, ENDED, SHRINK, EPOCH)
