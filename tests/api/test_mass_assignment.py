"""No field of a model is written by a body that merely names it: every column, sent under every name it could have."""

from collections.abc import Callable
from typing import Any

import pytest
from django.db import models, transaction

from teams import services
from teams.actors import SYSTEM
from teams.models import Customer, Membership, Organization, OrganizationMembership, SharedBudget, Tag, Team, User
from tests.api.conftest import Answer, Api
from tests.api.people import key_of, organization_of, person

#: What somebody would send to become more than he is, by kind of column.
EVIL: dict[Any, Any] = {
    models.BooleanField: True,
    models.BigIntegerField: 123456789,
    models.JSONField: ["evil"],
    models.DateTimeField: "2001-01-01T00:00:00Z",
    models.ForeignKey: 1,
}
Target = tuple[str, str, dict[str, Any], Callable[[], models.Model]]
Sent = tuple[Answer, dict[str, Any]]


def _evil(field: Any) -> Any:
    return next((value for kind, value in EVIL.items() if isinstance(field, kind)), "evil")


def _columns(model: type[models.Model]) -> list[Any]:
    return [field for field in model._meta.concrete_fields if not isinstance(field, models.BigAutoField)]


#: Columns that a body of a platform admin does set under the column's own name.
MEANT = {
    "metadata", "blocked", "budget_duration", "rpm_limit", "tpm_limit", "max_parallel_requests", "alias", "role",
    "budget_limits", "model_aliases", "timezone", "description", "allowed_models", "default_model",
}  # fmt: skip
#: Columns that nobody below a platform admin sets, whatever it is called.
GUARDED = {
    "public_id", "password", "is_staff", "is_superuser", "is_active", "organization_id", "epoch", "version", "sso_id",
    "deleted_at", "deleted_by", "username", "user_id", "team_id", "member_budget_id", "created_at",
}  # fmt: skip
#: Columns that nobody says anything about when something is made.
HIDDEN = {
    "is_staff", "is_superuser", "is_active", "deleted_at", "deleted_by", "epoch", "version", "username",
}  # fmt: skip
TARGETS: list[Target] = [
    ("post", "/user/update", {"user_id": "mia"}, lambda: User.objects.get(public_id="mia")),
    ("post", "/team/update", {"team_id": "t"}, lambda: Team.objects.get(public_id="t")),
    ("patch", "/organization/update", {"organization_id": "north"}, lambda: Organization.objects.get(name="north")),
    ("post", "/team/member_update", {"team_id": "t", "user_id": "mia"}, lambda: Membership.objects.get(role="user")),
    ("post", "/customer/update", {"user_id": "c"}, lambda: Customer.objects.get()),
    ("post", "/tag/update", {"name": "g"}, lambda: Tag.objects.get()),
    ("post", "/budget/update", {"budget_id": "b"}, lambda: SharedBudget.objects.get(public_id="b")),
    (
        "patch", "/organization/member_update", {"organization_id": "north", "user_id": "boss"},
        lambda: OrganizationMembership.objects.get(user__public_id="boss"),
    ),
]  # fmt: skip
CASES = [
    pytest.param(target, model, id=target[1])
    for target, model in zip(
        TARGETS,
        (User, Team, Organization, Membership, Customer, Tag, SharedBudget, OrganizationMembership),
        strict=True,
    )
]


@pytest.fixture
def world(api: Api) -> User:
    """An organization with an admin, a team with an admin and a member, and one of everything else."""
    boss = person("boss")
    north = organization_of("north", boss)
    team = services.create_team(Team(public_id="t", organization=north), actor=SYSTEM)
    services.add_member(Membership(team=team, user=person("mia", organization=north)), actor=SYSTEM)
    lead = person("lead")
    services.add_member(Membership(team=team, user=lead, role=Membership.Role.ADMIN), actor=SYSTEM)
    for path, body in (
        ("/customer/new", {"user_id": "c"}),
        ("/tag/new", {"name": "g"}),
        ("/budget/new", {"budget_id": "b"}),
    ):
        assert api.post(path, body).status == 200
    return boss


