from datetime import timedelta

import pytest
from django.conf import settings
from django.core.exceptions import ValidationError
from django.db import IntegrityError, transaction

from keys import secrets, services
from keys.grants import Budget, ModelRate
from keys.loading import load_grants
from keys.models import RetiredSecret, VirtualKey
from keys.tasks import note_expired_keys
from teams import services as team_services
from teams import store
from teams.actors import MASTER
from teams.models import AuditEvent, Membership, Organization, PolicyChange, Team, User
from teams.reach import caller_of
from tests.factories import NOON, issue

pytestmark = pytest.mark.django_db


def actions(key: VirtualKey) -> list[str]:
    events = AuditEvent.objects.filter(object_type="keys.VirtualKey").order_by("pk")
    return [event.action for event in events if event.object_id in (key.public_id, str(key.pk))]


def test_issue_key_stores_hash_and_seal_but_never_the_secret(organization: Organization) -> None:
    key, secret = issue(alias="billing")
    stored = VirtualKey.objects.get(pk=key.pk)
    assert stored.token == secrets.token_of(secret)
    assert stored.seal == secrets.seal_of(stored.token, stored.pk, settings.SEALING_KEY)
    assert all(secret not in str(value) for value in vars(stored).values())
    assert stored.organization == organization


def test_issue_key_is_audited_without_token_or_seal() -> None:
    key, secret = issue(alias="billing")
    event = AuditEvent.objects.get(action="key.issued")
    assert (event.actor, event.object_id) == (MASTER.label, key.public_id)
    text = str(event.before) + str(event.after)
    assert not any(hidden in text for hidden in (secret, key.token, key.seal))


def test_a_key_lives_in_the_organization_of_its_team() -> None:
    other = team_services.create_organization(Organization(name="Other"), actor=MASTER)
    team = team_services.create_team(Team(name="ml", organization=other), actor=MASTER)
    assert issue(team=team)[0].organization == other


@pytest.mark.parametrize(
    ("fields", "name"),
    [
        ({"max_budget_nano": -1}, "__all__"),
        ({"rpm_limit": -1}, "__all__"),
        ({"budget_duration": "1y"}, "budget_duration"),
        ({"allowed_models": "gpt"}, "allowed_models"),
        ({"metadata": [1]}, "metadata"),
    ],
)
def test_issue_key_names_the_field_at_fault(fields: dict[str, object], name: str) -> None:
    with pytest.raises(ValidationError) as refusal:
        issue(**fields)
    assert name in refusal.value.message_dict
    assert not VirtualKey.objects.exists()


def test_a_custom_key_is_accepted_once() -> None:
    assert services.issue_key(VirtualKey(), actor=MASTER, custom="sk-0123456789abcdef") == "sk-0123456789abcdef"
    with pytest.raises(ValidationError, match="already exists"):
        services.issue_key(VirtualKey(), actor=MASTER, custom="sk-0123456789abcdef")
    with pytest.raises(ValidationError, match="16 to 512"):
        services.issue_key(VirtualKey(), actor=MASTER, custom="sk-short")


def test_a_key_has_one_owner(linus: User) -> None:
    with pytest.raises(ValidationError, match="never to both"):
        issue(user=linus, service_account="robot")
    key, _ = issue(user=linus)
    with pytest.raises(IntegrityError), transaction.atomic():
        VirtualKey.objects.filter(pk=key.pk).update(service_account="robot")


def test_update_key_raises_the_version_and_keeps_only_what_changed() -> None:
    key, _ = issue(alias="billing", rpm_limit=10)
    key.rpm_limit = 20
    services.update_key(key, actor=MASTER)
    event = AuditEvent.objects.get(action="key.updated")
    assert key.version == 2
    assert (event.before["rpm_limit"], event.after["rpm_limit"]) == (10, 20)
    assert "alias" not in event.after
    assert PolicyChange.objects.filter(scope=key.scope).exists()


def test_a_new_budget_window_raises_the_epoch_and_a_new_amount_does_not(organization: Organization) -> None:
    key, _ = issue(max_budget_nano=100, budget_duration="1d")
    key.max_budget_nano = 200
    services.update_key(key, actor=MASTER)
    organization.refresh_from_db()
    assert organization.epoch == 1
    key.budget_duration = "30d"
    services.update_key(key, actor=MASTER, now=NOON)
    organization.refresh_from_db()
    assert (organization.epoch, key.budget_started_at) == (2, NOON)


def test_the_new_version_is_announced_on_commit(django_capture_on_commit_callbacks: object) -> None:
    key, _ = issue()
    with django_capture_on_commit_callbacks(execute=True):  # type: ignore[operator]
        services.block_key(key, actor=MASTER)
    assert store.client().hget(f"lk:{{o{key.organization_id}}}:ver", key.scope) == "2"


def test_block_and_unblock_are_audited() -> None:
    key, _ = issue()
    assert services.block_key(key, actor=MASTER).status() == "blocked"
    assert services.unblock_key(key, actor=MASTER).status() == "active"
    assert actions(key) == ["key.issued", "key.blocked", "key.unblocked"]


