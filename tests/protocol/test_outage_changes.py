"""Without the store, too, a call is admitted by the policies as they are, not as a worker has read them."""

import pytest

from keys import services as key_services
from keys.models import VirtualKey
from proxy.runtime.config import GatewayConfig, OutagePolicy
from teams.actors import MASTER
from tests.protocol.house import PER_TOKEN, START, House
from tests.protocol.worker import Server, Worker

POLICIES = {
    "judged by SQL": OutagePolicy(budgets_without_store="pg_exact", takeover_seconds=0),
    "by an allowance": OutagePolicy(budgets_without_store="allowance", allowance_nano=100 * PER_TOKEN),
}


@pytest.mark.parametrize("policy", POLICIES.values(), ids=POLICIES)
def test_a_change_that_nobody_has_announced_yet_is_known_at_the_next_call(
    house: House, server: Server, loop: object, policy: OutagePolicy
) -> None:
    worker = Worker(server, GatewayConfig("", "", outage=policy), lambda: START, loop)  # type: ignore[arg-type]
    token = house.tokens[0]
    assert worker.hold(token, 1)
    worker.store.gone = True
    assert worker.hold(token, 1)
    key_services.block_key(VirtualKey.objects.get(token=token), actor=MASTER)
    worker.hold(token, 1)
    grant = worker.grants.at_hand(token)
    assert grant is not None and grant.key.blocked
