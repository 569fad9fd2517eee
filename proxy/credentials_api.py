"""Management endpoints of stored credentials. Their secrets go in and never come out."""

from typing import Any

from django.db import transaction
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from proxy import services
from proxy.from_litellm import refuse_secrets
from proxy.lent_secrets import secret_for
from proxy.models import Credential, Deployment, Provider
from proxy.providers import REGISTRY
from teams.api_base import ApiError, ManagementView, once_more
from teams.api_fields import ObjectField, TextField
from teams.api_types import WRONG_TYPE

_MASK = "********"
_ADDRESSES = ("api_base", "base_url")
Row = dict[str, Any]


class CredentialSerializer(serializers.Serializer[Any]):
    credential_name = TextField(max_length=255)
    credential_values = ObjectField(required=False, allow_null=True)
    credential_info = ObjectField(required=False, allow_null=True)
    display_name = TextField(max_length=255, required=False, allow_null=True, allow_blank=True)
    model_id = TextField(max_length=128, required=False, allow_null=True)

    def validate_credential_values(self, value: Row | None) -> Row:
        """Null is absent, and a mask that was read here and is sent back changes nothing."""
        value = {name: item for name, item in (value or {}).items() if item not in (None, "", _MASK)}
        refuse_secrets(value, allowed="api_key")
        for name in ("api_key", *_ADDRESSES):
            if not isinstance(value.get(name, ""), str):
                raise serializers.ValidationError({name: "write a string"}, code=WRONG_TYPE)
        return value

    def validate_credential_info(self, value: Row | None) -> Row:
        refuse_secrets(value or {})
        return value or {}

    def fill_name(self, credential: Credential) -> None:
        """Null is absent; an empty name takes the former one off."""
        name = self.validated_data.get("display_name")
        credential.display_name = credential.display_name if name is None else name

    def fill(self, credential: Credential) -> str:
        """Set what was sent; returns the new secret, empty if there is none. Raises ApiError."""
        values = self.validated_data.get("credential_values") or {}
        credential.info = {**credential.info, **(self.validated_data.get("credential_info") or {})}
        given = {name: item for name, item in values.items() if name not in ("api_key", *_ADDRESSES)}
        credential.params = {**credential.params, **given}
        address = values.get("api_base") or values.get("base_url") or credential.base_url
        credential.provider = _provider(credential, address)
        services.check_address(address or credential.provider.base_url)
        credential.base_url = address.rstrip("/")
        credential.host = services.host_of(address or credential.provider.base_url)
        secret = str(values.get("api_key") or "")
        return secret_for(secret, address or credential.provider.base_url, "credential_values.api_key")


class CredentialPatchSerializer(CredentialSerializer):
    credential_name = TextField(max_length=255, required=False, allow_null=True)


class Credentials(ManagementView):
    """GET and POST /credentials."""

    @extend_schema(request=None, responses=OpenApiTypes.OBJECT)
    def get(self, request: Request) -> Response:
        rows = Credential.objects.filter(is_own=False).select_related("provider")
        return Response({"success": True, "credentials": [_row(credential) for credential in rows]})

    @extend_schema(request=CredentialSerializer, responses=OpenApiTypes.OBJECT)
    @once_more
    def post(self, request: Request) -> Response:
        body = CredentialSerializer(data=self.body)
        body.is_valid(raise_exception=True)
        name = body.validated_data["credential_name"]
        if Credential.objects.filter(name=name).exists():
            raise ApiError(409, f"Credential with name {name} already exists", param="credential_name")
        copied = body.validated_data.get("model_id")
        credential, secret = _copy(name, copied) if copied else (Credential(name=name), "")
        credential.info = body.validated_data.get("credential_info") or {}
        body.fill_name(credential)
        secret = secret if copied else body.fill(credential)
        if not secret:
            raise ApiError(
                400, "credential_values.api_key: this field is required; other kinds of secrets are not supported",
                param="credential_values.api_key",
            )  # fmt: skip
        self.waits_for_workers = services.is_awaited(name)
        services.store_credential(credential, secret, actor=self.caller.actor)
        return Response({"success": True, "message": "Credential created successfully"})


