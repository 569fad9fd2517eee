"""Tools that the provider itself runs while it answers: how often at most, and what each time costs. Pure.

Functions of the client's own cost nothing but their description. A search or a code session has a fee, and
every turn with it reads the whole context again, so it needs a price and a declared number of uses.
"""

from dataclasses import dataclass
from typing import Any

from proxy.runtime import errors
from proxy.runtime.catalog import Target

#: Fields of a body that name a tool by themselves, and the fee of its use ("" = none that we know).
FIELDS = {
    "web_search_options": "web_search",
    "search_parameters": "web_search",
    "web_search": "web_search",
    "enable_search": "web_search",
    "plugins": "",
    "mcp_servers": "",
    "compound_custom": "",
}
_OWN = {"function", "custom"}
_FEES = (("web_search", "web_search"), ("code_interpreter", "code_session"), ("file_search", "file_search"))
_MOST_USES = 1000
#: Where a tool says how often it may be used.
_DECLARED = ("max_uses", "max_search_results")


@dataclass(slots=True)
class Uses:
    """How often each kind of tool may be used at most."""

    web_search: int = 0
    code_session: int = 0
    file_search: int = 0

    @property
    def turns(self) -> int:
        """How often the context may be read on top of the first time."""
        return self.web_search + self.code_session + self.file_search


def uses_of(body: dict[str, Any], target: Target, choices: int) -> Uses:
    """Raises 400 naming the field of a tool without a price, or without a bound."""
    found = Uses()
    if target.is_free:
        return found
    at_most = body.get("max_tool_calls")
    for field, fee, tool in _server_tools(body):
        uses = _declared(tool, at_most)
        if uses is None and field == "web_search_options" and searches_always(target):
            continue
        _check(field, fee, uses, target)
        setattr(found, fee, getattr(found, fee) + (uses or 0) * choices)
    return found


def searches_always(target: Target) -> bool:
    """OpenAI's search models make one search for every answer, asked or not."""
    name = target.upstream_model
    return "-search-" in name and target.provider == "openai" and ("-search-preview" in name or "-search-api" in name)


def unasked_searches(target: Target, choices: int) -> int:
    """Searches of a model that always makes one. Raises 400 where neither they nor the calls have a price."""
    if not searches_always(target):
        return 0
    stated = target.price.base.stated if target.price else frozenset()
    if not target.is_free and not {"web_search", "request"} & stated:
        raise errors.invalid(
            f"'{target.model}' searches the web for every call, and its price has no fee for that: "
            "ask your platform admin to set one",
            "model",
        )
    return choices


def _server_tools(body: dict[str, Any]) -> list[tuple[str, str, Any]]:
    """Field, fee and settings of every tool that the provider would run."""
    found = [(field, FIELDS[field], body[field]) for field in FIELDS if _is_on(body.get(field))]
    tools = body.get("tools")
    if tools is None:
        return found
    if not isinstance(tools, list):
        raise errors.invalid("tools must be a list", "tools")
    for tool in tools:
        kind = tool.get("type", "function") if isinstance(tool, dict) else None
        if not isinstance(kind, str) or kind not in _OWN:
            found.append(("tools", _fee(kind), tool))
    return found


def _is_on(value: Any) -> bool:
    if isinstance(value, dict) and value.get("mode") == "off":
        return False
    return value is not None and value is not False and value != []


def _fee(kind: Any) -> str:
    """By how the tool's type begins: providers append dates to it."""
    return next((fee for start, fee in _FEES if isinstance(kind, str) and kind.startswith(start)), "")


def _declared(tool: Any, at_most: Any) -> int | None:
    """The number of uses that the client itself allows."""
    settings = tool if isinstance(tool, dict) else {}
    given = [settings.get(name) for name in _DECLARED] + [at_most]
    counts = [value for value in given if isinstance(value, int) and not isinstance(value, bool)]
    return next((value for value in counts if 1 <= value <= _MOST_USES), None)


def _check(field: str, fee: str, uses: int | None, target: Target) -> None:
    if not fee or target.price is None or fee not in target.price.base.stated:
        raise errors.invalid(
            f"{field}: the provider would run this tool, and '{target.model}' has no price for it: leave it out, "
            "or ask your platform admin to set one",
            field,
        )
    if uses is None:
        raise errors.invalid(
            f"{field}: say how often the provider may use this tool, with max_uses from 1 to {_MOST_USES}", field
        )
