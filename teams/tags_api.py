"""Management endpoints of tags."""

from collections.abc import Mapping
from typing import Any

from django.db.models import QuerySet
from django.utils import timezone
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import extend_schema
from rest_framework.request import Request
from rest_framework.response import Response

from teams import services
from teams.api_base import ApiError, ManagementView, ScopeView, required_names, required_text
from teams.models import Tag
from teams.promises import refuse_promises
from teams.rows import tag_row
from teams.scope_serializers import TagSerializer, patched
from teams.serializers import find_organization

_MOST = 1000


class TagNew(ScopeView):
    detail_errors = True

    @extend_schema(request=TagSerializer, responses=OpenApiTypes.OBJECT)
    def post(self, request: Request) -> Response:
        _refuse_models(self.body)
        body = TagSerializer(data=self.body)
        body.is_valid(raise_exception=True)
        tag = services.create_tag(body.tag(), actor=self.caller.actor)
        row = tag_row(tag, self.spent([tag]), timezone.now())
        return Response({"message": f"Tag {tag.name} created successfully", "tag": row})


class TagUpdate(ScopeView):
    """A merge patch: an omitted field keeps its value, null clears it."""

    detail_errors = True

    @extend_schema(request=TagSerializer, responses=OpenApiTypes.OBJECT)
    def post(self, request: Request) -> Response:
        _refuse_models(self.body)
        tag = patched(_tag(self.body), TagSerializer, self.body, self.caller.actor)
        row = tag_row(tag, self.spent([tag]), timezone.now())
        return Response({"message": f"Tag {tag.name} updated successfully", "tag": row})


class TagInfo(ScopeView):
    detail_errors = True

    @extend_schema(request=OpenApiTypes.OBJECT, responses=OpenApiTypes.OBJECT)
    def post(self, request: Request) -> Response:
        names, now = required_names(self.body, "names"), timezone.now()
        tags = list(_tags(self.body).filter(name__in=names))
        if not tags:
            raise ApiError(404, f"No tags found for names: {', '.join(names[:10])}", param="names")
        spent = self.spent(tags)
        return Response({tag.name: tag_row(tag, spent, now) for tag in tags})


class TagDelete(ManagementView):
    """Its limits are gone; what was spent under it stays in the ledger."""

    detail_errors = True

    @extend_schema(request=OpenApiTypes.OBJECT, responses=OpenApiTypes.OBJECT)
    def post(self, request: Request) -> Response:
        tag = _tag(self.body)
        services.delete_tag(tag, actor=self.caller.actor)
        return Response({"message": f"Tag {tag.name} deleted successfully"})


class TagList(ScopeView):
    """Tags that were made here, and tags that calls have named."""

    @extend_schema(request=None, responses=OpenApiTypes.OBJECT)
    def get(self, request: Request) -> Response:
        tags, now = list(_tags(request.query_params)[:_MOST]), timezone.now()
        spent = self.spent(tags)
        return Response([tag_row(tag, spent, now) for tag in tags])


def _refuse_models(body: Mapping[str, Any]) -> None:
    """LiteLLM lists the deployments of a tag here; a tag limits what it costs, not what it may call."""
    refuse_promises(body)
    if body.get("models"):
        raise ApiError(
            400, "models: a tag has no deployments of its own; put it into litellm_params.tags of the deployments",
            param="models",
        )  # fmt: skip


def _tags(values: Mapping[str, Any]) -> QuerySet[Tag]:
    """Tags of the named organization, or of all; those of the default one last, so that they win by name."""
    organization = find_organization(values)
    tags = Tag.objects.select_related("organization", "shared_budget")
    if organization is not None:
        return tags.filter(organization=organization)
    return tags.order_by("-organization_id", "name")


def _tag(body: Mapping[str, Any]) -> Tag:
    """The tag that `name` names. ApiError 404."""
    name = required_text(body, "name")
    tag = _tags(body).filter(name=name).last()
    if tag is None:
        raise ApiError(404, f"Tag {name} not found", param="name")
    return tag
