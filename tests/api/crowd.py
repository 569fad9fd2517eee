"""More and more of everything, all of it around one person in one team, so that no list stays short.

What a route is asked about is called `hub`; the n-th of the others has `n` in its name.
"""

from dataclasses import dataclass

from keys.models import VirtualKey
from keys.services import issue_key
from proxy import fallback_services, group_services, health, pool_services, services
from proxy.from_litellm import read_model
from proxy.models import AccessGroup, Credential, Deployment, Fallback, Pool, Provider
from spend import services as ledger
from spend.models import LedgerEntry
from spend.reset_services import reset_spend
from spend.wire import Crossing
from teams import invitations
from teams import services as people
from teams.actors import MASTER
from teams.models import (
    AuditEvent,
    Customer,
    Membership,
    Organization,
    OrganizationMembership,
    Project,
    SharedBudget,
    Tag,
    Team,
    User,
)
from tests.api.people import organization_of, person
from tests.factories import NOON, intent_for, issue, posting_of

SECRET = "sk-hub-Wq7RtYp3Zx9KmVb2"
#: None of a window that starts at another moment than a quarter of an hour, which takes one query more.
_DURATIONS = ("", "1h")
_LIMITS = {"max_budget_nano": 10**12, "soft_budget_nano": 1, "model_limits": {"m": {"max_nano": 10**9}}}


@dataclass(frozen=True)
class Crowd:
    organization: Organization
    team: Team
    person: User
    key: VirtualKey
    invitation: str

    def names(self) -> dict[str, str]:
        """What no test can choose the name of."""
        event, group = AuditEvent.objects.latest("pk"), AccessGroup.objects.earliest("pk")
        return {
            "key": self.key.token, "invitation": self.invitation, "event": str(event.pk), "group": group.public_id,
        }  # fmt: skip

    def grow(self, number: int) -> None:
        """One more of everything."""
        name = f"n{number}"
        budget = people.create_budget(SharedBudget(public_id=name, budget_duration="1d"), actor=MASTER)
        member = person(name, organization=self.organization, **self._limits(number))
        keys = self._keys(number, member, self._team(name, member, budget), budget)
        customer = Customer(public_id=name, organization=self.organization, shared_budget=budget)
        people.create_customer(customer, actor=MASTER)
        project = Project(public_id=name, team=self.team, shared_budget=budget)
        people.create_project(project, actor=MASTER)
        keys.append(issue(alias=f"{name}-project", team=self.team, project=project)[0])
        people.create_tag(Tag(name=name, organization=self.organization, shared_budget=budget), actor=MASTER)
        deployment = self._model(name)
        fallback = Fallback(model_name=name, fallback_models=[self._model(f"{name}-reserve").model.name])
        fallback_services.save_fallback(fallback, actor=MASTER)
        group = AccessGroup(name=name, model_names=[name])
        group_services.save_group(group, teams=[self.team], keys=keys, actor=MASTER)
        group_services.set_members(name, [deployment], actor=MASTER)
        pool = Pool(kind=Pool.Kind.ACCESS_GROUP, name=name, **self._limits(number))
        pool_services.save_pool(pool, actor=MASTER, now=NOON)
        health.note([health.Health(deployment)], actor=MASTER, now=NOON)
        self._calls([*keys, self.key], name, customer)
        ledger.note_crossings([Crossing(keys[0].scope, f"{keys[0].scope}|lifetime", 1)], now=NOON)
        invitations.invite(member, actor=MASTER)

    def _limits(self, number: int) -> dict[str, object]:
        return _LIMITS | {"budget_duration": _DURATIONS[number % len(_DURATIONS)]}

    def _team(self, name: str, member: User, budget: SharedBudget) -> Team:
        """A team of the organization and one elsewhere, each with the hub's person in it; returns the first."""
        home = organization_of(name, self.person, shared_budget=budget)
        people.add_member(Membership(team=self.team, user=member, shared_budget=budget), actor=MASTER)
        made = []
        for place in (self.organization, home):
            fields = {"organization": place, "shared_budget": budget, "member_budget": budget}
            made.append(people.create_team(Team(public_id=f"{name}-{place.public_id}", **fields), actor=MASTER))
            for each in (self.person, member):
                people.add_member(Membership(team=made[-1], user=each, role="admin"), actor=MASTER)
        return made[0]

    def _keys(self, number: int, member: User, team: Team, budget: SharedBudget) -> list[VirtualKey]:
        limits = self._limits(number)
        owners = (
            {"team": self.team, "user": self.person}, {"team": self.team}, {"team": self.team, "user": member},
            {"user": member}, {"team": team, "user": member},
        )  # fmt: skip
        keys = [issue(alias=f"n{number}-{n}", **owner, **limits)[0] for n, owner in enumerate(owners)]
        return [*keys, issue(alias=f"n{number}", user=self.person, shared_budget=budget)[0]]

    def _model(self, name: str) -> Deployment:
        credential = Credential(name=name, provider=Provider.objects.get(slug="openai"), host="llm.example.com")
        services.store_credential(credential, f"sk-of-{name}", actor=MASTER)
        params = {"model": f"openai/{name}", "api_base": "https://llm.example.com/v1", "input_cost_per_token": "0.1"}
        new = read_model(name, params | {"output_cost_per_token": "0.1"}, {"id": name}, Deployment.Source.API)
        new.deployment.public_id, new.deployment.credential, new.deployment.team = name, credential, self.team
        return services.add_deployment(new.deployment, name, actor=MASTER, now=NOON, price=new.price)

    def _calls(self, keys: list[VirtualKey], name: str, customer: Customer) -> None:
        """Of each key one that was bought, one that failed and one still running; what the first cost is forgiven."""
        self.organization.refresh_from_db()
        fields = {"epoch": self.organization.epoch, "customer_id": customer.pk, "tags": (name,), "model": name}
        fields |= {"upstream_model": name, "provider": name, "deployment": name}
        bought = [intent_for(key, request_id="hub", **fields) for key in keys]
        failed = [intent_for(key, request_id="failed", **fields) for key in keys]
        running = [intent_for(key, request_id="running", **fields) for key in keys]
        assert all(ledger.write_intents([*bought, *failed, *running]))
        ledger.post([posting_of(intent, 42, response_id=intent.hold_id) for intent in bought], now=NOON)
        ledger.post([posting_of(intent, None) for intent in failed], now=NOON)
        ledger.correct(LedgerEntry.objects.latest("pk"), -2, reason="by hand", actor=MASTER, now=NOON)
        for key in keys[:2]:
            reset_spend(key, 0, actor=MASTER, now=NOON)


def crowd() -> Crowd:
    """The hub, and nobody around it yet."""
    services.sync_providers()
    organization = organization_of("hub")
    leader = person("hub", organization=organization)
    place = leader.organization_memberships.get()
    place.role = OrganizationMembership.Role.ADMIN
    people.update_limits(place, actor=MASTER)
    team = people.create_team(Team(public_id="hub", organization=organization), actor=MASTER)
    people.add_member(Membership(team=team, user=leader, role="admin"), actor=MASTER)
    key = VirtualKey(alias="hub", user=leader)
    issue_key(key, actor=MASTER, custom=SECRET)
    return Crowd(organization, team, leader, key, invitations.invite(leader, actor=MASTER)[1])
