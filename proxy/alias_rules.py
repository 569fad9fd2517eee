"""Further names of models, the same for everybody: what the configuration file says of them. Pure."""

from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from types import MappingProxyType
from typing import Any

from proxy.gate_rules import BadRule

ROUTER_NAMES = frozenset({"model_group_alias"})
LITELLM_NAMES = frozenset({"model_alias_map"})
_NONE: frozenset[str] = frozenset()
_LONGEST = 255
#: What these mean in lists of models is settled.
_TAKEN = frozenset({"all-proxy-models", "all-team-models", "no-default-models"})


@dataclass(frozen=True)
class Aliases:
    models: Mapping[str, str] = field(default_factory=dict)
    """The model that each alias means."""
    hidden: frozenset[str] = _NONE
    """Aliases that can be called, and are not listed."""

    @cached_property
    def _names(self) -> Mapping[str, frozenset[str]]:
        names: dict[str, set[str]] = defaultdict(set)
        for alias, model in self.models.items():
            names[model].add(alias)
        return {model: frozenset(found) for model, found in names.items()}

    def of(self, model: str) -> frozenset[str]:
        """All aliases of a model, as the file writes its name."""
        return self._names.get(model, _NONE)

    def listed(self) -> Iterator[str]:
        return (alias for alias in self.models if alias not in self.hidden)

    def as_setting(self) -> dict[str, Any]:
        """As the configuration file writes them."""
        return {
            alias: {"model": model, "hidden": True} if alias in self.hidden else model
            for alias, model in self.models.items()
        }


def read_aliases(litellm: Mapping[str, Any], router: Mapping[str, Any] = MappingProxyType({})) -> Aliases:
    """From `litellm_settings.model_alias_map` and `router_settings.model_group_alias`, of which the latter wins.

    Raises BadRule. An alias means one model, never another alias; a model that is an alias of itself has none.
    """
    meant: dict[str, tuple[str, bool]] = {}
    for place, table in (
        ("litellm_settings.model_alias_map", litellm.get("model_alias_map")),
        ("router_settings.model_group_alias", router.get("model_group_alias")),
    ):
        for alias, value in _entries(table, place):
            meant[alias] = _meant(value, f"{place}.{alias}")
    meant = {alias: (model, hidden) for alias, (model, hidden) in meant.items() if alias != model}
    for alias, (model, _) in meant.items():
        if model in meant:
            raise BadRule(
                f"router_settings.model_group_alias (litellm_settings.model_alias_map): '{alias}' means '{model}', "
                "which is an alias itself; name the model that it means"
            )
    models = {alias: model for alias, (model, _) in meant.items()}
    return Aliases(models, frozenset(alias for alias, (_, hidden) in meant.items() if hidden))


def _entries(table: Any, place: str) -> Iterator[tuple[str, Any]]:
    if table is not None and not isinstance(table, Mapping):
        raise BadRule(f"{place}: write each alias with its model, such as {{gpt-4: gpt-4o}}")
    for alias, value in (table or {}).items():
        if not _is_name(alias) or "," in alias or alias in _TAKEN:
            raise BadRule(
                f"{place}: an alias is a text of 1 to {_LONGEST} characters without '*' and ',', and none of "
                f"{', '.join(sorted(_TAKEN))}"
            )
        yield alias, value


def _meant(value: Any, place: str) -> tuple[str, bool]:
    """The model of an alias, and whether it is hidden."""
    model, hidden = (value.get("model"), value.get("hidden")) if isinstance(value, Mapping) else (value, None)
    if not _is_name(model) or not isinstance(hidden, bool | None):
        raise BadRule(f"{place}: write the name of a model, or {{model: its name, hidden: true or false}}")
    return str(model), bool(hidden)


def _is_name(value: Any) -> bool:
    return isinstance(value, str) and 0 < len(value) <= _LONGEST and "*" not in value
