"""How the admin looks: the one place that configures the theme."""

from typing import Any

UNFOLD: dict[str, Any] = {
    "SITE_TITLE": "Latchkey",
    "SITE_HEADER": "Latchkey",
    "SITE_SUBHEADER": "Virtual keys, budgets, ledger",
    "SITE_SYMBOL": "key",
}
