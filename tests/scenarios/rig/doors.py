"""A process inside Latchkey's walls: it calls the services that the admin calls, and delivers things once more.

`python -m tests.scenarios.rig.doors` reads one JSON object per line, `{"do": name, ...}`, and answers with one.
"""

import json
import os
import random
import sys
from collections.abc import Callable
from dataclasses import fields
from datetime import UTC, datetime
from functools import partial
from typing import Any

import django

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "gateway_project.settings")
django.setup()

from django.db import connection  # noqa: E402

from gateway_project.celery import app  # noqa: E402
from keys.grants import Owners  # noqa: E402
from keys.models import VirtualKey  # noqa: E402
from proxy.runtime.scripts import SETTLE  # noqa: E402
from proxy.sweeper import sweep  # noqa: E402
from spend import services  # noqa: E402
from spend.models import Hold, LedgerEntry  # noqa: E402
from spend.pricing import Usage  # noqa: E402
from spend.wire import UPSTREAM, Intent, Posting  # noqa: E402
from teams import models, platform_services, store  # noqa: E402
from teams import services as people  # noqa: E402
from teams.actors import SYSTEM  # noqa: E402
from teams.scopes import store_prefix  # noqa: E402

Answer = dict[str, Any]
_CREATE: dict[str, Callable[..., Any]] = {
    "Organization": people.create_organization,
    "Team": people.create_team,
    "User": people.create_user,
    "Membership": people.add_member,
    "Customer": people.create_customer,
    "Tag": people.create_tag,
}


def create(kind: str, **fields: Any) -> Answer:
    made = getattr(models, kind)(**fields)
    _CREATE[kind](made, actor=SYSTEM)
    return {"pk": made.pk, "scope": made.scope, "public_id": getattr(made, "public_id", None)}


def find(kind: str, **lookup: Any) -> Answer:
    """A key by its token, or one of the people's rows by any column."""
    found = VirtualKey.objects.get(**lookup) if kind == "VirtualKey" else getattr(models, kind).objects.get(**lookup)
    return {"pk": found.pk, "scope": found.scope, "public_id": getattr(found, "public_id", None)}


def change(kind: str, pk: int, **fields: Any) -> Answer:
    row = getattr(models, kind).objects.get(pk=pk)
    for name, value in fields.items():
        setattr(row, name, value)
    people.update_limits(row, actor=SYSTEM)
    return {}


def limit_platform(**fields: Any) -> Answer:
    row = platform_services.platform()
    for name, value in fields.items():
        setattr(row, name, value)
    platform_services.update_platform(row, actor=SYSTEM)
    return {}


def block(kind: str, pk: int, blocked: bool) -> Answer:
    people.set_blocked(getattr(models, kind).objects.get(pk=pk), blocked, actor=SYSTEM)
    return {}


def correct(request_id: str, amount_nano: int) -> Answer:
    entry = LedgerEntry.objects.get(request_id=request_id, kind=LedgerEntry.Kind.CHARGE)
    services.correct(entry, amount_nano, reason="a scenario", actor=SYSTEM, now=datetime.now(UTC))
    return {}


def sweep_now(times: int) -> Answer:
    return {"touched": [sweep(now=datetime.now(UTC)) for _ in range(times)]}


def send_tasks(names: list[str], times: int) -> Answer:
    """Put tasks on the broker, each several times, as a broker that delivers again does."""
    for name in names * times:
        app.send_task(name)
    return {}


def post_again(organization: int, seed: int) -> Answer:
    """Deliver a posting for every hold once more, out of order, and with another amount than the first time."""
    holds = list(Hold.objects.filter(organization=organization, key__isnull=False).order_by("pk"))
    random.Random(seed).shuffle(holds)
    stands = services.post([_posting(hold) for hold in holds], now=datetime.now(UTC))
    return {"stands": stands}


def settle_again(organization: int, seed: int) -> Answer:
    """Deliver the settlement of every hold once more, out of order; returns what the script said."""
    rows = list(Hold.objects.filter(organization=organization).exclude(state=Hold.State.PENDING))
    random.Random(seed).shuffle(rows)
    amounts, prefix = services.settled_amounts([row.pk for row in rows]), store_prefix(organization)
    eval_script = partial(store.client().eval, SETTLE.text, 1, prefix)
    replies = [eval_script(row.pk, amounts[row.pk], 20, row.epoch, "") for row in rows]
    return {"answers": sorted({answer[0] for reply in replies for answer in reply})}


def _posting(hold: Hold) -> Posting:
    owners = Owners(hold.organization_id, hold.key_id or 0, hold.team_id, hold.member_id, hold.user_id)
    same = {field.name: getattr(hold, field.name) for field in fields(Intent) if hasattr(hold, field.name)}
    intent = Intent(hold_id=hold.pk, owners=owners, **same)
    return Posting(intent, hold.amount_nano + 1, 0, Usage(10, 20), UPSTREAM, "again", datetime.now(UTC), None)


_DOORS: dict[str, Callable[..., Answer]] = {
    door.__name__: door
    for door in (create, find, change, limit_platform, block, correct, sweep_now, send_tasks, post_again, settle_again)
}


def main() -> None:
    for line in sys.stdin:
        asked = json.loads(line)
        try:
            answer = _DOORS[asked.pop("do")](**asked)
        except Exception as error:
            answer = {"error": f"{type(error).__name__}: {error}"}
        finally:
            # By the next question the database may have been restarted.
            connection.close()
            if connection.vendor == "postgresql":
                connection.close_pool()
        print(json.dumps(answer), flush=True)


if __name__ == "__main__":
    main()