class CredentialByName(ManagementView):
    @extend_schema(request=None, responses=OpenApiTypes.OBJECT)
    def get(self, request: Request, name: str) -> Response:
        return Response(_row(_named(name)))


class CredentialByModel(ManagementView):
    """GET /credentials/by_model/{id}: what a model is called with, its secret masked."""

    @extend_schema(request=None, responses=OpenApiTypes.OBJECT)
    def get(self, request: Request, model_id: str) -> Response:
        deployment = _deployment(model_id)
        credential = deployment.credential
        if credential is not None and not credential.is_own:
            return Response(_row(credential))
        secret = {"api_key": _MASK} if credential else {}
        return Response(
            {
                "credential_name": f"{deployment.model.name}-credential-{deployment.public_id}",
                "credential_values": {**secret, "api_base": deployment.base_url},
                "credential_info": {"custom_llm_provider": deployment.provider.slug},
            }
        )


class CredentialChange(ManagementView):
    """PATCH and DELETE /credentials/{name}."""

    waits_for_workers = True

    @extend_schema(request=CredentialPatchSerializer, responses=OpenApiTypes.OBJECT)
    def patch(self, request: Request, name: str) -> Response:
        known, body = _named(name), CredentialPatchSerializer(data=self.body)
        body.is_valid(raise_exception=True)
        with transaction.atomic():
            credential = services.locked_credential(known)
            body.fill_name(credential)
            services.change_credential(credential, body.fill(credential), actor=self.caller.actor)
        return Response({"success": True, "message": "Credential updated successfully"})

    @extend_schema(request=None, responses=OpenApiTypes.OBJECT)
    def delete(self, request: Request, name: str) -> Response:
        services.delete_credential(_named(name), actor=self.caller.actor)
        return Response({"success": True, "message": "Credential deleted successfully"})


def _named(name: str) -> Credential:
    credential = Credential.objects.select_related("provider").filter(name=name, is_own=False).first()
    if credential is None:
        raise ApiError(404, f"Credential not found. Got credential name: {name[:255]}", param="credential_name")
    return credential


def _deployment(public_id: str) -> Deployment:
    deployment = Deployment.objects.with_owners().filter(public_id=public_id).first()
    if deployment is None:
        raise ApiError(404, f"Model not found. Got model ID: {public_id[:128]}", param="model_id")
    return deployment


def _copy(name: str, model_id: str) -> tuple[Credential, str]:
    """An unsaved credential with the secret that a model has, for the same host."""
    source = _deployment(model_id)
    if source.credential is None:
        raise ApiError(400, f"model_id: model '{source.model}' has no secret to copy", param="model_id")
    credential = Credential(
        name=name,
        provider=source.provider,
        host=source.credential.host,
        base_url=source.base_url,
    )
    return credential, services.reveal(source.credential)


def _provider(credential: Credential, address: str) -> Provider:
    """The one that `credential_info` names, else the one it has, else the one whose address it is for."""
    slug = str(credential.info.get("custom_llm_provider") or "").lower()
    if not slug and credential.provider_id is not None:
        return credential.provider
    # A provider that is not known here speaks OpenAI's dialect, if anything.
    slug = slug if slug in REGISTRY else "openai_like" if slug or address else "openai"
    return Provider.objects.get(slug=slug)


def _row(credential: Credential) -> Row:
    address = {"api_base": credential.base_url} if credential.base_url else {}
    return {
        "credential_name": credential.name,
        "credential_values": {**credential.params, "api_key": _MASK, **address},
        "credential_info": credential.info,
        "display_name": credential.display_name or None,
        "source": "db",
    }