def test_delete_key_keeps_the_row_and_has_no_grant() -> None:
    key, _ = issue(alias="billing")
    services.delete_key(key, actor=MASTER, now=NOON)
    again = services.delete_key(key, actor=MASTER)
    assert (again.status(), again.deleted_at, again.deleted_by) == ("deleted", NOON, MASTER.label)
    assert load_grants([key.token]) == {}
    assert actions(key) == ["key.issued", "key.deleted"]
    assert issue(alias="billing")[0].pk != key.pk


def test_regenerate_key_keeps_the_row_and_gives_the_old_secret_its_grace() -> None:
    key, old = issue(max_budget_nano=5)
    new = services.regenerate_key(key, actor=MASTER, grace=timedelta(hours=1), now=NOON)
    grants = load_grants([secrets.token_of(old), secrets.token_of(new)])
    assert grants[secrets.token_of(old)].retires_at == NOON + timedelta(hours=1)
    assert grants[secrets.token_of(new)].retires_at is None
    assert {grant.owners.key_id for grant in grants.values()} == {key.pk}
    assert AuditEvent.objects.get(action="key.regenerated").after == {"grace_seconds": 3600}


def test_a_retired_secret_is_never_issued_again() -> None:
    key, old = issue()
    services.regenerate_key(key, actor=MASTER)
    with pytest.raises(ValidationError, match="already exists"):
        services.issue_key(VirtualKey(), actor=MASTER, custom=old)


def test_an_expiry_is_noted_once_and_again_after_a_new_date() -> None:
    key, _ = issue(expires_at=NOON)
    assert services.note_expired_keys(now=NOON - timedelta(seconds=1), actor=MASTER) == 0
    assert [note_expired_keys(now=NOON.isoformat()) for _ in range(2)] == [1, 0]
    key.refresh_from_db()
    key.expires_at = NOON + timedelta(days=1)
    services.update_key(key, actor=MASTER)
    assert note_expired_keys(now=(NOON + timedelta(days=2)).isoformat()) == 1
    assert actions(key).count("key.expired") == 2


def test_a_row_planted_in_the_database_does_not_authenticate() -> None:
    key, secret = issue()
    other, _ = issue()
    VirtualKey.objects.filter(pk=key.pk).update(token="f" * 64)
    assert load_grants(["f" * 64, secrets.token_of(secret)]) == {}
    VirtualKey.objects.filter(pk=other.pk).update(seal=key.seal)
    assert load_grants([other.token]) == {}


def test_a_grant_carries_the_whole_chain(search: Team, grace: User) -> None:
    key, _ = issue(team=search, user=grace, allowed_models=["gpt-4o"], max_budget_nano=7)
    member = Membership.objects.get(team=search, user=grace)
    grant = load_grants([key.token])[key.token]
    assert [policy.scope for policy in grant.chain] == [
        key.organization.scope, search.scope, member.scope, key.scope,
    ]  # fmt: skip
    assert (grant.key.models, grant.key.budgets[0].limit_nano) == (("gpt-4o",), 7)


def test_developers_see_their_own_keys_and_admins_all(ada: User, linus: User) -> None:
    mine, _ = issue(user=linus)
    other, _ = issue()
    assert set(VirtualKey.objects.all().visible_to(caller_of(linus))) == {mine}
    assert set(VirtualKey.objects.all().visible_to(caller_of(ada))) == {mine, other}


def test_loading_grants_takes_a_fixed_number_of_queries(
    search: Team, grace: User, django_assert_num_queries: object
) -> None:
    tokens = [issue(team=search, user=grace)[0].token for _ in range(5)]
    with django_assert_num_queries(4):  # type: ignore[operator]
        assert len(load_grants(tokens)) == 5
    assert not RetiredSecret.objects.exists()


def test_a_grant_carries_every_budget_and_rate_of_a_scope(search: Team) -> None:
    until = NOON + timedelta(days=1)
    key, _ = issue(
        team=search, max_budget_nano=10, budget_duration="30d", soft_budget_nano=8, raise_nano=5, raise_until=until,
        budget_limits=[{"duration": "rolling 24h", "max_nano": 4}],
        model_limits={"openai/*": {"max_nano": 3, "duration": "1d", "rpm": 7}, "m": {"tpm": 9}},
    )  # fmt: skip
    policy = load_grants([key.token])[key.token].key
    assert policy.budgets == (
        Budget("30d", 10, key.budget_started_at, "", 5, until, 8),
        Budget("rolling 24h", 4, key.created_at),
        Budget("1d", 3, key.created_at, "openai/*"),
    )
    assert policy.model_rates == (ModelRate("m", None, 9), ModelRate("openai/*", 7, None))
    assert (policy.budgets[0].limit_at(NOON), policy.budgets[0].limit_at(until)) == (15, 10)


def test_a_soft_budget_alone_is_a_window_that_never_refuses() -> None:
    key, _ = issue(soft_budget_nano=8)
    [budget] = load_grants([key.token])[key.token].key.budgets
    assert (budget.limit_at(NOON), budget.soft_nano) == (None, 8)
