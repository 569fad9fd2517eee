"""Rules of the configuration file that hold for every call: the part of `general_settings` about the gate. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass
from ipaddress import IPv4Network, IPv6Network, ip_address, ip_network
from types import MappingProxyType
from typing import Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from teams.budgets import matches

NAMES = frozenset({
    "litellm_key_header_name", "user_header_name", "user_header_mappings", "enforce_user_param",
    "reject_clientside_metadata_tags", "max_request_size_mb", "allowed_ips", "admin_only_routes",
})  # fmt: skip

ROUTER_NAMES = frozenset({"enable_tag_filtering", "max_fallbacks"})
LITELLM_NAMES = frozenset({"timezone", "budget_exceeded_status_code", "require_auth_for_metrics_endpoint"})
_NOTHING: Mapping[str, Any] = MappingProxyType({})


class BadRule(ValueError):
    """A setting cannot be used; the message names it and the remedy."""


@dataclass(frozen=True, slots=True)
class GateRules:
    key_header: str = ""
    """Lower-case name of the header that, where a request has it, carries the key instead of every other."""
    customer_headers: tuple[str, ...] = ()
    """Lower-case names of headers that name the end user."""
    enforce_user: bool = False
    reject_client_tags: bool = False
    max_body_bytes: int | None = None
    networks: tuple[IPv4Network | IPv6Network, ...] = ()
    """Where requests may come from; empty means anywhere."""
    admin_routes: tuple[str, ...] = ()
    """Paths, or `prefix/*`, for platform admins alone."""
    tag_filtering: bool = False
    """Whether the tags of a call choose among the deployments of its model."""
    max_fallbacks: int = 5
    """How many other models may be tried for one call."""
    open_metrics: bool = False
    """Whether `/metrics` is shown without a key."""

    def may_come_from(self, address: str) -> bool:
        if not self.networks:
            return True
        try:
            known = ip_address(address)
        except ValueError:
            return False
        known = getattr(known, "ipv4_mapped", None) or known
        return any(known in network for network in self.networks)

    def is_for_admins(self, path: str) -> bool:
        bare = path.removeprefix("/v1")
        return any(matches(entry, form) for entry in self.admin_routes for form in (path, bare, "/v1" + bare))


def read_rules(
    general: Mapping[str, Any], router: Mapping[str, Any] = _NOTHING, litellm: Mapping[str, Any] = _NOTHING
) -> GateRules:
    """From `general_settings`, `router_settings` and `litellm_settings`. Raises BadRule."""
    size = general.get("max_request_size_mb")
    if size is not None and (isinstance(size, bool) or not isinstance(size, int | float) or not 0 < size < 2**20):
        raise BadRule("general_settings.max_request_size_mb: write a number of megabytes above 0")
    return GateRules(
        key_header=_header(general.get("litellm_key_header_name") or "", "litellm_key_header_name"),
        customer_headers=_customer_headers(general),
        enforce_user=_flag(general, "enforce_user_param"),
        reject_client_tags=_flag(general, "reject_clientside_metadata_tags"),
        max_body_bytes=None if size is None else int(size * 1024 * 1024),
        networks=tuple(_network(item) for item in _texts(general, "allowed_ips")),
        admin_routes=_texts(general, "admin_only_routes"),
        tag_filtering=_flag(router, "enable_tag_filtering", "router_settings"),
        max_fallbacks=_most_fallbacks(router.get("max_fallbacks")),
        open_metrics=not _flag(litellm, "require_auth_for_metrics_endpoint", "litellm_settings", unsaid=True),
    )


def read_zone(litellm: Mapping[str, Any]) -> str:
    """`litellm_settings.timezone`: where days and months begin, of the default organization and of new ones.

    Raises BadRule.
    """
    zone = litellm.get("timezone") or ""
    try:
        ZoneInfo(zone or "UTC")
    except (ValueError, TypeError, AttributeError, OSError, ZoneInfoNotFoundError) as error:
        raise BadRule(f"litellm_settings.timezone: '{zone}' is no time zone; write e.g. Europe/Berlin") from error
    return str(zone)


def read_budget_status(litellm: Mapping[str, Any]) -> int | None:
    """`litellm_settings.budget_exceeded_status_code`. Raises BadRule."""
    status = litellm.get("budget_exceeded_status_code")
    if status is not None and status not in (400, 402, 422, 429):
        raise BadRule("litellm_settings.budget_exceeded_status_code: write 400, 402, 422 or 429")
    return status


def _customer_headers(general: Mapping[str, Any]) -> tuple[str, ...]:
    """Of `user_header_mappings` those that name the customer, then `user_header_name`."""
    found, mappings = [], general.get("user_header_mappings") or []
    for mapping in mappings if isinstance(mappings, list) else [mappings]:
        if not isinstance(mapping, dict) or mapping.get("litellm_user_role") != "customer":
            raise BadRule(
                "general_settings.user_header_mappings: write a list of {header_name: ..., litellm_user_role: "
                "customer}; a header cannot stand for an internal user, give that user a key"
            )
        found.append(_header(mapping.get("header_name"), "user_header_mappings.header_name"))
    name = general.get("user_header_name")
    return (*found, *([_header(name, "user_header_name")] if name else []))


def _header(value: Any, name: str) -> str:
    if not isinstance(value, str) or not all(c.isascii() and (c.isalnum() or c in "-_") for c in value):
        raise BadRule(f"general_settings.{name}: write the name of a header, e.g. X-Litellm-Key")
    return value.lower()


def _flag(settings: Mapping[str, Any], name: str, section: str = "general_settings", *, unsaid: bool = False) -> bool:
    value = settings.get(name)
    if value is not None and not isinstance(value, bool):
        raise BadRule(f"{section}.{name}: write true or false")
    return unsaid if value is None else value


def _most_fallbacks(value: Any) -> int:
    if value is None:
        return 5
    if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value <= 20:
        raise BadRule("router_settings.max_fallbacks: write a whole number from 0 to 20")
    return value


def _texts(general: Mapping[str, Any], name: str) -> tuple[str, ...]:
    value = general.get(name) or []
    if not isinstance(value, list) or not all(isinstance(item, str) and item for item in value):
        raise BadRule(f"general_settings.{name}: write a list of texts")
    return tuple(value)


def _network(text: str) -> IPv4Network | IPv6Network:
    try:
        return ip_network(text, strict=False)
    except ValueError as error:
        raise BadRule(f"general_settings.allowed_ips: '{text}' is no address and no network (10.0.0.0/8)") from error
