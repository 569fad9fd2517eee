"""Whether what is set somewhere only narrows what is set elsewhere. Pure: no Django, no I/O.

A child is judged by what a change puts in force: what is wider since a limit above it was lowered stops no other
change. The chain enforces every limit at every call in any case.
"""

from collections.abc import Collection, Iterable, Iterator
from typing import TYPE_CHECKING

from teams.budgets import matches
from teams.columns import NUMBERS
from teams.windows import length_of

if TYPE_CHECKING:
    from teams.terms import Limits, Terms

#: Entries of a list of models that cover everything which the lists above cover.
_EVERYTHING = frozenset({"*", "all-proxy-models", "all-team-models"})
_NOTHING = "no-default-models"
#: What it opens below a list is what that list opens.
_AS_ABOVE = "all-team-models"
#: Model or pattern ('' for every model), duration, nano-USD.
_Amount = tuple[str, str, int]


def wider(child: "Limits", above: "Limits", stored: "Limits") -> str:
    """Name in the API of a limit of `child` that goes beyond one of `above`, and is another than in `stored`, the child
    as it was; '' if there is none. Where nothing is set nothing is wider. Models are judged by `uncovered`.
    """
    return next(_wider(child, above, stored), "")


def uncovered(wanted: Iterable[str], top: Collection[str], *, below: bool) -> tuple[set[str], set[str]]:
    """Entries of a list of models that the list `top` does not cover, and those that only a pattern of it covers.

    The latter are known by that name; whether another model is meant by it who knows the models has to tell. `below`
    says that `top` holds whoever has the list as well.
    """
    if not top or _EVERYTHING.intersection(top):
        return set(), set()
    named = set(wanted) - {_NOTHING, *top} - ({_AS_ABOVE} if below else set())
    covered = {name for name in named - _EVERYTHING if any(matches(entry, name) for entry in top)}
    return named - covered, covered


def _wider(child: "Limits", above: "Limits", stored: "Limits") -> Iterator[str]:
    bounds = [(column, column, name) for column, name in NUMBERS.items()]
    for column, bound, name in (*bounds, ("soft_budget_nano", "max_budget_nano", "soft_budget")):
        own, top = child.effective(column), above.effective(bound)
        if own != stored.effective(column) and None not in (own, top) and own > top:
            yield name
    tops = [
        (budget.model, budget.duration, budget.limit_nano)
        for budget in above.budgets()
        if budget.limit_nano is not None
    ]
    for name, amounts in (("budget_limits", _windows), ("model_max_budget", _of_models)):
        known = amounts(stored)
        if any(_exceeds(own, top) for own in amounts(child) if own not in known for top in tops):
            yield name
    for kind in ("rpm", "tpm"):
        old = _rates(stored, kind)
        if any(_is_faster(model, rate, kind, above) for model, rate in _rates(child, kind) if (model, rate) not in old):
            yield f"model_{kind}_limit"


def _windows(terms: "Terms") -> list[_Amount]:
    return [("", window["duration"], window["max_nano"]) for window in terms.effective("budget_limits")]


def _of_models(terms: "Terms") -> list[_Amount]:
    limited = terms.limits_by_model.items()
    return [(model, of.get("duration", ""), of["max_nano"]) for model, of in limited if "max_nano" in of]


def _exceeds(own: _Amount, top: _Amount) -> bool:
    """Whether an amount can never be spent below another one: more, of what that counts too, in no longer a time."""
    (model, duration, nano), (counted, within, most) = own, top
    return nano > most and (not counted or matches(counted, model)) and length_of(duration) <= length_of(within)


def _rates(terms: "Terms", kind: str) -> list[tuple[str, int]]:
    return [(model, of[kind]) for model, of in terms.limits_by_model.items() if kind in of]


def _is_faster(model: str, rate: int, kind: str, above: "Limits") -> bool:
    whole = above.effective(f"{kind}_limit")
    tops = [top for entry, top in _rates(above, kind) if matches(entry, model)]
    return any(rate > top for top in (*tops, *(() if whole is None else (whole,))))
