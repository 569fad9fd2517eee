"""The organization that the protocol's tests call in, and changes of its policy."""

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from django.test import TestCase

from keys.models import VirtualKey
from keys.secrets import token_of
from keys.services import update_key
from proxy import services as proxy_services
from proxy.from_litellm import read_model
from proxy.models import Deployment
from teams import platform_services
from teams import services as team_services
from teams.actors import MASTER
from teams.models import Limits, Organization, Platform, Team
from teams.scopes import PLATFORM
from tests.factories import issue
from tests.protocol.worker import MODEL

PER_TOKEN = 1000
"""Nano-USD; input is free, so a call holds its output cap times this."""
MOST_TOKENS = 8
LEASE = 60
#: An hour before Berlin changes to summer time; windows of hours, days and months end soon.
START = datetime(2026, 3, 28, 22, 30, tzinfo=UTC)
LITELLM = {
    "model": "openai_like/llama", "api_base": "https://llm.example.com/v1",
    "input_cost_per_token": "0", "output_cost_per_token": "0.000001",
}  # fmt: skip


@dataclass(frozen=True)
class House:
    """Two keys of a team and one of nobody's, under budgets that a few calls fill. The organization comes first."""

    scopes: list[Limits]
    tokens: list[str]
    counted_apart: list[int]
    """Organizations whose counters lie under a hash tag of their own; PLATFORM stands for all together."""

    @classmethod
    def furnished(cls) -> "House":
        proxy_services.sync_providers()
        new = read_model(MODEL, LITELLM, {"max_output_tokens": MOST_TOKENS}, Deployment.Source.API)
        proxy_services.add_deployment(new.deployment, MODEL, actor=MASTER, now=START, price=new.price)
        organization = team_services.default_organization()
        organization.timezone, organization.max_budget_nano = "Europe/Berlin", 40 * PER_TOKEN
        team_services.update_limits(organization, actor=MASTER)
        team = team_services.create_team(Team(name="search", max_budget_nano=24 * PER_TOKEN), actor=MASTER)
        keys = [
            issue(team=team, max_budget_nano=16 * PER_TOKEN, budget_duration="1d"),
            issue(team=team),
            issue(max_budget_nano=20 * PER_TOKEN),
        ]
        scopes = [organization, team, *(key for key, _ in keys)]
        return cls(scopes, [token_of(secret) for _, secret in keys], [organization.pk])

    @classmethod
    def under_a_ceiling(cls) -> "House":
        """With a second organization, and the platform above both."""
        house = cls.furnished()
        other = team_services.create_organization(Organization(name="other"), actor=MASTER)
        key, secret = issue(organization=other, max_budget_nano=20 * PER_TOKEN)
        platform = platform_services.platform()
        change(platform, heard=True, now=START, max_budget_nano=30 * PER_TOKEN)
        scopes = [*house.scopes, key, platform]
        return cls(scopes, [*house.tokens, token_of(secret)], [*house.counted_apart, other.pk, PLATFORM])


def change(scope: Limits, *, heard: bool, now: datetime, **values: Any) -> None:
    """Change a scope's limits through its service. Unheard, its announcements to the counter store are lost."""
    scope.refresh_from_db()
    for name, value in values.items():
        setattr(scope, name, value)
    with TestCase.captureOnCommitCallbacks(execute=heard):
        if isinstance(scope, VirtualKey):
            update_key(scope, actor=MASTER, now=now)
        elif isinstance(scope, Platform):
            platform_services.update_platform(scope, actor=MASTER, now=now)
        else:
            team_services.update_limits(scope, actor=MASTER, now=now)
