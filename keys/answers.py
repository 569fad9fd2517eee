"""Answers that are given once: a request that is sent again under the same name gets the first answer again.

An answer may hold a fresh secret, so it is kept encrypted, bound to its row, and for a day only.
"""

import hashlib
from dataclasses import dataclass
from datetime import datetime, timedelta

from django.conf import settings
from django.db import transaction

from keys import vault
from keys.models import GivenAnswer

KEPT_FOR = timedelta(hours=24)


class AskedOtherwise(Exception):
    """The name was used for another request."""


@dataclass(frozen=True, slots=True)
class Answer:
    status: int
    text: str

    def __repr__(self) -> str:
        return f"Answer({self.status})"


def name_of(caller: str, sent: str) -> str:
    """Names are the caller's own: nobody gets at another's answer."""
    return hashlib.sha256(f"{caller}|{sent}".encode()).hexdigest()


@transaction.atomic
def claim(name: str, asked: str, *, now: datetime) -> Answer | None:
    """The answer that was given under `name`, or None: then the caller is the one to give it, in this transaction.

    Whoever comes at the same time waits for the end of that transaction. If it fails, nothing was claimed.
    """
    fresh = {"asked": asked, "envelope": "", "expires_at": now + KEPT_FOR}
    row, created = GivenAnswer.objects.select_for_update(no_key=True).get_or_create(name=name, defaults=fresh)
    if created:
        return None
    if row.expires_at <= now:
        GivenAnswer.objects.filter(pk=row.pk).update(**fresh)
        return None
    if row.asked != asked:
        raise AskedOtherwise
    return Answer(row.status, vault.open_envelope(row.envelope, _context(name), [settings.SALT_KEY]))


def keep(name: str, answer: Answer) -> None:
    """Keep the answer of a claimed name."""
    envelope = vault.seal(answer.text, _context(name), settings.SALT_KEY)
    GivenAnswer.objects.filter(name=name).update(envelope=envelope, status=answer.status)


def forget(*, now: datetime) -> int:
    """Delete the answers whose day is over. Returns how many."""
    return GivenAnswer.objects.filter(expires_at__lte=now).delete()[0]


def _context(name: str) -> str:
    return f"answer:{name}"
