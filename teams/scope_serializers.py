"""Request bodies about organizations, members, customers and tags, and changes to teams and people."""

from collections.abc import Callable, Mapping
from copy import copy
from typing import Any, ClassVar, TypeVar

from django.conf import settings
from django.db import transaction
from rest_framework import serializers

from teams import services
from teams.api_fields import (
    AliasesField,
    FreeTextField,
    MailField,
    MoneyField,
    NamesField,
    TextField,
    ValidityField,
    refuse_control,
)
from teams.api_types import ApiError
from teams.callers import Caller
from teams.field_rights import refuse_wider
from teams.limit_serializers import LimitsSerializer
from teams.merge_patch import merge_patch
from teams.models import Customer, Limits, Membership, Organization, OrganizationMembership, Project, Tag, Team, User
from teams.people_defaults import complete_customer
from teams.promises import refuse_promises
from teams.rows import model_rates, zone_of
from teams.serializers import (
    TEAM_COLUMNS,
    MemberSerializer,
    PermissionsField,
    TaggedSerializer,
    TeamSerializer,
    find_organization,
    taken,
)
from teams.services import default_organization

L = TypeVar("L", bound=Limits)
#: Compares a scope as it is stored with what a change makes of it.
Check = Callable[[Any, Any], None]


@transaction.atomic
def patched(
    instance: L, form: type[LimitsSerializer], body: Mapping[str, Any], caller: Caller, *, check: Check | None = None
) -> L:
    """Apply a merge patch to a scope as it is now, under its lock, and save it through its service.

    `check` sees the scope as it is stored and as it would become, and raises ApiError if that is too much.
    """
    refuse_promises(body, but=form.keeps)
    current = type(instance)._default_manager.select_for_update(no_key=True).get(pk=instance.pk)
    serializer = form(current, data=body, partial=True, context={"caller": caller})
    serializer.is_valid(raise_exception=True)
    serializer.apply(current)
    current.full_clean(exclude=["password"])
    serializer.refuse_other_reset(current, zone_of(current))
    if check is not None:
        check(type(instance)._default_manager.get(pk=instance.pk), current)
    services.update_limits(current, actor=caller.actor)
    return current


class OrganizationSerializer(LimitsSerializer):
    """POST /organization/new, and as a merge patch /organization/update."""

    organization_id = TextField(source="public_id", max_length=128, required=False, allow_null=True)
    organization_alias = TextField(source="name", max_length=255, allow_null=True)
    timezone = TextField(max_length=64, required=False, allow_null=True)

    columns = LimitsSerializer.columns | {"name", "timezone"}
    null_keeps = LimitsSerializer.null_keeps | {"name"}

    def organization(self) -> Organization:
        """An unsaved, validated organization."""
        public_id = self.validated_data.get("public_id")
        if public_id and Organization.objects.filter(public_id=public_id).exists():
            raise ApiError(400, f"organization_id: '{public_id}' already exists", param="organization_id")
        zone = settings.ZONE or "UTC"
        organization = Organization(public_id=public_id, timezone=zone) if public_id else Organization(timezone=zone)
        self.apply(organization)
        organization.full_clean()
        self.refuse_other_reset(organization, zone_of(organization))
        return organization


class TeamUpdateSerializer(TaggedSerializer):
    """POST /team/update: a merge patch. A team never moves to another organization."""

    team_alias = TextField(source="name", max_length=255, required=False, allow_null=True)
    organization_id = TextField(max_length=128, required=False, allow_null=True)
    model_aliases = AliasesField(required=False, allow_null=True)
    team_member_permissions = PermissionsField(source="member_permissions", required=False, allow_null=True)
    team_member_key_duration = ValidityField(source="member_key_duration", required=False, allow_null=True)
    default_team_member_models = NamesField(source="member_models", required=False, allow_null=True)
    access_group_ids = NamesField(required=False, allow_null=True)

    keeps = TeamSerializer.keeps
    columns = LimitsSerializer.columns | TEAM_COLUMNS

    def apply(self, instance: Any, **how: Any) -> Any:
        stored = copy(instance)
        team: Team = super().apply(instance, **how)
        if self.validated_data.get("organization_id") not in (None, "", team.organization.public_id):
            told = "organization_id: a team cannot move to another organization; create it there instead"
            raise ApiError(400, told, param="organization_id")
        refuse_wider(team, team.organization, stored)
        return team


