"""The router of the management API: which path is answered where, who may call it, and where spend is read from."""

from django.urls import URLPattern, path
from drf_spectacular.views import SpectacularAPIView, SpectacularSwaggerSplitView
from rest_framework.permissions import AllowAny

from gateway_project import api_settings
from gateway_project.api_access import (
    ADMIN,
    ADMIN_INFO,
    ADMIN_OR_403,
    ADMIN_READS,
    ANYONE,
    EVERY_PERSON,
    LEADERS,
    MODEL_LEADERS,
    ORG_LEADERS,
    OWN_ACCOUNT,
    PEOPLE,
    PERSONS_INFO,
    PICK_UP,
)
from gateway_project.api_at import at
from gateway_project.api_schema import DocumentAsJson
from gateway_project.api_spend import SPEND
from keys import audit_api
from keys.api import (
    KeyBlocking,
    KeyDelete,
    KeyGenerate,
    KeyInfo,
    KeyPickUp,
    KeyRegenerate,
    KeyUpdate,
    ServiceAccountGenerate,
)  # fmt: skip
from keys.bulk_api import KeyBulkUpdate, KeyHealth, KeyInfoMany, TeamKeyBulkUpdate
from keys.list_api import KeyAliases, KeyList
from keys.teams_api import TeamInfo, TeamList, TeamListPaged
from keys.users_api import UserInfo, UserList, UserNew
from proxy import health_api, tag_services
from proxy.api import ModelBlocking, ModelDelete, ModelNew, ModelUpdateByPatch, ModelUpdateByPost
from proxy.config_api import ConfigFieldChange, ConfigUpdate
from proxy.credentials_api import CredentialByModel, CredentialByName, CredentialChange, Credentials
from proxy.group_services import keys_of
from proxy.groups_api import GrantsView, GrantView, GroupDelete, GroupInfo, GroupList, GroupNew, GroupUpdate
from proxy.info_api import ModelGroupInfo, ModelInfo, ModelInfoPaged
from proxy.markup_api import CostDiscounts, CostMargins
from proxy.pools_api import GroupBudget, ProviderBudgets
from proxy.router_api import FallbackOfModel, FallbackView, RouterFields, RouterSettings
from spend import reload_api
from spend.reports import (
    every_window_spend,
    lifetime_spend,
    seen_tags,
    soft_crossings,
    window_spend,
    with_last_call,
    with_total,
)  # fmt: skip
from spend.reset_api import KeyResetSpend, MemberResetSpend
from spend.reset_services import carry_over, set_spend
from teams.api import (
    TeamBlocking,
    TeamDelete,
    TeamMetadataSchema,
    TeamModels,
    TeamNew,
    TeamPatch,
    TeamPermissions,
    TeamPermissionsBulk,
    TeamsAvailable,
    TeamUpdate,
)  # fmt: skip
from teams.budgets_api import BudgetDelete, BudgetInfo, BudgetList, BudgetNew, BudgetSettings, BudgetUpdate
from teams.callbacks_api import TeamCallbacks, TeamLogging
from teams.customers_api import (
    CustomerBlocking,
    CustomerDelete,
    CustomerInfo,
    CustomerList,
    CustomerNew,
    CustomerUpdate,
)  # fmt: skip
from teams.invitations_api import (
    InvitationDelete,
    InvitationInfo,
    InvitationNew,
    InvitationUpdate,
    OnboardingClaim,
    OnboardingToken,
)  # fmt: skip
from teams.members_api import MemberAdd, MemberAddMany, MemberDelete, MemberMe, MemberUpdate
from teams.organizations_api import (
    OrganizationDelete,
    OrganizationInfo,
    OrganizationList,
    OrganizationNew,
    OrganizationPatch,
    OrganizationUpdate,
)  # fmt: skip
from teams.places_api import PlaceAdd, PlaceDelete, PlaceUpdate
from teams.projects_api import ProjectDelete, ProjectInfo, ProjectList, ProjectNew, ProjectUpdate
from teams.tags_api import TagDelete, TagInfo, TagList, TagNew, TagUpdate
from teams.users_api import (
    PasswordChange,
    UserDelete,
    UserFilter,
    UserRoles,
    UserRowInfo,
    UserUpdate,
    UserUpdateMany,
)  # fmt: skip

_OPEN = {"authentication_classes": [], "permission_classes": [AllowAny]}
#: What most endpoints about scopes need to show them.
_SPENT = {"spent": window_spend}
#: And what those need that may set it, or have it begin with an amount.
_RESET = {**_SPENT, "reset": set_spend}
_OPENED = {**_SPENT, "carry_over": carry_over}
_TAGS = {**_SPENT, "deployments": tag_services.deployments_of, "assign": tag_services.set_deployments}
_ALL = {**_SPENT, "used": every_window_spend, "crossed": soft_crossings}

