"""Pages of other origins that call from a browser: with a key, never with the cookies of the admin."""

from pathlib import Path

import httpx
import pytest

from tests.gateway.running import Running, running
from tests.gateway.upstream import Books

PAGE = "https://chat.example.com"
PREFLIGHT = {
    "origin": PAGE,
    "access-control-request-method": "POST",
    "access-control-request-headers": "authorization,content-type,x-stainless-os",
}


def ask(latchkey: Running, method: str, path: str, **headers: str) -> httpx.Response:
    return httpx.request(method, f"http://127.0.0.1:{latchkey.port}{path}", headers=headers)


@pytest.mark.parametrize("path", ["/v1/chat/completions", "/v1/models", "/key/generate", "/key/info"])
def test_what_a_page_may_ask_is_told_without_a_key(latchkey: Running, path: str) -> None:
    told = ask(latchkey, "OPTIONS", path, **PREFLIGHT)
    assert (told.status_code, told.headers["access-control-allow-origin"]) == (200, "*")
    assert "POST" in told.headers["access-control-allow-methods"]
    assert "x-stainless-os" in told.headers["access-control-allow-headers"]
    assert "access-control-allow-credentials" not in told.headers


@pytest.mark.parametrize("path", ["/v1/models", "/key/list"])
def test_a_page_reads_answers_and_refusals(latchkey: Running, path: str) -> None:
    for key, status in ((latchkey.new_key(user_id="page"), 200), ("sk-nobody-has-this-key", 401)):
        answer = ask(latchkey, "GET", path, origin=PAGE, authorization=f"Bearer {key}")
        assert (answer.status_code, answer.headers["access-control-allow-origin"]) == (status, "*")
        assert answer.headers["access-control-expose-headers"] == "*"


def test_the_admin_is_closed_to_other_pages(latchkey: Running) -> None:
    answer = ask(latchkey, "GET", "/admin/login/", origin=PAGE)
    assert "access-control-allow-origin" not in answer.headers


def test_origins_may_be_named(provider: Books, tmp_path: Path) -> None:
    with running(tmp_path, provider.url, LATCHKEY_CORS_ORIGINS=PAGE) as latchkey:
        assert ask(latchkey, "OPTIONS", "/v1/models", **PREFLIGHT).headers["access-control-allow-origin"] == PAGE
        other = ask(latchkey, "OPTIONS", "/v1/models", **{**PREFLIGHT, "origin": "https://evil.example.org"})
        assert (other.status_code, other.headers.get("access-control-allow-origin")) == (400, None)