class TeamPatchSerializer(TeamUpdateSerializer):
    """PATCH /team/{team_id}: `metadata` is a merge patch itself, of what the locked row has at that moment."""

    def to_internal_value(self, data: Any) -> Any:
        metadata = data.get("metadata") if isinstance(data, dict) else None
        if not isinstance(metadata, dict):
            return super().to_internal_value(data)
        # Rates per model are shown as a part of it, but kept elsewhere, where null would keep them.
        shown = model_rates(self.instance.model_limits)  # type: ignore[union-attr]
        rates = {
            name: {} if metadata[name] is None else merge_patch(now, metadata[name])
            for name, now in shown.items()
            if name in metadata
        }
        return super().to_internal_value({**data, "metadata": metadata | rates})

    def apply(self, instance: Any, **how: Any) -> Any:
        stored = instance.metadata
        team: Team = super().apply(instance, **how)
        if self.validated_data.get("metadata") is not None:
            team.metadata = merge_patch(stored, team.metadata)
        return team


class UserUpdateSerializer(LimitsSerializer):
    """POST /user/update: a merge patch."""

    user_email = MailField(source="email", max_length=254, required=False, allow_null=True)
    user_alias = TextField(source="alias", max_length=255, required=False, allow_null=True)
    user_role = serializers.ChoiceField(source="role", choices=User.Role.choices, required=False, allow_null=True)
    sso_user_id = TextField(source="sso_id", max_length=255, required=False, allow_null=True)

    columns = LimitsSerializer.columns | {"email", "alias", "role", "sso_id"}
    null_keeps = LimitsSerializer.null_keeps | {"role"}

    def apply(self, instance: Any, **how: Any) -> Any:
        user: User = super().apply(instance, **how)
        if self.validated_data.get("role"):
            leads = user.role.startswith(User.Role.PROXY_ADMIN)
            user.is_staff, user.is_superuser = leads, user.is_superuser and user.role == User.Role.PROXY_ADMIN
        if taken(user):
            raise ApiError(400, f"{taken(user)}: User already exists with this {taken(user)}", param=taken(user))
        return user


class OnePersonSerializer(LimitsSerializer):
    """The limits of one person in a team or an organization, under the names that clients know for them."""

    # DRF drops a field of a base class that is None here.
    max_budget = None  # type: ignore[assignment]
    models = None  # type: ignore[assignment]
    allowed_models = NamesField(required=False, allow_null=True)

    columns: ClassVar[frozenset[str]] = LimitsSerializer.columns


class MembershipSerializer(OnePersonSerializer):
    """The limits of a member of a team."""

    max_budget_in_team = MoneyField(source="max_budget_nano", required=False, allow_null=True)


class MemberUpdateSerializer(MembershipSerializer):
    """POST /team/member_update."""

    role = serializers.ChoiceField(choices=Membership.Role.choices, required=False, allow_null=True)

    columns = MembershipSerializer.columns | {"role"}
    null_keeps = MembershipSerializer.null_keeps | {"role"}


class PlaceLimitsSerializer(OnePersonSerializer):
    """The limits of a member of an organization."""

    max_budget_in_organization = MoneyField(source="max_budget_nano", required=False, allow_null=True)


class PlaceUpdateSerializer(PlaceLimitsSerializer):
    """PATCH /organization/member_update."""

    role = serializers.ChoiceField(choices=OrganizationMembership.Role.choices, required=False, allow_null=True)

    columns = PlaceLimitsSerializer.columns | {"role"}
    null_keeps = PlaceLimitsSerializer.null_keeps | {"role"}


class PlaceSerializer(MemberSerializer):
    """One person and its role in an organization."""

    role = serializers.ChoiceField(choices=OrganizationMembership.Role.choices)


