"""Management endpoints of models."""

from typing import Any

from django.utils import timezone
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import extend_schema
from rest_framework.request import Request
from rest_framework.response import Response

from proxy import services
from proxy.models import Deployment
from proxy.serializers import ModelSerializer, model_row
from spend import book
from teams.api_base import ApiError, ManagementView, required_text

_OWNERS = ("model", "provider")


class ModelNew(ManagementView):
    @extend_schema(request=ModelSerializer, responses=OpenApiTypes.OBJECT)
    def post(self, request: Request) -> Response:
        body = ModelSerializer(data=self.body)
        body.is_valid(raise_exception=True)
        model = body.new_model()
        deployment = services.add_deployment(
            model.deployment,
            model.name,
            actor=self.caller.actor,
            now=timezone.now(),
            secret=model.secret,
            price=model.price,
        )
        return Response(_rows([deployment])[0])


class ModelInfo(ManagementView):
    @extend_schema(request=None, responses=OpenApiTypes.OBJECT)
    def get(self, request: Request) -> Response:
        deployments = Deployment.objects.select_related(*_OWNERS)
        wanted = request.query_params.get("litellm_model_id")
        if wanted:
            deployments = deployments.filter(public_id=wanted)
            if not deployments:
                raise ApiError(400, f"Model id = {wanted} not found on litellm proxy", param="litellm_model_id")
        return Response({"data": _rows(list(deployments))})


class ModelDelete(ManagementView):
    @extend_schema(request=OpenApiTypes.OBJECT, responses=OpenApiTypes.OBJECT)
    def post(self, request: Request) -> Response:
        public_id = required_text(self.body, "id")
        deployment = Deployment.objects.select_related(*_OWNERS, "credential").filter(public_id=public_id).first()
        if deployment is None:
            raise ApiError(400, f"Model with id={public_id} not found in db", param="id")
        if deployment.source == Deployment.Source.CONFIG:
            raise ApiError(400, "id: this model is defined in the configuration file; remove it there", param="id")
        services.delete_deployment(deployment, actor=self.caller.actor)
        return Response({"message": f"Model: {public_id} deleted successfully"})


def _rows(deployments: list[Deployment]) -> list[dict[str, Any]]:
    """A deployment's own price wins over the book's."""
    listed = {deployment.pk: services.price_item(deployment) for deployment in deployments}
    own = {deployment.pk: deployment.price_item for deployment in deployments}
    cards = book.cards_at(timezone.now(), [*listed.values(), *own.values()])
    return [
        model_row(deployment, cards.get(own[deployment.pk]) or cards.get(listed[deployment.pk]))
        for deployment in deployments
    ]
