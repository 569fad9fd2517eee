"""Pools beside the platform's counters, with real scripts and services: who knows of them, and from when on."""

from datetime import timedelta

import pytest
from django.test import TestCase

from keys.secrets import token_of
from proxy import drift, group_services, pool_services, services
from proxy.from_litellm import read_model
from proxy.models import Deployment, Pool
from proxy.sweeper import sweep
from spend.models import LedgerEntry
from spend.services import current_epoch
from teams.actors import MASTER
from teams.models import Organization
from teams.scopes import PLATFORM
from teams.services import create_organization
from tests.factories import issue, posting_of
from tests.protocol.books_and_store import StoreView
from tests.protocol.house import LEASE, LITELLM, PER_TOKEN, START, House
from tests.protocol.worker import MODEL, Worker

pytestmark = pytest.mark.django_db
PROVIDER = "openai_like"


@pytest.fixture
def tokens(house: House) -> tuple[str, str]:
    """Keys of two organizations."""
    other = create_organization(Organization(name="other"), actor=MASTER)
    return house.tokens[1], token_of(issue(organization=other)[1])


def limit(
    tokens: int | None, *, heard: bool = True, kind: Pool.Kind = Pool.Kind.PROVIDER, name: str = PROVIDER
) -> Pool:
    """Make or change a pool through the service. Unheard, its announcements to the store are lost."""
    pool = pool_services.find(kind, name) or Pool(kind=kind, name=name)
    pool.max_budget_nano = None if tokens is None else tokens * PER_TOKEN
    with TestCase.captureOnCommitCallbacks(execute=heard):
        return pool_services.save_pool(pool, actor=MASTER, now=START)


def spend(worker: Worker, token: str, tokens: int) -> None:
    held = worker.hold(token, tokens)
    assert held is not None
    amount = tokens * PER_TOKEN
    worker.settle(held, worker.post(posting_of(held.intent, amount))[held.intent.hold_id], tokens)


@pytest.mark.parametrize("heard", [True, False])
def test_a_call_in_flight_that_does_not_know_of_a_new_pool_is_held_anew(
    house: House, workers: list[Worker], tokens: tuple[str, str], *, heard: bool
) -> None:
    slow = workers[0].hold_slowly(tokens[0], 8)
    assert slow is not None
    pool = limit(8, heard=heard)
    held = workers[0].resume(slow)
    assert held is not None
    assert held.intent.hold_id != slow.intent.hold_id
    assert pool.scope in held.intent.scopes and held.intent.platform_epoch is not None
    assert workers[1].hold(tokens[1], 1) is None


@pytest.mark.parametrize("heard", [True, False])
def test_a_worker_that_called_before_there_was_a_pool_is_bound_by_it(
    house: House, workers: list[Worker], tokens: tuple[str, str], *, heard: bool
) -> None:
    for worker in workers:
        spend(worker, tokens[0], 1)
        spend(worker, tokens[1], 1)
    limit(8, heard=heard)
    assert workers[0].hold(tokens[0], 8) is not None
    assert workers[1].hold(tokens[1], 1) is None


def test_a_smaller_limit_binds_the_next_call_and_a_pool_that_is_gone_binds_none(
    house: House, workers: list[Worker], tokens: tuple[str, str]
) -> None:
    pool = limit(16)
    spend(workers[0], tokens[0], 8)
    limit(12)
    assert workers[1].hold(tokens[1], 5) is None
    with TestCase.captureOnCommitCallbacks(execute=True):
        pool_services.delete_pool(pool, actor=MASTER)
    assert workers[1].hold(tokens[1], 8) is not None


def test_a_model_that_joins_a_group_fences_the_calls_to_it_that_are_under_way(
    house: House, workers: list[Worker], tokens: tuple[str, str]
) -> None:
    [row] = Deployment.objects.filter(model__name=MODEL)
    group_services.set_members("premium", [row], actor=MASTER)
    limit(8, kind=Pool.Kind.ACCESS_GROUP, name="premium")
    row.access_groups = []
    row.save()
    limit(8, kind=Pool.Kind.ACCESS_GROUP, name="premium")
    slow = workers[0].hold_slowly(tokens[0], 8)
    assert slow is not None and len(slow.intent.scopes) == 3
    with TestCase.captureOnCommitCallbacks(execute=True):
        group_services.set_members("premium", [row], actor=MASTER)
    assert workers[0].resume(slow) is not None
    assert workers[1].hold(tokens[1], 1) is None


def test_a_model_that_joins_by_a_renamed_or_unblocked_deployment_fences_the_calls_to_it(
    house: House, workers: list[Worker], tokens: tuple[str, str]
) -> None:
    new = read_model("elsewhere", LITELLM, {"max_output_tokens": 8}, Deployment.Source.API)
    new.deployment.access_groups = ["premium"]
    row = services.add_deployment(new.deployment, "elsewhere", actor=MASTER, now=START, price=new.price)
    limit(8, kind=Pool.Kind.ACCESS_GROUP, name="premium")
    slow = workers[0].hold_slowly(tokens[0], 8)
    assert slow is not None and len(slow.intent.scopes) == 3
    with TestCase.captureOnCommitCallbacks(execute=True):
        services.update_deployment(row, actor=MASTER, model_name=MODEL)
    held = workers[0].resume(slow)
    assert held is not None and len(held.intent.scopes) == 4
    services.set_blocked(row, True, actor=MASTER)
    epoch = current_epoch(PLATFORM)
    services.set_blocked(row, False, actor=MASTER)
    assert current_epoch(PLATFORM) > epoch


def test_lost_counters_are_read_from_the_ledger_and_orphans_are_charged_to_the_pool(
    house: House, workers: list[Worker], tokens: tuple[str, str]
) -> None:
    limit(20)
    spend(workers[0], tokens[0], 6)
    assert workers[0].hold(tokens[1], 4) is not None
    view = StoreView(PLATFORM)
    for key in view.raw.scan_iter("*"):
        view.raw.delete(key)
    assert workers[1].hold(tokens[0], 8) is not None
    assert workers[1].hold(tokens[0], 3) is None
    sweep(now=START + timedelta(seconds=2 * LEASE))
    assert sum(LedgerEntry.objects.values_list("amount_nano", flat=True)) == 18 * PER_TOKEN
    assert drift.mend(now=START, pause=lambda _: None) == 0
    assert workers[1].hold(tokens[0], 3) is None
    assert workers[1].hold(tokens[0], 2) is not None
    view.close()
