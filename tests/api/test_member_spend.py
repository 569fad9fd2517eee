"""/team/{id}/member/{user}/reset_spend: what a member's budget counts is set back by who leads the team."""

import pytest
from django.utils import timezone

from spend import services as ledger
from spend.models import LedgerEntry
from teams.models import AuditEvent, Membership, Team, User
from tests.api.conftest import Api
from tests.api.people import key_of, person
from tests.factories import intent_for, issue, posting_of


@pytest.fixture
def member(api: Api, search: Team) -> Membership:
    """Mia, who has spent 8 of 10 USD in `search`."""
    member = Membership.objects.create(team=search, user=person("mia"), max_budget_nano=10 * 10**9)
    key, _ = issue(team=search, user=member.user)
    intent = intent_for(key, at=timezone.now(), scopes=(key.organization.scope, search.scope, member.scope, key.scope))
    ledger.write_intents([intent])
    ledger.post([posting_of(intent, 8 * 10**9)], now=timezone.now())
    return member


def _path(team: Team, user_id: str = "mia", word: str = "spend") -> str:
    return f"/team/{team.public_id}/member/{user_id}/reset_{word}"


@pytest.mark.parametrize("word", ["spend", "budget"])
def test_a_members_budget_counts_from_the_new_amount_on(api: Api, search: Team, member: Membership, word: str) -> None:
    answer = api.post(_path(search, word=word), {"reset_to": 2})
    assert answer.status == 200, answer.text
    assert (answer.json["previous_spend"], answer.json["spend"], answer.json["max_budget"]) == (8, 2, 10)
    [row] = api.get("/team/info", {"team_id": search.public_id}).json["team_memberships"]
    assert (row["spend"], row["total_spend"]) == (2, 8)
    assert api.get("/team/info", {"team_id": search.public_id}).json["team_info"]["spend"] == 8
    assert api.post(_path(search, word=word)).json["spend"] == 0
    assert LedgerEntry.objects.get().amount_nano == 8 * 10**9
    assert AuditEvent.objects.filter(action="member.spend_reset").count() == 2


def test_a_reset_above_what_was_spent_or_of_a_stranger_is_refused(api: Api, search: Team, member: Membership) -> None:
    for value, status in ((9, 400), (-1, 400), ("x", 422)):
        assert api.post(_path(search), {"reset_to": value}).status == status
    assert api.post(_path(search, "nobody")).status == 400
    assert api.post("/team/unknown/member/mia/reset_spend").status == 404


def test_nobody_sets_the_own_spend_back(api: Api, search: Team, grace: User, member: Membership) -> None:
    assert api.post(_path(search, grace.public_id), bearer=key_of(grace)).status == 403
    assert api.post(_path(search), bearer=key_of(member.user)).status == 401
    assert api.post(_path(search), bearer=key_of(grace)).status == 200
