"""What the provider billed: one line per call it accepted, on its disk before it answered. This is the truth."""

import json
from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path
from typing import Any

#: USD per token, in nano-USD. `flat` has free input, so that what is held for a call is exactly what it costs.
INPUT_NANO, OUTPUT_NANO = 2_500, 10_000


@dataclass(frozen=True, slots=True)
class Billed:
    """One billed call. `call` is the nonce that its caller sent along, `id` the provider's own."""

    id: str
    call: str
    model: str
    account: str
    prompt: int
    completion: int
    nano: int


def cost_nano(model: str, prompt: int, completion: int) -> int:
    return completion * OUTPUT_NANO + (0 if model == "flat" else prompt * INPUT_NANO)


class Bill:
    """Reads the provider's file. A later line about the same call replaces an earlier one."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._offset = 0
        self._rows: dict[str, Billed] = {}

    def rows(self, prefix: str) -> list[Billed]:
        """Everything billed so far for calls whose nonce starts with `prefix`."""
        with self._path.open("rb") as file:
            file.seek(self._offset)
            for line in file:
                if not line.endswith(b"\n"):
                    break
                self._offset += len(line)
                billed = Billed(**json.loads(line))
                self._rows[billed.id] = billed
        return [row for row in self._rows.values() if row.call.startswith(prefix)]

    def by_call(self, prefix: str) -> dict[str, list[Billed]]:
        found: dict[str, list[Billed]] = defaultdict(list)
        for row in self.rows(prefix):
            found[row.call].append(row)
        return found


def say(call: str, **script: Any) -> list[dict[str, str]]:
    """Messages that make the provider behave in a certain way; `provider.py` lists what it understands."""
    return [{"role": "user", "content": json.dumps({"call": call, **script})}]
