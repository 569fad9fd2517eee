"""Keys of a team's people end when the team says, whoever makes or changes them."""

from datetime import timedelta

import pytest
from django.utils import timezone

from keys.models import VirtualKey
from teams import services
from teams.actors import SYSTEM
from teams.models import Team, User
from tests.api.conftest import Api
from tests.api.people import key_of
from tests.factories import issue


@pytest.fixture
def strict(search: Team, grace: User) -> Team:
    """`search`, whose members' keys are valid for a day."""
    search.member_key_duration = "1d"
    return services.update_limits(search, actor=SYSTEM)


def _days(key: VirtualKey) -> float | None:
    key.refresh_from_db()
    return None if key.expires_at is None else round((key.expires_at - timezone.now()) / timedelta(days=1), 1)


def test_a_members_key_ends_with_the_teams_duration_or_before(strict: Team, grace: User) -> None:
    soon, late = timezone.now() + timedelta(hours=12), timezone.now() + timedelta(days=9)
    ends = [_days(issue(team=strict, user=grace, expires_at=end)[0]) for end in (None, soon, late)]
    assert ends == [1.0, 0.5, 1.0]


def test_other_keys_are_not_bound(strict: Team, grace: User) -> None:
    assert [_days(issue(team=strict)[0]), _days(issue(user=grace)[0])] == [None, None]


def test_a_member_cannot_lengthen_a_key(api: Api, strict: Team, grace: User) -> None:
    key, _ = issue(team=strict, user=grace)
    for duration in ("30d", None, "-1"):
        assert api.post("/key/update", {"key": key.token, "duration": duration}, bearer=key_of(grace)).status == 200
        assert _days(key) == 1.0


def test_a_key_that_was_made_before_stays_as_it_was_unless_its_end_changes(api: Api, search: Team, grace: User) -> None:
    key, _ = issue(team=search, user=grace)
    api.post("/team/update", {"team_id": search.public_id, "team_member_key_duration": "2d"})
    api.post("/key/update", {"key": key.token, "key_alias": "renamed"})
    assert _days(key) is None
    api.post("/key/update", {"key": key.token, "duration": "30d"})
    assert _days(key) == 2.0


def test_who_leads_the_team_shortens_it_and_does_not_lengthen_it(api: Api, strict: Team, grace: User) -> None:
    def change(duration: str | None) -> int:
        body = {"team_id": strict.public_id, "team_member_key_duration": duration}
        return api.post("/team/update", body, bearer=key_of(grace)).status

    assert [change(duration) for duration in ("2d", None, "24h", "12h", "1d")] == [403, 403, 200, 200, 403]
