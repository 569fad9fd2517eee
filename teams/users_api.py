"""Management endpoints of people alone; those that show or make keys are in `keys.users_api`."""

from collections.abc import Mapping
from collections.abc import Set as AbstractSet
from functools import partial
from typing import Any

from django.contrib.auth.password_validation import validate_password
from django.core.exceptions import ValidationError as ModelValidationError
from django.db import IntegrityError, transaction
from django.db.models import Q
from django.utils import timezone
from django_ratelimit.core import is_ratelimited
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import extend_schema
from rest_framework.exceptions import ValidationError
from rest_framework.request import Request
from rest_framework.response import Response

from teams import departures, services
from teams.api_base import ApiError, ManagementView, ScopeView, listed, required_names, required_text, whole_number
from teams.api_types import reason_of
from teams.callers import Caller
from teams.columns import BESIDE, TERMS
from teams.finding import managed_person
from teams.models import Membership, User
from teams.person_rows import person_rows
from teams.reach import exceeds
from teams.rows import Row, team_ids_of
from teams.scope_serializers import UserUpdateSerializer, patched
from teams.serializers import PLATFORM, find_person
from teams.spend_field import SpendView

_MOST = 500
#: Of a person's password, by whoever holds a key of theirs.
_GUESSES = "5/m"
#: What people may change about themselves.
_HARMLESS = frozenset({"email", "alias"})
#: What clients call columns of a person.
_NAMES = {
    **TERMS, **BESIDE, "allowed_models": "models", "role": "user_role", "sso_id": "sso_user_id", "alias": "user_alias",
}  # fmt: skip
_IN_ORGANIZATIONS = "people join with /organization/member_add and leave with /organization/member_delete"
_ELSEWHERE = {
    "organization_id": _IN_ORGANIZATIONS,
    "organizations": _IN_ORGANIZATIONS,
    "teams": "people join with /team/member_add and leave with /team/member_delete",
}
_ROLES: dict[str, tuple[str, str]] = {
    "proxy_admin": ("Admin (All Permissions)", "admin over the platform, has all permissions"),
    "proxy_admin_viewer": ("Admin (View Only)", "view all keys, view all spend"),
    "internal_user": ("Internal User (Create/Delete/View)", "view/create/delete their own keys, view their own spend"),
    "internal_user_viewer": ("Internal User (View Only)", "view their own keys, view their own spend"),
}


class UserUpdate(SpendView):
    """A merge patch of the person that `user_id` names, or `user_email` where there is no id."""

    @extend_schema(request=UserUpdateSerializer, responses=OpenApiTypes.OBJECT)
    def post(self, request: Request) -> Response:
        if self.body.get("user_id") == PLATFORM and self.caller.is_admin:
            return Response({"user_id": PLATFORM, "data": _unchanged_platform(self.body)})
        with transaction.atomic():
            user = changed(self.caller, self.body)
            self.set_spend(user, self.body, timezone.now())
        [row] = person_rows([user], self.caller, self.spent, timezone.now())
        return Response({"user_id": user.public_id, "data": row})


def _unchanged_platform(body: dict[str, Any]) -> Row:
    """Scripts reset the spend of "the platform" so that its budget lets calls through; there is none, so nothing does.

    Raises ApiError 400 for a limit: it would not be enforced.
    """
    given = sorted(name for name, value in body.items() if value is not None and name not in ("user_id", "spend"))
    if given:
        raise ApiError(
            400, f"{given[0]}: the platform has no limits of its own; give each organization one", param=given[0]
        )
    return {"user_id": PLATFORM, "max_budget": None}


class UserUpdateMany(SpendView):
    """Changes of many people; who cannot be changed is named, and the others are nevertheless."""

    @extend_schema(request=OpenApiTypes.OBJECT, responses=OpenApiTypes.OBJECT)
    def post(self, request: Request) -> Response:
        results = [self._result(entry) for entry in self._entries()]
        good = sum(1 for result in results if result["success"])
        return Response(
            {
                "results": results,
                "total_requested": len(results),
                "successful_updates": good,
                "failed_updates": len(results) - good,
            }
        )

    def _entries(self) -> list[Any]:
        if self.body.get("all_users") is True:
            updates = self.body.get("user_updates")
            if not isinstance(updates, dict) or not updates:
                raise ApiError(400, "user_updates: write what to change about everybody", param="user_updates")
            names = User.objects.live().order_by("pk").values_list("public_id", flat=True)[: _MOST + 1]
            entries = [{**updates, "user_id": name} for name in names]
        else:
            entries = listed(self.body, "users", f"write a list of 1 to {_MOST} people")
        if not entries or len(entries) > _MOST:
            raise ApiError(400, f"users: write a list of 1 to {_MOST} people", param="users")
        return entries

    def _result(self, entry: Any) -> Row:
        entry = entry if isinstance(entry, dict) else {}
        who: Row = {"user_id": entry.get("user_id"), "user_email": entry.get("user_email")}
        try:
            with transaction.atomic():
                user = changed(self.caller, entry)
                self.set_spend(user, entry, timezone.now())
        except (ApiError, ValidationError, ModelValidationError, IntegrityError) as error:
            return who | {"success": False, "error": reason_of(error), "updated_user": None}
        [row] = person_rows([user], self.caller, self.spent, timezone.now())
        return {"user_id": user.public_id, "user_email": user.email or None, "success": True, "error": None} | {
            "updated_user": row
        }


