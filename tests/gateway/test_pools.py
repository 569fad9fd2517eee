"""What all calls to a provider, or to the models of an access group, may spend together."""

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tests.gateway.running import Running, eventually, running
from tests.gateway.test_budgets import COST
from tests.gateway.test_models import refused, unique
from tests.gateway.upstream import Books, say

PROVIDERS = """
  - model_name: gpt-anywhere
    litellm_params: {{model: openai/real-model, api_base: "{url}", <<: &price {{
      input_cost_per_token: 0.0000025, output_cost_per_token: 0.00001}}}}
  - model_name: gpt-anywhere
    litellm_params: {{model: hosted_vllm/other, api_base: "{url}", <<: *price}}
router_settings:
  provider_budget_config:
    openai: {{budget_limit: {limit}, time_period: 30d}}
    nobody_we_know: {{budget_limit: 5, time_period: 1d}}
"""


def usd(calls: float) -> float:
    return calls * COST / 10**9


def group_of(latchkey: Running, *models: str) -> str:
    name = unique("group")
    latchkey.manage("POST", "/access_group/new", json={"access_group": name, "model_names": list(models)})
    return name


def keys_of_two(latchkey: Running) -> list[str]:
    made = [latchkey.manage("POST", "/organization/new", json={"organization_alias": name}) for name in ("N", "S")]
    return [latchkey.new_key(organization_id=one["organization_id"]) for one in made]


def test_no_number_of_calls_of_any_organization_gets_past_the_budget_of_a_group(
    latchkey: Running, books: Books
) -> None:
    keys, group = keys_of_two(latchkey), group_of(latchkey, "gpt-books", "gpt-cancel")
    path = f"/access_group/{group}/budget"
    try:
        told = latchkey.manage("PUT", path, json={"max_budget": usd(10) + 0.0001, "budget_duration": "30d"})
        assert told["spend"] == 0 and told["budget"]["budget_reset_at"]
        with ThreadPoolExecutor(24) as threads:
            asked = [(keys[n % 2], ("gpt-books", "gpt-cancel")[n // 2 % 2]) for n in range(60)]
            answers = list(threads.map(lambda a: latchkey.chat(a[0], model=a[1], messages=say(delay=0.05)), asked))
        served = [answer for answer in answers if answer.status_code == 200]
        refusal = next(answer for answer in answers if answer.status_code != 200)
        assert refused(refusal, 429) == "budget_exceeded"
        assert f"access group '{group}'" in refusal.text and f"Pool=access_group:{group}" in refusal.text
        assert str(usd(10)) not in refusal.text, "an app may not see what everybody spent"
        spent = sum(amount for key in keys for (amount,) in latchkey.key_rows(key))
        assert spent == len(served) * COST == books.total_nano
        assert 8 <= len(served) <= 10
        eventually(lambda: latchkey.manage("GET", path)["spend"] == pytest.approx(usd(len(served))))
        assert latchkey.chat(keys[0], model="gpt-free").status_code == 200
    finally:
        latchkey.manage("DELETE", path)
    assert latchkey.chat(keys[0]).status_code == 200
    latchkey.manage("DELETE", f"/access_group/{group}/delete")


def test_a_budget_counts_from_when_it_was_made_and_goes_with_its_group(latchkey: Running, books: Books) -> None:
    [key, _], group = keys_of_two(latchkey), group_of(latchkey, "gpt-books")
    path = f"/access_group/{group}/budget"
    assert latchkey.chat(key).status_code == 200
    latchkey.manage("PUT", path, json={"max_budget": usd(1) + 0.0001})
    assert latchkey.chat(key).status_code == 200
    assert refused(latchkey.chat(key), 429) == "budget_exceeded"
    latchkey.manage("PUT", path, json={"max_budget": usd(2) + 0.0001})
    assert latchkey.chat(key).status_code == 200
    assert refused(latchkey.chat(key), 429) == "budget_exceeded"
    latchkey.manage("DELETE", f"/access_group/{group}/delete")
    assert latchkey.chat(key).status_code == 200
    assert latchkey.http.get(path).status_code == 401


def test_a_model_that_joins_a_group_draws_from_its_budget(latchkey: Running, books: Books) -> None:
    [key, _], group = keys_of_two(latchkey), group_of(latchkey, "gpt-cancel")
    latchkey.manage("PUT", f"/access_group/{group}/budget", json={"max_budget": 0})
    assert latchkey.chat(key).status_code == 200
    latchkey.manage("PUT", f"/access_group/{group}/update", json={"model_names": ["gpt-books"]})
    assert refused(latchkey.chat(key), 429) == "budget_exceeded"
    assert latchkey.chat(key, model="gpt-cancel").status_code == 200
    latchkey.manage("DELETE", f"/access_group/{group}/delete")


def test_a_provider_whose_budget_is_spent_leaves_its_calls_to_others(tmp_path: Path, provider: Books) -> None:
    provider.clear()
    with running(tmp_path, provider.url, PROVIDERS.format(url=provider.url, limit=usd(1) + 0.0001)) as latchkey:
        key = latchkey.new_key()
        assert [latchkey.chat(key, model="gpt-anywhere").status_code for _ in range(8)] == [200] * 8
        assert refused(latchkey.chat(key), 429) == "budget_exceeded"
        providers = [name for (name,) in latchkey.key_rows(key, "provider")]
        assert sorted(providers) == ["hosted_vllm"] * 7 + ["openai"]
        told = latchkey.manage("GET", "/provider/budgets")["providers"]
        assert list(told) == ["openai"] and told["openai"]["spend"] == pytest.approx(usd(1))
        assert told["openai"]["time_period"] == "30d" and told["openai"]["budget_reset_at"]
        assert "provider_budget_config.nobody_we_know" in latchkey.log.read_text()
