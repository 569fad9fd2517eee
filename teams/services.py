"""Every change to organizations, teams, people, customers and tags."""

from collections.abc import Callable, Iterator
from datetime import datetime
from typing import Any, TypeVar
from zoneinfo import ZoneInfo

from django.apps import apps
from django.core.exceptions import ValidationError
from django.db import IntegrityError, models, transaction
from django.utils import timezone

from teams import audit, changes
from teams.actors import MASTER, SYSTEM, Actor
from teams.columns import TERMS
from teams.models import (
    Customer,
    Limits,
    Membership,
    Organization,
    OrganizationMembership,
    Project,
    SharedBudget,
    Tag,
    Team,
    User,
)  # fmt: skip
from teams.promotion import end_older_ways_in
from teams.scopes import DEFAULT_ORGANIZATION
from teams.terms import HANDED_OUT

T = TypeVar("T", bound=models.Model)
L = TypeVar("L", bound=Limits)


def default_organization() -> Organization:
    """The organization of everything that names none; created by the first migration."""
    return Organization.objects.get(public_id=DEFAULT_ORGANIZATION)


def default_zone() -> ZoneInfo:
    """Where days end of what belongs to no organization in particular."""
    return ZoneInfo(default_organization().timezone)


@transaction.atomic
def create_organization(organization: Organization, *, actor: Actor) -> Organization:
    organization.created_by = organization.updated_by = actor.signature
    return _create(organization, "organization.created", actor)


@transaction.atomic
def create_organization_with_budget(organization: Organization, *, actor: Actor) -> Organization:
    """As clients know organizations: what it may spend is a budget of its own, which is found by its id."""
    budget = SharedBudget()
    for name in TERMS:
        field = Organization._meta.get_field(name)
        setattr(budget, name, getattr(organization, name))
        setattr(organization, name, None if field.null else field.get_default())  # type: ignore[union-attr]
    organization.shared_budget = create_budget(budget, actor=actor)
    return create_organization(organization, actor=actor)


@transaction.atomic
def create_team(team: Team, *, actor: Actor) -> Team:
    """Save a validated, unsaved team; without an organization it joins the default one."""
    if not team.organization_id:
        team.organization = default_organization()
    return _create(team, "team.created", actor)


@transaction.atomic
def create_user(user: User, *, actor: Actor, password: str | None = None) -> User:
    """Save a validated, unsaved person. Without a password the person cannot sign in with one.

    Who has a home of its own is a member of it; the default organization is everybody's.
    """
    if user.organization_id is None:
        user.organization = default_organization()
    if not user.username:
        user.username = user.email or user.public_id
    user.set_password(password)
    _create(user, "user.created", actor)
    if password:
        user.password_known_to.set(actor.hearers)
    if user.organization is not None and user.organization.public_id != DEFAULT_ORGANIZATION:
        join_organization(OrganizationMembership(organization=user.organization, user=user), actor=actor)
    return user


def found_or_made(find: Callable[[], User | None], make: Callable[[], User]) -> User:
    """The person that `find` finds, else the one that `make` makes, whoever else makes it at the same moment."""
    known = find()
    if known is not None:
        return known
    try:
        with transaction.atomic():
            return make()
    except (IntegrityError, ValidationError):
        known = find()
        if known is None:
            raise
        return known


def master_person() -> User:
    """Whom LiteLLM's clients know as the holder of the master key; made when first needed, and signs in nowhere."""
    person = User(public_id=MASTER.label, username=MASTER.label, alias="master key", role=User.Role.PROXY_ADMIN)
    return found_or_made(
        lambda: User.objects.live().filter(public_id=MASTER.label).first(), lambda: create_user(person, actor=SYSTEM)
    )


@transaction.atomic
def add_member(membership: Membership, *, actor: Actor) -> Membership:
    """Put a person into a team; that person's keys of the team are governed by the membership from now on.

    Where it has no limits and models of its own, those count that the team gives everybody.
    """
    team = membership.team
    if membership.shared_budget is None:
        membership.shared_budget = team.member_budget
    membership.allowed_models = membership.allowed_models or list(team.member_models)
    _create(membership, "team.member_added", actor)
    changes.publish(
        membership.team, organization_pk=membership.team.organization_id, new_windows=bool(membership.budgets())
    )
    end_older_ways_in(membership, actor=actor, now=timezone.now())
    return membership


