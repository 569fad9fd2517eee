"""What may be called: models and the deployments behind them, as a worker caches them. Pure."""

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

from keys.grants import ScopePolicy
from proxy.alias_rules import Aliases
from proxy.fallback_rules import Fallbacks
from spend.pricing import PriceCard

_NONE: frozenset[str] = frozenset()
_MOST_CONCRETE = 10_000
#: A snapshot of a model, as `gpt-4o-2024-08-06` or `claude-sonnet-4-20250514`.
_DATED = re.compile(r"(?P<undated>.+)(?P<date>-(?:20\d\d-\d\d-\d\d|20\d{6}))")


@dataclass(frozen=True, slots=True)
class Target:
    """One deployment, ready to be called. `secret` goes to `base_url`'s host only and is never shown."""

    deployment: str
    model: str
    provider: str
    upstream_model: str
    base_url: str
    secret: str = field(repr=False)
    max_input_tokens: int | None
    max_output_tokens: int | None
    price: PriceCard | None
    is_free: bool
    timeout_seconds: float
    max_retries: int
    on_disconnect: str = "drain"
    """What becomes of a stream whose client went away: `drain` reads it to its end, `cancel` hangs up."""
    region: str = ""
    """Where it is, e.g. `eu` or `us-east-1`; empty if nobody said."""
    tags: frozenset[str] = _NONE
    """Of calls that this deployment is for, where tags choose among deployments."""
    pools: tuple[ScopePolicy, ...] = ()
    """What its provider and the access groups of its model may spend together, whoever calls."""
    pool_scopes: tuple[str, ...] = ()
    """Their names, as every call of it is attributed to them."""
    defaults: Mapping[str, Any] = field(default_factory=dict)
    """Request fields that it sends where the client says nothing."""
    usual_output_tokens: int | None = None
    """What a call without an output cap gets, if it is less than the model could make."""
    waits: bool = False
    """Whether it names a credential that is not there yet: until then it cannot be called."""
    groups: frozenset[str] = _NONE
    """Further names by which limits may mean its model: its access groups, its aliases, and the provider's own name."""


@dataclass(frozen=True, slots=True)
class Shelf:
    """Models that belong together: those for everybody, or those of one team."""

    models: dict[str, tuple[Target, ...]] = field(default_factory=dict)
    groups: dict[str, frozenset[str]] = field(default_factory=dict)
    """Access groups of each model that is in one, wildcards included."""
    created: dict[str, int] = field(default_factory=dict)
    """When each model was added, in seconds since 1970; wildcards, and the models listed for them, included."""
    wildcards: tuple[str, ...] = ()
    """Names such as `openai/*`, the most specific first."""
    listed: Mapping[str, str] = field(default_factory=dict)
    """Models known to exist behind a wildcard, each with the wildcard's name."""
    short: Mapping[str, str] = field(default_factory=dict)
    """Of models behind a provider's wildcard the name that the provider gives them: `gpt-4o` of `openai/gpt-4o`."""

    def wildcard_for(self, model: str) -> str | None:
        return next((name for name in self.wildcards if captured(name, model) is not None), None)

    def has(self, model: str) -> bool:
        known = model in self.models or model in self.listed
        return known or (bool(self.wildcards) and self.wildcard_for(model) is not None)

    def in_full(self, short: str) -> str | None:
        """The model that a provider gives this name; also one with a date behind it, that no list spells out."""
        if short in self.short:
            return self.short[short]
        dated = _DATED.fullmatch(short)
        if dated is None or dated["undated"] not in self.short:
            return None
        full = f"{self.short[dated['undated']]}{dated['date']}"
        return full if self.has(full) else None

    def groups_of(self, model: str) -> frozenset[str]:
        if not self.groups:
            return _NONE
        name = model if model in self.models else self.wildcard_for(model)
        return self.groups.get(name or model, _NONE)

    def names(self) -> Iterator[str]:
        """Everything that can be asked for by name; a wildcard itself is none."""
        yield from self.models
        yield from (name for name in self.listed if name not in self.models)


