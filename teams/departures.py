"""Services by which teams, people and organizations leave, and what follows them.

Rows that the ledger names stay, archived. The apps above say with `on_departure` what goes along, such as keys.
"""

from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any, TypeVar

from django.core.exceptions import ValidationError
from django.db import transaction
from django.utils import timezone

from teams import audit, changes
from teams.actors import Actor
from teams.models import Customer, Membership, Organization, Project, Team, User, new_public_id
from teams.scopes import DEFAULT_ORGANIZATION
from teams.services import default_organization, organization_of

A = TypeVar("A", Organization, Team, Project, User, Customer)
#: Called with the owners that leave together, as `{"team": ..., "user": ...}`, inside the transaction.
Follower = Callable[[Mapping[str, Any], Actor, datetime], None]
_followers: list[Follower] = []


def on_departure(follower: Follower) -> Follower:
    """Have `follower` called whenever somebody or something leaves."""
    _followers.append(follower)
    return follower


@transaction.atomic
def remove_member(membership: Membership, *, actor: Actor, now: datetime | None = None) -> None:
    """Take a person out of a team; the person's keys of the team are deleted with it."""
    team = membership.team
    # Whoever makes a key there at this moment waits, or is waited for.
    list(Membership.objects.select_for_update(no_key=True).filter(pk=membership.pk))
    _follow({"team": team, "user": membership.user}, actor, now or timezone.now())
    changes.publish(membership, organization_pk=team.organization_id)
    audit.record("team.member_removed", membership, actor=actor, before=audit.snapshot(membership), after={})
    membership.delete()


@transaction.atomic
def delete_team(team: Team, *, actor: Actor, now: datetime | None = None) -> Team:
    """Archive a team: its keys are deleted, its members leave it, and its id is never given again."""
    now = now or timezone.now()
    team = Team.objects.select_for_update(no_key=True).get(pk=team.pk)
    if team.deleted_at:
        return team
    _follow({"team": team}, actor, now)
    for project in team.projects.live():
        delete_project(project, actor=actor, now=now)
    team.memberships.all().delete()
    return _archive(team, "team.deleted", actor, now)


@transaction.atomic
def delete_project(project: Project, *, actor: Actor, now: datetime | None = None) -> Project:
    """Archive a project with its keys; its id is never given again."""
    now = now or timezone.now()
    project = Project.objects.select_for_update(no_key=True, of=("self",)).with_owners().get(pk=project.pk)
    if project.deleted_at:
        return project
    _follow({"project": project}, actor, now)
    return _archive(project, "project.deleted", actor, now)


@transaction.atomic
def delete_user(user: User, *, actor: Actor, now: datetime | None = None) -> User:
    """Archive a person: all keys are deleted, and nobody signs in as the person any more."""
    now = now or timezone.now()
    user = User.objects.select_for_update(no_key=True).get(pk=user.pk)
    if user.deleted_at:
        return user
    _follow({"user": user}, actor, now)
    user.memberships.all().delete()
    user.organization_memberships.all().delete()
    user.invitations.all().delete()
    user.username, user.is_active, user.is_staff, user.is_superuser = new_public_id(), False, False, False
    user.set_unusable_password()
    return _archive(user, "user.deleted", actor, now)


@transaction.atomic
def delete_organization(organization: Organization, *, actor: Actor, now: datetime | None = None) -> Organization:
    """Archive an organization with its teams and keys; its people move to the default one."""
    now = now or timezone.now()
    organization = Organization.objects.select_for_update(no_key=True).get(pk=organization.pk)
    if organization.public_id == DEFAULT_ORGANIZATION:
        raise ValidationError({"organization_ids": "the default organization cannot be deleted"})
    if organization.deleted_at:
        return organization
    for team in organization.teams.live():
        delete_team(team, actor=actor, now=now)
    _follow({"organization": organization}, actor, now)
    organization.memberships.all().delete()
    _send_home(organization)
    return _archive(organization, "organization.deleted", actor, now)


@transaction.atomic
def delete_customer(customer: Customer, *, actor: Actor, now: datetime | None = None) -> Customer:
    """Archive a customer with its limits; a call that names it makes it anew."""
    customer = Customer.objects.select_for_update(no_key=True).get(pk=customer.pk)
    return customer if customer.deleted_at else _archive(customer, "customer.deleted", actor, now or timezone.now())


def _follow(owners: Mapping[str, Any], actor: Actor, now: datetime) -> None:
    for follower in _followers:
        follower(owners, actor, now)


def _send_home(organization: Organization) -> None:
    """What a person has spent counts on in the default organization, read from the ledger again."""
    home = default_organization()
    for user in organization.users.live().select_for_update(no_key=True, of=("self",)):
        user.organization = home
        user.save(update_fields=["organization", "updated_at"])
        changes.publish(user, organization_pk=home.pk, new_windows=bool(user.budgets()))


def _archive(row: A, action: str, actor: Actor, now: datetime) -> A:
    stored = type(row)._default_manager.get(pk=row.pk)
    row.deleted_at, row.deleted_by = now, actor.signature
    row.save()
    changes.publish(row, organization_pk=organization_of(row))
    audit.record(action, row, actor=actor, before=audit.snapshot(stored))
    return row
