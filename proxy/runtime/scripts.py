"""The scripts of the counter store, with the digests they are called by. Pure: files only."""

import hashlib
from dataclasses import dataclass
from pathlib import Path

_FOLDER = Path(__file__).parent / "lua"


@dataclass(frozen=True, slots=True)
class Script:
    text: str
    digest: str


def _read(name: str) -> Script:
    text = (_FOLDER / f"{name}.lua").read_text()
    return Script(text, hashlib.sha1(text.encode(), usedforsecurity=False).hexdigest())


HOLD, SETTLE, LOAD, EPOCH = map(_read, ("hold", "settle", "load", "epoch"))
EVERY = (HOLD, SETTLE, LOAD, EPOCH)
