"""One organization with its teams, people and keys: a scenario's own corner of a shared Latchkey."""

import random
import uuid
from typing import Any

from keys.secrets import token_of
from tests.scenarios.rig.bill import Billed
from tests.scenarios.rig.books import Entry
from tests.scenarios.rig.caller import Caller
from tests.scenarios.rig.latchkey import Rig
from tests.scenarios.rig.pace import Pace

#: What one call of the model `flat` with 20 output tokens costs, and what is held for it: the same amount.
CALL_NANO = 200_000


def usd(calls: int) -> str:
    """A budget for so many calls of `flat`, exactly, as the management API takes it."""
    return f"{calls * CALL_NANO / 10**9:.9f}"


class House:
    """Everything in here belongs to one new organization, and every nonce of its callers starts with its name."""

    def __init__(self, rig: Rig, seed: int = 1, **limits: Any) -> None:
        self.rig, self.seed = rig, seed
        self.dice = random.Random(seed)
        self.name = f"h{uuid.uuid4().hex[:10]}"
        made = rig.operator.ask("create", kind="Organization", name=self.name, public_id=self.name, **limits)
        self.pk, self.scope = int(made["pk"]), str(made["scope"])
        self._callers = 0

    def caller(self) -> Caller:
        """A load driver; use it as a context manager."""
        self._callers += 1
        return Caller(self.rig.ports, f"{self.name}-{self._callers}-", self.seed * 1000 + self._callers)

    def pace(self) -> Pace:
        """How late the machine itself is; use it as a context manager."""
        return Pace(self.rig.provider_port)

    def team(self, **fields: Any) -> str:
        body = {"organization_id": self.name, **fields}
        public_id: str = self.rig.manage("POST", "/team/new", json=body)["team_id"]
        return public_id

    def key(self, **fields: Any) -> str:
        """A key of the organization, of one of its teams (`team_id`), or of a person (`user_id`)."""
        owned = {"team_id", "user_id"} & fields.keys()
        body = fields if owned else {"organization_id": self.name, **fields}
        secret: str = self.rig.manage("POST", "/key/generate", json=body)["key"]
        return secret

    def user(self, **fields: Any) -> str:
        """A person without a key."""
        body = {"organization_id": self.name, "auto_create_key": False, **fields}
        public_id: str = self.rig.manage("POST", "/user/new", json=body)["user_id"]
        return public_id

    def scope_of_key(self, key: str) -> str:
        return str(self.rig.operator.ask("find", kind="VirtualKey", token=token_of(key))["scope"])

    def change(self, kind: str, pk: int, **fields: Any) -> None:
        self.rig.operator.ask("change", kind=kind, pk=pk, **fields)

    def pk_of(self, kind: str, public_id: str) -> int:
        return int(self.rig.operator.ask("find", kind=kind, public_id=public_id)["pk"])

    @property
    def bill(self) -> list[Billed]:
        """What the provider billed for calls of this house."""
        return self.rig.bill.rows(self.name)

    @property
    def ledger(self) -> list[Entry]:
        return self.rig.books.entries(self.pk)

    @property
    def billed_nano(self) -> int:
        return sum(billed.nano for billed in self.bill)

    @property
    def ledger_nano(self) -> int:
        return sum(entry.amount for entry in self.ledger)
