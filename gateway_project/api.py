"""The router of the management API: which path is answered where, and where spend is read from."""

from django.urls import URLPattern, path
from drf_spectacular.views import SpectacularAPIView, SpectacularSwaggerSplitView
from rest_framework.permissions import AllowAny

from gateway_project import api_schema  # noqa: F401  (registers itself)
from gateway_project.api_health import HealthOfModels
from keys.api import KeyBlocking, KeyDelete, KeyGenerate, KeyInfo, KeyRegenerate, KeyUpdate
from keys.list_api import KeyList
from keys.owners_api import MemberDelete, TeamInfo, UserInfo, UserNew
from proxy.api import ModelDelete, ModelInfo, ModelNew
from spend.api import SpendLogs, SpendLogsPaged
from spend.reports import every_window_spend, soft_crossings, window_spend
from teams.api import TeamBlocking, TeamNew, TeamUpdate, UserUpdate
from teams.budgets_api import BudgetDelete, BudgetInfo, BudgetList, BudgetNew, BudgetSettings, BudgetUpdate
from teams.customers_api import CustomerBlocking, CustomerInfo, CustomerNew, CustomerUpdate
from teams.members_api import MemberAdd, MemberUpdate
from teams.organizations_api import OrganizationInfo, OrganizationList, OrganizationNew, OrganizationUpdate
from teams.tags_api import TagDelete, TagInfo, TagList, TagNew, TagUpdate

_OPEN = {"authentication_classes": [], "permission_classes": [AllowAny]}


def _customers(prefix: str) -> list[URLPattern]:
    """Customers answer under both of their names."""
    return [
        path(f"{prefix}/new", CustomerNew.as_view(spent=window_spend)),
        path(f"{prefix}/update", CustomerUpdate.as_view(spent=window_spend)),
        path(f"{prefix}/info", CustomerInfo.as_view(spent=window_spend)),
        path(f"{prefix}/block", CustomerBlocking.as_view(spent=window_spend, blocked=True)),
        path(f"{prefix}/unblock", CustomerBlocking.as_view(spent=window_spend, blocked=False)),
    ]


urlpatterns = [
    path("key/generate", KeyGenerate.as_view(spent=window_spend)),
    path("key/info", KeyInfo.as_view(spent=window_spend, used=every_window_spend, crossed=soft_crossings)),
    path("key/update", KeyUpdate.as_view(spent=window_spend)),
    path("key/delete", KeyDelete.as_view()),
    path("key/block", KeyBlocking.as_view(spent=window_spend, blocked=True)),
    path("key/unblock", KeyBlocking.as_view(spent=window_spend, blocked=False)),
    path("key/list", KeyList.as_view(spent=window_spend)),
    path("key/regenerate", KeyRegenerate.as_view(spent=window_spend)),
    path("key/<str:key>/regenerate", KeyRegenerate.as_view(spent=window_spend)),
    path("team/new", TeamNew.as_view(spent=window_spend)),
    path("team/info", TeamInfo.as_view(spent=window_spend)),
    path("team/update", TeamUpdate.as_view(spent=window_spend)),
    path("team/block", TeamBlocking.as_view(spent=window_spend, blocked=True)),
    path("team/unblock", TeamBlocking.as_view(spent=window_spend, blocked=False)),
    path("team/member_add", MemberAdd.as_view(spent=window_spend)),
    path("team/member_update", MemberUpdate.as_view(spent=window_spend)),
    path("team/member_delete", MemberDelete.as_view(spent=window_spend)),
    path("user/new", UserNew.as_view(spent=window_spend)),
    path("user/info", UserInfo.as_view(spent=window_spend)),
    path("user/update", UserUpdate.as_view(spent=window_spend)),
    path("organization/new", OrganizationNew.as_view(spent=window_spend)),
    path("organization/update", OrganizationUpdate.as_view(spent=window_spend)),
    path("organization/info", OrganizationInfo.as_view(spent=window_spend)),
    path("organization/list", OrganizationList.as_view(spent=window_spend)),
    *_customers("customer"),
    *_customers("end_user"),
    path("tag/new", TagNew.as_view(spent=window_spend)),
    path("tag/update", TagUpdate.as_view(spent=window_spend)),
    path("tag/info", TagInfo.as_view(spent=window_spend)),
    path("tag/delete", TagDelete.as_view()),
    path("tag/list", TagList.as_view(spent=window_spend)),
    path("budget/new", BudgetNew.as_view()),
    path("budget/update", BudgetUpdate.as_view()),
    path("budget/info", BudgetInfo.as_view()),
    path("budget/list", BudgetList.as_view()),
    path("budget/settings", BudgetSettings.as_view()),
    path("budget/delete", BudgetDelete.as_view()),
    path("model/new", ModelNew.as_view()),
    path("model/info", ModelInfo.as_view()),
    path("v1/model/info", ModelInfo.as_view()),
    path("model/delete", ModelDelete.as_view()),
    path("spend/logs", SpendLogs.as_view()),
    path("spend/logs/v2", SpendLogsPaged.as_view()),
    path("health", HealthOfModels.as_view()),
    path("api/schema/", SpectacularAPIView.as_view(**_OPEN), name="api-schema"),
    path("api/docs/", SpectacularSwaggerSplitView.as_view(url_name="api-schema", **_OPEN), name="api-docs"),
]
