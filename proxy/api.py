"""Management endpoints that change models. Team admins may change what belongs to their teams."""

from datetime import datetime
from typing import Any

from django.db import transaction
from django.utils import timezone
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import extend_schema
from rest_framework.request import Request
from rest_framework.response import Response

from proxy import merging, services, team_lists
from proxy.lent_secrets import holds_lent, is_borrowed, is_offered, own_terms
from proxy.model_rights import pays_another, refuse_foreign_groups, refuse_other_use, use_of
from proxy.models import Deployment
from proxy.rows import model_rows
from proxy.serializers import ModelPatchSerializer, ModelSerializer
from proxy.services import host_of
from proxy.team_hosts import may_host
from teams.api_base import ApiError, Caller, ManagementView, once_more, required_text
from teams.api_types import Misshapen
from teams.models import Team

_IN_FILE = "Can't edit model. Model in config. Change it in the configuration file, or store it in db via `/model/new`."


class ModelNew(ManagementView):
    @extend_schema(request=ModelSerializer, responses=OpenApiTypes.OBJECT)
    @once_more
    def post(self, request: Request) -> Response:
        body = ModelSerializer(data=self.body)
        body.is_valid(raise_exception=True)
        _refuse_foreign(self.caller, body.validated_data)
        now = timezone.now()
        model = body.new_model(now=now)
        _refuse_unmanaged(self.caller, model.deployment.team)
        with transaction.atomic():
            deployment = services.add_deployment(
                model.deployment,
                model.name,
                actor=self.caller.actor,
                now=now,
                secret=model.secret,
                price=model.price,
            )
            _refuse_unoffered(self.caller, deployment, now)
            _refuse_elsewhere(self.caller, deployment)
            refuse_foreign_groups(self.caller, deployment)
        # Calls by a new name wait for it; those by a name that is known already would go where they went before.
        self.waits_for_workers = services.stands_beside_others(deployment)
        return Response(_row(deployment))


class ModelUpdate(ManagementView):
    """A merge patch. POST /model/update names the model in `model_info.id` or `id`, PATCH in its path."""

    waits_for_workers = True

    @extend_schema(request=ModelPatchSerializer, responses=OpenApiTypes.OBJECT)
    def post(self, request: Request) -> Response:
        info = self.body.get("model_info")
        # LiteLLM's own Python client puts the id beside the rest.
        named = info if isinstance(info, dict) and info.get("id") is not None else self.body
        return self._change(_required_id(named, "model_info.id"), status=400)

    @extend_schema(request=ModelPatchSerializer, responses=OpenApiTypes.OBJECT)
    def patch(self, request: Request, model_id: str) -> Response:
        return self._change(model_id, status=404)

    def _change(self, public_id: str, *, status: int) -> Response:
        now = timezone.now()
        with transaction.atomic():
            deployment = _found(self.caller, public_id, status=status)
            if deployment.source == Deployment.Source.CONFIG:
                raise ApiError(400, _IN_FILE, param="model_id")
            body = ModelPatchSerializer(data=self.body, partial=True)
            body.is_valid(raise_exception=True)
            given, before = body.validated_data, deployment.base_url
            _refuse_foreign(self.caller, given, deployment)
            use, is_anothers = use_of(deployment), pays_another(self.caller, deployment)
            changed = merging.patch(
                deployment,
                given.get("model_name") or "",
                given.get("litellm_params") or {},
                given.get("model_info") or {},
                actor=self.caller.actor,
                now=now,
            )
            _refuse_unmanaged(self.caller, changed.team)
            _refuse_unoffered(self.caller, changed, now)
            if is_anothers:
                refuse_other_use(use, changed, given.get("litellm_params") or {})
            refuse_foreign_groups(self.caller, changed, before=use["model_info.access_groups"])
            if changed.base_url != before:
                _refuse_elsewhere(self.caller, changed)
        return Response(_row(changed))


class ModelUpdateByPost(ModelUpdate):
    http_method_names = ("post", "options")


class ModelUpdateByPatch(ModelUpdate):
    http_method_names = ("patch", "options")


