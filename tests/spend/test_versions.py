"""While SQL judges, a change of any policy of the chain is in force for the next call, as it is in the store."""

from datetime import timedelta

import pytest

from keys import services as key_services
from keys.loading import load_grants, load_tags
from keys.models import VirtualKey
from spend import sql_holds
from spend.versions import outdated
from spend.wire import SqlHold
from teams import services
from teams.actors import MASTER
from teams.models import SharedBudget, Tag
from tests.factories import NOON, intent_for, issue

pytestmark = pytest.mark.django_db


def _versions(key: VirtualKey) -> tuple[tuple[str, int], ...]:
    chain = load_grants([key.token])[key.token].chain
    tags = load_tags(key.organization_id, ["nightly"]).values()
    return tuple(version for policy in (*chain, *tags) for version in policy.versions)


def _judged(key: VirtualKey, versions: tuple[tuple[str, int], ...]) -> list[str]:
    authority = sql_holds.take_over(key.organization_id, until=NOON + timedelta(minutes=1))
    [answer] = sql_holds.hold([SqlHold(intent_for(key, epoch=authority.epoch), (), versions=versions)])
    return answer


def test_a_call_that_was_admitted_before_a_change_is_admitted_anew() -> None:
    budget = services.create_budget(SharedBudget(public_id="shared", max_budget_nano=10**9), actor=MASTER)
    key, _ = issue(shared_budget=budget)
    before = _versions(key)
    assert _judged(key, before) == ["OK"]
    key_services.block_key(key, actor=MASTER)
    assert _judged(key, before) == ["STALE", key.scope]
    key_services.unblock_key(key, actor=MASTER)
    assert _judged(key, _versions(key)) == ["OK"]
    for change in (
        lambda: services.set_blocked(key.organization, True, actor=MASTER),
        lambda: services.set_blocked(Tag.objects.get(), True, actor=MASTER),
        lambda: services.update_budget(budget, actor=MASTER),
    ):
        known = _versions(key)
        change()
        assert outdated(known), "the change is not noticed"
        assert _judged(key, known)[0] == "STALE"


def test_a_scope_that_is_gone_counts_as_changed() -> None:
    key, _ = issue()
    assert outdated([(key.scope, key.version), ("team:999999", 1)]) == {("team:999999", 1)}