KEYS = [
    at("key/generate", KeyGenerate, PEOPLE, **_OPENED),
    at("key/service-account/generate", ServiceAccountGenerate, PEOPLE, **_OPENED),
    at("key/info", KeyInfo, ANYONE, **_ALL, active=with_last_call),
    at("v2/key/info", KeyInfoMany, PERSONS_INFO, **_SPENT),
    at("key/health", KeyHealth, ANYONE),
    at("key/update", KeyUpdate, PEOPLE, **_RESET),
    at("key/bulk_update", KeyBulkUpdate, ADMIN_OR_403, **_RESET),
    at("team/key/bulk_update", TeamKeyBulkUpdate, PEOPLE, **_RESET),
    at("key/delete", KeyDelete, PEOPLE),
    at("key/block", KeyBlocking, PEOPLE, **_SPENT, blocked=True),
    at("key/unblock", KeyBlocking, PEOPLE, **_SPENT, blocked=False),
    at("key/list", KeyList, PERSONS_INFO, **_SPENT, active=with_last_call, totals=with_total, granted=keys_of),
    at("key/aliases", KeyAliases, EVERY_PERSON),
    at("key/regenerate", KeyRegenerate, PEOPLE, **_RESET),
    at("key/<str:key>/reset_spend", KeyResetSpend, PEOPLE, **_SPENT),
    at("key/<str:key>/pick_up", KeyPickUp, PICK_UP, **_SPENT),
    at("key/<str:key>/regenerate", KeyRegenerate, PEOPLE, **_RESET),
]

_MEMBERS = {**_SPENT, "ever": lifetime_spend}
TEAMS = [
    at("team/new", TeamNew, ORG_LEADERS, **_OPENED),
    at("team/info", TeamInfo, ANYONE, **_MEMBERS),
    at("team/list", TeamList, PERSONS_INFO, **_MEMBERS),
    at("v2/team/list", TeamListPaged, PERSONS_INFO, **_MEMBERS),
    at("team/update", TeamUpdate, LEADERS, **_RESET),
    at("team/delete", TeamDelete, ORG_LEADERS, **_SPENT),
    at("team/block", TeamBlocking, ORG_LEADERS, **_SPENT, blocked=True),
    at("team/unblock", TeamBlocking, ORG_LEADERS, **_SPENT, blocked=False),
    at("team/member_add", MemberAdd, PEOPLE, **_MEMBERS),
    at("team/bulk_member_add", MemberAddMany, PEOPLE, **_MEMBERS),
    at("team/member_update", MemberUpdate, PEOPLE, **_MEMBERS),
    at("team/member_delete", MemberDelete, PEOPLE, **_MEMBERS),
    at("team/permissions_list", TeamPermissions, PEOPLE, http_method_names=["get", "options"]),
    at("team/permissions_update", TeamPermissions, PEOPLE, http_method_names=["post", "options"]),
    at("team/permissions_bulk_update", TeamPermissionsBulk, ADMIN),
    at("team/model/add", TeamModels, LEADERS, **_SPENT, added=True),
    at("team/model/delete", TeamModels, LEADERS, **_SPENT, added=False),
    at("team/available", TeamsAvailable, PERSONS_INFO),
    at("team/metadata_schema", TeamMetadataSchema, ANYONE),
    at("team/<str:team_id>/callback", TeamCallbacks, LEADERS),
    at("team/<str:team_id>/disable_logging", TeamLogging, LEADERS),
    at("team/<str:team_id>/member/<str:user_id>/reset_spend", MemberResetSpend, LEADERS, **_SPENT),
    at("team/<str:team_id>/member/<str:user_id>/reset_budget", MemberResetSpend, LEADERS, **_SPENT),
    at("team/<str:team_id>/members/me", MemberMe, EVERY_PERSON, **_MEMBERS),
    at("team/<str:team_id>", TeamPatch, LEADERS, **_RESET),
]

PROJECTS = [
    at("project/new", ProjectNew, LEADERS, **_SPENT),
    at("project/update", ProjectUpdate, LEADERS, **_SPENT),
    at("project/delete", ProjectDelete, LEADERS, **_SPENT),
    at("project/info", ProjectInfo, ANYONE, **_SPENT),
    at("project/list", ProjectList, EVERY_PERSON, **_SPENT),
]

