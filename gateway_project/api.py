"""The router of the management API: which path is answered where, who may call it, and where spend is read from."""

from typing import Any

from django.core.exceptions import ImproperlyConfigured
from django.urls import URLPattern, path
from drf_spectacular.views import SpectacularAPIView, SpectacularSwaggerSplitView
from rest_framework.permissions import AllowAny

from gateway_project import api_schema  # noqa: F401  (registers itself)
from gateway_project.api_access import ADMIN, ADMIN_READS, ANYONE, Access
from gateway_project.api_health import HealthOfModels
from keys.api import KeyBlocking, KeyDelete, KeyGenerate, KeyInfo, KeyRegenerate, KeyUpdate
from keys.list_api import KeyList
from keys.owners_api import MemberDelete, TeamInfo, UserInfo, UserNew
from proxy.api import ModelDelete, ModelInfo, ModelNew
from spend.api import SpendLogs, SpendLogsPaged
from spend.reports import every_window_spend, soft_crossings, window_spend
from teams.api import TeamBlocking, TeamNew, TeamUpdate, UserUpdate
from teams.api_base import ManagementView
from teams.budgets_api import BudgetDelete, BudgetInfo, BudgetList, BudgetNew, BudgetSettings, BudgetUpdate
from teams.customers_api import CustomerBlocking, CustomerInfo, CustomerNew, CustomerUpdate
from teams.members_api import MemberAdd, MemberUpdate
from teams.organizations_api import OrganizationInfo, OrganizationList, OrganizationNew, OrganizationUpdate
from teams.tags_api import TagDelete, TagInfo, TagList, TagNew, TagUpdate


def at(route: str, view: type[ManagementView], access: Access, **kwargs: Any) -> URLPattern:
    """One route of the management API."""
    if not isinstance(access, Access):
        raise ImproperlyConfigured(f"{route}: say who may call it")
    return path(route, view.as_view(access=access, **kwargs))


_OPEN = {"authentication_classes": [], "permission_classes": [AllowAny]}
#: What most endpoints about scopes need to show them.
_SPENT = {"spent": window_spend}
_ALL = {**_SPENT, "used": every_window_spend, "crossed": soft_crossings}

KEYS = [
    at("key/generate", KeyGenerate, ADMIN, **_SPENT),
    at("key/info", KeyInfo, ANYONE, **_ALL),
    at("key/update", KeyUpdate, ADMIN, **_SPENT),
    at("key/delete", KeyDelete, ADMIN),
    at("key/block", KeyBlocking, ADMIN, **_SPENT, blocked=True),
    at("key/unblock", KeyBlocking, ADMIN, **_SPENT, blocked=False),
    at("key/list", KeyList, ADMIN, **_SPENT),
    at("key/regenerate", KeyRegenerate, ADMIN, **_SPENT),
    at("key/<str:key>/regenerate", KeyRegenerate, ADMIN, **_SPENT),
]

TEAMS = [
    at("team/new", TeamNew, ADMIN, **_SPENT),
    at("team/info", TeamInfo, ADMIN, **_SPENT),
    at("team/update", TeamUpdate, ADMIN, **_SPENT),
    at("team/block", TeamBlocking, ADMIN, **_SPENT, blocked=True),
    at("team/unblock", TeamBlocking, ADMIN, **_SPENT, blocked=False),
    at("team/member_add", MemberAdd, ADMIN, **_SPENT),
    at("team/member_update", MemberUpdate, ADMIN, **_SPENT),
    at("team/member_delete", MemberDelete, ADMIN, **_SPENT),
]

USERS = [
    at("user/new", UserNew, ADMIN, **_SPENT),
    at("user/info", UserInfo, ADMIN, **_SPENT),
    at("user/update", UserUpdate, ADMIN, **_SPENT),
]

ORGANIZATIONS = [
    at("organization/new", OrganizationNew, ADMIN, **_SPENT),
    at("organization/update", OrganizationUpdate, ADMIN, **_SPENT),
    at("organization/info", OrganizationInfo, ADMIN, **_SPENT),
    at("organization/list", OrganizationList, ADMIN, **_SPENT),
]


def _customers(prefix: str) -> list[URLPattern]:
    """Customers answer under both of their names."""
    return [
        at(f"{prefix}/new", CustomerNew, ADMIN, **_SPENT),
        at(f"{prefix}/update", CustomerUpdate, ADMIN, **_SPENT),
        at(f"{prefix}/info", CustomerInfo, ADMIN, **_SPENT),
        at(f"{prefix}/block", CustomerBlocking, ADMIN, **_SPENT, blocked=True),
        at(f"{prefix}/unblock", CustomerBlocking, ADMIN, **_SPENT, blocked=False),
    ]


TAGS = [
    at("tag/new", TagNew, ADMIN, **_SPENT),
    at("tag/update", TagUpdate, ADMIN, **_SPENT),
    at("tag/info", TagInfo, ADMIN_READS, **_SPENT),
    at("tag/delete", TagDelete, ADMIN),
    at("tag/list", TagList, ADMIN, **_SPENT),
]

BUDGETS = [
    at("budget/new", BudgetNew, ADMIN),
    at("budget/update", BudgetUpdate, ADMIN),
    at("budget/info", BudgetInfo, ADMIN_READS),
    at("budget/list", BudgetList, ADMIN),
    at("budget/settings", BudgetSettings, ADMIN),
    at("budget/delete", BudgetDelete, ADMIN),
]

MODELS = [
    at("model/new", ModelNew, ADMIN),
    at("model/info", ModelInfo, ADMIN),
    at("v1/model/info", ModelInfo, ADMIN),
    at("model/delete", ModelDelete, ADMIN),
]

SPEND = [
    at("spend/logs", SpendLogs, ADMIN),
    at("spend/logs/v2", SpendLogsPaged, ADMIN),
]

HEALTH = [
    at("health", HealthOfModels, ADMIN),
]

urlpatterns = [
    *KEYS,
    *TEAMS,
    *USERS,
    *ORGANIZATIONS,
    *_customers("customer"),
    *_customers("end_user"),
    *TAGS,
    *BUDGETS,
    *MODELS,
    *SPEND,
    *HEALTH,
    path("api/schema/", SpectacularAPIView.as_view(**_OPEN), name="api-schema"),
    path("api/docs/", SpectacularSwaggerSplitView.as_view(url_name="api-schema", **_OPEN), name="api-docs"),
]
