"""How long keys of a team's people are valid at most, where the team says so."""

from datetime import datetime

from keys.models import VirtualKey
from teams.windows import duration_delta


def bound_by_team(key: VirtualKey, now: datetime, *, stored: VirtualKey | None = None) -> None:
    """Have a member's key end when the team's `team_member_key_duration` is over, if it would end later or never.

    Of a changed key only a new end, owner or team is judged: an older key stays as it was made.
    """
    if key.team is None or key.holder_id is None or not key.team.member_key_duration:
        return
    same = ("expires_at", "team_id", "holder_id")
    if stored is not None and all(getattr(stored, name) == getattr(key, name) for name in same):
        return
    end = now + duration_delta(key.team.member_key_duration)
    key.expires_at = end if key.expires_at is None else min(key.expires_at, end)
