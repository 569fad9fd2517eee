"""Which deployments of a model take a call with tags."""

import pytest

from proxy.gate_rules import BadRule, read_rules
from proxy.runtime import permit
from proxy.runtime.errors import GatewayError
from tests.proxy.calls import target

A = target(deployment="a", tags=frozenset({"team-a"}))
B = target(deployment="b", tags=frozenset({"team-b", "eu"}))
REST = target(deployment="rest", tags=frozenset({"default"}))
PLAIN = target(deployment="plain")


@pytest.mark.parametrize(
    ("targets", "tags", "taken"),
    [
        ((A, B, REST), ("team-a",), (A,)),
        ((A, B, REST), ("eu", "team-a"), (A, B)),
        ((A, B, REST), ("unknown",), (REST,)),
        ((A, B, REST), (), (REST,)),
        ((A, B, PLAIN), ("unknown",), (PLAIN,)),
        ((A, B), (), (A, B)),
        ((PLAIN,), ("team-a",), (PLAIN,)),
    ],
)
def test_tags_choose_among_the_deployments_of_a_model(targets: tuple, tags: tuple, taken: tuple) -> None:  # type: ignore[type-arg]
    assert permit.for_tags(targets, tags, "house") == taken


def test_a_tag_that_no_deployment_is_for_is_refused() -> None:
    with pytest.raises(GatewayError, match="due to tags configuration") as refusal:
        permit.for_tags((A, B), ("unknown",), "house")
    assert (refusal.value.status, refusal.value.param) == (401, "tags")


def test_tags_choose_only_where_the_file_says_so() -> None:
    assert not read_rules({}).tag_filtering
    assert read_rules({}, {"enable_tag_filtering": True}).tag_filtering
    with pytest.raises(BadRule, match=r"router_settings\.enable_tag_filtering"):
        read_rules({}, {"enable_tag_filtering": "perhaps"})
