import pytest
from django.core.exceptions import ValidationError
from django.db import DatabaseError, IntegrityError, transaction

from teams import departures, services
from teams.actors import MASTER, SYSTEM
from teams.models import AuditEvent, Customer, Membership, Organization, PolicyChange, Tag, Team, User
from teams.reach import caller_of
from teams.serializers import new_person
from teams.services import create_user, found_or_made
from teams.tasks import forget_policy_changes

pytestmark = pytest.mark.django_db


def test_a_team_without_an_organization_joins_the_default_one(organization: Organization) -> None:
    assert services.create_team(Team(name="ml"), actor=MASTER).organization == organization


def test_a_person_without_a_password_cannot_sign_in_with_one(organization: Organization) -> None:
    user = services.create_user(User(email="ada@example.com"), actor=MASTER)
    assert user.username == "ada@example.com"
    assert not user.has_usable_password()


def test_the_audit_trail_never_holds_a_password(ada: User) -> None:
    event = AuditEvent.objects.get(action="user.created", object_id=ada.public_id)
    assert "password" not in event.after
    assert ada.password not in str(event.after)


def test_update_limits_is_in_force_at_once_and_audited(search: Team) -> None:
    search.rpm_limit = 5
    services.update_limits(search, actor=MASTER)
    assert search.version == 2
    assert AuditEvent.objects.get(action="team.updated").after == {"rpm_limit": 5}
    assert PolicyChange.objects.filter(scope=search.scope).exists()


def test_a_new_window_of_a_team_raises_the_epoch_of_its_organization(search: Team) -> None:
    search.max_budget_nano = 10**9
    services.update_limits(search, actor=MASTER)
    assert Organization.objects.get(pk=search.organization_id).epoch == 2


def test_a_whole_scope_is_blocked_and_unblocked(search: Team) -> None:
    assert services.set_blocked(search, True, actor=MASTER).blocked
    assert not services.set_blocked(search, False, actor=MASTER).blocked
    trail = AuditEvent.objects.filter(object_id=search.public_id).order_by("pk").values_list("action", flat=True)
    assert list(trail) == ["team.created", "team.blocked", "team.unblocked"]


def test_customers_and_tags_are_created_with_a_trail(organization: Organization) -> None:
    services.create_customer(Customer(organization=organization, public_id="acme"), actor=MASTER)
    services.create_tag(Tag(organization=organization, name="project-x"), actor=MASTER)
    assert AuditEvent.objects.filter(action__in=["customer.created", "tag.created"]).count() == 2


def test_a_member_leaves_with_a_trail(search: Team, grace: User) -> None:
    departures.remove_member(Membership.objects.get(team=search, user=grace), actor=MASTER)
    event = AuditEvent.objects.get(action="team.member_removed")
    assert (event.before["user_id"], event.after) == (grace.pk, {})
    assert not search.memberships.exists()


def test_a_person_joins_a_team_once(search: Team, grace: User) -> None:
    with pytest.raises(IntegrityError), transaction.atomic():
        services.add_member(Membership(team=search, user=grace), actor=MASTER)


def test_ensure_admin_makes_one_admin_and_leaves_its_password_alone(organization: Organization) -> None:
    first = services.ensure_admin("admin", "a-long-first-password")
    again = services.ensure_admin("admin", "a-long-second-password")
    assert first == again
    assert again.check_password("a-long-first-password")
    assert again.is_superuser
    assert User.objects.count() == 1


@pytest.mark.parametrize("field", ["max_budget_nano", "soft_budget_nano", "rpm_limit", "tpm_limit"])
def test_the_database_refuses_negative_limits(search: Team, field: str) -> None:
    with pytest.raises(IntegrityError), transaction.atomic():
        Team.objects.filter(pk=search.pk).update(**{field: -1})


def test_the_database_refuses_an_email_address_twice_in_whatever_case(ada: User, grace: User) -> None:
    with pytest.raises(IntegrityError), transaction.atomic():
        User.objects.filter(pk=grace.pk).update(email=ada.email.upper())


def test_the_database_refuses_to_rewrite_the_audit_trail(ada: User) -> None:
    with pytest.raises(DatabaseError, match="append-only"), transaction.atomic():
        AuditEvent.objects.update(actor="somebody else")
    with pytest.raises(DatabaseError, match="append-only"), transaction.atomic():
        AuditEvent.objects.all().delete()


def test_only_platform_admins_read_the_trail(ada: User, linus: User) -> None:
    assert AuditEvent.objects.all().visible_to(caller_of(ada)).exists()
    assert not AuditEvent.objects.all().visible_to(caller_of(linus)).exists()


def test_old_announcements_are_forgotten(search: Team) -> None:
    services.set_blocked(search, True, actor=SYSTEM)
    assert forget_policy_changes() == 0
    assert forget_policy_changes(now="2100-01-01T00:00:00+00:00") == PolicyChange.objects.count() + 1


def test_a_person_that_somebody_else_makes_meanwhile_is_found(organization: Organization) -> None:
    made = create_user(new_person("twin"), actor=SYSTEM)
    answers = iter([None, made])
    late = found_or_made(lambda: next(answers), lambda: create_user(User(public_id="twin", username="x"), actor=SYSTEM))
    assert late == made
    assert User.objects.filter(public_id="twin").count() == 1


def test_a_person_that_cannot_be_made_is_refused(organization: Organization) -> None:
    def make() -> User:
        raise ValidationError({"user_id": "too long"})

    with pytest.raises(ValidationError):
        found_or_made(lambda: None, make)
