"""How virtual keys look in answers of the management API. Never the secret; money is exact USD."""

from collections.abc import Mapping
from datetime import datetime

from keys.extras import ROUTES_OF_TYPE, extras_row
from keys.models import VirtualKey
from teams.access_groups import group_ids
from teams.models import User
from teams.rows import Row, budget_row, budget_table, limits_row, organization_id, usage_rows, zone_of

#: The contract's words for `VirtualKey.status`.
_STATUS = {"blocked": "revoked"}


def key_row(key: VirtualKey, spent: Mapping[str, int], now: datetime) -> Row:
    """All fields of the contract; `token` is the SHA-256, which authenticates nobody."""
    limits = limits_row(key, spent[key.scope], now)
    tags = {"tags": key.tags} if key.tags else {}
    of_customers = {"end_user_budget_id": key.end_user_budget.public_id} if key.end_user_budget else {}
    account = {"service_account_id": key.service_account} if key.service_account else {}
    deleted = {"deleted_at": key.deleted_at, "deleted_by": key.deleted_by} if key.deleted_at else {}
    return {
        "token": key.token,
        "key_name": key.masked,
        "key_alias": key.alias,
        **extras_row(key.metadata, key.extras),
        **limits,
        "metadata": {**limits["metadata"], **tags, **of_customers, **account},
        "end_user_budget_id": of_customers.get("end_user_budget_id"),
        "expires": key.expires_at,
        "user_id": key.user.public_id if key.user else None,
        "team_id": key.team.public_id if key.team else None,
        "project_id": key.project.public_id if key.project else None,
        # Tools compare what they read with what they sent, and do not name the organization of a team.
        "organization_id": organization_id(key.organization) if key.names_organization else None,
        "aliases": key.aliases,
        "tags": key.tags,
        "access_group_ids": group_ids(key),
        "allowed_routes": key.allowed_routes,
        "output_cap_policy": key.output_cap_policy,
        "created_by": key.created_by,
        "updated_by": key.updated_by,
        "auto_rotate": key.auto_rotate,
        "rotation_interval": key.rotation_interval or None,
        "key_rotation_at": key.rotate_at,
        "rotation_count": key.rotation_count,
        "last_rotation_at": key.rotated_at,
        "last_active": getattr(key, "last_active", None),
        "service_account_id": key.service_account or None,
        "litellm_budget_table": _table(key, now),
        **deleted,
    }


def _table(key: VirtualKey, now: datetime) -> Row | None:
    """Its shared budget; or where clients look for a `soft_budget` of the key's own."""
    if key.shared_budget is not None:
        return budget_row(key.shared_budget, zone_of(key), now)
    return budget_table(key, now) if key.soft_budget_nano is not None else None


def info_row(key: VirtualKey, spent: Mapping[str, int], used: Mapping[tuple[str, str, str], int], now: datetime) -> Row:
    """The row as /key/info shows it: without the token, with the status and what each window has used."""
    row = key_row(key, spent, now)
    del row["token"]
    return row | usage_rows(key, used, now) | {"status": status_of(key, now)}


def issued_row(
    key: VirtualKey, secret: str, spent: Mapping[str, int], now: datetime, *, duration: str | None = None
) -> Row:
    """The one answer that holds the secret."""
    kind = next((name for name, routes in ROUTES_OF_TYPE.items() if routes == key.allowed_routes), None)
    row = key_row(key, spent, now) | {"key": secret, "token_id": key.token}
    return row | {"duration": duration, "key_type": kind}


def owner_row(user: User) -> Row:
    """The person behind a key, where a list is asked to show it."""
    return {
        "user_id": user.public_id,
        "user_email": user.email or None,
        "user_alias": user.alias or None,
        "user_role": user.role,
    }


def status_of(key: VirtualKey, now: datetime) -> str:
    status = key.status(now)
    return _STATUS.get(status, status)
