"""Who is refused finds it in the spend log a moment later, with the reason; strangers leave nothing there."""

from typing import Any

import httpx

from keys.secrets import token_of
from tests.gateway.running import Running, eventually
from tests.gateway.upstream import Books


def _refused(latchkey: Running, key: str) -> list[dict[str, Any]]:
    answer = httpx.get(
        f"http://127.0.0.1:{latchkey.port}/spend/logs", headers={"authorization": f"Bearer {key}"}, timeout=30
    )
    assert answer.status_code == 200, answer.text
    rows: list[dict[str, Any]] = answer.json()
    return [row for row in rows if row["status"] == "failure"]


def test_every_kind_of_refusal_is_in_the_log_of_the_key(latchkey: Running, books: Books) -> None:
    key = latchkey.new_key(models=["gpt-books"], max_budget=0.0000001)
    told = {
        "429": latchkey.chat(key), "403": latchkey.chat(key, model="gpt-free"),
        "400": latchkey.chat(key, max_tokens=-1),
    }  # fmt: skip
    assert [str(answer.status_code) for answer in told.values()] == list(told)
    eventually(lambda: len(_refused(latchkey, key)) == 3, 5)
    rows = {row["metadata"]["error_information"]["error_code"]: row for row in _refused(latchkey, key)}
    for code, answer in told.items():
        row, said = rows[code], answer.json()["error"]
        assert row["litellm_call_id"] == answer.headers["x-litellm-call-id"]
        assert row["metadata"]["error_information"]["error_type"] == said["type"]
        assert row["metadata"]["error_information"]["error_message"] == said["message"][:500]
        assert (row["spend"], row["api_key"], row["messages"]) == (0, token_of(key), {})
    classes = {code: row["metadata"]["error_information"]["error_class"] for code, row in rows.items()}
    assert classes == {"429": "BudgetExceededError", "403": "PermissionDeniedError", "400": "BadRequestError"}
    assert (rows["429"]["model_group"], rows["403"]["model_group"]) == ("gpt-books", "gpt-free")
    assert books.total_nano == 0


def test_what_was_served_and_what_nobody_knows_is_no_refusal(latchkey: Running, books: Books) -> None:
    key = latchkey.new_key(max_budget=1)
    latchkey.chat(key, model="gpt-nowhere")
    assert latchkey.chat(key).status_code == 200
    latchkey.chat("sk-lk-stranger")
    eventually(lambda: len(_refused(latchkey, key)) == 1, 5)
    [row] = _refused(latchkey, key)
    assert row["metadata"]["error_information"]["error_code"] == "400"
    assert latchkey.query("SELECT count(*) FROM spend_refusal WHERE token = ?", token_of("sk-lk-stranger")) == [(0,)]


def test_a_session_and_its_notes_are_kept_of_calls_served_and_refused(latchkey: Running, books: Books) -> None:
    key = latchkey.new_key(max_budget=1)
    about = {"litellm_session_id": "chat-7", "metadata": {"spend_logs_metadata": {"ticket": 7}}}
    assert latchkey.chat(key, **about).status_code == 200
    assert latchkey.chat(key, **about, model="gpt-nowhere").status_code == 400
    assert not books.bodies[-1].keys() & about.keys()

    def shown() -> list[dict[str, Any]]:
        rows: list[dict[str, Any]] = httpx.get(
            f"http://127.0.0.1:{latchkey.port}/spend/logs/session/ui",
            params={"session_id": "chat-7"},
            headers={"authorization": f"Bearer {key}"},
            timeout=30,
        ).json()["data"]
        return rows

    eventually(lambda: len(shown()) == 2, 5)
    assert {row["status"] for row in shown()} == {"success", "failure"}
    assert all(row["metadata"]["spend_logs_metadata"] == {"ticket": 7} for row in shown())
