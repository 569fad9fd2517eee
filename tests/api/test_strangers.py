"""People of one organization are put into the teams of another by platform admins alone."""

from teams import services
from teams.actors import MASTER
from teams.models import Membership, Organization, Team, User
from tests.api.conftest import Api
from tests.api.people import key_of, organization_of, person
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


def test_an_organization_sees_of_somebody_from_elsewhere_only_the_teams_it_has(api: Api) -> None:
    boss = person("boss")
    home, abroad = organization_of("home", admin=boss), organization_of("abroad")
    guest = person("guest", organization=abroad)
    here, there = (services.create_team(Team(name="t", organization=place), actor=MASTER) for place in (home, abroad))
    for team in (here, there):
        services.add_member(Membership(team=team, user=guest), actor=MASTER)
    how, member = {"bearer": key_of(boss)}, {"user_email": guest.email, "role": "internal_user"}
    added = api.post("/organization/member_add", {"organization_id": "home", "member": member}, **how)
    looked = api.get("/v2/user/info?user_id=guest", **how)
    assert [added.json["updated_users"][0]["teams"], looked.json["teams"]] == [[here.public_id]] * 2
    own = api.get("/v2/user/info", bearer=key_of(guest)).json["teams"]
    assert own == [here.public_id, there.public_id] == api.get("/v2/user/info?user_id=guest").json["teams"]
