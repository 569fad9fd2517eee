"""How the admin looks: the one place that configures the theme."""

from typing import Any

from django.templatetags.static import static
from django.urls import reverse_lazy


def _item(title: str, icon: str, name: str) -> dict[str, Any]:
    return {"title": title, "icon": icon, "link": reverse_lazy(f"admin:{name}_changelist")}


def _group(title: str, *items: dict[str, Any]) -> dict[str, Any]:
    return {"title": title, "separator": True, "items": list(items)}


UNFOLD: dict[str, Any] = {
    "SITE_TITLE": "Latchkey",
    "SITE_HEADER": "Latchkey",
    "SITE_SUBHEADER": "Keys, budgets, ledger",
    "SITE_SYMBOL": "key",
    "SITE_URL": reverse_lazy("portal"),
    "SITE_FAVICONS": [{"rel": "icon", "type": "image/svg+xml", "href": lambda request: static("latchkey/favicon.svg")}],
    "SHOW_VIEW_ON_SITE": False,
    "SHOW_HISTORY": True,
    "BORDER_RADIUS": "8px",
    "DASHBOARD_CALLBACK": "gateway_project.dashboard.context",
    "STYLES": [lambda request: static("latchkey/admin.css")],
    "COLORS": {
        "primary": {
            "50": "oklch(98.2% .018 155.8)",
            "100": "oklch(96.2% .044 156.7)",
            "200": "oklch(92.5% .084 155.9)",
            "300": "oklch(87.1% .15 154.4)",
            "400": "oklch(77% .16 155)",
            "500": "oklch(64% .15 158)",
            "600": "oklch(52.7% .124 159)",
            "700": "oklch(45.5% .105 160)",
            "800": "oklch(39% .085 161)",
            "900": "oklch(33.5% .07 161)",
            "950": "oklch(26.6% .055 163)",
        }
    },
    "SIDEBAR": {
        "show_search": False,
        "show_all_applications": False,
        "navigation": [
            {"items": [{"title": "Dashboard", "icon": "space_dashboard", "link": reverse_lazy("admin:index")}]},
            _group(
                "Access",
                _item("Keys", "key", "keys_virtualkey"),
                _item("Organizations", "domain", "teams_organization"),
                _item("Teams", "groups", "teams_team"),
                _item("Members", "badge", "teams_membership"),
                _item("Projects", "folder", "teams_project"),
                _item("Users", "person", "teams_user"),
                _item("Customers", "storefront", "teams_customer"),
                _item("Tags", "sell", "teams_tag"),
                _item("Budgets", "savings", "teams_sharedbudget"),
                _item("Platform", "public", "teams_platform"),
            ),
            _group(
                "Models",
                _item("Models", "smart_toy", "proxy_languagemodel"),
                _item("Deployments", "lan", "proxy_deployment"),
                _item("Credentials", "vpn_key", "proxy_credential"),
                _item("Providers", "cloud", "proxy_provider"),
                _item("Pools", "account_balance_wallet", "proxy_pool"),
                _item("Prices", "price_change", "spend_price"),
            ),
            _group(
                "Money",
                _item("Ledger", "receipt_long", "spend_ledgerentry"),
                _item("Holds", "hourglass_top", "spend_hold"),
                _item("Sums", "functions", "spend_rollup"),
                _item("Crossings", "notifications", "spend_crossing"),
            ),
            _group("Audit", _item("Audit trail", "history", "teams_auditevent")),
        ],
    },
}
