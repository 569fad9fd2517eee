"""How people look in answers, with what is read about them: their teams, and their places in organizations."""

from collections import defaultdict
from collections.abc import Sequence
from datetime import datetime

from teams.api_base import SpendReader
from teams.callers import Caller
from teams.models import Organization, OrganizationMembership, User
from teams.rows import Row, place_row, team_ids_of, user_row


def person_rows(users: Sequence[User], caller: Caller, spent_by: SpendReader, now: datetime) -> list[Row]:
    """As the caller may see them. However many they are, it takes the same number of queries."""
    places, teams = _places(users, caller), team_ids_of(users, caller)
    spent, of_user = spent_by([*users, *places]), defaultdict[int, list[Row]](list)
    for place in places:
        of_user[place.user_id].append(place_row(place, spent, now))
    return [user_row(user, teams[user.pk], spent, now, of_user[user.pk]) for user in users]


def _places(users: Sequence[User], caller: Caller) -> list[OrganizationMembership]:
    """Where these people are members, of organizations that the caller may look at."""
    known, seen = {user.pk: user for user in users}, Organization.objects.visible_to(caller)
    rows = OrganizationMembership.objects.filter(user__in=known, organization__in=seen).order_by("pk")
    places = list(rows.select_related("organization", "shared_budget"))
    for place in places:
        place.user = known[place.user_id]
    return places
