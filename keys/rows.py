"""How virtual keys look in answers of the management API. Never the secret; money is exact USD."""

from collections.abc import Mapping
from datetime import datetime

from keys.models import VirtualKey
from teams.rows import Row, limits_row

#: The contract's words for `VirtualKey.status`.
_STATUS = {"blocked": "revoked"}


def key_row(key: VirtualKey, spent: Mapping[str, int], now: datetime) -> Row:
    """All fields of the contract; `token` is the SHA-256, which authenticates nobody."""
    limits = limits_row(key, spent[key.scope], now)
    tags = {"tags": key.tags} if key.tags else {}
    return {
        "token": key.token,
        "key_name": key.masked,
        "key_alias": key.alias,
        **limits,
        "metadata": {**key.metadata, **tags},
        "expires": key.expires_at,
        "user_id": key.user.public_id if key.user else None,
        "team_id": key.team.public_id if key.team else None,
        "organization_id": key.organization.public_id,
        "aliases": key.aliases,
        "tags": key.tags,
        "allowed_routes": key.allowed_routes,
        "created_by": key.created_by,
        "updated_by": key.updated_by,
        "config": {},
        "permissions": {},
        "allowed_cache_controls": [],
        "model_max_budget": {},
        "budget_id": None,
        "litellm_budget_table": None,
        "object_permission": None,
    }


def info_row(key: VirtualKey, spent: Mapping[str, int], now: datetime) -> Row:
    """The row as /key/info shows it: without the token, with the status."""
    row = key_row(key, spent, now)
    del row["token"]
    return row | {"status": status_of(key, now)}


def issued_row(key: VirtualKey, secret: str, spent: Mapping[str, int], now: datetime) -> Row:
    """The one answer that holds the secret."""
    return key_row(key, spent, now) | {"key": secret, "token_id": key.token}


def status_of(key: VirtualKey, now: datetime) -> str:
    status = key.status(now)
    return _STATUS.get(status, status)