class ModelDelete(ManagementView):
    waits_for_workers = True

    @extend_schema(request=OpenApiTypes.OBJECT, responses=OpenApiTypes.OBJECT)
    def post(self, request: Request) -> Response:
        with transaction.atomic():
            deployment = _found(self.caller, required_text(self.body, "id"), status=400)
            if deployment.source == Deployment.Source.CONFIG:
                raise ApiError(400, "id: this model is defined in the configuration file; remove it there", param="id")
            public_id = deployment.public_id
            services.delete_deployment(deployment, actor=self.caller.actor)
        return Response({"message": f"Model: {public_id} deleted successfully"})


class ModelBlocking(ManagementView):
    """POST /model/block and /model/unblock: a blocked deployment is not called; also one of the file."""

    waits_for_workers = True
    blocked = True

    @extend_schema(request=OpenApiTypes.OBJECT, responses=OpenApiTypes.OBJECT)
    def post(self, request: Request) -> Response:
        field = "model_id" if self.body.get("model_id") is not None else "id"
        with transaction.atomic():
            deployment = _found(self.caller, required_text(self.body, field), status=404)
            changed = services.set_blocked(deployment, self.blocked, actor=self.caller.actor)
        return Response(_row(changed) | {"blocked": changed.blocked})


def _found(caller: Caller, public_id: str, *, status: int) -> Deployment:
    """The named deployment, locked until the transaction ends. ApiError if there is none, 403 if the caller may not
    change it: as it is then, and not as it was before somebody else moved it to another team."""
    rows = Deployment.objects.with_owners().filter(public_id=public_id)
    team_lists.lock(rows)
    deployment = rows.managed_by(caller).first()
    if deployment is not None:
        return deployment
    if rows.visible_to(caller).exists():
        raise _forbidden()
    raise ApiError(status, f"Model with id={public_id[:128]} not found in db", param="id")


def _required_id(info: dict[str, Any], param: str) -> str:
    try:
        return required_text(info, "id")
    except Misshapen as error:
        raise Misshapen(param, error.remedy, code=error.code) from error


def _refuse_unmanaged(caller: Caller, team: Team | None) -> None:
    """403 for a model of everybody, or of a team that the caller does not lead."""
    if caller.is_admin or (team is not None and caller.manages_team(team.pk, team.organization_id)):
        return
    raise _forbidden()


def _refuse_foreign(caller: Caller, given: dict[str, Any], deployment: Deployment | None = None) -> None:
    """A stored secret is the platform's: who priced a model of their own at nothing would call it at its expense."""
    if caller.is_admin:
        return
    credential, params = deployment.credential if deployment else None, given.get("litellm_params") or {}
    if (deployment is not None and deployment.credential_name) or params.get("litellm_credential_name"):
        raise ApiError(
            403, "litellm_credential_name: only platform admins may use stored credentials; send api_key to /model/new",
            param="litellm_credential_name",
        )  # fmt: skip
    terms = own_terms(params, given.get("model_info") or {})
    theirs = deployment is not None and pays_another(caller, deployment)
    if terms and (theirs or is_borrowed(params.get("api_key")) or holds_lent(credential)):
        raise ApiError(
            403, f"{terms[0]}: only platform admins, and who made the model, set prices and sizes where the secret is "
            "another's",
            param=terms[0],
        )  # fmt: skip


def _refuse_unoffered(caller: Caller, deployment: Deployment, now: datetime) -> None:
    if not caller.is_admin and holds_lent(deployment.credential) and not is_offered(deployment, now):
        raise ApiError(
            403, "litellm_params.api_key: the platform lends this secret for models that it offers everybody and that "
            "the team and its organization may call; send one of your own", param="litellm_params.api_key",
        )  # fmt: skip


def _refuse_elsewhere(caller: Caller, deployment: Deployment) -> None:
    if not caller.is_admin and not may_host(deployment):
        raise ApiError(
            403, "litellm_params.api_base: team admins may use the provider's own address and addresses of models that "
            f"are there for everybody. For another at {host_of(deployment.base_url)[:255]} ask a platform admin, who "
            "makes the model, or adds the host to LATCHKEY_TEAM_MODEL_HOSTS",
            param="litellm_params.api_base",
        )  # fmt: skip


def _forbidden() -> ApiError:
    return ApiError(
        403, "User does not have permission to make this model call. Platform admins may change every model, team "
        "admins those whose model_info.team_id is a team of theirs",
        param="model_info.team_id",
    )  # fmt: skip


def _row(deployment: Deployment) -> dict[str, Any]:
    return model_rows([deployment], timezone.now())[0]
