"""Whom the platform blocks calls with no key any more, whatever team the key is of."""

from teams import services
from teams.actors import SYSTEM
from teams.models import Membership, Team
from tests.api.conftest import Api
from tests.api.people import organization_of, person
from tests.factories import issue


def test_all_keys_of_a_blocked_person_are_refused(api: Api, search: Team) -> None:
    mia = person("mia")
    services.add_member(Membership(team=search, user=mia), actor=SYSTEM)
    secrets = [issue(user=mia)[1], issue(user=mia, team=search)[1]]
    for blocked, status in ((True, 401), (False, 200)):
        assert api.post("/user/update", {"user_id": "mia", "blocked": blocked}).status == 200
        assert [api.get("/key/info", bearer=secret).status for secret in secrets] == [status, status]


def test_other_organizations_say_for_themselves_whom_they_block(api: Api) -> None:
    mia, away = person("mia", organization=organization_of("home")), organization_of("away")
    team = services.create_team(Team(organization=away), actor=SYSTEM)
    services.add_member(Membership(team=team, user=mia), actor=SYSTEM)
    secret = issue(user=mia, team=team)[1]
    api.post("/user/update", {"user_id": "mia", "blocked": True})
    assert api.get("/key/info", bearer=secret).status == 200