class MembersSerializer(serializers.Serializer[Any]):
    """`member` of /team/member_add: one person or a list."""

    member: Any = serializers.ListField(child=MemberSerializer(), allow_empty=False, max_length=500)

    def to_internal_value(self, data: Any) -> Any:
        one = data.get("member") if isinstance(data, dict) else None
        return super().to_internal_value({"member": [one]} if isinstance(one, dict) else data)


class PlacesSerializer(MembersSerializer):
    """`member` of /organization/member_add: one person or a list."""

    member = serializers.ListField(child=PlaceSerializer(), allow_empty=False, max_length=500)


class ProjectSerializer(TaggedSerializer):
    """POST /project/new, and as a merge patch /project/update."""

    project_id = TextField(source="public_id", max_length=128, required=False, allow_null=True)
    project_alias = TextField(source="name", max_length=255, required=False, allow_null=True)
    description = FreeTextField(max_length=2000, required=False, allow_null=True, allow_blank=True)

    columns = LimitsSerializer.columns | {"name", "description"}

    def apply(self, instance: Any, **how: Any) -> Any:
        stored = copy(instance)
        project: Project = super().apply(instance, **how)
        refuse_wider(project, project.team, stored)
        return project

    def project(self, team: Team) -> Project:
        """An unsaved, validated project."""
        public_id = self.validated_data.get("public_id")
        if public_id and Project.objects.filter(public_id=public_id).exists():
            raise ApiError(400, f"project_id: '{public_id}' already exists, or did", param="project_id")
        project: Project = self.apply(Project(team=team, **({"public_id": public_id} if public_id else {})))
        self.refuse_other_reset(project, zone_of(project))
        project.full_clean()
        return project


class CustomerSerializer(LimitsSerializer):
    """POST /customer/new, and as a merge patch /customer/update."""

    # Calls name whom they like, and whoever they named can be changed.
    user_id = FreeTextField(source="public_id", max_length=255)
    alias = TextField(max_length=255, required=False, allow_null=True)
    organization_id = TextField(max_length=128, required=False, allow_null=True)

    allowed_model_region = serializers.ChoiceField(
        source="allowed_region", choices=Customer.Region.values, required=False, allow_null=True
    )
    default_model = TextField(max_length=255, required=False, allow_null=True, allow_blank=True)

    columns = LimitsSerializer.columns | {"alias", "allowed_region", "default_model"}
    keeps = frozenset({"allowed_model_region", "default_model"})

    def validate_user_id(self, value: str) -> str:
        return value if self.instance else refuse_control(value)

    def customer(self) -> Customer:
        """An unsaved, validated customer."""
        organization = find_organization(self.validated_data) or default_organization()
        customer = Customer(organization=organization, public_id=self.validated_data["public_id"])
        if Customer.objects.live().filter(organization=organization, public_id=customer.public_id).exists():
            raise ApiError(400, f"user_id: Customer '{customer.public_id}' already exists", param="user_id")
        complete_customer(self.apply(customer))
        self.refuse_other_reset(customer, zone_of(customer))
        customer.full_clean()
        return customer


class TagSerializer(LimitsSerializer):
    """POST /tag/new, and as a merge patch /tag/update."""

    # Ids of the deployments that the tag is for, which are told so; no list of what it may call, as in other scopes.
    models = NamesField(required=False, allow_null=True)
    # As calls name it; a new one is named as everything else here.
    name = FreeTextField(max_length=255)
    description = FreeTextField(max_length=2000, required=False, allow_null=True, allow_blank=True)
    organization_id = TextField(max_length=128, required=False, allow_null=True)

    columns = LimitsSerializer.columns | {"description"}

    def validate_name(self, value: str) -> str:
        return value if self.instance else refuse_control(value)

    def tag(self) -> Tag:
        """An unsaved, validated tag."""
        organization = find_organization(self.validated_data) or default_organization()
        tag = Tag(organization=organization, name=self.validated_data["name"])
        if Tag.objects.filter(organization=organization, name=tag.name).exists():
            raise ApiError(400, f"name: Tag {tag.name} already exists", param="name")
        self.apply(tag)
        self.refuse_other_reset(tag, zone_of(tag))
        tag.full_clean()
        return tag
