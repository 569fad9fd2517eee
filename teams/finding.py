"""Finding what a request names, as far as the caller reaches: absent is 404, out of reach 403."""

from collections.abc import Iterable, Mapping
from typing import Any

from django.conf import settings
from django.db.models import QuerySet

from teams import services
from teams.actors import MASTER, Actor
from teams.api_types import ApiError
from teams.callers import Caller
from teams.models import Membership, Organization, Team, User
from teams.reach import exceeds
from teams.serializers import find_person, find_team, new_person

_NOT_LED = (
    "Call not allowed. User not proxy admin OR team admin. route={route}, team_id={team}. "
    "A team admin or an organization admin can do this."
)


def shown_team(public_id: str, caller: Caller) -> Team:
    """A team that the caller may look at."""
    team = find_team(public_id, status=404)
    if not Team.objects.visible_to(caller).filter(pk=team.pk).exists():
        raise ApiError(403, f"User doesn't have access to team_id={public_id}", param="team_id")
    return team


def reported_teams(names: Iterable[str], caller: Caller) -> list[int]:
    """Primary keys of teams whose spend the caller asks about; to who is not in it, one looks as if there were none."""
    teams = Team.objects.all() if caller.reads_spend else Team.objects.visible_to(caller)
    found, foreign = _sorted_out(names, teams)
    if foreign and not caller.reads_spend:
        told = f"User does not belong to Team={foreign[0][:100]}. /user/info lists the teams that the user is in"
        raise ApiError(404, told, param="team_id")
    return found


def reported_organizations(names: Iterable[str], caller: Caller) -> list[int]:
    """The same of organizations: those that the caller belongs to, and the one that the calling key spends in."""
    organizations = Organization.objects.all()
    if not caller.reads_spend:
        organizations = organizations.visible_to(caller) | organizations.filter(pk=caller.key_organization or 0)
    found, foreign = _sorted_out(names, organizations)
    if foreign and not caller.reads_spend:
        told = f"You do not have a role within organization {foreign[0][:100]}"
        raise ApiError(403, told, param="organization_id")
    return found


def _sorted_out(names: Iterable[str], rows: QuerySet[Any]) -> tuple[list[int], list[str]]:
    """Primary keys of the rows that are named, and names of which there is none."""
    wanted = list(names)
    found = dict(rows.filter(public_id__in=wanted).values_list("public_id", "pk"))
    return list(found.values()), [name for name in wanted if name not in found]


def managed_team(public_id: str, caller: Caller, route: str) -> Team:
    """A team whose people and limits the caller may change."""
    team = find_team(public_id, status=404)
    if not Team.objects.managed_by(caller).filter(pk=team.pk).exists():
        raise ApiError(403, _NOT_LED.format(route=route, team=public_id), param="team_id")
    return team


def owned_team(public_id: str, caller: Caller, route: str) -> Team:
    """A team that the caller may delete or block: as an admin of the platform or of its organization."""
    team = find_team(public_id, status=404)
    if not caller.manages_organization(team.organization_id):
        raise ApiError(403, _NOT_LED.format(route=route, team=public_id), param="team_id")
    return team


def shown_organization(public_id: str, caller: Caller) -> Organization:
    """An organization that the caller may look at."""
    organization = _organization(public_id)
    if not Organization.objects.visible_to(caller).filter(pk=organization.pk).exists():
        raise ApiError(403, f"You do not have a role within organization {public_id}", param="organization_id")
    return organization


def managed_organization(public_id: str, caller: Caller) -> Organization:
    """An organization whose people the caller may change."""
    organization = _organization(public_id)
    if not caller.manages_organization(organization.pk):
        raise ApiError(
            403,
            f"You do not have the required role in organization {public_id}. One of its admins can do this",
            param="organization_id",
        )
    return organization


def _organization(public_id: str) -> Organization:
    found = Organization.objects.live().select_related("shared_budget").filter(public_id=public_id).first()
    if found is None:
        raise ApiError(404, f"Organization not found, passed organization_id={public_id}", param="organization_id")
    return found


