"""Every route of the management API says who may call it, and nobody gets past what it says."""

import pytest
from django.core.exceptions import ImproperlyConfigured
from django.urls import URLPattern

from gateway_project import api
from gateway_project.api_access import Access
from keys.api import KeyDelete
from tests.api.conftest import Api
from tests.factories import issue


def test_every_route_declares_who_may_call_it() -> None:
    patterns = [pattern for pattern in api.urlpatterns if isinstance(pattern, URLPattern)]
    open_ = [
        str(p.pattern)
        for p in patterns
        if not isinstance(getattr(p.callback, "view_initkwargs", {}).get("access"), Access)
    ]
    assert open_ == ["api/schema/", "openapi.json", "api/docs/"]


def test_a_route_without_access_cannot_be_declared() -> None:
    with pytest.raises(ImproperlyConfigured, match="say who may call it"):
        api.at("key/forgotten", KeyDelete, None)  # type: ignore[arg-type]


def test_a_key_of_nobody_may_not_use_the_routes_of_admins(api: Api) -> None:
    _, secret = issue()
    answer = api.post("/key/generate", {}, bearer=secret)
    assert answer.status == 401
    assert "Only proxy admin can be used to generate" in answer.error["message"]