def _row(find: Callable[[], models.Model]) -> dict[str, Any]:
    row = find()
    values = {field.attname: getattr(row, field.attname) for field in row._meta.concrete_fields}
    return {name: value for name, value in values.items() if name not in ("version", "updated_at", "updated_by")}


def _sent_alone(
    send: Callable[..., Answer], path: str, body: Any, find: Callable[[], models.Model], **how: Any
) -> Sent:
    """One call of which nothing stays, and the row as it was when it was over."""
    with transaction.atomic():
        answer = send(path, body, **how)
        after = _row(find)
        transaction.set_rollback(True)
    return answer, after


@pytest.mark.parametrize(("target", "model"), CASES)
def test_a_column_is_never_set_by_its_own_name(
    api: Api, world: User, target: Target, model: type[models.Model]
) -> None:
    send, path, body, find = target
    before, tried, wrong = _row(find), 0, []
    for field in _columns(model):
        for name in {field.name, field.attname} - set(body) - MEANT:
            answer, after = _sent_alone(getattr(api, send), path, body | {name: _evil(field)}, find)
            wrong += [f"{name}: {answer.status} {answer.text}"] if answer.status not in (200, 400, 422) else []
            wrong += [f"{name}: changed the row"] if after != before else []
            tried += 1
    assert wrong == []
    assert tried > 0


@pytest.mark.parametrize(("target", "model"), CASES)
@pytest.mark.parametrize("who", ["boss", "lead", "mia"])
def test_nobody_below_gets_at_a_column_that_decides_over_them(
    api: Api, world: User, target: Target, model: type[models.Model], who: str
) -> None:
    send, path, body, find = target
    secret = key_of(User.objects.get(public_id=who))
    before, tried, wrong = _guarded(_row(find)), 0, []
    for field in (field for field in _columns(model) if field.attname in GUARDED):
        for name in {field.name, field.attname} - set(body):
            answer, after = _sent_alone(getattr(api, send), path, body | {name: _evil(field)}, find, bearer=secret)
            statuses = (200, 400, 401, 403, 422)
            wrong += [f"{name}: {answer.status} {answer.text}"] if answer.status not in statuses else []
            wrong += [f"{name}: changed the row"] if _guarded(after) != before else []
            tried += 1
    assert wrong == []
    assert tried > 0


def _guarded(row: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in row.items() if name in GUARDED}


@pytest.mark.parametrize(
    ("path", "model"),
    [("/user/new", User), ("/team/new", Team), ("/organization/new", Organization), ("/customer/new", Customer)],
)
def test_what_is_made_has_no_column_that_the_body_merely_names(api: Api, path: str, model: Any) -> None:
    evil = {field.name: _other_than_default(field) for field in _columns(model) if field.name in HIDDEN}
    body = {"user_id": "new", "organization_alias": "O"}
    plain, made = (_made_alone(api, path, body | more, model) for more in ({}, evil))
    assert {name for name in evil if plain[name] == evil[name]} == set()
    assert made == plain
    assert len(made) >= 3


def _other_than_default(field: Any) -> Any:
    return not field.get_default() if isinstance(field, models.BooleanField) else _evil(field)


def _made_alone(api: Api, path: str, body: dict[str, Any], model: Any) -> dict[str, Any]:
    """What is hidden of a new row, of which nothing stays."""
    with transaction.atomic():
        answer = api.post(path, body)
        assert answer.status == 200, answer.text
        row = model.objects.order_by("pk").last()
        transaction.set_rollback(True)
    return {field.name: getattr(row, field.name) for field in _columns(model) if field.name in HIDDEN}


def test_nobody_is_made_with_a_password_of_the_bodys_choosing(api: Api) -> None:
    answer = api.post("/user/new", {"user_id": "new", "password": "evil"})
    assert (answer.status, answer.fault) == (422, "password")
    assert not User.objects.filter(public_id="new").exists()
