from pathlib import Path
from typing import Any

import pytest

from proxy.call_defaults import CallDefaults, read_call_defaults
from proxy.config_file import ConfigError, read_config


def test_without_settings_a_provider_has_ten_minutes_and_two_more_tries() -> None:
    assert read_call_defaults({}, {}) == CallDefaults(timeout_seconds=600, max_retries=2)
    assert read_call_defaults({"num_retries": None}, {"timeout": None}) == CallDefaults()


def test_the_routers_settings_win_each_for_itself() -> None:
    litellm = {"num_retries": 1, "request_timeout": 30}
    assert read_call_defaults(litellm, {}) == CallDefaults(30, 1)
    assert read_call_defaults(litellm, {"num_retries": 0}) == CallDefaults(30, 0)
    assert read_call_defaults(litellm, {"timeout": 7}) == CallDefaults(7, 1)


@pytest.mark.parametrize(("given", "seconds"), [(0.2, 1), (1.0, 1), (2.5, 3), ("2.5", 3), (2**31 - 1, 2**31 - 1)])
def test_a_timeout_is_rounded_up_to_whole_seconds(given: Any, seconds: int) -> None:
    assert read_call_defaults({}, {"timeout": given}).timeout_seconds == seconds


@pytest.mark.parametrize(("given", "retries"), [(0, 0), ("3", 3), (10, 10), (11, 10), ("50", 10)])
def test_no_more_than_ten_retries_are_made(given: Any, retries: int) -> None:
    assert read_call_defaults({"num_retries": given}, {}).max_retries == retries


@pytest.mark.parametrize(
    ("section", "name", "value"),
    [
        *(("router_settings", "timeout", value) for value in (0, -1, True, "soon", ".inf", ".nan", 2**31, [5])),
        *(("litellm_settings", "request_timeout", value) for value in (0, "1e999", {})),
        *(("router_settings", "num_retries", value) for value in (-1, 1.5, False, "two")),
        ("litellm_settings", "num_retries", "os.environ/TRIES"),
    ],
)
def test_a_value_that_cannot_be_used_is_refused_with_its_place(
    tmp_path: Path, section: str, name: str, value: Any
) -> None:
    path = tmp_path / "config.yaml"
    path.write_text(f"{section}: {{{name}: {value}}}")
    with pytest.raises(ConfigError, match=rf"^{section}\.{name}: write a"):
        read_config(str(path), {"TRIES": "many"})
