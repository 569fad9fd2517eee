"""Request bodies about keys: from the contract's names to model fields, validated."""

import hmac
from collections.abc import Collection
from datetime import datetime, timedelta
from typing import Any, ClassVar

from django.conf import settings
from django.db.models import Q
from rest_framework import serializers

from keys import secrets
from keys.extras import INSIDE, ROUTES_OF_TYPE, ExtrasSerializer, refuse_promises
from keys.key_rules import wrong_alias
from keys.models import MASTER_ID, RetiredSecret, VirtualKey
from keys.services import is_guest
from teams.actors import MASTER, Actor
from teams.api_fields import AliasesField, DayOrInstantField, NamesField, TextField, ValidityField
from teams.api_types import ApiError
from teams.limit_serializers import LimitsSerializer, SharedBudgetField, end_of
from teams.models import Project, User
from teams.rows import zone_of
from teams.serializers import find_organization, find_person, find_team, new_person
from teams.services import create_user, default_organization, found_or_made, master_person
from teams.windows import duration_delta


class KeySerializer(ExtrasSerializer, LimitsSerializer):
    """POST /key/generate, and as a merge patch /key/update. Fields we do not know are ignored."""

    key_alias = TextField(source="alias", max_length=255, required=False, allow_null=True, allow_blank=True)
    duration = ValidityField(required=False, allow_null=True)
    expires = DayOrInstantField(required=False, allow_null=True)
    user_id = TextField(max_length=128, required=False, allow_null=True)
    team_id = TextField(max_length=128, required=False, allow_null=True)
    project_id = TextField(max_length=128, required=False, allow_null=True)
    organization_id = TextField(max_length=128, required=False, allow_null=True)
    aliases = AliasesField(required=False, allow_null=True)
    tags = NamesField(required=False, allow_null=True)
    access_group_ids = NamesField(required=False, allow_null=True)
    allowed_routes = NamesField(required=False, allow_null=True)
    key_type = serializers.ChoiceField(choices=sorted(ROUTES_OF_TYPE), required=False, allow_null=True)
    end_user_budget_id = SharedBudgetField(source="end_user_budget", required=False, allow_null=True)
    output_cap_policy = serializers.ChoiceField(
        choices=VirtualKey.OutputCapPolicy.values, required=False, allow_null=True
    )

    columns: ClassVar[frozenset[str]] = LimitsSerializer.columns | {
        "alias", "aliases", "tags", "allowed_routes", "output_cap_policy", "auto_rotate", "rotation_interval",
        "end_user_budget",
    }  # fmt: skip
    inside = (*LimitsSerializer.inside, "end_user_budget_id", "tags", *INSIDE)
    null_keeps: ClassVar[frozenset[str]] = LimitsSerializer.null_keeps | {"tags", "output_cap_policy"}

    def to_internal_value(self, data: Any) -> Any:
        if isinstance(data, dict):
            refuse_promises(data)
        return super().to_internal_value(data)

    def doubled(self, instance: Any) -> dict[str, Any]:
        budget = instance.end_user_budget
        own = {"end_user_budget_id": budget.public_id if budget else None, "tags": instance.tags}
        return super().doubled(instance) | own | {name: instance.metadata.get(name) for name in INSIDE}

    def validate_key_alias(self, value: str | None) -> str | None:
        if not value:
            return None
        if wrong := wrong_alias(value, settings.KEY_RULES.alias):
            raise serializers.ValidationError(wrong)
        others = VirtualKey.objects.live().filter(alias=value)
        if self.instance is not None:
            others = others.exclude(pk=self.instance.pk)
        if others.exists():
            raise serializers.ValidationError(
                f"Key with alias '{value}' already exists. Unique key aliases are required."
            )
        return value

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        if attrs.get("duration") is not None and attrs.get("expires") is not None:
            self._choose_end(attrs)
        if attrs.get("key_type") and not attrs.get("allowed_routes"):
            attrs["allowed_routes"] = list(ROUTES_OF_TYPE[attrs["key_type"]])
        return attrs

    def _choose_end(self, attrs: dict[str, Any]) -> None:
        """Whoever sends the answer of /key/generate back says the end that is stored already: no second one."""
        if self.instance is None or attrs["expires"] != self.instance.expires_at:
            raise serializers.ValidationError({"expires": "send either duration or expires, not both"})
        del attrs["expires"]

    def fill(self, key: VirtualKey, *, actor: Actor, now: datetime) -> VirtualKey:
        """Set the sent fields. A person that nobody knows yet is created, as clients expect."""
        values = self.validated_data
        if "team_id" in values:
            key.team = find_team(values["team_id"]) if values["team_id"] else None
        if "user_id" in values:
            key.user = _person(values["user_id"], actor) if values["user_id"] else None
        if "project_id" in values:
            self._put_into_project(key, values["project_id"])
        self._place(key)
        owner, before = key.team or key.user or key, key.metadata
        self.apply(key, owner=owner)
        self.refuse_other_reset(key, zone_of(key))
        self.fill_extras(key, before)
        if values.get("expires") is not None:
            key.expires_at = end_of(values["expires"], owner, "expires")
        elif "expires" in values or "duration" in values:
            duration = values.get("duration")
            key.expires_at = now + duration_delta(duration) if duration else None
        return key

    @staticmethod
    def _put_into_project(key: VirtualKey, public_id: str | None) -> None:
        """A key without a team goes to the project's. A project of another team looks like none at all."""
        found = Project.objects.live().with_owners().filter(public_id=public_id).first() if public_id else None
        if public_id and (found is None or key.team_id not in (None, found.team_id)):
            raise no_project(public_id)
        key.project, key.team = found, found.team if found else key.team

    def _place(self, key: VirtualKey) -> None:
        organization = find_organization(self.validated_data)
        if "organization_id" in self.validated_data:
            key.names_organization = organization is not None
        owner = key.team or (key.user if key.user and key.user.organization else None)
        if organization is None:
            if not key.organization_id:
                key.organization = (owner and owner.organization) or default_organization()
            return
        key.organization = organization
        if owner is not None and owner.organization != organization and (key.team is not None or not is_guest(key)):
            raise ApiError(
                400, "organization_id: the key's team or user belongs to another organization; make the user a member "
                "of this one with /organization/member_add",
                param="organization_id",
            )  # fmt: skip