def member_budget_of(team: Team) -> SharedBudget:
    """The budget of a team's members to change: the team's, or a new one like it if anything else uses that too.

    Others do not change it until the transaction ends.
    """
    if team.member_budget_id is None:
        return SharedBudget()
    budget = SharedBudget.objects.select_for_update(no_key=True).get(pk=team.member_budget_id)
    outside = any(rows.exclude(**_inside(model, team)).exists() for model, rows in _using(budget))
    if not outside and not Team.objects.live().filter(member_budget=budget).exclude(pk=team.pk).exists():
        return budget
    return SharedBudget(**{name: getattr(budget, name) for name in TERMS})


def _inside(model: type[Limits], team: Team) -> dict[str, Any]:
    return {"team": team} if model is Membership else {"pk": None}


@transaction.atomic
def share_member_budget(team: Team, budget: SharedBudget, *, actor: Actor) -> SharedBudget:
    """Give a team's members these limits, each on its own; who has limits by another shared budget keeps them."""
    if not budget._state.adding:
        return update_budget(budget, actor=actor)
    team.member_budget = create_budget(budget, actor=actor)
    update_limits(team, actor=actor)
    return budget


def _hand_on(team: Team, before: int | None, actor: Actor) -> None:
    """Members who had the team's former budget, or none, get its new one."""
    rows = team.memberships.filter(shared_budget=before).select_related("team").order_by("pk")
    for membership in rows.select_for_update(of=("self",), no_key=True):
        membership.shared_budget = team.member_budget
        update_limits(membership, actor=actor)


@transaction.atomic
def grant_to_members(team: Team, routes: list[str], *, actor: Actor) -> Team:
    """Say which routes plain members may use on the team's keys."""
    stored = Team.objects.select_for_update(no_key=True).get(pk=team.pk)
    stored.member_permissions = routes
    return update_limits(stored, actor=actor)


@transaction.atomic
def join_organization(membership: OrganizationMembership, *, actor: Actor) -> OrganizationMembership:
    """Give a person a role and limits in an organization, which govern that person's keys there from now on."""
    _create(membership, "organization.member_added", actor)
    changes.publish(membership.user, organization_pk=membership.organization_id, new_windows=bool(membership.budgets()))
    end_older_ways_in(membership, actor=actor, now=timezone.now())
    return membership


@transaction.atomic
def leave_organization(membership: OrganizationMembership, *, actor: Actor) -> None:
    """Take a person's role and limits in an organization away; teams and keys there stay."""
    changes.publish(membership, organization_pk=membership.organization_id)
    audit.record("organization.member_removed", membership, actor=actor, before=audit.snapshot(membership), after={})
    membership.delete()


@transaction.atomic
def create_customer(customer: Customer, *, actor: Actor) -> Customer:
    return _create(customer, "customer.created", actor)


@transaction.atomic
def create_project(project: Project, *, actor: Actor) -> Project:
    project.created_by = project.updated_by = actor.signature
    return _create(project, "project.created", actor)


@transaction.atomic
def create_tag(tag: Tag, *, actor: Actor) -> Tag:
    return _create(tag, "tag.created", actor)


@transaction.atomic
def delete_tag(tag: Tag, *, actor: Actor) -> None:
    """Forget a tag and its limits; the ledger keeps what was spent under it. A call that names it makes it anew."""
    changes.publish(tag, organization_pk=tag.organization_id)
    audit.record("tag.deleted", tag, actor=actor, before=audit.snapshot(tag), after={})
    tag.delete()


@transaction.atomic
def create_budget(budget: SharedBudget, *, actor: Actor) -> SharedBudget:
    """Save a validated, unsaved shared budget."""
    budget.created_by = budget.updated_by = actor.signature
    return _create(budget, "budget.created", actor)


