"""How a route of the management API is declared."""

from typing import Any

from django.core.exceptions import ImproperlyConfigured
from django.urls import URLPattern, path

from gateway_project.api_access import Access
from gateway_project.api_once import once
from teams.api_base import ManagementView


def at(route: str, view: type[ManagementView], access: Access, **kwargs: Any) -> URLPattern:
    """One route of the management API."""
    if not isinstance(access, Access):
        raise ImproperlyConfigured(f"{route}: say who may call it")
    return path(route, view.as_view(access=access, once=once, **kwargs))
