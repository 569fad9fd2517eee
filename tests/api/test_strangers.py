"""People of one organization are put into the teams of another by platform admins alone."""

from teams import services
from teams.actors import MASTER
from teams.models import Membership, Organization, Team, User
from tests.api.conftest import Api
from tests.factories import issue


def test_a_team_admin_adds_people_within_reach_but_nobody_of_another_organization(api: Api, linus: User) -> None:
    home, abroad = (services.create_organization(Organization(name=name), actor=MASTER) for name in ("home", "abroad"))
    team = services.create_team(Team(name="t", organization=home), actor=MASTER)
    lead, near, far = (
        services.create_user(User(username=name, organization=where), actor=MASTER)
        for name, where in (("lead", home), ("near", home), ("far", abroad))
    )
    services.add_member(Membership(team=team, user=lead, role="admin"), actor=MASTER)
    _, secret = issue(user=lead)

    def add(person: User, **how: str) -> int:
        body = {"team_id": team.public_id, "member": {"user_id": person.public_id, "role": "user"}}
        return api.post("/team/member_add", body, **how).status

    assert [add(person, bearer=secret) for person in (near, linus, far)] == [200, 200, 403]
    assert not team.memberships.filter(user=far).exists()
    assert add(far) == 200
