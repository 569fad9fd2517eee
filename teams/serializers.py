"""Request bodies about teams and people: from the contract's names to model fields, validated."""

from collections.abc import Iterable, Mapping
from typing import Any

from rest_framework import serializers

from teams.actors import ADMIN_LOGIN, MASTER, SYSTEM
from teams.api_fields import (
    AliasesField,
    MailField,
    MoneyField,
    NamesField,
    ObjectSerializer,
    SwitchField,
    TextField,
    ValidityField,
)
from teams.api_types import ApiError
from teams.callers import MEMBER_ROUTES
from teams.json_checks import names_in
from teams.limit_serializers import LimitsSerializer, TermsSerializer
from teams.models import Membership, Organization, SharedBudget, Team, User
from teams.people_defaults import complete_person
from teams.rows import zone_of
from teams.services import default_zone, member_budget_of

Fields = dict[str, Any]

#: The team in which LiteLLM's own pages keep the sessions of admins; nobody joins it here.
RESERVED_TEAM = "litellm-dashboard"
#: What LiteLLM calls the person whose spend is that of the whole platform.
PLATFORM = "litellm-proxy-budget"
_RESERVED = frozenset({PLATFORM, SYSTEM.label, MASTER.label})

#: Columns of a team that both its making and its changing set.
TEAM_COLUMNS = frozenset({"name", "model_aliases", "member_permissions", "member_key_duration", "member_models"})
#: Limits that a team gives each of its members, and what they are called among other limits.
OF_MEMBERS = {
    "team_member_budget": "max_budget",
    "team_member_budget_duration": "budget_duration",
    "team_member_rpm_limit": "rpm_limit",
    "team_member_tpm_limit": "tpm_limit",
    "team_member_model_max_budget": "model_max_budget",
}
SAID_OF_MEMBERS = {inner: outer for outer, inner in OF_MEMBERS.items()}

_PERSON = ("user_id", "user_email")


class PermissionsField(NamesField):
    """Routes that a team may let its plain members use."""

    def to_internal_value(self, data: Any) -> list[str]:
        routes = super().to_internal_value(data)
        unknown = [route for route in routes if route not in MEMBER_ROUTES]
        if unknown:
            known = ", ".join(MEMBER_ROUTES)
            raise serializers.ValidationError(f"'{unknown[0][:100]}' cannot be granted to members; there are {known}")
        return routes


def member_budget(team: Team, body: Mapping[str, Any]) -> SharedBudget | None:
    """The limits of each member as the body leaves them; None if it says nothing about them."""
    sent = {inner: body[outer] for outer, inner in OF_MEMBERS.items() if outer in body}
    if not sent or (team.member_budget is None and not any(value is not None for value in sent.values())):
        return None
    form = TermsSerializer(data=sent)
    if not form.is_valid():
        raise serializers.ValidationError({SAID_OF_MEMBERS[name]: said for name, said in form.errors.items()})
    budget = form.apply(member_budget_of(team))
    budget.full_clean()
    return budget


class MemberSerializer(ObjectSerializer):
    role = serializers.ChoiceField(choices=Membership.Role.choices, default=Membership.Role.USER)
    user_id = TextField(max_length=128, required=False, allow_null=True)
    user_email = MailField(max_length=254, required=False, allow_null=True)

    def to_internal_value(self, data: Any) -> Any:
        if isinstance(data, dict) and (data.get("user_id") or data.get("user_email")):
            # Forms send both names of a person, the one that they do not know empty.
            data = {name: value for name, value in data.items() if value != "" or name not in _PERSON}
        return super().to_internal_value(data)

    def validate(self, attrs: Fields) -> Fields:
        if not attrs.get("user_id") and not attrs.get("user_email"):
            raise serializers.ValidationError("name the member by user_id or user_email")
        return attrs


class TaggedSerializer(LimitsSerializer):
    """What teams and projects have in common.

    Their `tags` are kept in `metadata`, where clients of LiteLLM read them; every call below has them. Their soft
    budget is lower than the hard one; other scopes may have any, as in LiteLLM.
    """

    tags = NamesField(required=False, allow_null=True)

    def apply(self, instance: Any, **how: Any) -> Any:
        before = instance.metadata.get("tags", [])
        team: Team = super().apply(instance, **how)
        sent = before if self.validated_data.get("tags") is None else self.validated_data["tags"]
        inner = team.metadata.get("tags", "")
        # They are a field of their own: neither other metadata nor something else of their name takes a tag off.
        if sent != before or (before and inner not in (None, []) and not names_in(inner)):
            team.metadata = {**team.metadata, "tags": sent}
        soft, hard = team.soft_budget_nano, team.max_budget_nano
        sent = self.validated_data.keys() & {"soft_budget_nano", "max_budget_nano"}
        if sent and soft is not None and hard is not None and soft >= hard:
            raise serializers.ValidationError({"soft_budget": "must be lower than max_budget"})
        return team


