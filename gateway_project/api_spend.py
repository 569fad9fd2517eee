"""Routes about what was spent. Who sees which calls is said by `visible_to` of the ledger and its sums."""

from django.urls import URLPattern

from gateway_project.api_access import ADMIN, SPEND_OF_ALL, SPEND_OF_KEY, SPEND_OF_OWN, Access
from gateway_project.api_at import at
from proxy.addresses import addresses_of
from proxy.cost_api import CostEstimate, SpendCalculate
from spend.api import SpendLogs, SpendLogsOne, SpendLogsPaged, SpendLogsSession
from spend.audience_api import TagAudience, TagsPerUser
from spend.daily_api import (
    CustomerDailyActivity,
    DailyActivity,
    OrganizationDailyActivity,
    TagDailyActivity,
    TeamDailyActivity,
)
from spend.export_api import ActivityExport, CustomerExport, OrganizationExport, TagExport, TeamExport
from spend.global_api import (
    GlobalActivity,
    GlobalActivityExceptions,
    GlobalActivityModels,
    GlobalCacheHits,
    GlobalEndUserNames,
    GlobalSpend,
    GlobalSpendEndUsers,
    GlobalSpendKeys,
    GlobalSpendLogs,
    GlobalSpendModels,
    GlobalSpendProvider,
    GlobalSpendRefresh,
    GlobalSpendReset,
    GlobalSpendTags,
    GlobalSpendTeams,
    GlobalTagNames,
)
from spend.platform_api import GlobalBudget
from spend.report_api import (
    OwnSpendReport,
    SpendKeys,
    SpendReport,
    SpendTags,
    SpendUsers,
    TagDistinct,
    TagSummary,
    TeamSpendByUser,
)

#: What rows of the log need to show where a deployment is.
_ROWS = {"addresses": addresses_of}

LOGS = [
    at("spend/logs", SpendLogs, SPEND_OF_KEY, **_ROWS),
    at("spend/logs/v2", SpendLogsPaged, SPEND_OF_KEY, **_ROWS),
    at("spend/logs/ui", SpendLogsPaged, SPEND_OF_KEY, **_ROWS),
    at("spend/logs/session/ui", SpendLogsSession, SPEND_OF_KEY, **_ROWS),
    at("spend/logs/ui/<path:request_id>", SpendLogsOne, SPEND_OF_KEY, **_ROWS),
    at("spend/keys", SpendKeys, SPEND_OF_KEY),
    at("spend/users", SpendUsers, SPEND_OF_KEY),
    at("spend/tags", SpendTags, SPEND_OF_KEY),
    at("spend/calculate", SpendCalculate, SPEND_OF_KEY),
    at("cost/estimate", CostEstimate, SPEND_OF_KEY),
    at("key/spend/report", OwnSpendReport, SPEND_OF_KEY),
    at("user/spend/report", OwnSpendReport, SPEND_OF_KEY, column="user_id", label="user_id"),
    at("team/spend/report", OwnSpendReport, SPEND_OF_KEY, column="team_id", label="team_id"),
    at("organization/spend/report", OwnSpendReport, SPEND_OF_KEY, column="organization_id", label="organization_id"),
    at("team/spend/by_user", TeamSpendByUser, SPEND_OF_OWN),
    at("tag/summary", TagSummary, SPEND_OF_OWN),
    at("tag/distinct", TagDistinct, SPEND_OF_OWN),
    at("tag/dau", TagAudience, SPEND_OF_OWN),
    at("tag/wau", TagAudience, SPEND_OF_OWN, length=7),
    at("tag/mau", TagAudience, SPEND_OF_OWN, length=30),
    at("tag/user-agent/per-user-analytics", TagsPerUser, SPEND_OF_OWN),
]

GLOBAL_SPEND = [
    at("global/spend", GlobalSpend, SPEND_OF_ALL),
    at("global/budget", GlobalBudget, ADMIN),
    at("global/spend/logs", GlobalSpendLogs, SPEND_OF_ALL),
    at("global/spend/teams", GlobalSpendTeams, SPEND_OF_ALL),
    at("global/spend/all_tag_names", GlobalTagNames, SPEND_OF_ALL),
    at("global/all_end_users", GlobalEndUserNames, SPEND_OF_ALL),
    at("global/spend/report", SpendReport, SPEND_OF_ALL),
    at("global/spend/keys", GlobalSpendKeys, SPEND_OF_OWN),
    at("global/spend/models", GlobalSpendModels, SPEND_OF_OWN),
    at("global/spend/tags", GlobalSpendTags, SPEND_OF_OWN),
    at("global/spend/provider", GlobalSpendProvider, SPEND_OF_OWN),
    at("global/spend/end_users", GlobalSpendEndUsers, SPEND_OF_OWN),
    at("global/spend/reset", GlobalSpendReset, ADMIN),
    at("global/spend/refresh", GlobalSpendRefresh, ADMIN),
    at("global/activity", GlobalActivity, SPEND_OF_OWN),
    at("global/activity/model", GlobalActivityModels, SPEND_OF_OWN),
    at("global/activity/exceptions", GlobalActivityExceptions, SPEND_OF_OWN),
    at("global/activity/exceptions/deployment", GlobalActivityExceptions, SPEND_OF_OWN, by_deployment=True),
    at("global/activity/cache_hits", GlobalCacheHits, SPEND_OF_OWN),
]


def _daily(prefix: str, view: type[DailyActivity], export: type[ActivityExport], access: Access) -> list[URLPattern]:
    """Page by page, in one answer, and as a file."""
    return [
        at(f"{prefix}/daily/activity", view, access),
        at(f"{prefix}/daily/activity/aggregated", view, access, everything=True),
        at(f"{prefix}/daily/activity/export", export, access),
    ]


DAILY_ACTIVITY = [
    *_daily("user", DailyActivity, ActivityExport, SPEND_OF_KEY),
    *_daily("team", TeamDailyActivity, TeamExport, SPEND_OF_OWN),
    *_daily("organization", OrganizationDailyActivity, OrganizationExport, SPEND_OF_OWN),
    *_daily("customer", CustomerDailyActivity, CustomerExport, SPEND_OF_OWN),
    *_daily("end_user", CustomerDailyActivity, CustomerExport, SPEND_OF_OWN),
    *_daily("tag", TagDailyActivity, TagExport, SPEND_OF_OWN),
]

SPEND = [*LOGS, *GLOBAL_SPEND, *DAILY_ACTIVITY]
