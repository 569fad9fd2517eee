"""Which models take over a call that another one could not serve, and how the configuration file says so. Pure."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any

from proxy.gate_rules import BadRule

#: Why a call goes on to another model: any failure that is not the client's, or one of two that are the model's.
KINDS = (GENERAL, CONTEXT_WINDOW, CONTENT_POLICY) = ("general", "context_window", "content_policy")
#: Stands for every model that has no fallbacks of its own.
EVERY = "*"
MOST_MODELS = 20
KIND_OF = {"fallbacks": GENERAL, "context_window_fallbacks": CONTEXT_WINDOW, "content_policy_fallbacks": CONTENT_POLICY}
NAMES = frozenset({*KIND_OF, "default_fallbacks"})
_EXAMPLE = "write a list such as [{gpt-4o: [gpt-4o-mini]}]"


@dataclass(frozen=True, slots=True)
class Fallbacks:
    """Models in order of preference, by why and by which model could not serve the call."""

    tables: Mapping[str, Mapping[str, tuple[str, ...]]] = field(default_factory=dict)

    def of(self, model: str, kind: str) -> tuple[str, ...]:
        """What a model has of one kind, as it was written."""
        return self.tables.get(kind, {}).get(model, ())

    def after(self, model: str, kind: str) -> tuple[str, ...]:
        """Models to try once this one could not serve a call; where its kind names none, those for any failure."""
        for each in dict.fromkeys((kind, GENERAL)):
            found = self.of(model, each) or self.of(EVERY, each)
            if found:
                return tuple(name for name in found if name != model)
        return ()

    def beneath(self, rows: Iterable[tuple[str, str, Iterable[str]]]) -> "Fallbacks":
        """With further (model, kind, models); they win over what is here."""
        tables = {kind: dict(table) for kind, table in self.tables.items()}
        for model, kind, models in rows:
            tables.setdefault(kind, {})[model] = tuple(models)
        return Fallbacks(tables)

    def meant_by(self, aliases: Mapping[str, str]) -> "Fallbacks":
        """By the models that aliases mean; what is said of a model by its own name wins."""
        tables = {
            kind: {aliases.get(name, name): models for name, models in table.items() if aliases.get(name) not in table}
            for kind, table in self.tables.items()
        }
        return Fallbacks(tables)

    def listed(self) -> list[tuple[str, str, tuple[str, ...]]]:
        """Every (model, kind, models)."""
        return [(name, kind, self.of(name, kind)) for kind in KINDS for name in sorted(self.tables.get(kind, {}))]

    def as_setting(self, kind: str) -> list[dict[str, list[str]]]:
        """As the configuration file writes them."""
        return [{name: list(models)} for name, models in self.tables.get(kind, {}).items()]


def read_fallbacks(litellm: Mapping[str, Any], router: Mapping[str, Any] = MappingProxyType({})) -> Fallbacks:
    """From `litellm_settings` and `router_settings`, of which the latter wins. Raises BadRule."""
    tables: dict[str, dict[str, tuple[str, ...]]] = {}
    for section, settings in (("litellm_settings", litellm), ("router_settings", router)):
        for name, kind in KIND_OF.items():
            if settings.get(name) is not None:
                tables[kind] = tables.get(kind, {}) | read_table(settings[name], f"{section}.{name}")
        models = _models(settings.get("default_fallbacks") or [], f"{section}.default_fallbacks")
        if models:
            tables.setdefault(GENERAL, {})[EVERY] = models
    return Fallbacks(tables)


def read_table(value: Any, place: str) -> dict[str, tuple[str, ...]]:
    """A list of {model: [models]}. Raises BadRule."""
    if not isinstance(value, list) or not all(isinstance(entry, dict) and entry for entry in value):
        raise BadRule(f"{place}: {_EXAMPLE}")
    return {_model(name, place): _models(models, place) for entry in value for name, models in entry.items()}


def _model(name: Any, place: str) -> str:
    if not isinstance(name, str) or not 0 < len(name) <= 255:
        raise BadRule(f"{place}: a model is named by a text of at most 255 characters; {_EXAMPLE}")
    return name


def _models(value: Any, place: str) -> tuple[str, ...]:
    if not isinstance(value, list) or len(value) > MOST_MODELS:
        raise BadRule(f"{place}: a model falls back on a list of at most {MOST_MODELS} models; {_EXAMPLE}")
    return tuple(dict.fromkeys(_model(name, place) for name in value))