class TeamSerializer(TaggedSerializer):
    """POST /team/new."""

    team_id = TextField(source="public_id", max_length=128, required=False, allow_null=True)
    team_alias = TextField(source="name", max_length=255, required=False, allow_null=True)
    organization_id = TextField(max_length=128, required=False, allow_null=True)
    model_aliases = AliasesField(required=False, allow_null=True)
    members_with_roles = MemberSerializer(many=True, required=False, allow_null=True)
    team_member_permissions = PermissionsField(source="member_permissions", required=False, allow_null=True)
    team_member_key_duration = ValidityField(source="member_key_duration", required=False, allow_null=True)
    default_team_member_models = NamesField(source="member_models", required=False, allow_null=True)
    access_group_ids = NamesField(required=False, allow_null=True)

    keeps = frozenset({"access_group_ids"})
    columns = LimitsSerializer.columns | TEAM_COLUMNS | {"public_id"}
    null_keeps = LimitsSerializer.null_keeps | {"public_id"}

    def validate_team_id(self, value: str | None) -> str | None:
        if value == RESERVED_TEAM:
            raise serializers.ValidationError(f"'{RESERVED_TEAM}' is reserved")
        known = Team.objects.filter(public_id=value).first() if value else None
        if known is not None:
            which = "belonged to a deleted team" if known.deleted_at else "already exists"
            raise serializers.ValidationError(f"Team id = {value} {which}. Please use a different team id.")
        return value

    def team(self) -> Team:
        """An unsaved, validated team. Whether its organization allows that much is for who knows the caller to ask."""
        team: Team = self.apply(Team())
        organization = find_organization(self.validated_data)
        if organization is not None:
            team.organization = organization
        self.refuse_other_reset(team, default_zone() if organization is None else zone_of(team))
        team.full_clean(exclude=["organization"] if organization is None else [])
        return team


class TeamOfUserSerializer(ObjectSerializer):
    """`teams` of /user/new: an id, or an object with limits of the member."""

    team_id = TextField(max_length=128)
    user_role = serializers.ChoiceField(choices=Membership.Role.choices, default=Membership.Role.USER)
    max_budget_in_team = MoneyField(required=False, allow_null=True)

    def to_internal_value(self, data: Any) -> Any:
        return super().to_internal_value({"team_id": data} if isinstance(data, str) else data)


class UserSerializer(LimitsSerializer):
    """POST /user/new."""

    user_id = TextField(source="public_id", max_length=128, required=False, allow_null=True)
    user_email = MailField(source="email", max_length=254, required=False, allow_null=True)
    user_alias = TextField(source="alias", max_length=255, required=False, allow_null=True)
    user_role = serializers.ChoiceField(source="role", choices=User.Role.choices, required=False, allow_null=True)
    sso_user_id = TextField(source="sso_id", max_length=255, required=False, allow_null=True)
    organization_id = TextField(max_length=128, required=False, allow_null=True)
    organizations = NamesField(required=False, allow_null=True)
    team_id = TextField(max_length=128, required=False, allow_null=True)
    teams = TeamOfUserSerializer(many=True, required=False, allow_null=True)
    auto_create_key = SwitchField(default=True)

    columns = LimitsSerializer.columns | {"public_id", "email", "alias", "role", "sso_id"}
    null_keeps = LimitsSerializer.null_keeps | {"public_id", "role"}

    def user(self) -> User:
        """An unsaved, validated person. A taken id or e-mail is 409."""
        refuse_reserved(self.validated_data.get("public_id"))
        given = {name for name, value in self.validated_data.items() if value is not None}
        user = complete_person(self.apply(User()), given=given)
        refuse_taken(user)
        organizations = self.homes()
        if organizations:
            user.organization = organizations[0]
        self.refuse_other_reset(user, zone_of(user) if organizations else default_zone())
        user.is_staff = user.role.startswith(User.Role.PROXY_ADMIN)
        user.username = free_username(user.email or user.public_id)
        user.full_clean(exclude=["password", "username"])
        return user

    def home_names(self) -> list[str]:
        home, others = self.validated_data.get("organization_id"), self.validated_data.get("organizations") or []
        return list(dict.fromkeys([*([home] if home else []), *others]))

    def homes(self) -> list[Organization]:
        """The organizations that the body names, the home first."""
        home = self.validated_data.get("organization_id")
        found = [
            find_organization({"organization_id": name}, param="organization_id" if name == home else "organizations")
            for name in self.home_names()
        ]
        return [organization for organization in found if organization is not None]

    def places(self) -> list[Fields]:
        """The teams that the body names, and what it says of the person there."""
        teams = _each_once(self.validated_data.get("teams") or [])
        alone = self.validated_data.get("team_id")
        if alone and alone not in [entry["team_id"] for entry in teams]:
            teams.append({"team_id": alone, "user_role": Membership.Role.USER})
        return teams

    def memberships(self, user: User) -> list[Membership]:
        """Unsaved memberships of the teams that the body names."""
        return [
            Membership(
                team=find_team(entry["team_id"], param="teams"),
                user=user,
                role=entry["user_role"],
                max_budget_nano=entry.get("max_budget_in_team"),
            )
            for entry in self.places()
        ]


