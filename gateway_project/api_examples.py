"""One call of every endpoint that works as it stands: what the OpenAPI document shows, and a test plays in this order.

`{name}` stands for something that an earlier answer told; see `learns`.
"""

from dataclasses import dataclass, field
from typing import Any

_KEY, _SPARE = "sk-docs-0123456789abcdef", "sk-docs-fedcba9876543210"
_DAYS = {"start_date": "2026-01-01", "end_date": "2026-01-31"}
_INSTANTS = {"start_date": "2026-01-01 00:00:00", "end_date": "2026-01-31 00:00:00"}
_SAID = [{"role": "user", "content": "Hello!"}]
_PARAMS = {
    "model": "openai/gpt-4o-mini", "api_key": "sk-provider-0123456789", "input_cost_per_token": "0.00000015",
    "output_cost_per_token": "0.0000006",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Example:
    """`route` is the path as the document writes it, `at` what its variables are."""

    method: str
    route: str
    summary: str
    body: dict[str, Any] | list[Any] | None = None
    query: dict[str, str] = field(default_factory=dict)
    at: dict[str, str] = field(default_factory=dict)
    learns: dict[str, str] = field(default_factory=dict)
    """Names for what the answer has under a dotted path."""
    status: int = 200

    @property
    def name(self) -> str:
        return f"{self.method} {self.route}"


def _get(route: str, summary: str, query: dict[str, str] | None = None, **more: Any) -> Example:
    return Example("GET", route, summary, None, query or {}, **more)


def _post(route: str, summary: str, body: Any = None, **more: Any) -> Example:
    return Example("POST", route, summary, {} if body is None else body, **more)


_GRANTS = tuple(
    example
    for route in ("/v1/access_group", "/v1/unified_access_group")
    for example in (
        _post(
            route,
            "Grant models to keys and teams",
            {"access_group_name": "research", "access_model_names": ["house"]},
            learns={"grant": "access_group_id"},
            status=201,
        ),
        _get(route, "Grants of models"),
        _get(f"{route}/{{group_id}}", "One grant of models", at={"group_id": "{grant}"}),
        *(
            Example(method, f"{route}/{{group_id}}", "Change a grant of models", body, at={"group_id": "{grant}"})
            for method, body in (("PUT", {"description": "For research"}), ("PATCH", {"description": "Research"}))
        ),
        Example("DELETE", f"{route}/{{group_id}}", "Delete a grant of models", at={"group_id": "{grant}"}, status=204),
    )
)
_MODELS = (
    _post("/model/new", "Add a deployment of a model",
          {"model_name": "house", "litellm_params": _PARAMS, "model_info": {"id": "model-docs"}}),
    _post("/model/new", "Add a deployment of a model",
          {"model_name": "reserve", "litellm_params": _PARAMS, "model_info": {"id": "model-reserve"}}),
    _post("/model/update", "Change a deployment", {"model_info": {"id": "model-docs"}, "litellm_params": {"timeout": 60}}),
    Example("PATCH", "/model/{model_id}/update", "Change some fields of a deployment", {"litellm_params": {"timeout": 30}},
            at={"model_id": "model-docs"}),
    _post("/model/block", "Take a deployment out of service", {"id": "model-docs"}),
    _post("/model/unblock", "Put a deployment back into service", {"id": "model-docs"}),
    _get("/model/info", "Deployments that the caller may use"),
    _get("/v1/model/info", "Deployments that the caller may use"),
    _get("/v2/model/info", "Deployments page by page", {"page": "1", "size": "50", "search": "house"}),
    _get("/model_group/info", "Models, with what all their deployments can do"),
    _post("/access_group/new", "Put models into a group", {"access_group": "basic", "model_names": ["house"]}),
    _get("/access_group/list", "Groups of models"),
    _get("/access_group/{group}/info", "One group of models", at={"group": "basic"}),
    Example("PUT", "/access_group/{group}/update", "Change the models of a group", {"model_names": ["house"]},
            at={"group": "basic"}),
    Example("PUT", "/access_group/{group}/budget", "Say what calls to a group's models may spend together",
            {"max_budget": 500, "budget_duration": "30d"}, at={"group": "basic"}),
    _get("/access_group/{group}/budget", "What calls to a group's models may spend, and have spent", at={"group": "basic"}),
    Example("DELETE", "/access_group/{group}/budget", "Lift the budget of a group", at={"group": "basic"}),
    Example("DELETE", "/access_group/{group}/delete", "Delete a group of models", at={"group": "basic"}),
    *_GRANTS,
    _post("/fallback", "Have other models take over from one that fails",
          {"model": "house", "fallback_models": ["reserve"], "fallback_type": "general"}),
    _get("/fallback", "All models that take over from others"),
    _get("/fallback/{model}", "Models that take over from one", at={"model": "house"}),
    Example("DELETE", "/fallback/{model}", "Have no model take over", at={"model": "house"}),
    _post("/fallback", "Have other models take over a call that is too long",
          {"model": "house", "fallback_models": ["reserve"], "fallback_type": "context_window"}),
    Example("DELETE", "/fallback", "Have no model take over", {"model": "house", "fallback_type": "context_window"}),
    _get("/router/settings", "What the router goes by"),
    _get("/router/fields", "Which settings the router has"),
    _post("/credentials", "Store a provider's secret",
          {"credential_name": "openai-main", "credential_values": {"api_key": "sk-provider-0123456789"},
           "credential_info": {"custom_llm_provider": "openai"}}),
    _get("/credentials", "Stored secrets, masked"),
    _get("/credentials/by_name/{name}", "One stored secret, masked", at={"name": "openai-main"}),
    _get("/credentials/by_model/{model_id}", "The secret that a deployment uses, masked", at={"model_id": "model-docs"}),
    Example("PATCH", "/credentials/{name}", "Replace a stored secret",
            {"credential_values": {"api_key": "sk-provider-9876543210"}}, at={"name": "openai-main"}),
    Example("DELETE", "/credentials/{name}", "Delete a stored secret", at={"name": "openai-main"}),
)  # fmt: skip
_ORGANIZATIONS = (
    _post("/organization/new", "Create an organization",
          {"organization_id": "org-docs", "organization_alias": "Docs", "max_budget": 1000, "budget_duration": "30d"}),
    Example("PATCH", "/organization/update", "Change an organization",
            {"organization_id": "org-docs", "organization_alias": "Documentation"}),
    _post("/organization/update", "Change an organization", {"organization_id": "org-docs", "max_budget": 2000}),
    Example("PATCH", "/v2/organization/{organization_id}", "Change some fields of an organization", {"max_budget": 1500},
            at={"organization_id": "org-docs"}),
    _get("/organization/info", "One organization", {"organization_id": "org-docs"}),
    _post("/organization/info", "Several organizations", {"organizations": ["org-docs"]}),
    _get("/organization/list", "Organizations that the caller belongs to"),
)  # fmt: skip
_USERS = (
    _post("/user/new", "Create a person, with a first key",
          {"user_id": "user-docs", "user_email": "ada@example.com", "user_role": "internal_user", "max_budget": 50}),
    _get("/user/info", "A person, with keys and teams", {"user_id": "user-docs"}),
    _get("/v2/user/info", "A person", {"user_id": "user-docs"}),
    _get("/user/list", "People page by page", {"page": "1", "page_size": "25"}),
    _get("/user/get_users", "People page by page", {"page": "1", "page_size": "25"}),
    _post("/user/update", "Change a person", {"user_id": "user-docs", "user_alias": "Ada"}),
    _post("/user/bulk_update", "Change several people", {"users": [{"user_id": "user-docs", "max_budget": 60}]}),
    _get("/user/available_roles", "Roles, and what they may do"),
    _get("/user/filter/ui", "People by the start of an id or an e-mail address", {"user_email": "ada"}),
    _post("/invitation/new", "Invite a person to sign in", {"user_id": "user-docs"}, learns={"invitation": "id"}),
    _get("/invitation/info", "One invitation", {"invitation_id": "{invitation}"}),
    _post("/invitation/delete", "Withdraw an invitation", {"invitation_id": "{invitation}"}),
    _post("/organization/member_add", "Add a person to an organization",
          {"organization_id": "org-docs", "member": {"user_id": "user-docs", "role": "internal_user"}}),
    Example("PATCH", "/organization/member_update", "Change a person's role in an organization",
            {"organization_id": "org-docs", "user_id": "user-docs", "role": "org_admin"}),
    _post("/organization/member_update", "Change a person's role in an organization",
          {"organization_id": "org-docs", "user_id": "user-docs", "role": "internal_user"}),
)  # fmt: skip
_TEAMS = (
    _post("/team/new", "Create a team",
          {"team_id": "team-docs", "team_alias": "Docs", "organization_id": "org-docs", "max_budget": 100,
           "budget_duration": "30d", "tpm_limit": 100000}),
    _get("/team/info", "A team, with members and keys", {"team_id": "team-docs"}),
    _get("/team/list", "Teams that the caller may see"),
    _get("/v2/team/list", "Teams page by page", {"page": "1", "page_size": "10"}),
    _post("/team/update", "Change a team", {"team_id": "team-docs", "team_alias": "Documentation"}),
    Example("PATCH", "/team/update", "Change a team", {"team_id": "team-docs", "max_budget": 120}),
    Example("PATCH", "/team/{team_id}", "Change some fields of a team", {"rpm_limit": 600}, at={"team_id": "team-docs"}),
    _post("/team/block", "Refuse all calls of a team", {"team_id": "team-docs"}),
    _post("/team/unblock", "Admit calls of a team again", {"team_id": "team-docs"}),
    _post("/team/member_add", "Add people to a team",
          {"team_id": "team-docs", "member": {"role": "user", "user_id": "user-docs"}, "max_budget_in_team": 10}),
    _post("/team/member_update", "Change a member", {"team_id": "team-docs", "user_id": "user-docs", "role": "admin"}),
    _post("/team/bulk_member_add", "Add many people to a team",
          {"team_id": "team-docs", "members": [{"role": "user", "user_email": "grace@example.com"}]}),
    _post("/team/{team_id}/member/{user_id}/reset_spend", "Begin what a member's budget counts anew", {"reset_to": 0},
          at={"team_id": "team-docs", "user_id": "user-docs"}),
    _get("/team/permissions_list", "What plain members may do", {"team_id": "team-docs"}),
    _post("/team/permissions_update", "Let plain members do more or less",
          {"team_id": "team-docs", "team_member_permissions": ["/key/generate", "/key/info"]}),
    _post("/team/permissions_bulk_update", "Let plain members of several teams do more",
          {"team_ids": ["team-docs"], "permissions": ["/key/list"]}),
    _post("/team/model/add", "Let a team call more models", {"team_id": "team-docs", "models": ["house", "spare"]}),
    _post("/team/model/delete", "Let a team call fewer models", {"team_id": "team-docs", "models": ["spare"]}),
    _post("/project/new", "Create a project of a team",
          {"team_id": "team-docs", "project_id": "project-docs", "project_alias": "Handbook", "max_budget": 25}),
    _post("/project/update", "Change a project", {"project_id": "project-docs", "max_budget": 20, "rpm_limit": 60}),
    _get("/project/info", "One project", {"project_id": "project-docs"}),
    _get("/project/list", "Projects that the caller may see"),
    Example("DELETE", "/project/delete", "Delete projects, with their keys", {"project_ids": ["project-docs"]}),
    _get("/team/metadata_schema", "What a team's metadata should say"),
    _get("/team/{team_id}/callback", "Callbacks of a team: there are none", at={"team_id": "team-docs"}),
    _post("/team/{team_id}/callback", "Refused: nothing is called back", {"callback_name": "langfuse"},
          at={"team_id": "team-docs"}, status=400),
    Example("DELETE", "/team/{team_id}/callback", "Refused: there is none to remove", at={"team_id": "team-docs"},
            status=404),
    _post("/team/{team_id}/disable_logging", "Have nothing called back", at={"team_id": "team-docs"}),
    _get("/team/available", "Teams that people may join by themselves"),
)  # fmt: skip
_KEYS = (
    _post("/key/generate", "Create a key",
          {"key": _KEY, "key_alias": "docs", "user_id": "user-docs", "max_budget": 5, "budget_duration": "1d",
           "models": ["house"]}),
    _post("/key/service-account/generate", "Create a key of a team's service",
          {"key": _SPARE, "key_alias": "docs-service", "team_id": "team-docs", "metadata": {"service_account_id": "ci"}}),
    _get("/key/info", "One key", {"key": _KEY}),
    _post("/v2/key/info", "Several keys", {"keys": [_KEY]}),
    _post("/key/health", "Whether the key that calls works"),
    _get("/key/list", "Keys page by page", {"page": "1", "size": "10", "return_full_object": "true"}),
    _get("/key/aliases", "Aliases of keys"),
    _post("/key/update", "Change a key", {"key": _KEY, "max_budget": 10, "rpm_limit": 60}),
    _post("/key/bulk_update", "Change several keys", {"keys": [{"key": _KEY, "max_budget": 12}]}),
    _post("/team/key/bulk_update", "Change several keys of a team",
          {"team_id": "team-docs", "key_ids": [_SPARE], "update_fields": {"max_budget": 6}}),
    _post("/key/block", "Refuse all calls of a key", {"key": _KEY}),
    _post("/key/unblock", "Admit calls of a key again", {"key": _KEY}),
    _post("/key/regenerate", "Give a key a new secret", {"key": _SPARE, "new_key": "sk-docs-00000000000000"}),
    _post("/key/{key}/regenerate", "Give a key a new secret", {"new_key": "sk-docs-11111111111111"},
          at={"key": "sk-docs-00000000000000"}),
)  # fmt: skip
_CUSTOMERS = tuple(
    example
    for prefix in ("customer", "end_user")
    for example in (
        _post(f"/{prefix}/new", "Create a customer", {"user_id": f"{prefix}-docs", "alias": "Acme", "max_budget": 20}),
        _get(f"/{prefix}/info", "One customer", {"end_user_id": f"{prefix}-docs"}),
        _get(f"/{prefix}/list", "Customers"),
        _post(f"/{prefix}/update", "Change a customer", {"user_id": f"{prefix}-docs", "max_budget": 30}),
        _post(f"/{prefix}/block", "Refuse calls for customers", {"user_ids": [f"{prefix}-docs"]}),
        _post(f"/{prefix}/unblock", "Admit calls for customers again", {"user_ids": [f"{prefix}-docs"]}),
        _get(f"/{prefix}/daily/activity", "What customers used per day", _DAYS),
        _get(f"/{prefix}/daily/activity/aggregated", "The same in one answer", _DAYS),
        _post(f"/{prefix}/delete", "Delete customers", {"user_ids": [f"{prefix}-docs"]}),
    )
)
_LABELS = (
    _post("/tag/new", "Create a tag, with limits", {"name": "batch", "description": "Nightly jobs", "max_budget": 40}),
    _post("/tag/info", "Some tags", {"names": ["batch"]}),
    _get("/tag/list", "Tags"),
    _post("/tag/update", "Change a tag", {"name": "batch", "max_budget": 45}),
    _post("/tag/delete", "Delete a tag", {"name": "batch"}),
    _post(
        "/budget/new", "Create a budget to be shared", {"budget_id": "small", "max_budget": 10, "budget_duration": "7d"}
    ),
    _post("/budget/info", "Some budgets", {"budgets": ["small"]}),
    _get("/budget/list", "Budgets"),
    _get("/budget/settings", "The fields of a budget", {"budget_id": "small"}),
    _post("/budget/update", "Change a budget", {"budget_id": "small", "max_budget": 15}),
    _post("/budget/delete", "Delete a budget", {"id": "small"}),
)
_SPEND = (
    _get("/spend/logs", "Charges and failed attempts, or sums per day", _DAYS),
    _get("/spend/logs/v2", "Charges and failed attempts page by page", _INSTANTS),
    _get("/spend/logs/ui", "Charges and failed attempts page by page", _INSTANTS),
    _get("/spend/logs/session/ui", "All attempts of one call", {"session_id": "call-docs"}),
    _get("/spend/keys", "Keys by what they spent"),
    _get("/spend/users", "People by what they spent"),
    _get("/spend/tags", "Tags by what their calls spent", _DAYS),
    _post(
        "/cost/estimate",
        "What calls of a size will cost",
        {"model": "house", "input_tokens": 1000, "output_tokens": 500, "num_requests_per_day": 100},
    ),
    _post("/spend/calculate", "What a call would cost", {"model": "house", "messages": _SAID, "max_tokens": 100}),
    _get("/key/spend/report", "What keys spent on which models", _DAYS),
    _get("/user/spend/report", "What people spent on which models", _DAYS),
    _get("/team/spend/report", "What teams spent on which models", _DAYS),
    _get("/organization/spend/report", "What organizations spent on which models", _DAYS),
    _get("/team/spend/by_user", "What people spent with a team's keys", {"team_id": "team-docs"}),
    _get("/tag/summary", "What tags' calls spent and used", _DAYS),
    _get("/tag/distinct", "Tags that calls had"),
    _get("/tag/dau", "People who called with each tag, per day"),
    _get("/tag/wau", "People who called with each tag, per week"),
    _get("/tag/mau", "People who called with each tag, per thirty days"),
    _get("/tag/user-agent/per-user-analytics", "What people used with which program"),
    _get("/global/spend", "What everybody spent in thirty days"),
    _get("/global/budget", "What everybody together may spend, and how fast"),
    _post("/global/budget", "A ceiling over all organizations", {"max_budget": 1000, "budget_duration": "30d"}),
    _get("/global/spend/logs", "What everybody spent per day"),
    _get("/global/spend/teams", "What teams spent per day"),
    _get("/global/spend/all_tag_names", "Tags that calls had"),
    _get("/global/all_end_users", "Customers that calls were made for"),
    _get("/global/spend/report", "What teams, customers or keys spent per day", _DAYS | {"group_by": "team"}),
    _get("/global/spend/keys", "Keys that spent most", {"limit": "10"}),
    _get("/global/spend/models", "Models that cost most", {"limit": "10"}),
    _get("/global/spend/tags", "What tags' calls spent", _DAYS),
    _get("/global/spend/provider", "What was spent at which provider"),
    _post("/global/spend/end_users", "Customers that spent most", {"startTime": "2026-01-01", "endTime": "2026-01-31"}),
    _post("/global/spend/reset", "Refused: the ledger is append-only", status=400),
    _post("/global/spend/refresh", "Refused: there is nothing to refresh", status=400),
    _get("/global/activity", "Calls and tokens per day", _DAYS),
    _get("/global/activity/model", "Calls and tokens per day and model", _DAYS),
    _get("/global/activity/exceptions", "Failed attempts per day", _DAYS | {"model_group": "house"}),
    _get("/global/activity/exceptions/deployment", "Failed attempts per deployment", _DAYS | {"model_group": "house"}),
    _get("/global/activity/cache_hits", "Answers from a cache: there are none", _DAYS),
    *(
        _get(f"/{kind}/daily/activity{end}", f"What {who} used per day{how}", _DAYS | {"timezone": "-60"})
        for kind, who in (
            ("user", "people"),
            ("team", "teams"),
            ("organization", "organizations"),
            ("tag", "tags' calls"),
        )
        for end, how in (("", ""), ("/aggregated", ", in one answer"))
    ),
    *(
        _get(
            f"/{kind}/daily/activity/export",
            f"What was used per day by {kind}, as a file",
            _DAYS | {"export_type": "daily_with_models", "format": "json"},
        )
        for kind in ("user", "team", "organization", "customer", "end_user", "tag")
    ),
)
_SETTINGS = (
    _get("/audit", "Changes that were made", {"page": "1", "page_size": "10"}, learns={"event": "audit_logs.0.id"}),
    _get("/audit/{event_id}", "One change", at={"event_id": "{event}"}),
    _get("/health", "Try every deployment out"),
    _get("/health/backlog", "Calls that are not over yet"),
    _get("/health/history", "Earlier checks of deployments"),
    _get("/health/latest", "The newest check of every deployment"),
    _get("/health/readiness/details", "What the server runs with"),
    _get("/health/license", "There is none to buy"),
    _get("/routes", "Every route"),
    _get("/get/config/callbacks", "Callbacks that are configured"),
    _get("/provider/budgets", "What calls to each provider may spend, and have spent"),
    _get("/get/internal_user_settings", "What people get who are made without it"),
    Example("PATCH", "/update/internal_user_settings", "Refused: the file sets it", {"max_budget": 10}, status=400),
    _get("/get/default_team_settings", "What teams get that are made without it: nothing"),
    _get("/active/callbacks", "Callbacks that are running"),
    _get("/config/list", "Settings of the configuration file", {"config_type": "general_settings"}),
    _get("/config/field/info", "One setting that is set", {"field_name": "master_key"}, status=400),
    _post(
        "/config/update",
        "Change settings that are stored",
        {"router_settings": {"fallbacks": [{"house": ["reserve"]}]}},
    ),
    _post(
        "/config/field/update",
        "Refused: the file sets it",
        {"field_name": "allowed_ips", "field_value": []},
        status=400,
    ),
    _post("/config/field/delete", "Refused: the file sets it", {"field_name": "allowed_ips"}, status=400),
    _get("/callbacks/list", "Callbacks by when they are called: the metrics, for every call"),
    _get("/config/cost_discount_config", "Discounts that providers grant"),
    Example("PATCH", "/config/cost_discount_config", "Say what providers take off", {"groq": 0.05}),
    _get("/config/cost_margin_config", "Margins on what calls cost"),
    Example(
        "PATCH",
        "/config/cost_margin_config",
        "Say what is added to what calls cost",
        {"global": 0.02, "groq": {"percentage": 0.08, "fixed_amount": 0.0005}},
    ),
    _get("/callbacks/configs", "Callbacks that can be set: there are none"),
    _get("/alerting/settings", "Settings of alerts: there are none"),
    _get("/guardrails/list", "Guardrails: there are none"),
    _get("/v2/guardrails/list", "Guardrails: there are none"),
    _get("/policies/list", "Policies that choose guardrails: there are none"),
    _get("/cache/ping", "Refused: answers are not cached", status=400),
    _get("/cache/redis/info", "Refused: answers are not cached", status=400),
    _post("/cache/delete", "Refused: answers are not cached", status=400),
    _post("/cache/flushall", "Refused: answers are not cached", status=400),
    _post("/reload/model_cost_map", "Read the price list again"),
    _post("/schedule/model_cost_map_reload", "Read the price list every few hours", query={"hours": "6"}),
    _get("/schedule/model_cost_map_reload/status", "When the price list is read again"),
    Example("DELETE", "/schedule/model_cost_map_reload", "Read the price list once a day only"),
)
_GOODBYE = (
    _post("/team/member_delete", "Take a person out of a team", {"team_id": "team-docs", "user_id": "user-docs"}),
    _post("/key/{key}/reset_spend", "Begin what a key's budget counts anew", {"reset_to": 0}, at={"key": _KEY}),
    _post("/key/delete", "Delete keys", {"keys": [_KEY, "sk-docs-11111111111111"]}),
    _post("/team/delete", "Delete teams", {"team_ids": ["team-docs"]}),
    Example("DELETE", "/organization/member_delete", "Take a person out of an organization",
            {"organization_id": "org-docs", "user_id": "user-docs"}),
    _post("/user/delete", "Delete people", {"user_ids": ["user-docs"]}),
    _post("/model/delete", "Delete a deployment", {"id": "model-docs"}),
    _post("/organization/new", "Create an organization", {"organization_id": "org-spare", "organization_alias": "Spare"}),
    _post("/organization/delete", "Delete organizations", {"organization_ids": ["org-spare"]}),
    Example("DELETE", "/organization/delete", "Delete organizations", {"organization_ids": ["org-docs"]}),
)  # fmt: skip

EXAMPLES = (
    *_MODELS, *_ORGANIZATIONS, *_USERS, *_TEAMS, *_KEYS, *_CUSTOMERS, *_LABELS, *_SPEND, *_SETTINGS, *_GOODBYE,
)  # fmt: skip
