"""Rules of the configuration file that hold for every call: the part of `general_settings` about the gate. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

NAMES = frozenset({"litellm_key_header_name"})


class BadRule(ValueError):
    """A setting cannot be used; the message names it and the remedy."""


@dataclass(frozen=True, slots=True)
class GateRules:
    key_header: str = ""
    """Lower-case name of the header that, where a request has it, carries the key instead of every other."""


def read_rules(general: Mapping[str, Any]) -> GateRules:
    """Raises BadRule."""
    return GateRules(key_header=_header(general, "litellm_key_header_name"))


def _header(general: Mapping[str, Any], name: str) -> str:
    value = general.get(name) or ""
    if not isinstance(value, str) or not all(c.isascii() and (c.isalnum() or c in "-_") for c in value):
        raise BadRule(f"general_settings.{name}: write the name of a header, e.g. X-Litellm-Key")
    return value.lower()
