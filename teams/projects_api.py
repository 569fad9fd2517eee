"""Management endpoints of projects. Who leads a team manages its projects; its members may look at them."""

from django.db import transaction
from django.utils import timezone
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import extend_schema
from rest_framework.request import Request
from rest_framework.response import Response

from teams import departures, services
from teams.api_base import ApiError, Caller, ScopeView, once_more, required_names, required_text
from teams.finding import managed_team, shown_team
from teams.models import Project
from teams.paging import first, telling
from teams.promises import refuse_promises
from teams.rows import Row, project_row
from teams.scope_serializers import ProjectSerializer, patched


class ProjectView(ScopeView):
    """An endpoint that shows projects."""

    detail_errors = True

    def shown(self, *projects: Project) -> list[Row]:
        spent, now = self.spent(projects), timezone.now()
        return [project_row(project, spent, now) for project in projects]


class ProjectNew(ProjectView):
    @extend_schema(request=ProjectSerializer, responses=OpenApiTypes.OBJECT)
    @once_more
    def post(self, request: Request) -> Response:
        refuse_promises(self.body)
        team = managed_team(required_text(self.body, "team_id"), self.caller, "/project/new")
        body = ProjectSerializer(data=self.body, context={"caller": self.caller})
        body.is_valid(raise_exception=True)
        project = services.create_project(body.project(team), actor=self.caller.actor)
        return Response(self.shown(_project(project.public_id))[0])


class ProjectUpdate(ProjectView):
    """A merge patch: an omitted field keeps its value, null clears it. A project stays in its team."""

    @extend_schema(request=ProjectSerializer, responses=OpenApiTypes.OBJECT)
    def post(self, request: Request) -> Response:
        project = _managed(required_text(self.body, "project_id"), self.caller)
        if self.body.get("team_id") not in (None, project.team.public_id):
            raise ApiError(400, "team_id: a project stays in its team; make another one there", param="team_id")
        with transaction.atomic():
            project = patched(project, ProjectSerializer, self.body, self.caller)
        return Response(self.shown(_project(project.public_id))[0])


class ProjectDelete(ProjectView):
    """Its keys stop working; the ledger and the trail keep it."""

    http_method_names = ("delete", "options")

    @extend_schema(request=OpenApiTypes.OBJECT, responses=OpenApiTypes.OBJECT)
    def delete(self, request: Request) -> Response:
        names = dict.fromkeys(required_names(self.body, "project_ids"))
        projects = [_managed(name, self.caller) for name in names]
        rows = self.shown(*projects)
        with transaction.atomic():
            for project in projects:
                departures.delete_project(project, actor=self.caller.actor)
        return Response(rows)


class ProjectInfo(ProjectView):
    @extend_schema(request=None, responses=OpenApiTypes.OBJECT)
    def get(self, request: Request) -> Response:
        named = required_text(request.query_params, "project_id")
        project = Project.objects.live().visible_to(self.caller).with_owners().filter(public_id=named).first()
        if project is None:
            raise _absent(named)
        return Response(self.shown(project)[0])


class ProjectList(ProjectView):
    """Projects that the caller may see, or of them those of one team."""

    @extend_schema(request=None, responses=OpenApiTypes.OBJECT)
    def get(self, request: Request) -> Response:
        projects = Project.objects.live().visible_to(self.caller).with_owners()
        if request.query_params.get("team_id"):
            projects = projects.filter(team=shown_team(request.query_params["team_id"], self.caller))
        found, cut = first(projects)
        return telling(Response(self.shown(*found)), projects=cut)


def _project(public_id: str) -> Project:
    return Project.objects.with_owners().get(public_id=public_id)


def _managed(public_id: str, caller: Caller) -> Project:
    """The named project. ApiError 404 if there is none or the caller may not see it, 403 if it may not change it."""
    projects = Project.objects.live().with_owners().filter(public_id=public_id)
    found = projects.managed_by(caller).first()
    if found is None and projects.visible_to(caller).exists():
        raise ApiError(403, "project_id: only admins of its team may change a project", param="project_id")
    if found is None:
        raise _absent(public_id)
    return found


def _absent(public_id: str) -> ApiError:
    return ApiError(404, f"Project not found, passed project_id={public_id[:128]}", param="project_id")
