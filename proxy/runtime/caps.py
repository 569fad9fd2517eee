"""Which field of a body caps the output, so that the provider keeps to what was held. Pure.

Servers of OpenAI's dialect know `max_tokens`, `max_completion_tokens` or both, and ignore what they do not know:
a cap in the other field would be none.
"""

from functools import lru_cache
from typing import Any
from urllib.parse import urlsplit

from proxy.providers import REGISTRY
from proxy.runtime.catalog import Target
from proxy.runtime.routes import CHAT, Route

_OLD, _NEW = "max_tokens", "max_completion_tokens"
_EITHER = "either"
#: Hosts of OpenAI itself. A deployment of `openai` at another address may be any server.
_OPENAI_HOSTS = (".openai.com", ".azure.com")


def capped(body: dict[str, Any], route: Route, target: Target, injected: int | None) -> dict[str, Any]:
    """The body with its output cap, the client's or an injected one, in a field that the provider keeps to."""
    if not route.has_output:
        return body
    given = [name for name in route.caps if body.get(name)]
    fields = _fields(route, target)
    if injected is None and (
        not given or (not fields.isdisjoint(given) and (_keeps_either(target) or fields <= {*given}))
    ):
        return body
    cap = injected if injected is not None else max(body[name] for name in given)
    kept = {name: value for name, value in body.items() if name not in (_OLD, _NEW)}
    return kept | dict.fromkeys(_preferred(fields, target), cap)


def _fields(route: Route, target: Target) -> set[str]:
    if route is not CHAT:
        return {_OLD}
    return {_OLD} if REGISTRY[target.provider].caps == _OLD else {_OLD, _NEW}


def _keeps_either(target: Target) -> bool:
    spec = REGISTRY[target.provider]
    if spec.caps != _EITHER or target.provider != "openai":
        return spec.caps == _EITHER
    return _is_openai(target.base_url)


@lru_cache(maxsize=1024)
def _is_openai(base_url: str) -> bool:
    host = urlsplit(base_url).hostname or ""
    return f".{host}".endswith(_OPENAI_HOSTS)


def _preferred(fields: set[str], target: Target) -> list[str]:
    """Newer models of those that keep to either field refuse the old one."""
    return [_NEW] if _NEW in fields and _keeps_either(target) else sorted(fields)
