"""Management endpoints of access groups: those that models are put under, and those that are assigned to keys."""

from collections.abc import Iterable
from typing import Any

from django.db import transaction
from django.db.models import Q
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from keys import secrets
from keys.models import VirtualKey
from proxy import group_services
from proxy.models import AccessGroup, Deployment
from proxy.pools_api import group_budgets
from teams.api_base import ApiError, ManagementView, listed, once_more, required_text
from teams.api_fields import FreeTextField, NamesField, TextField
from teams.models import Team

Row = dict[str, Any]


class GroupNew(ManagementView):
    """POST /access_group/new: put models under a name that lists of models may use."""

    waits_for_workers = True
    detail_errors = True

    @extend_schema(request=OpenApiTypes.OBJECT, responses=OpenApiTypes.OBJECT)
    def post(self, request: Request) -> Response:
        try:
            name = TextField(max_length=255).run_validation(required_text(self.body, "access_group"))
        except serializers.ValidationError as error:
            raise serializers.ValidationError({"access_group": error.detail}) from error
        return Response(_fill(name, self.body, self, fresh=True))


class GroupList(ManagementView):
    detail_errors = True

    @extend_schema(request=None, responses=OpenApiTypes.OBJECT)
    def get(self, request: Request) -> Response:
        found: dict[str, list[Deployment]] = {}
        for row in Deployment.objects.with_owners().visible_to(self.caller):
            for name in row.groups:
                found.setdefault(name, []).append(row)
        budgets = group_budgets(found)
        rows = [{**_group_row(name, rows), **budgets[name]} for name, rows in sorted(found.items())]
        return Response({"access_groups": rows})


class GroupInfo(ManagementView):
    detail_errors = True

    @extend_schema(request=None, responses=OpenApiTypes.OBJECT)
    def get(self, request: Request, group: str) -> Response:
        return Response({**_group_row(group, _known(group)), **group_budgets([group])[group]})


class GroupUpdate(ManagementView):
    """PUT /access_group/{name}/update: exactly these models are in it from now on."""

    detail_errors = waits_for_workers = True

    @extend_schema(request=OpenApiTypes.OBJECT, responses=OpenApiTypes.OBJECT)
    def put(self, request: Request, group: str) -> Response:
        _known(group)
        return Response(_fill(group, self.body, self))


class GroupDelete(ManagementView):
    detail_errors = waits_for_workers = True

    @extend_schema(request=None, responses=OpenApiTypes.OBJECT)
    def delete(self, request: Request, group: str) -> Response:
        _known(group)
        changed = group_services.set_members(group, [], actor=self.caller.actor)
        told = f"Access group '{group}' deleted successfully"
        return Response({"access_group": group, "models_updated": changed, "message": told})


def _fill(name: str, body: Row, view: ManagementView, *, fresh: bool = False) -> Row:
    rows = _named(body)
    changed = group_services.set_members(name, rows, actor=view.caller.actor, fresh=fresh)
    return {
        "access_group": name,
        "model_names": list(dict.fromkeys(body.get("model_names") or sorted(row.model.name for row in rows))),
        "model_ids": body.get("model_ids"),
        "models_updated": changed,
    }


def _named(body: Row) -> list[Deployment]:
    """Deployments that a body names by id, or by public name where everybody may call them. ApiError 400."""
    field = "model_ids" if body.get("model_ids") else "model_names"
    value = listed(body, field, "write a list of models; model_names or model_ids is required")
    if not value or not all(isinstance(item, str) and item for item in value):
        raise ApiError(400, f"{field}: write a list of models; model_names or model_ids is required", param=field)
    by_id, by_name = Q(public_id__in=value), Q(model__name__in=value, team__isnull=True)
    rows = list(Deployment.objects.with_owners().filter(by_id if field == "model_ids" else by_name))
    missing = set(value) - {row.public_id if field == "model_ids" else row.model.name for row in rows}
    if missing:
        raise ApiError(400, f"Model(s) not found: {', '.join(sorted(missing))}", param=field)
    return rows


def _known(group: str) -> list[Deployment]:
    rows = group_services.members(group)
    if not rows:
        raise ApiError(404, f"Access group '{group}' not found", param="access_group")
    return rows


def _group_row(name: str, rows: list[Deployment]) -> Row:
    return {
        "access_group": name,
        "model_names": sorted({row.model.name for row in rows}),
        "deployment_count": len(rows),
    }


# --- Access groups that are assigned to keys and teams ---------------------------------------------