USERS = [
    at("user/new", UserNew, ORG_LEADERS, **_OPENED),
    at("user/info", UserInfo, ANYONE, **_MEMBERS),
    at("v2/user/info", UserRowInfo, ANYONE, **_SPENT),
    at("user/list", UserList, ORG_LEADERS, **_SPENT),
    at("user/get_users", UserList, ORG_LEADERS, **_SPENT),
    at("user/update", UserUpdate, OWN_ACCOUNT, **_RESET),
    at("user/bulk_update", UserUpdateMany, ADMIN, **_RESET),
    at("user/delete", UserDelete, ORG_LEADERS),
    at("user/available_roles", UserRoles, EVERY_PERSON),
    at("user/filter/ui", UserFilter, PERSONS_INFO),
    at("user/password/change", PasswordChange, OWN_ACCOUNT),
    at("invitation/new", InvitationNew, ORG_LEADERS),
    at("invitation/info", InvitationInfo, ORG_LEADERS, http_method_names=["get", "options"]),
    at("invitation/update", InvitationUpdate, ORG_LEADERS),
    at("invitation/delete", InvitationDelete, ORG_LEADERS),
    # Their link is what lets the invited in.
    at("onboarding/get_token", OnboardingToken, ANYONE, **_OPEN),
    at("onboarding/claim_token", OnboardingClaim, ANYONE, **_OPEN),
]

ORGANIZATIONS = [
    at("organization/new", OrganizationNew, ADMIN, **_SPENT),
    at("organization/update", OrganizationUpdate, ORG_LEADERS, **_SPENT),
    at("v2/organization/<str:organization_id>", OrganizationPatch, ORG_LEADERS, **_SPENT, http_method_names=["patch"]),
    at("organization/delete", OrganizationDelete, ADMIN, **_SPENT),
    at("organization/info", OrganizationInfo, EVERY_PERSON, **_SPENT),
    at("organization/list", OrganizationList, PERSONS_INFO, **_SPENT),
    at("organization/member_add", PlaceAdd, PEOPLE, **_SPENT),
    at("organization/member_update", PlaceUpdate, PEOPLE, **_SPENT),
    at("organization/member_delete", PlaceDelete, PEOPLE, **_SPENT),
]


def _customers(prefix: str) -> list[URLPattern]:
    """Customers answer under both of their names."""
    return [
        at(f"{prefix}/new", CustomerNew, ADMIN, **_OPENED),
        at(f"{prefix}/update", CustomerUpdate, ADMIN, **_RESET),
        at(f"{prefix}/info", CustomerInfo, ADMIN, **_SPENT),
        at(f"{prefix}/delete", CustomerDelete, ADMIN),
        at(f"{prefix}/list", CustomerList, ADMIN, **_SPENT),
        at(f"{prefix}/block", CustomerBlocking, ADMIN, **_SPENT, blocked=True),
        at(f"{prefix}/unblock", CustomerBlocking, ADMIN, **_SPENT, blocked=False),
    ]


TAGS = [
    at("tag/new", TagNew, ADMIN, **_TAGS),
    at("tag/update", TagUpdate, ADMIN, **_TAGS),
    at("tag/info", TagInfo, ADMIN_READS, **_TAGS),
    at("tag/delete", TagDelete, ADMIN),
    at("tag/list", TagList, ADMIN, **_TAGS, seen=seen_tags),
]

BUDGETS = [
    at("budget/new", BudgetNew, ADMIN),
    at("budget/update", BudgetUpdate, ADMIN),
    at("budget/info", BudgetInfo, ADMIN_READS),
    at("budget/list", BudgetList, ADMIN),
    at("budget/settings", BudgetSettings, ADMIN),
    at("budget/delete", BudgetDelete, ADMIN),
]


def _grants(prefix: str) -> list[URLPattern]:
    """Access groups of keys and teams answer under both of their names, too."""
    return [at(prefix, GrantsView, ADMIN), at(f"{prefix}/<str:group_id>", GrantView, ADMIN)]


MODELS = [
    at("model/new", ModelNew, MODEL_LEADERS),
    at("model/update", ModelUpdateByPost, MODEL_LEADERS),
    at("model/<str:model_id>/update", ModelUpdateByPatch, MODEL_LEADERS),
    at("model/delete", ModelDelete, MODEL_LEADERS),
    at("model/block", ModelBlocking, MODEL_LEADERS, blocked=True),
    at("model/unblock", ModelBlocking, MODEL_LEADERS, blocked=False),
    at("model/info", ModelInfo, ANYONE),
    at("v1/model/info", ModelInfo, ANYONE),
    at("v2/model/info", ModelInfoPaged, ANYONE),
    at("model_group/info", ModelGroupInfo, ANYONE),
    at("access_group/new", GroupNew, ADMIN),
    at("access_group/list", GroupList, ADMIN),
    at("access_group/<path:group>/info", GroupInfo, ADMIN),
    at("access_group/<path:group>/update", GroupUpdate, ADMIN),
    at("access_group/<path:group>/delete", GroupDelete, ADMIN),
    at("access_group/<path:group>/budget", GroupBudget, ADMIN),
    *_grants("v1/access_group"),
    *_grants("v1/unified_access_group"),
]