class NewKeySerializer(KeySerializer):
    """What only /key/generate takes."""

    unstated: frozenset[str] = frozenset()
    """Columns that the configuration file filled in."""
    key = TextField(required=False, allow_null=True, trim_whitespace=False, max_length=secrets.MAXIMUM_LENGTH)

    def validate_key(self, value: str | None) -> str | None:
        return allowed_custom(value)

    def fill(self, key: VirtualKey, *, actor: Actor, now: datetime) -> VirtualKey:
        super().fill(key, actor=actor, now=now)
        if key.expires_at is not None and key.expires_at <= now:
            raise ApiError(400, "expires: lies in the past", param="expires")
        return key


class RegenerateSerializer(KeySerializer):
    """What only /key/regenerate takes; the other fields update the key on the way."""

    new_key = TextField(required=False, allow_null=True, trim_whitespace=False, max_length=secrets.MAXIMUM_LENGTH)
    grace_period = ValidityField(required=False, allow_null=True)

    def validate_new_key(self, value: str | None) -> str | None:
        return allowed_custom(value)

    def validate_grace_period(self, value: str | None) -> timedelta:
        return duration_delta(value) if value else timedelta(0)


def allowed_custom(value: str | None) -> str | None:
    """A key of the caller's choosing. One that equals the master key would make the two indistinguishable."""
    if value is not None and not settings.KEY_RULES.custom_keys:
        raise ApiError(403, "key: custom keys are disabled (disable_custom_api_keys); leave it out", param="key")
    if value is not None and hmac.compare_digest(value.encode(), settings.MASTER_KEY.encode()):
        raise serializers.ValidationError("this key cannot be used; choose another one")
    return value


def no_project(public_id: str) -> ApiError:
    told = f"project_id: Project not found in the key's team, project_id={public_id}"
    return ApiError(400, told, param="project_id")


def token_from(value: str) -> str:
    """A key as a parameter: 'sk-...' is hashed, any other text is taken as the hash."""
    return secrets.token_of(value) if value.startswith("sk-") else value


def find_key(value: str, *, deleted: bool = False, replaced: bool = False, locked: bool = False) -> VirtualKey:
    """The key that a parameter names. ApiError 404 naming no secret.

    `replaced` finds it also by a secret that it had before; not for changes, as who clears away old secrets would hit
    the key that took their place. `locked` keeps its row until the end of the transaction, so that a merge patch
    starts from what is stored.
    """
    token = token_from(value)
    keys = VirtualKey.objects.with_owners().exclude(public_id=MASTER_ID)
    keys = keys if deleted else keys.live()
    named = Q(token=token)
    if replaced:
        named |= Q(pk__in=RetiredSecret.objects.filter(token=token).values("key_id"))
    if locked:
        # First the lock: what is joined to a row in the statement that locks it may be older than the row.
        list(VirtualKey.objects.select_for_update(no_key=True).filter(named).values_list("pk"))
    key = keys.filter(named).first()
    if key is None:
        raise ApiError(404, "Key not found in database", param="key")
    return key


def locked_keys(tokens: Collection[str], aliases: Collection[str] = ()) -> list[VirtualKey]:
    """Living keys by hash or alias, kept as they are until the end of the transaction; unknown ones are left out."""
    keys = VirtualKey.objects.live().filter(Q(token__in=tokens) | Q(alias__in=aliases))
    # First the lock, as above; and in one order, so that nobody waits for somebody who waits in turn.
    list(keys.order_by("pk").select_for_update(no_key=True).values_list("pk"))
    return list(keys.with_owners())


def _person(public_id: str, actor: Actor) -> User:
    """Somebody whom nobody but a key has named yet may call with it and look on, until an admin gives them a role."""

    def make() -> User:
        if public_id == MASTER.label:
            return master_person()
        return create_user(new_person(public_id, role=User.Role.INTERNAL_USER_VIEWER), actor=actor)

    return found_or_made(lambda: find_person(public_id), make)