class UserDelete(ManagementView):
    """Keys stop working, memberships end; the ledger and the trail keep the person, whose id is free again."""

    detail_errors = True

    @extend_schema(request=OpenApiTypes.OBJECT, responses=OpenApiTypes.OBJECT)
    def post(self, request: Request) -> Response:
        names = list(dict.fromkeys(required_names(self.body, "user_ids")))
        users = [managed_person(self.caller, name, param="user_ids") for name in names]
        for user in users:
            _refuse_elsewhere(self.caller, user)
        with transaction.atomic():
            for user in users:
                departures.delete_user(user, actor=self.caller.actor)
        return Response(len(users))


class UserRowInfo(ScopeView):
    """GET /v2/user/info: one person's row; whom the caller cannot see is not there."""

    detail_errors = True

    @extend_schema(request=None, responses=OpenApiTypes.OBJECT)
    def get(self, request: Request) -> Response:
        named = request.query_params.get("user_id") or self.caller.user_id
        people = User.objects.live().visible_to(self.caller).select_related("organization", "shared_budget")
        user = people.filter(public_id=named).first() if named else None
        if user is None:
            raise ApiError(404, f"User not found, passed user_id={named}", param="user_id")
        return Response(person_rows([user], self.caller, self.spent, timezone.now())[0])


class UserRoles(ManagementView):
    @extend_schema(request=None, responses=OpenApiTypes.OBJECT)
    def get(self, request: Request) -> Response:
        return Response(
            {role: {"ui_label": label, "description": description} for role, (label, description) in _ROLES.items()}
        )


class UserFilter(ManagementView):
    """People by a part of their id or e-mail, as pickers ask for them."""

    @extend_schema(request=None, responses=OpenApiTypes.OBJECT)
    def get(self, request: Request) -> Response:
        query = request.query_params
        page, size = whole_number(query, "page", 1, top=10**6), whole_number(query, "page_size", 50, top=100)
        people = User.objects.live().visible_to(self.caller).order_by("-pk")
        found = Q()
        for name, column in (("user_id", "public_id"), ("user_email", "email"), ("user_alias", "alias")):
            if query.get(name):
                found |= Q(**{f"{column}__icontains": query[name]})
        rows = people.filter(found)[(page - 1) * size : page * size]
        return Response(
            [
                {"user_id": row.public_id, "user_email": row.email or None, "user_alias": row.alias or None}
                for row in rows
            ]
        )


class PasswordChange(ManagementView):
    """A person's own password for signing in, by who knows the one it has.

    A key alone is no proof of a person: apps hold it. So the first password comes by an invitation, or from an admin.
    """

    @extend_schema(request=OpenApiTypes.OBJECT, responses=OpenApiTypes.OBJECT)
    def post(self, request: Request) -> Response:
        if not self.caller.personal:
            raise ApiError(
                403, "only a personal key that nobody else was given changes a person's password", param="key"
            )
        user = User.objects.live().filter(pk=self.caller.user_pk).first() if self.caller.user_pk else None
        if user is None:
            raise ApiError(400, "this key belongs to nobody who could sign in", param="user_id")
        new = required_text(self.body, "new_password")
        current = self.body.get("current_password")
        if not user.has_usable_password():
            told = "none was set yet; have an admin send an invitation link (/invitation/new), or set one in /admin/"
            raise ApiError(400, f"current_password: {told}", param="current_password")
        if is_ratelimited(request, group="password", key=lambda *_: str(user.pk), rate=_GUESSES, increment=True):
            raise ApiError(429, "current_password: too many attempts; wait a minute", param="current_password")
        if not (isinstance(current, str) and user.check_password(current)):
            raise ApiError(403, "current_password: is not right", param="current_password")
        try:
            validate_password(new, user)
        except ModelValidationError as error:
            raise ApiError(400, f"new_password: {' '.join(error.messages)}", param="new_password") from error
        services.set_password(user, new, actor=self.caller.actor)
        return Response({"message": "Password changed successfully", "user_id": user.public_id})