ROUTING = [
    at("fallback", FallbackView, ADMIN),
    at("fallback/<path:model>", FallbackOfModel, ADMIN),
    at("router/settings", RouterSettings, ADMIN),
    at("router/fields", RouterFields, ADMIN),
]

CREDENTIALS = [
    at("credentials", Credentials, ADMIN),
    at("credentials/by_name/<path:name>", CredentialByName, ADMIN),
    at("credentials/by_model/<str:model_id>", CredentialByModel, ADMIN),
    at("credentials/<path:name>", CredentialChange, ADMIN),
]

AUDIT = [
    at("audit", audit_api.AuditLogs, ADMIN),
    at("audit/<str:event_id>", audit_api.AuditLog, ADMIN),
]

HEALTH = [
    at("health", health_api.HealthOfModels, ADMIN),
    at("health/backlog", health_api.HealthBacklog, ADMIN),
    at("health/history", health_api.HealthHistory, ADMIN),
    at("health/latest", health_api.HealthLatest, ADMIN),
    at("health/services", health_api.HealthServices, ADMIN_INFO),
    at("health/test_connection", health_api.TestConnection, ADMIN),
    at("health/readiness/details", api_settings.ReadinessDetails, ANYONE),
    at("health/license", api_settings.License, ANYONE),
]

SETTINGS = [
    at("get/config/callbacks", api_settings.ConfigCallbacks, ADMIN),
    at("provider/budgets", ProviderBudgets, ADMIN),
    at("get/internal_user_settings", api_settings.InternalUserSettings, ADMIN, http_method_names=["get", "options"]),
    at(
        "update/internal_user_settings",
        api_settings.InternalUserSettings,
        ADMIN,
        http_method_names=["patch", "options"],
    ),
    at("get/default_team_settings", api_settings.DefaultTeamSettings, ADMIN),
    at("active/callbacks", api_settings.ActiveCallbacks, ADMIN),
    at("config/list", api_settings.ConfigList, ADMIN),
    at("config/field/info", api_settings.ConfigField, ADMIN),
    at("config/field/update", ConfigFieldChange, ADMIN),
    at("config/field/delete", ConfigFieldChange, ADMIN),
    at("config/update", ConfigUpdate, ADMIN),
    at("config/cost_discount_config", CostDiscounts, ADMIN),
    at("config/cost_margin_config", CostMargins, ADMIN),
    at("callbacks/list", api_settings.CallbackList, ADMIN),
    at("callbacks/configs", api_settings.NoneOfThem, ADMIN),
    at("alerting/settings", api_settings.NoneOfThem, ADMIN),
    at("guardrails/list", api_settings.NoGuardrails, ANYONE),
    at("v2/guardrails/list", api_settings.NoGuardrails, ANYONE),
    at("policies/list", api_settings.NoPolicies, ANYONE),
    at("cache/ping", api_settings.NoCache, ADMIN, http_method_names=["get", "options"]),
    at("cache/redis/info", api_settings.NoCache, ADMIN, http_method_names=["get", "options"]),
    at("cache/delete", api_settings.NoCache, ADMIN, http_method_names=["post", "options"]),
    at("cache/flushall", api_settings.NoCache, ADMIN, http_method_names=["post", "options"]),
    at("reload/model_cost_map", reload_api.PricesReload, ADMIN),
    at("schedule/model_cost_map_reload", reload_api.ReloadSchedule, ADMIN),
    at("schedule/model_cost_map_reload/status", reload_api.ReloadStatus, ADMIN),
]

urlpatterns = [
    *SPEND,
    *KEYS,
    *TEAMS,
    *PROJECTS,
    *USERS,
    *ORGANIZATIONS,
    *_customers("customer"),
    *_customers("end_user"),
    *TAGS,
    *BUDGETS,
    *MODELS,
    *ROUTING,
    *CREDENTIALS,
    *AUDIT,
    *HEALTH,
    *SETTINGS,
    path("api/schema/", SpectacularAPIView.as_view(**_OPEN), name="api-schema"),
    path("openapi.json", DocumentAsJson.as_view(**_OPEN)),
    path("api/docs/", SpectacularSwaggerSplitView.as_view(url_name="api-schema", **_OPEN), name="api-docs"),
]