@dataclass(frozen=True, slots=True)
class Catalog:
    everybody: Shelf = field(default_factory=Shelf)
    of_team: Mapping[int, Shelf] = field(default_factory=dict)
    """What only keys of a team may call, by the team's primary key. Its models win over those for everybody."""
    granted: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    """Models that access groups add to a scope's own list, by scope."""
    fallbacks: Fallbacks = field(default_factory=Fallbacks)
    aliases: Aliases = field(default_factory=Aliases)
    announced: int = 0
    """The newest change that was announced when this was read."""
    platform_epoch: int = 0
    """The platform's when this was read: pools that were made in a later one are missing."""
    concrete: dict[tuple[int, str], tuple[Target, ...]] = field(default_factory=dict)
    """Deployments of models that were asked for by way of a wildcard, by team (0: everybody) and name."""

    _allowed: set[tuple[tuple[object, ...], str]] = field(default_factory=set, repr=False, compare=False)

    def is_allowed(self, policies: tuple[object, ...], model: str) -> bool:
        """Whether the same snapshots of a chain were found to allow a model before; what they say never changes."""
        return (policies, model) in self._allowed

    def allow(self, policies: tuple[object, ...], model: str) -> None:
        if len(self._allowed) >= _MOST_CONCRETE:
            self._allowed.clear()
        self._allowed.add((policies, model))

    def shelves(self, team: int | None) -> tuple[Shelf, ...]:
        own = self.of_team.get(team) if team else None
        return (self.everybody,) if own is None else (own, self.everybody)

    def shelf_of(self, model: str, team: int | None) -> Shelf | None:
        """Where a key of `team` finds a model."""
        return next((shelf for shelf in self.shelves(team) if shelf.has(model)), None)

    def in_full(self, model: str, team: int | None) -> str:
        """The name by which a model is served; one that nobody serves stays as it is.

        An alias comes before a model for everybody of the same name, and after one of the team's own.
        """
        if model in self.aliases.models and self.shelf_of(model, team) in (None, self.everybody):
            model = self.aliases.models[model]
        if self.shelf_of(model, team) is not None:
            return model
        return next((full for shelf in self.shelves(team) if (full := shelf.in_full(model))), model)

    def groups_of(self, model: str, team: int | None) -> frozenset[str]:
        """Further names by which lists of models may mean it: its groups, aliases, and as its provider has it."""
        shelf, own = self.shelf_of(model, team), model.partition("/")[2]
        if shelf is None:
            return _NONE
        is_short = bool(own) and self.in_full(own, team) == model
        of_provider = (
            frozenset.intersection(*map(names_of_provider, shelf.models[model])) if model in shelf.models else _NONE
        )
        own_name = frozenset({own}) if is_short else _NONE
        return shelf.groups_of(model) | of_provider | own_name | self.aliases_of(model, team)

    def aliases_of(self, model: str, team: int | None) -> frozenset[str]:
        """Aliases by which a key of `team` gets a model; one that a model of the team's own is called by is none."""
        known = self.aliases.models
        return frozenset(alias for alias in known if alias != model and self.in_full(alias, team) == model)

    def remember(self, model: str, team: int | None, targets: tuple[Target, ...]) -> None:
        if len(self.concrete) >= _MOST_CONCRETE:
            self.concrete.clear()
        self.concrete[team or 0, model] = targets


def shown_address(base_url: str) -> str:
    """A base URL as headers and the log tell it: a query may hold a secret, and a password none has."""
    return base_url.partition("?")[0]


def names_of_provider(target: Target) -> frozenset[str]:
    """How `openai/*` means `gpt-4o`: a model of ours that is called as its provider calls it."""
    if target.model != target.upstream_model:
        return _NONE
    return frozenset({f"{target.provider}/*", f"{target.provider}/{target.model}"})


def captured(wildcard: str, model: str) -> tuple[str, ...] | None:
    """What the stars of a wildcard stand for in a model's name; None if it does not cover the model."""
    match = _pattern(wildcard).fullmatch(model)
    return match.groups() if match else None


@lru_cache(maxsize=10_000)
def _pattern(wildcard: str) -> re.Pattern[str]:
    """A star stands for a whole name, or for the rest of one, which may be nothing."""
    first, *rest = wildcard.split("*")
    pattern, before = re.escape(first), first
    for part in rest:
        pattern += ("(.*)" if before and not before.endswith("/") else "(.+)") + re.escape(part)
        before = part
    return re.compile(pattern)


def filled(wildcard: str, parts: Iterable[str]) -> str:
    """A wildcard with its stars replaced, in order."""
    for part in parts:
        wildcard = wildcard.replace("*", part, 1)
    return wildcard


def by_precision(wildcards: Iterable[str]) -> tuple[str, ...]:
    """The one that says most comes first."""
    return tuple(sorted(wildcards, key=lambda name: (name.count("*"), -len(name), name)))