def changed(caller: Caller, body: dict[str, Any]) -> User:
    """Save a change of the person that a body names, as far as the caller's rights over its fields go."""
    if body.get("password") is not None:
        raise ApiError(422, "password is not accepted here; send an invitation instead", param="password")
    user = _named(caller, body)
    is_own = caller.personal if user.pk == caller.user_pk else caller.may_be(user.pk)
    if is_own and not caller.is_admin:
        return _changed_by_oneself(caller, user, body)
    if moved := _moves(caller, user, body):
        raise ApiError(400, f"{moved}: {_ELSEWHERE[moved]}", param=moved)
    check = None if caller.is_admin else partial(_nothing_stronger, caller)
    return patched(user, UserUpdateSerializer, body, caller, check=check)


def _changed_by_oneself(caller: Caller, user: User, body: dict[str, Any]) -> User:
    """ApiError 403 for more than a few fields. Names of other things are not looked up: that would tell what exists."""
    stored = {"budget_id": user.shared_budget.public_id if user.shared_budget else "", "sso_user_id": user.sso_id}
    other = (name for name, value in stored.items() if name in body and (body[name] or "") != value)
    if wrong := _moves(caller, user, body) or next(other, ""):
        raise _not_about_you(wrong)
    own = _HARMLESS - {"alias"} if caller.reads_all else _HARMLESS
    return patched(user, UserUpdateSerializer, body, caller, check=partial(_nothing_but, own))


def _named(caller: Caller, body: dict[str, Any]) -> User:
    field = "user_id" if body.get("user_id") is not None else "user_email"
    if field == "user_email" and body.get("user_email") is None and caller.user_id:
        body = {**body, "user_id": caller.user_id}
        field = "user_id"
    named = required_text(body, field)
    user = find_person(named) if field == "user_id" else find_person(None, named)
    if user is None and caller.is_admin:
        raise ApiError(404, f"User {named} not found", param=field)
    own = user is not None and user.pk == caller.user_pk and caller.personal
    if user is None or not (own or User.objects.managed_by(caller).filter(pk=user.pk).exists()):
        # The same of who is not there and of who is: whoever guesses an address learns no id by it.
        raise ApiError(403, f"{field}: you cannot change user {named}; an admin of its organization can", param=field)
    return user


def _moves(caller: Caller, user: User, body: Mapping[str, Any]) -> str:
    """The field that names another organization, or other teams, than the person is in; '' if none does.

    Nobody moves by an update; who sends a row back names what it showed.
    """
    if not any(body.get(name) for name in _ELSEWHERE):
        return ""
    places = set(user.organization_memberships.values_list("organization__public_id", flat=True))
    places |= {user.organization.public_id} if user.organization else set()
    known: dict[str, set[str]] = {
        "organization_id": places,
        "organizations": places,
        "teams": {*team_ids_of([user], caller)[user.pk]},
    }
    return next((name for name, ids in known.items() if body.get(name) and not _named_in(body[name]) <= ids), "")


def _named_in(value: Any) -> set[str]:
    entries = value if isinstance(value, list) else [value]
    return {str(entry.get("team_id")) if isinstance(entry, dict) else str(entry) for entry in entries}


def _nothing_but(own: AbstractSet[str], before: User, after: User) -> None:
    """ApiError 403 naming what differs of a person, whatever it is, beside these columns."""
    columns = {
        field.attname
        for field in User._meta.concrete_fields
        if getattr(before, field.attname) != getattr(after, field.attname)
    }
    if wrong := columns - own:
        name = next((name for column, name in _NAMES.items() if column in wrong), min(wrong))
        raise _not_about_you(name)


def _not_about_you(name: str) -> ApiError:
    return ApiError(403, f"{name}: only an admin may change this about you", param=name)


def _nothing_stronger(caller: Caller, before: User, after: User) -> None:
    """Whoever leads elsewhere is not locked out there by an admin of the own home, nor given another way in."""
    _no_platform_role(before, after)
    differs = (name for name in ("email", "sso_id", "role", "blocked") if getattr(before, name) != getattr(after, name))
    if (name := next(differs, "")) and exceeds(before, caller):
        field = _NAMES.get(name, name)
        raise ApiError(403, f"{field}: this person may do more than you; ask a platform admin", param=field)


def _no_platform_role(before: User, after: User) -> None:
    if before.role != after.role and after.role.startswith(User.Role.PROXY_ADMIN):
        raise ApiError(403, "user_role: only a platform admin may make others admins", param="user_role")


def _refuse_elsewhere(caller: Caller, user: User) -> None:
    """An organization admin deletes only people who are nowhere else, and nobody deletes the own account."""
    if user.pk == caller.user_pk or (caller.may_be(user.pk) and not caller.is_admin):
        raise ApiError(400, "user_ids: somebody else has to delete your own account", param="user_ids")
    if caller.is_admin:
        return
    elsewhere = user.organization_memberships.exclude(organization__in=caller.organizations).exists()
    in_teams = Membership.objects.filter(user=user).exclude(team__organization__in=caller.organizations).exists()
    if elsewhere or in_teams:
        raise ApiError(403, f"user_ids: {user.public_id} belongs to organizations that are not yours", param="user_ids")
