"""The models behind a wildcard, as far as anybody knows of them: those that have a price."""

from collections.abc import Iterable, Iterator
from copy import copy
from datetime import datetime

from proxy.models import Deployment, LanguageModel
from proxy.providers import REGISTRY
from proxy.runtime.catalog import captured, filled
from spend import book


def spelled_out(rows: Iterable[Deployment], now: datetime) -> list[Deployment]:
    """The rows with every wildcard among them replaced by its models, unsaved; an exact name is not repeated."""
    rows = list(rows)
    exact = {(row.team_id, row.model.name) for row in rows if not row.is_wildcard}
    priced = book.items_at(now) if any(row.is_wildcard for row in rows) else []
    found: list[Deployment] = []
    for row in rows:
        if not row.is_wildcard:
            found.append(row)
            continue
        names = [(name, upstream) for name, upstream in behind(row, priced) if (row.team_id, name) not in exact]
        found += [_as_one(row, name, upstream) for name, upstream in names]
    return found


def behind(row: Deployment, priced: Iterable[str]) -> Iterator[tuple[str, str]]:
    """Public name and upstream name of every model of the `priced` items that a wildcard covers."""
    spec = REGISTRY[row.provider.slug]
    if not spec.prices:
        return
    prefix = f"{spec.prices}/"
    known = [item.removeprefix(prefix) for item in priced if item.startswith(prefix)]
    # What the list knows by the beginning of its name alone has a price as soon as anything of that provider has.
    for model in [*known, *(spec.further if known else ())]:
        parts = captured(row.upstream_model, model)
        if parts is not None and row.model.name.count("*") == len(parts):
            yield filled(row.model.name, parts), model


def _as_one(row: Deployment, name: str, upstream: str) -> Deployment:
    one = copy(row)
    one.model = LanguageModel(name=name, created_at=row.model.created_at)
    one.upstream_model = upstream
    return one