class GrantSerializer(serializers.Serializer[Any]):
    """POST and PUT /v1/access_group; what is not named keeps its value."""

    access_group_name = TextField(max_length=255, required=False, allow_null=True)
    description = FreeTextField(required=False, allow_null=True, allow_blank=True)
    access_model_names = NamesField(required=False, allow_null=True)
    access_mcp_server_ids = NamesField(required=False, allow_null=True)
    access_agent_ids = NamesField(required=False, allow_null=True)
    assigned_team_ids = NamesField(required=False, allow_null=True)
    assigned_key_ids = NamesField(required=False, allow_null=True)

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        for field, what in (("access_mcp_server_ids", "MCP servers"), ("access_agent_ids", "agents")):
            if attrs.get(field):
                raise serializers.ValidationError({field: f"there are no {what} here; send an empty list"})
        return attrs

    def fill(self, group: AccessGroup) -> AccessGroup:
        given = self.validated_data
        group.name = given.get("access_group_name") or group.name
        group.description = (given["description"] or "") if "description" in given else group.description
        names = given.get("access_model_names")
        group.model_names = group.model_names if names is None else names
        return group

    def teams(self) -> list[Team] | None:
        named = self.validated_data.get("assigned_team_ids")
        found: list[Team] | None = _all_known("assigned_team_ids", named, Team.objects.live())
        return found

    def keys(self) -> list[VirtualKey] | None:
        """By hash, or by the key itself."""
        named = self.validated_data.get("assigned_key_ids")
        tokens = None if named is None else [secrets.token_of(n) if n.startswith("sk-") else n for n in named]
        found: list[VirtualKey] | None = _all_known("assigned_key_ids", tokens, VirtualKey.objects.live(), by="token")
        return found


class GrantsView(ManagementView):
    """/v1/access_group: the list, and new ones."""

    detail_errors = True

    @extend_schema(request=None, responses=OpenApiTypes.OBJECT)
    def get(self, request: Request) -> Response:
        return Response([_grant_row(group) for group in _grants()])

    @extend_schema(request=GrantSerializer, responses=OpenApiTypes.OBJECT)
    @once_more
    def post(self, request: Request) -> Response:
        required_text(self.body, "access_group_name")
        return Response(self._saved(AccessGroup()), status=201)

    def _saved(self, group: AccessGroup) -> Row:
        body = GrantSerializer(data=self.body)
        body.is_valid(raise_exception=True)
        name = body.validated_data.get("access_group_name") or group.name
        if AccessGroup.objects.filter(name=name).exclude(pk=group.pk).exists():
            raise ApiError(409, f"Access group '{name}' already exists", param="access_group_name")
        saved = group_services.save_group(
            body.fill(group), teams=body.teams(), keys=body.keys(), actor=self.caller.actor
        )
        return _grant_row(_grants().get(pk=saved.pk))


class GrantView(GrantsView):
    """/v1/access_group/{id}."""

    waits_for_workers = True
    http_method_names = ("get", "put", "patch", "delete", "options")

    @extend_schema(request=None, responses=OpenApiTypes.OBJECT)
    def get(self, request: Request, group_id: str) -> Response:  # type: ignore[override]
        return Response(_grant_row(_grant(group_id)))

    @extend_schema(request=GrantSerializer, responses=OpenApiTypes.OBJECT)
    @once_more
    def put(self, request: Request, group_id: str) -> Response:
        known = _grant(group_id)
        with transaction.atomic():
            return Response(self._saved(group_services.locked(known)))

    patch = put

    @extend_schema(request=None, responses=OpenApiTypes.OBJECT)
    def delete(self, request: Request, group_id: str) -> Response:
        group_services.delete_group(_grant(group_id), actor=self.caller.actor)
        return Response(status=204)


def _all_known(field: str, wanted: list[str] | None, rows: Any, by: str = "public_id") -> Any:
    """The rows that are named, all of them. ApiError 400; None where nothing is named."""
    if wanted is None:
        return None
    found = list(rows.filter(**{f"{by}__in": wanted}))
    missing = set(wanted) - {getattr(row, by) for row in found}
    if missing:
        raise ApiError(400, f"{field}: not found: {', '.join(sorted(name[:64] for name in missing))}", param=field)
    return found


def _grants() -> Any:
    return AccessGroup.objects.prefetch_related("teams", "keys")


def _grant(public_id: str) -> AccessGroup:
    group: AccessGroup | None = _grants().filter(public_id=public_id).first()
    if group is None:
        raise ApiError(404, f"Access group '{public_id[:128]}' not found", param="access_group_id")
    return group


def _grant_row(group: AccessGroup) -> Row:
    def ids(rows: Iterable[Any], name: str) -> list[str]:
        return sorted(getattr(row, name) for row in rows if row.deleted_at is None)

    return {
        "access_group_id": group.public_id,
        "access_group_name": group.name,
        "description": group.description or None,
        "access_model_names": group.model_names,
        "access_mcp_server_ids": [],
        "access_agent_ids": [],
        "assigned_team_ids": ids(group.teams.all(), "public_id"),
        "assigned_key_ids": ids(group.keys.all(), "token"),
        "created_at": group.created_at,
        "created_by": group.created_by or None,
        "updated_at": group.updated_at,
        "updated_by": group.updated_by or None,
    }
