"""One request on its way through the gate, and what goes with it everywhere."""

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from proxy.runtime.answer_headers import Timing
from proxy.runtime.request import Request

if TYPE_CHECKING:
    from proxy.runtime.app import Gateway


@dataclass(slots=True)
class Served:
    gateway: "Gateway"
    request: Request
    request_id: str
    token: str
    """SHA-256 of the key it came with, in hex."""
    timing: Timing = field(default_factory=Timing)
