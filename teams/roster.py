"""Who is in teams, as lists show it: read at once for all of them, and without an object for each person."""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

from teams.models import Membership, Team


class Member(NamedTuple):
    role: str
    user_id: str
    email: str


#: By the team's primary key, in the order in which people joined.
Roster = Mapping[int, Sequence[Member]]


def roster_of(teams: Iterable[Team]) -> Roster:
    rows = Membership.objects.filter(team__in=[team.pk for team in teams]).order_by("pk")
    found: dict[int, list[Member]] = defaultdict(list)
    for team_pk, *member in rows.values_list("team_id", "role", "user__public_id", "user__email"):
        found[team_pk].append(Member(*member))
    return found