def person_field(values: Mapping[str, Any]) -> str:
    """Which of `user_id` and `user_email` names a person; an empty id beside an address does not."""
    named, address = values.get("user_id"), values.get("user_email")
    return "user_email" if named is None or (named == "" and address) else "user_id"


def find_member(team: Team, values: Mapping[str, Any]) -> Membership:
    """The member that `user_id` or `user_email` names. ApiError 400."""
    field = person_field(values)
    named = values.get(field)
    if not isinstance(named, str) or not named.strip() or "\0" in named:
        raise ApiError(400, f"{field}: name the member by user_id or user_email", param=field)
    lookup = {"user__public_id": named} if field == "user_id" else {"user__email__iexact": named}
    members = Membership.objects.select_related("user", "team__organization", "shared_budget")
    member = members.filter(team=team, **lookup).first()
    if member is None:
        raise ApiError(400, f"{field}: User not found in team: {named} is not in team {team.public_id}", param=field)
    return member


def known_person(user_id: str | None, email: str | None) -> User | None:
    """The person that is named by id, by address or by both; None if there is none. ApiError 400 if these are two."""
    person = find_person(user_id, email)
    other = find_person(None, email) if user_id and email else None
    if other is not None and other != person:
        raise ApiError(400, "user_email: somebody else than user_id names has this e-mail address", param="user_email")
    return person


def person_of(user_id: str | None, email: str | None, organization: Organization, actor: Actor) -> User:
    """The named person; one that nobody knows yet joins the organization."""

    def make() -> User:
        if user_id == MASTER.label:
            return services.master_person()
        user = new_person(user_id, email)
        user.organization = organization
        return services.create_user(user, actor=actor)

    return services.found_or_made(lambda: known_person(user_id, email), make)


def managed_person(caller: Caller, public_id: str, *, param: str = "user_id") -> User:
    """A person whose account the caller may change; to who may not, somebody foreign looks like somebody absent."""
    user = find_person(public_id)
    if user is not None and User.objects.managed_by(caller).filter(pk=user.pk).exists():
        return user
    if caller.is_admin:
        raise ApiError(404, f"{param}: User not found, passed user_id={public_id}", param=param)
    raise ApiError(403, f"{param}: you cannot change user {public_id}; an admin of its organization can", param=param)


def refuse_stronger(person: User, caller: Caller) -> None:
    """ApiError 403 for whoever would get the rights of somebody who may do more. Platform admins get nothing by it."""
    if exceeds(person, caller):
        raise ApiError(403, "user_id: this person may do more than you; a platform admin can do this", param="user_id")


def refuse_joining(person: User, team: Team, caller: Caller) -> None:
    """ApiError 403 unless the caller may put somebody into a team."""
    if not may_join(person, team.organization, caller):
        # Not who it is: the request may know no more than an address.
        raise ApiError(403, "member: belongs to another organization; a platform admin can add them", param="member")


def refuse_twice(person: User, team: Team) -> None:
    """ApiError 400 in clients' terms if somebody is in the team already."""
    if team.memberships.filter(user=person).exists():
        message = f"User {person.public_id} is already in team {team.public_id}; change it with /team/member_update"
        raise ApiError(400, message, kind="team_member_already_in_team", param="member")


def may_join(person: User, organization: Organization, caller: Caller) -> bool:
    """Whether the caller may put somebody into what is the organization's, and so look at them: not a stranger.

    People of the default organization belong to nobody in particular.
    """
    if caller.is_admin or person.organization_id in (None, organization.pk, services.default_organization().pk):
        return True
    is_inside = person.organization_memberships.filter(organization=organization).exists()
    return is_inside or User.objects.visible_to(caller).filter(pk=person.pk).exists()


def available_teams() -> list[str]:
    """Ids of the teams that everybody may join: `default_internal_user_params.available_teams`."""
    params = settings.LITELLM_SETTINGS.get("default_internal_user_params") or {}
    return list(params.get("available_teams") or [])
