"""Further budgets and limits per model as people read and type them, one per line. Pure: no Django, no I/O.

5.00 per 1d                                  a window
openai/*: 5.00 per 1d, 10 rpm, 20,000 tpm    a model
"""

import re
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from teams.budgets import BadLimits
from teams.money import BadAmount, nano_from_usd, parse_decimal, plain, usd_from_nano
from teams.windows import BadDuration, parse_budget_duration

_MODEL = re.compile(r"(?P<model>\S+):\s+(?P<limits>.+)")
_BUDGET = re.compile(r"(?P<amount>.+?)\s+(?:per\s+(?P<duration>.+)|(?P<total>total))")
_RATE = re.compile(r"(?P<number>[0-9]{1,3}(?:,[0-9]{3})+|[0-9]{1,16})\s*(?P<unit>rpm|tpm)")


def windows_text(windows: Iterable[Mapping[str, Any]]) -> str:
    return "\n".join(budget_text(window["max_nano"], window["duration"]) for window in windows)


def models_text(models: Mapping[str, Mapping[str, Any]]) -> str:
    return "\n".join(f"{model}: {', '.join(model_parts(limits))}" for model, limits in sorted(models.items()))


def model_parts(limits: Mapping[str, Any]) -> list[str]:
    """`["5.00 per 1d", "10 rpm"]`"""
    budget = [budget_text(limits["max_nano"], limits.get("duration", ""))] if "max_nano" in limits else []
    return budget + [f"{limits[unit]:,} {unit}" for unit in ("rpm", "tpm") if unit in limits]


def budget_text(nano: int, duration: str) -> str:
    amount = plain(usd_from_nano(nano)).replace(",", "")
    return f"{amount} per {duration}" if duration else f"{amount} total"


def windows_from(text: str) -> list[dict[str, Any]]:
    """What `windows_text` writes; raises BadLimits naming the line."""
    return _each_line(text, _window)


def models_from(text: str) -> dict[str, dict[str, Any]]:
    """What `models_text` writes; raises BadLimits naming the line."""
    models: dict[str, dict[str, Any]] = {}
    for model, limits in _each_line(text, _model):
        if model in models:
            raise BadLimits(f"'{model}' occurs twice; write all of its limits into one line")
        models[model] = limits
    return models


def _each_line(text: str, read: Callable[[str], Any]) -> list[Any]:
    found = []
    for number, line in enumerate(text.splitlines(), 1):
        try:
            found += [read(line.strip())] if line.strip() else []
        except (BadLimits, BadAmount, BadDuration) as error:
            raise BadLimits(f"line {number}: {error}") from error
    return found


def _window(line: str) -> dict[str, Any]:
    match = _BUDGET.fullmatch(line)
    if match is None or match["total"]:
        raise BadLimits("write an amount in USD and its period, e.g. 5.00 per 1d")
    return {"duration": _duration(match["duration"]), "max_nano": _nano(match["amount"])}


def _model(line: str) -> tuple[str, dict[str, Any]]:
    match = _MODEL.fullmatch(line)
    if match is None:
        raise BadLimits("write a model, a colon and its limits, e.g. openai/*: 5.00 per 1d, 10 rpm")
    limits: dict[str, Any] = {}
    for part in re.split(r",\s+", match["limits"].strip().rstrip(",")):
        read = _part(part.strip())
        if read.keys() & limits.keys():
            raise BadLimits(f"'{part}': this model has such a limit already")
        limits |= read
    return match["model"], limits


def _part(part: str) -> dict[str, Any]:
    rate, budget = _RATE.fullmatch(part), _BUDGET.fullmatch(part)
    if rate:
        return {rate["unit"]: int(rate["number"].replace(",", ""))}
    if budget is None:
        raise BadLimits(f"'{part}' is none of: 5.00 per 1d, 5.00 total, 10 rpm, 20000 tpm")
    nano = _nano(budget["amount"])
    return {"max_nano": nano} if budget["total"] else {"max_nano": nano, "duration": _duration(budget["duration"])}


def _nano(text: str) -> int:
    amount = parse_decimal(text)
    try:
        return nano_from_usd(amount)
    except ValueError as error:
        raise BadAmount(str(error)) from error


def _duration(text: str) -> str:
    words = " ".join(text.split())
    parse_budget_duration(words)
    return words
