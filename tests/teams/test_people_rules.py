"""Defaults of the configuration file for people: a wrong one stops the start, naming itself."""

from typing import Any

import pytest

from keys.key_rules import read_key_rules
from teams.people_rules import BadDefault, check_defaults
from teams.platform_rules import nano_of


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("max_internal_user_budget", -1), ("max_internal_user_budget", "ten"), ("max_end_user_budget", float("nan")),
        ("internal_user_budget_duration", "soon"), ("max_end_user_budget_id", 7),
        ("disable_auto_add_proxy_admin_to_teams", "yes"), ("default_internal_user_params", []),
        ("default_internal_user_params", {"user_role": "proxy_admin"}),
        ("default_internal_user_params", {"available_teams": "t"}),
        ("default_internal_user_params", {"budget_duration": 3}),
    ],
)  # fmt: skip
def test_a_wrong_default_is_named(name: str, value: Any) -> None:
    with pytest.raises(BadDefault, match=name):
        check_defaults({name: value}, {})


def test_good_defaults_pass() -> None:
    params = {"user_role": "internal_user", "max_budget": 0.5, "budget_duration": "30d", "available_teams": ["t"]}
    check_defaults({"default_internal_user_params": params, "max_end_user_budget": 1}, {})
    with pytest.raises(BadDefault, match="validate_end_user_id_in_db"):
        check_defaults({}, {"validate_end_user_id_in_db": 1})


@pytest.mark.parametrize(("written", "nano"), [(0.7999999999999999, 8 * 10**8), (0.0000000019, 1), (1.5, 15 * 10**8)])
def test_limits_of_the_file_are_rounded_down_but_for_the_noise_of_doubles(written: float, nano: int) -> None:
    bounds = {"upperbound_key_generate_params": {"max_budget": written}}
    assert read_key_rules({}, bounds).max_budget_nano == nano
    assert nano_of("max_budget", written) == nano