def _each_once(teams: Iterable[Fields]) -> list[Fields]:
    """ApiError 400 if two of them say different things of one team."""
    found: dict[str, Fields] = {}
    for entry in teams:
        named = entry["team_id"]
        if found.setdefault(named, entry) != entry:
            raise ApiError(400, f"teams: names team '{named}' twice, with different limits or roles", param="teams")
    return list(found.values())


def find_organization(values: Mapping[str, Any], *, param: str = "organization_id") -> Organization | None:
    """The organization that `organization_id` names; None if it names none, ApiError 400 if it is unknown.

    `param` is what the request calls it.
    """
    public_id = values.get("organization_id")
    if not public_id:
        return None
    organization = Organization.objects.live().filter(public_id=public_id).first()
    if organization is None:
        raise ApiError(400, f"{param}: organization '{public_id}' does not exist", param=param)
    return organization


def find_team(public_id: str, *, status: int = 400, param: str = "team_id") -> Team:
    teams = Team.objects.live().select_related("organization__shared_budget", "shared_budget", "member_budget")
    team = teams.filter(public_id=public_id).first()
    if team is None:
        raise ApiError(status, f"{param}: Team not found, passed team id: {public_id}", param=param)
    return team


def find_person(user_id: str | None, email: str | None = None) -> User | None:
    people = User.objects.live().select_related("organization", "shared_budget")
    return people.filter(public_id=user_id).first() if user_id else people.filter(email__iexact=email).first()


def new_person(user_id: str | None, email: str | None = None, *, role: User.Role = User.Role.INTERNAL_USER) -> User:
    """An unsaved person known by an id or an e-mail only, as clients name people before they exist.

    `role` is theirs unless `default_internal_user_params` say another.
    """
    user = User(email=email or "", role=role)
    refuse_reserved(user_id)
    if user_id:
        user.public_id = user_id
    user.username = free_username(email or user.public_id)
    complete_person(user)
    user.full_clean(exclude=["password", "username"])
    return user


def refuse_reserved(user_id: str | None) -> None:
    """ApiError 400 for an id under which the platform itself is known, in answers and in the trail."""
    if user_id in _RESERVED:
        raise ApiError(400, f"user_id: '{user_id}' is reserved", param="user_id")


def free_username(wanted: str) -> str:
    """`wanted` if nobody signs in with it; an id that is somebody's user name gets one of its own."""
    if wanted != ADMIN_LOGIN and len(wanted) <= 150 and not User.objects.filter(username=wanted).exists():
        return wanted
    return User().public_id


def taken(user: User) -> str:
    """Which of a person's names somebody else has already; '' if none."""
    others = User.objects.live().exclude(pk=user.pk)
    if others.filter(public_id=user.public_id).exists():
        return "user_id"
    if user.email and others.filter(email__iexact=user.email).exists():
        return "user_email"
    return "sso_user_id" if user.sso_id and others.filter(sso_id=user.sso_id).exists() else ""


def refuse_taken(user: User) -> None:
    field = taken(user)
    if field == "user_id":
        # In the words that clients look for.
        raise ApiError(409, f"user_id: User with id {user.public_id} already exists", param=field)
    if field:
        raise ApiError(409, f"{field}: User already exists with this {field}", param=field)
