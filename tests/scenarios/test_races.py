"""Many make the same thing at one moment, on the full engine, whose transactions run side by side."""

import pytest

from tests.gateway.test_models import RATES, unique
from tests.gateway.test_races import MANY, TAKEN, at_once, only_one
from tests.scenarios.rig.latchkey import Rig


def test_an_access_group_is_made_once(rig: Rig) -> None:
    names = [unique("member") for _ in range(4)]
    params = {"model": "openai/real-model", "api_base": "https://llm.example.com/v1", **RATES}
    for name in names:
        rig.manage("POST", "/model/new", json={"model_name": name, "litellm_params": params})
    for _ in range(3):
        group = unique("group")
        bodies = [{"access_group": group, "model_names": [names[n % 4]]} for n in range(MANY)]
        only_one(at_once(rig.ports[0], "/access_group/new", *bodies), 409, "already exists")
        assert len(rig.manage("GET", f"/access_group/{group}/info")["model_names"]) == 1


@pytest.mark.parametrize(("path", "field", "body", "status", "told"), TAKEN)
def test_a_name_is_taken_once(rig: Rig, path: str, field: str, body: dict[str, object], status: int, told: str) -> None:
    for _ in range(2):
        name = unique("same") + ("@example.com" if field == "user_email" else "")
        only_one(at_once(rig.ports[0], path, *[{**body, field: name}] * MANY), status, told)
