"""Request bodies about teams and people: from the contract's names to model fields, validated."""

from collections.abc import Mapping
from typing import Any

from rest_framework import serializers

from teams.api_fields import AliasesField, MoneyField, TextField
from teams.api_types import ApiError
from teams.limit_serializers import LimitsSerializer
from teams.models import Limits, Membership, Organization, Team, User

Fields = dict[str, Any]

_RESERVED_TEAM = "litellm-dashboard"


class MemberSerializer(serializers.Serializer[Any]):
    role = serializers.ChoiceField(choices=Membership.Role.choices, default=Membership.Role.USER)
    user_id = TextField(max_length=128, required=False, allow_null=True)
    user_email = serializers.EmailField(max_length=254, required=False, allow_null=True)

    def validate(self, attrs: Fields) -> Fields:
        if not attrs.get("user_id") and not attrs.get("user_email"):
            raise serializers.ValidationError("name the member by user_id or user_email")
        return attrs


class TeamSerializer(LimitsSerializer):
    """POST /team/new."""

    team_id = TextField(source="public_id", max_length=128, required=False, allow_null=True)
    team_alias = TextField(source="name", max_length=255, required=False, allow_null=True)
    organization_id = TextField(max_length=128, required=False, allow_null=True)
    model_aliases = AliasesField(required=False, allow_null=True)
    members_with_roles = MemberSerializer(many=True, required=False)

    columns = LimitsSerializer.columns | {"public_id", "name", "model_aliases"}
    null_keeps = LimitsSerializer.null_keeps | {"public_id"}

    def validate_team_id(self, value: str | None) -> str | None:
        if value == _RESERVED_TEAM:
            raise serializers.ValidationError(f"'{_RESERVED_TEAM}' is reserved")
        if value and Team.objects.filter(public_id=value).exists():
            raise serializers.ValidationError(f"Team id = {value} already exists. Please use a different team id.")
        return value

    def validate(self, attrs: Fields) -> Fields:
        soft, hard = attrs.get("soft_budget_nano"), attrs.get("max_budget_nano")
        if soft is not None and hard is not None and soft >= hard:
            raise serializers.ValidationError({"soft_budget": "must be lower than max_budget"})
        return attrs

    def team(self) -> Team:
        """An unsaved, validated team."""
        team = self.apply(Team())
        organization = find_organization(self.validated_data)
        if organization is not None:
            team.organization = organization
            refuse_beyond(organization, team)
        team.full_clean(exclude=["organization"] if organization is None else [])
        return team


class TeamOfUserSerializer(serializers.Serializer[Any]):
    """`teams` of /user/new: an id, or an object with limits of the member."""

    team_id = TextField(max_length=128)
    user_role = serializers.ChoiceField(choices=Membership.Role.choices, default=Membership.Role.USER)
    max_budget_in_team = MoneyField(required=False, allow_null=True)

    def to_internal_value(self, data: Any) -> Any:
        return super().to_internal_value({"team_id": data} if isinstance(data, str) else data)


class UserSerializer(LimitsSerializer):
    """POST /user/new."""

    user_id = TextField(source="public_id", max_length=128, required=False, allow_null=True)
    user_email = serializers.EmailField(source="email", max_length=254, required=False, allow_null=True)
    user_alias = TextField(source="alias", max_length=255, required=False, allow_null=True)
    user_role = serializers.ChoiceField(source="role", choices=User.Role.choices, required=False, allow_null=True)
    organization_id = TextField(max_length=128, required=False, allow_null=True)
    teams = TeamOfUserSerializer(many=True, required=False, allow_null=True)
    auto_create_key = serializers.BooleanField(default=True)

    columns = LimitsSerializer.columns | {"public_id", "email", "alias", "role"}
    null_keeps = LimitsSerializer.null_keeps | {"public_id"}

    def user(self) -> User:
        """An unsaved, validated person. A taken id or e-mail is 409."""
        user = self.apply(User())
        _refuse_taken(user)
        organization = find_organization(self.validated_data)
        if organization is not None:
            user.organization = organization
        user.username = free_username(user.email or user.public_id)
        user.full_clean(exclude=["password", "username"])
        return user

    def memberships(self, user: User) -> list[Membership]:
        """Unsaved memberships of the teams that the body names."""
        return [
            Membership(
                team=find_team(entry["team_id"], param="teams"),
                user=user,
                role=entry["user_role"],
                max_budget_nano=entry.get("max_budget_in_team"),
            )
            for entry in self.validated_data.get("teams") or []
        ]


def find_organization(values: Mapping[str, Any]) -> Organization | None:
    """The organization that `organization_id` names; None if it names none, ApiError 400 if it is unknown."""
    public_id = values.get("organization_id")
    if not public_id:
        return None
    organization = Organization.objects.filter(public_id=public_id).first()
    if organization is None:
        raise ApiError(400, f"organization_id: organization '{public_id}' does not exist", param="organization_id")
    return organization


def find_team(public_id: str, *, status: int = 400, param: str = "team_id") -> Team:
    team = Team.objects.select_related("organization").filter(public_id=public_id).first()
    if team is None:
        raise ApiError(status, f"{param}: Team not found, passed team id: {public_id}", param=param)
    return team


def find_person(user_id: str | None, email: str | None = None) -> User | None:
    people = User.objects.select_related("organization")
    return people.filter(public_id=user_id).first() if user_id else people.filter(email=email).first()


def new_person(user_id: str | None, email: str | None = None) -> User:
    """An unsaved person known by an id or an e-mail only, as clients name people before they exist."""
    user = User(email=email or "")
    if user_id:
        user.public_id = user_id
    user.username = free_username(email or user.public_id)
    user.full_clean(exclude=["password", "username"])
    return user


def free_username(wanted: str) -> str:
    """`wanted` if nobody signs in with it; an id that is somebody's user name gets one of its own."""
    if len(wanted) <= 150 and not User.objects.filter(username=wanted).exists():
        return wanted
    return User().public_id


def refuse_beyond(organization: Organization, team: Limits) -> None:
    """A child only ever narrows: ApiError 400 naming the limit that is wider than the organization's."""
    for column, name in (("max_budget_nano", "max_budget"), ("rpm_limit", "rpm_limit"), ("tpm_limit", "tpm_limit")):
        top, wanted = organization.effective(column), getattr(team, column)
        if top is not None and wanted is not None and wanted > top:
            raise ApiError(400, f"{name}: is above the limit of organization '{organization}'", param=name)
    foreign = set(team.allowed_models) - set(organization.allowed_models)
    if organization.allowed_models and foreign and "*" not in organization.allowed_models:
        listed = ", ".join(sorted(foreign)[:5])
        raise ApiError(400, f"models: organization '{organization}' does not allow {listed}", param="models")


def _refuse_taken(user: User) -> None:
    if User.objects.filter(public_id=user.public_id).exists():
        raise ApiError(409, f"user_id: User with id {user.public_id} already exists", param="user_id")
    if user.email and User.objects.filter(email__iexact=user.email).exists():
        raise ApiError(409, "user_email: User with this email already exists", param="user_email")
