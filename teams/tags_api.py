"""Management endpoints of tags."""

from collections.abc import Callable, Collection, Iterable, Mapping
from typing import Any, Protocol

from django.db import transaction
from django.db.models import CharField, Exists, OuterRef, QuerySet
from django.db.models.functions import Cast
from django.utils import timezone
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import extend_schema
from rest_framework.request import Request
from rest_framework.response import Response

from teams import services
from teams.actors import Actor
from teams.api_base import ApiError, ManagementView, ScopeView, once_more, required_names, required_text, unwired
from teams.callers import Caller
from teams.models import AuditEvent, Organization, Tag
from teams.paging import MOST, first, telling
from teams.promises import refuse_promises
from teams.rows import Row, tag_row
from teams.scope_serializers import TagSerializer, patched
from teams.serializers import find_organization

#: Somebody made or changed the tag; of one that a call was the first to name, the trail knows nothing.
_MADE = Exists(
    AuditEvent.objects.filter(object_type=Tag._meta.label, object_id=Cast(OuterRef("pk"), CharField())).order_by()
)
#: A tag by its organization and its name.
Place = tuple[int, str]
#: Nano-USD of calls with each tag, of those the caller may see, on the days that a query names; None if it names none.
SeenTags = Callable[[Caller, Mapping[str, str]], Mapping[Place, int] | None]


class SetDeployments(Protocol):
    def __call__(self, tag: str, wanted: Collection[str], /, *, replace: bool, actor: Actor) -> bool: ...


def _unwired(tag: str, wanted: Collection[str], /, *, replace: bool, actor: Actor) -> bool:
    return bool(unwired(tag))


class TagsView(ScopeView):
    """An endpoint that shows tags with the deployments they are for, which are known only above this app."""

    detail_errors = True
    #: Of each of some tags the ids of its deployments, and the model that each serves.
    deployments: Callable[[Iterable[str]], Mapping[str, Mapping[str, str]]] = staticmethod(unwired)
    assign: SetDeployments = staticmethod(_unwired)

    def rows(self, tags: list[Tag]) -> list[Row]:
        spent, now, found = self.spent(tags), timezone.now(), self.deployments(tag.name for tag in tags)
        return [tag_row(tag, spent, now, found[tag.name]) for tag in tags]

    def assign_sent(self, tag: Tag, *, replace: bool) -> None:
        """Have the deployments that the body names be for the tag; null says nothing about them."""
        wanted = self.body.get("models")
        if wanted is not None:
            changed = self.assign(tag.name, wanted, replace=replace, actor=self.caller.actor)
            self.waits_for_workers |= changed


class TagNew(TagsView):
    """Deployments that are for a tag of this name already go on to be."""

    blank_is_absent = frozenset({"budget_id", "budget_duration"})

    @extend_schema(request=TagSerializer, responses=OpenApiTypes.OBJECT)
    @once_more
    def post(self, request: Request) -> Response:
        refuse_promises(self.body)
        body = TagSerializer(data=self.body, context={"caller": self.caller})
        body.is_valid(raise_exception=True)
        with transaction.atomic():
            seen = self._seen(body.validated_data["name"])
            if seen is None:
                tag = services.create_tag(body.tag(), actor=self.caller.actor)
            else:
                tag = patched(seen, TagSerializer, self.body, self.caller)
            self.assign_sent(tag, replace=False)
        return Response({"message": f"Tag {tag.name} created successfully", "tag": self.rows([tag])[0]})

    def _seen(self, name: str) -> Tag | None:
        """The tag of this name if calls alone have named it, locked, so that one of two requests makes it.

        What was spent with it goes on to count.
        """
        organization = find_organization(self.body) or services.default_organization()
        rows = Tag.objects.filter(organization=organization, name=name)
        found = rows.select_for_update(no_key=True).first()
        return None if found is None or rows.filter(_MADE).exists() else found


class TagUpdate(TagsView):
    """A merge patch: an omitted field keeps its value, null clears it. `models` replaces: the others lose the tag."""

    @extend_schema(request=TagSerializer, responses=OpenApiTypes.OBJECT)
    def post(self, request: Request) -> Response:
        with transaction.atomic():
            tag = patched(_tag(self.body), TagSerializer, self.body, self.caller)
            self.assign_sent(tag, replace=True)
        return Response({"message": f"Tag {tag.name} updated successfully", "tag": self.rows([tag])[0]})


class TagInfo(TagsView):
    @extend_schema(request=OpenApiTypes.OBJECT, responses=OpenApiTypes.OBJECT)
    def post(self, request: Request) -> Response:
        names = required_names(self.body, "names")
        tags = list(_tags(self.body).filter(name__in=names))
        if not tags:
            raise ApiError(404, f"No tags found for names: {', '.join(names[:10])}", param="names")
        return Response({tag.name: row for tag, row in zip(tags, self.rows(tags), strict=True)})


class TagDelete(ManagementView):
    """Its limits are gone; what was spent under it stays in the ledger."""

    detail_errors = True

    @extend_schema(request=OpenApiTypes.OBJECT, responses=OpenApiTypes.OBJECT)
    def post(self, request: Request) -> Response:
        tag = _tag(self.body)
        services.delete_tag(tag, actor=self.caller.actor)
        return Response({"message": f"Tag {tag.name} deleted successfully"})


class TagList(TagsView):
    """Tags that were made here, and tags that calls have named.

    With `start_date` and `end_date` of the latter those that calls named on these days, and what was spent then.
    """

    seen: SeenTags = staticmethod(unwired)

    @extend_schema(request=None, responses=OpenApiTypes.OBJECT)
    def get(self, request: Request) -> Response:
        query = request.query_params
        seen = self.seen(self.caller, query)
        if seen is None:
            tags, cut = first(_tags(query))
            return telling(Response(self.rows(tags)), tags=cut)
        rows, cut = self._rows_of_days(query, seen)
        return telling(Response(rows), tags=cut)

    def _rows_of_days(self, query: Mapping[str, Any], seen: Mapping[Place, int]) -> tuple[list[Row], bool]:
        """Where there are too many, as is told: those that somebody made, and the dearest of the others."""
        organization = find_organization(query)
        found = [place for place in seen if organization is None or place[0] == organization.pk]
        dearest = sorted(found, key=lambda place: (-seen[place], place))[:MOST]
        made, noted = _tags(query).filter(_MADE), _tags(query).filter(~_MADE, name__in=[name for _, name in dearest])
        stored = {_place(tag): tag for tag in made[:MOST]}
        stored |= {_place(tag): tag for tag in noted if _place(tag) in seen}
        forgotten = [place for place in dearest if place not in stored]
        homes = Organization.objects.in_bulk({pk for pk, _ in forgotten}) if forgotten else {}
        every = [*stored.values(), *(Tag(name=name, organization=homes[pk]) for pk, name in forgotten)]
        tags, cut = every[:MOST], max(len(every), len(found)) > MOST
        now, deployments = timezone.now(), self.deployments(tag.name for tag in tags)
        tags.sort(key=lambda tag: (-tag.organization_id, tag.name))
        # Those that are forgotten are no scopes any more, so each is given what it spent.
        return [tag_row(tag, {tag.scope: seen.get(_place(tag), 0)}, now, deployments[tag.name]) for tag in tags], cut


def _place(tag: Tag) -> Place:
    return tag.organization_id, tag.name


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
