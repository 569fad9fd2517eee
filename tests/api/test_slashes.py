"""A slash at the end of a path, as some clients send it: they are sent to the path without it."""

from urllib.parse import unquote

import pytest

from tests.api.conftest import Api

#: What some programs take for `//` and another host.
ELSEWHERE = ("//evil.example/", "/%2Fevil.example/", "/%5Cevil.example/", "//evil.example/key/list/", "///key/list/")


def test_a_path_that_ends_with_a_slash_leads_to_the_one_without(api: Api) -> None:
    for sent, location in (
        ("/key/list/", "/key/list"),
        ("/team/list/?x=1&y=a%20b", "/team/list?x=1&y=a%20b"),
        ("/credentials/", "/credentials"),
        ("/tag/list//", "/tag/list"),
        ("/key/a%3Fb%0D%0AX: y/regenerate/", "/key/a%3Fb%0D%0AX:%20y/regenerate"),
    ):
        answer = api.get(sent)
        assert (answer.status, answer.headers["location"]) == (307, location)
    assert api.post("/key/generate/", {"key_alias": "a"}, headers={}).status == 307


def test_a_call_that_follows_is_carried_out_with_its_method_body_and_query(api: Api) -> None:
    how = {"content_type": "application/json", "follow": True, **api._headers()}
    made = api.client.post("/key/generate/", {"key_alias": "by a slash"}, **how)
    assert (made.status_code, made.json()["key_alias"]) == (200, "by a slash")
    listed = api.client.get("/key/list/?key_alias=by a slash", follow=True, **api._headers())
    assert listed.json()["total_count"] == 1


@pytest.mark.parametrize("path", ELSEWHERE)
def test_no_path_leads_to_another_host(api: Api, path: str) -> None:
    # The client would take such a path for an address itself.
    answer = api.client.get("/", PATH_INFO=unquote(path))
    assert (answer.status_code, "location" in answer.headers) == (404, False)


def test_what_is_not_there_without_the_slash_either_is_not_found(api: Api) -> None:
    for path in ("/no/such/path/", "/login/", "/static/none/", "/key/generate/more/", "/portal/none/", "/admin/none/"):
        answer = api.get(path)
        assert answer.status in (404, 302), path
        assert not answer.headers.get("location", "").startswith(path.rstrip("/") + "?")
    assert api.get("/api/docs/").status == 200