@transaction.atomic
def update_budget(budget: SharedBudget, *, actor: Actor, now: datetime | None = None) -> SharedBudget:
    """Save a changed shared budget; in force at the next call of everything that shares it."""
    stored = SharedBudget.objects.select_for_update(no_key=True).get(pk=budget.pk)
    before = audit.snapshot(stored)
    changes.keep_system_fields(budget, stored)
    if stored.budget_duration != budget.budget_duration:
        budget.budget_started_at = now or timezone.now()
    budget.updated_by = actor.signature
    budget.save()
    new_windows = _shared_windows(stored) != _shared_windows(budget)
    changes.publish_shared(budget, organization_pks=organizations_sharing(budget), new_windows=new_windows)
    audit.record("budget.updated", budget, actor=actor, before=before)
    return budget


@transaction.atomic
def delete_budget(budget: SharedBudget, *, actor: Actor) -> None:
    """Delete a shared budget that nothing uses. Raises ValidationError naming what still does, and IntegrityError when
    the transaction ends if somebody was given it meanwhile.

    What was deleted itself lets go of it; what it had is in the trail.
    """
    budget = SharedBudget.objects.select_for_update(no_key=True).get(pk=budget.pk)
    users = [(rows.count(), model._meta) for model, rows in _using(budget)]
    still = [f"{n} {meta.verbose_name if n == 1 else meta.verbose_name_plural}" for n, meta in users if n]
    still += [
        f"the {whose} of {n} {rows.model._meta.verbose_name if n == 1 else rows.model._meta.verbose_name_plural}"
        for whose, _, rows in _handing_out(budget)
        if (n := rows.filter(deleted_at=None).count())
    ]
    if still:
        told = f"budget '{budget}' is still used by {', '.join(still)}; give them another one first"
        raise ValidationError({"id": told})
    # Not the living ones: whoever is given it at this moment keeps it, and the database refuses the deletion.
    for _, column, rows in _handing_out(budget):
        rows.exclude(deleted_at=None).update(**{column: None})
    for model, rows in _sharing(budget):
        if _stays(model):
            rows.exclude(deleted_at=None).update(shared_budget=None)
    audit.record("budget.deleted", budget, actor=actor, before=audit.snapshot(budget), after={})
    budget.delete()


def organizations_sharing(budget: SharedBudget) -> set[int]:
    """Primary keys of the organizations in which something uses a shared budget."""
    found: set[int | None] = set()
    for model, rows in _sharing(budget):
        found |= set(rows.order_by().values_list(model.organization_path, flat=True).distinct())
    return {pk for pk in found if pk is not None}


def is_shared(budget: SharedBudget) -> bool:
    """Whether more than one scope uses a budget."""
    return sum(rows.count() for _, rows in _using(budget)) > 1


def _using(budget: SharedBudget) -> Iterator[tuple[type[Limits], models.QuerySet[Any]]]:
    """As `_sharing`, without rows that were deleted: nobody can give these another budget any more."""
    for model, rows in _sharing(budget):
        yield model, rows.filter(deleted_at=None) if _stays(model) else rows


def _stays(model: type[models.Model]) -> bool:
    """Whether rows stay when they are deleted."""
    return any(field.name == "deleted_at" for field in model._meta.concrete_fields)


def _sharing(budget: SharedBudget) -> Iterator[tuple[type[Limits], models.QuerySet[Any]]]:
    """Per kind of scope, also of the apps above, the rows that use a shared budget."""
    for model in apps.get_models():
        if issubclass(model, Limits):
            yield model, model._default_manager.filter(shared_budget=budget)


def _handing_out(budget: SharedBudget) -> Iterator[tuple[str, str, models.QuerySet[Any]]]:
    """Whom it is for, the column, and the rows: of teams, and of keys in the app above, that give it to others."""
    for model in apps.get_models():
        for column in {field.name for field in model._meta.concrete_fields} & HANDED_OUT.keys():
            yield HANDED_OUT[column], column, model._default_manager.filter(**{column: budget})


def _shared_windows(budget: SharedBudget) -> tuple[Any, ...]:
    """What decides which windows its users have; whether an amount is set counts, the amount does not."""
    models_limited = {(m, limits.get("duration")) for m, limits in budget.model_limits.items() if "max_nano" in limits}
    amounts = (budget.max_budget_nano is not None, budget.soft_budget_nano is not None)
    windows = {window["duration"] for window in budget.budget_limits}
    return amounts, budget.budget_duration, budget.budget_started_at, windows, models_limited


