"""What nobody stated about a new key is never more than what holds the key. What a request states is judged instead."""

from collections.abc import Collection, Iterable

from keys.bounds import is_shorter
from keys.models import VirtualKey
from teams.columns import NUMBERS
from teams.field_rights import foreign_models
from teams.models import Limits

#: Columns by the fields of a request that the configuration file may fill in.
COLUMN_OF = {name: column for column, name in NUMBERS.items()} | {
    "models": "allowed_models", "duration": "expires_at",
    "budget_duration": "budget_duration", "allowed_routes": "allowed_routes",
}  # fmt: skip


def open_columns(key: VirtualKey) -> frozenset[str]:
    """What an unsaved key leaves to be filled."""
    left = {column for column in NUMBERS if key.effective(column) is None}
    left |= {column for column in ("allowed_models", "budget_duration") if not getattr(key, column)}
    return frozenset(left)


def fit(key: VirtualKey, tops: Iterable[Limits], columns: Collection[str]) -> None:
    """Narrow these columns of an unsaved key to what its owners, or the key that makes it, have.

    A list of models of which nothing is left is open: whatever is above is what it may call.
    """
    for top in tops:
        if key.shared_budget is None:
            _fit_budgets(key, top, columns)
        if "allowed_models" in columns:
            foreign = foreign_models(key.allowed_models, top, below=not isinstance(top, VirtualKey))
            key.allowed_models = [name for name in key.allowed_models if name not in foreign]
        if isinstance(top, VirtualKey):
            _fit_to_minter(key, top, columns)


def _fit_budgets(key: VirtualKey, top: Limits, columns: Collection[str]) -> None:
    before = key.max_budget_nano
    for column in NUMBERS.keys() & columns:
        own, most = key.effective(column), top.effective(column)
        if own is not None and most is not None and own > most:
            setattr(key, column, most)
    # An amount without a duration of its own comes with that of where it was taken from. A key that makes others is
    # none of their owners, so that nothing else keeps them to its duration.
    is_taken = key.max_budget_nano != before and not key.budget_duration
    is_freer = isinstance(top, VirtualKey) and "budget_duration" in columns and is_shorter(key, top)
    if is_taken or is_freer:
        key.budget_duration = top.schedule[0]


def _fit_to_minter(key: VirtualKey, minter: VirtualKey, columns: Collection[str]) -> None:
    if "expires_at" in columns and minter.expires_at and key.expires_at:
        key.expires_at = min(key.expires_at, minter.expires_at)
    if "allowed_routes" in columns and minter.allowed_routes:
        key.allowed_routes = [route for route in key.allowed_routes if route in minter.allowed_routes]
