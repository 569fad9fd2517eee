"""The OpenAPI document where clients look for it, and what it says beyond the endpoints.

Imported by the router, which registers it.
"""

from drf_spectacular.extensions import OpenApiAuthenticationExtension
from drf_spectacular.renderers import OpenApiJsonRenderer, OpenApiJsonRenderer2
from drf_spectacular.views import SpectacularAPIView


class KeyAuthenticationScheme(OpenApiAuthenticationExtension):  # type: ignore[no-untyped-call]
    """How the OpenAPI document describes the above."""

    target_class = "gateway_project.api_auth.KeyAuthentication"
    name = "key"

    def get_security_definition(self, auto_schema: object) -> dict[str, str]:
        return {"type": "http", "scheme": "bearer", "description": "The master key or a virtual key."}


class DocumentAsJson(SpectacularAPIView):
    """The OpenAPI document of this API as JSON."""

    # The first one answers whoever has no wish.
    renderer_classes = [OpenApiJsonRenderer2, OpenApiJsonRenderer]