@transaction.atomic
def update_limits(instance: L, *, actor: Actor, now: datetime | None = None) -> L:
    """Save a changed organization, team, member of either, user, customer or tag; in force at the next call.

    Raises ValidationError for a move to another organization: its spend lies in the books of the old one.
    """
    stored = type(instance)._default_manager.select_for_update(no_key=True).get(pk=instance.pk)
    if organization_of(stored) != organization_of(instance):
        raise ValidationError({"organization": "it cannot move to another organization; create it there instead"})
    before = audit.snapshot(stored)
    changes.keep_system_fields(instance, stored)
    if stored.budget_duration != instance.budget_duration:
        instance.budget_started_at = now or timezone.now()
    if isinstance(instance, Organization | Project):
        instance.updated_by = actor.signature
    instance.save()
    new_windows = changes.windows_differ(stored, instance)
    changes.publish(instance, organization_pk=organization_of(instance), new_windows=new_windows)
    audit.record(f"{instance._meta.model_name}.updated", instance, actor=actor, before=before)
    end_older_ways_in(instance, stored, actor=actor, now=now or timezone.now())
    if isinstance(instance, Team) and isinstance(stored, Team) and stored.member_budget_id != instance.member_budget_id:
        _hand_on(instance, stored.member_budget_id, actor)
    return instance


@transaction.atomic
def set_blocked(instance: L, blocked: bool, *, actor: Actor) -> L:
    """Block or unblock a whole scope: every key below a blocked scope is refused at its next call."""
    instance = type(instance)._default_manager.select_for_update(no_key=True).get(pk=instance.pk)
    before = audit.snapshot(instance)
    instance.blocked, columns = blocked, ["blocked", "updated_at"]
    if isinstance(instance, Organization | Project):
        instance.updated_by = actor.signature
        columns.append("updated_by")
    instance.save(update_fields=columns)
    changes.publish(instance, organization_pk=organization_of(instance))
    action = "blocked" if blocked else "unblocked"
    audit.record(f"{instance._meta.model_name}.{action}", instance, actor=actor, before=before)
    return instance


@transaction.atomic
def set_password(user: User, password: str, *, actor: Actor) -> User:
    """Give a person a new, validated password; all other sessions of theirs end.

    Who changes the own one had to tell it, so that whoever may know the old one may be who changes it.
    """
    user.set_password(password)
    user.save(update_fields=["password"])
    knew = user.password_known_to.values_list("pk", flat=True) if actor.user_id == user.pk else ()
    user.password_known_to.set({*knew, *actor.hearers} - {user.pk})
    audit.record("user.password_set", user, actor=actor, after={})
    return user


def organization_of(instance: Limits) -> int:
    """Primary key of the organization a scope belongs to."""
    if isinstance(instance, Organization):
        return instance.pk
    if isinstance(instance, Membership | Project):
        return instance.team.organization_id
    organization_pk: int = instance.organization_id  # type: ignore[attr-defined]
    return organization_pk


def ensure_admin(username: str, password: str) -> User:
    """Create the first platform admin. One that exists keeps its password, which may have been changed since."""
    user = User.objects.filter(username=username).first()
    if user is not None:
        return user
    user = User(username=username, role=User.Role.PROXY_ADMIN, is_staff=True, is_superuser=True)
    user.full_clean(exclude=["password", "organization"])
    return create_user(user, actor=SYSTEM, password=password)


def master_admin(username: str) -> User:
    """The account that the master key signs in; made when first needed, with no password of its own."""
    account = User(username=username, role=User.Role.PROXY_ADMIN, is_staff=True, is_superuser=True)
    return found_or_made(
        lambda: User.objects.filter(username=username).first(), lambda: create_user(account, actor=SYSTEM)
    )


def _create(instance: T, action: str, actor: Actor) -> T:
    instance.save(force_insert=True)
    audit.record(action, instance, actor=actor)
    return instance
