"""What a budget is, and how the further ones of a scope are written down. Pure: no Django, no I/O.

Amounts are integer nano-USD. The stored shapes, checked by `check_windows` and `check_models`:

    budget_limits   [{"duration": "1d", "max_nano": 5000000000}, ...]
    model_limits    {"openai/*": {"max_nano": 5000000000, "duration": "1d", "rpm": 10, "tpm": 20000}, ...}

Of a model's limits some may be missing, but none is null; a budget without a duration is one for ever. `inside` names
those rates that were written inside the budget, where they are shown again.
"""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from teams.scopes import MAX_BUDGET_NANO
from teams.windows import BadDuration, parse_budget_duration

MOST_WINDOWS, MOST_MODELS, LONGEST_MODEL = 8, 100, 255
#: The counter script compares doubles, which are exact up to here.
MOST_PER_MINUTE = 2**53 - 1
#: Where a rate was written; no limit itself.
INSIDE = "inside"
#: How clients write a model's amount and duration: the usual name, and the one of a plain budget.
SPELLINGS = {"max_nano": ("budget_limit", "max_budget"), "duration": ("time_period", "budget_duration")}
#: Which of them were written by the name of a plain budget.
SPELLED = "spelled"
#: How a model's limits are shown; no limit themselves.
MARKS = frozenset({INSIDE, SPELLED})
_MODEL_LIMITS = frozenset({"max_nano", "duration", "rpm", "tpm"}) | MARKS


class BadLimits(ValueError):
    """The value is not what the column holds; the message says what is accepted."""


@dataclass(frozen=True, slots=True)
class Budget:
    """One budget: a ceiling of `limit_nano` per window of `duration` ('' = lifetime).

    `model` is an entry as in model lists ('' = every model). `limit_nano` None never refuses: it only
    has a soft budget, whose crossing is noted. A temporary raise counts until `raise_until`.
    """

    duration: str
    limit_nano: int | None
    anchor: datetime
    model: str = ""
    raise_nano: int = 0
    raise_until: datetime | None = None
    soft_nano: int | None = None

    def limit_at(self, now: datetime) -> int | None:
        """The ceiling at an instant, in nano-USD."""
        if self.limit_nano is None or self.raise_until is None or now >= self.raise_until:
            return self.limit_nano
        return min(self.limit_nano + self.raise_nano, MAX_BUDGET_NANO)


def matches(pattern: str, model: str) -> bool:
    """Whether an entry of a model list covers a model: exact, `provider/*`, or `*`."""
    return pattern == model or (pattern.endswith("*") and model.startswith(pattern[:-1]))


def without_doubles(budgets: Iterable[Budget]) -> tuple[Budget, ...]:
    """One budget per model and duration: two of the same window would share a counter, so the tighter one counts."""
    kept: dict[tuple[str, str], Budget] = {}
    for budget in budgets:
        known = kept.setdefault((budget.model, budget.duration), budget)
        if known is not budget:
            kept[budget.model, budget.duration] = _tighter(known, budget)
    return tuple(kept.values())


def check_windows(value: Any) -> None:
    """Raises BadLimits unless `value` is what `budget_limits` holds."""
    if not isinstance(value, list):
        raise BadLimits("write a list of windows")
    if len(value) > MOST_WINDOWS:
        raise BadLimits(f"at most {MOST_WINDOWS} windows")
    known = set()
    for window in value:
        if not isinstance(window, dict) or window.keys() != {"duration", "max_nano"}:
            raise BadLimits("a window has a duration and an amount, and nothing else")
        _check_amount(window["max_nano"])
        known.add(_check_duration(window["duration"]))
    if len(known) < len(value):
        raise BadLimits("a duration occurs twice; write one amount for it")


def check_models(value: Any) -> None:
    """Raises BadLimits unless `value` is what `model_limits` holds."""
    if not isinstance(value, dict):
        raise BadLimits("write an object: a model's name, then its limits")
    if len(value) > MOST_MODELS:
        raise BadLimits(f"at most {MOST_MODELS} models")
    for model, limits in value.items():
        try:
            _check_model(model, limits)
        except BadLimits as error:
            raise BadLimits(f"'{str(model)[:LONGEST_MODEL]}': {error}") from error


def _check_model(model: Any, limits: Any) -> None:
    if not isinstance(model, str) or not 1 <= len(model) <= LONGEST_MODEL or model != model.strip():
        raise BadLimits(f"a model's name has 1 to {LONGEST_MODEL} characters, without spaces around it")
    if not model.isprintable():
        raise BadLimits("a model's name has no control characters")
    if not isinstance(limits, dict) or not limits.keys() <= _MODEL_LIMITS:
        raise BadLimits("a model's limits are an amount, its duration, requests and tokens per minute")
    _check_values(limits)


def _check_values(given: dict[str, Any]) -> None:
    if not given.keys() & {"max_nano", "rpm", "tpm"}:
        raise BadLimits("set at least one limit")
    if "max_nano" in given:
        _check_amount(given["max_nano"])
    if "duration" in given:
        _check_duration(given["duration"])
        if "max_nano" not in given:
            raise BadLimits("a duration needs an amount")
    if given.get(INSIDE, ["rpm"]) not in (["rpm"], ["tpm"], ["rpm", "tpm"]):
        raise BadLimits("what is written inside the budget are rpm and tpm")
    others = [other for _, other in SPELLINGS.values()]
    if not isinstance(spelled := given.get(SPELLED, []), list) or not all(name in others for name in spelled):
        raise BadLimits(f"what may be spelled otherwise are {' and '.join(others)}")
    if not all(_is_whole(given[name], MOST_PER_MINUTE) for name in given.keys() & {"rpm", "tpm"}):
        raise BadLimits("a limit per minute is a whole number that is not negative")


def _check_duration(value: Any) -> tuple[bool, int, str]:
    """The duration's meaning, which two spellings of it share."""
    if not isinstance(value, str):
        raise BadLimits("a duration is a text, e.g. '1d'")
    try:
        return value.startswith("rolling "), *parse_budget_duration(value)
    except BadDuration as error:
        raise BadLimits(str(error)) from error


def _check_amount(value: Any) -> None:
    if not _is_whole(value, MAX_BUDGET_NANO):
        raise BadLimits(f"a budget lies between 0 and {MAX_BUDGET_NANO // 10**9:,} USD")


def _is_whole(value: Any, top: int) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and 0 <= value <= top


def _tighter(first: Budget, second: Budget) -> Budget:
    """The lower ceiling of two; a temporary raise of it ends at the higher one."""
    soft = first.soft_nano if first.soft_nano is not None else second.soft_nano
    if first.limit_nano is None or second.limit_nano is None:
        return replace(second if first.limit_nano is None else first, soft_nano=soft)
    low, high = (first, second) if first.limit_nano <= second.limit_nano else (second, first)
    gap = max(first.limit_nano, second.limit_nano) - min(first.limit_nano, second.limit_nano)
    return replace(low, soft_nano=soft, raise_nano=min(low.raise_nano, gap + high.raise_nano))
