"""`Idempotency-Key`: a request that is sent again is carried out once."""

from datetime import timedelta
from typing import Any

import pytest
from django.conf import settings
from django.utils import timezone

from keys import answers
from keys.models import GivenAnswer, VirtualKey
from keys.tasks import forget_answers
from teams.models import SharedBudget, Team, User
from tests.api.conftest import Answer, Api
from tests.factories import issue


def post(api: Api, path: str, body: Any, name: str = "a", bearer: str | None = None) -> Answer:
    headers = {"authorization": f"Bearer {bearer or settings.MASTER_KEY}", "Idempotency-Key": name}
    return api.post(path, body, headers=headers)


def test_a_request_sent_again_gets_the_first_answer_with_its_secret(api: Api) -> None:
    first, again = (post(api, "/key/generate", {"max_budget": 0.1}) for _ in range(2))
    assert (first.status, again.status, first.text) == (200, 200, again.text)
    assert (first.headers.get("Idempotent-Replayed"), again.headers["Idempotent-Replayed"]) == (None, "true")
    assert VirtualKey.objects.count() == 1
    assert api.get("/key/info", bearer=again.json["key"]).status == 200


@pytest.mark.parametrize(
    ("path", "body", "model"),
    [
        ("/team/new", {"team_alias": "t"}, Team), ("/user/new", {"auto_create_key": False}, User),
        ("/budget/new", {"max_budget": 1}, SharedBudget),
    ],
)  # fmt: skip
def test_whatever_is_made_is_made_once(api: Api, path: str, body: dict[str, Any], model: Any) -> None:
    before = model.objects.count()
    assert post(api, path, body).text == post(api, path, body).text
    assert model.objects.count() == before + 1


def test_a_secret_is_rotated_once(api: Api) -> None:
    made = api.key()
    first, again = (post(api, f"/key/{made['token']}/regenerate", {}) for _ in range(2))
    assert first.json["key"] == again.json["key"]


def test_another_body_under_the_same_name_is_refused(api: Api) -> None:
    post(api, "/key/generate", {"max_budget": 1})
    answer = post(api, "/key/generate", {"max_budget": 2})
    assert answer.status == 422
    assert "Idempotency-Key" in answer.text
    assert post(api, "/team/new", {"max_budget": 1}).status == 422
    assert VirtualKey.objects.count() == 1


def test_the_layout_of_the_body_does_not_matter(api: Api) -> None:
    headers = {"authorization": f"Bearer {settings.MASTER_KEY}", "Idempotency-Key": "a"}
    texts = {
        api.post("/key/generate", raw=raw, headers=headers).text
        for raw in ('{"rpm_limit":1,"tpm_limit":2}', '{ "tpm_limit": 2, "rpm_limit": 1 }')
    }
    assert len(texts) == 1


def test_a_name_belongs_to_its_caller(api: Api, linus: User, grace: User) -> None:
    texts = {post(api, "/key/generate", {}, bearer=issue(user=person)[1]).text for person in (linus, grace)}
    assert len(texts | {post(api, "/key/generate", {}).text}) == 3


def test_a_refusal_is_not_kept(api: Api) -> None:
    assert post(api, "/key/generate", {"team_id": "late"}).status == 400
    api.post("/team/new", {"team_id": "late"})
    assert post(api, "/key/generate", {"team_id": "late"}).status == 200


def test_an_answer_is_kept_encrypted_and_for_a_day(api: Api) -> None:
    made = post(api, "/key/generate", {}).json
    row = GivenAnswer.objects.get()
    assert made["key"] not in str(vars(row))
    assert made["token"] not in str(vars(row))
    assert forget_answers() == 0
    later = timezone.now() + timedelta(hours=24, seconds=1)
    assert forget_answers(now=later.isoformat()) == 1
    assert post(api, "/key/generate", {}).json["key"] != made["key"]


def test_an_answer_whose_day_is_over_is_given_anew_before_it_is_forgotten(api: Api) -> None:
    made = post(api, "/key/generate", {}).json
    GivenAnswer.objects.update(expires_at=timezone.now())
    assert post(api, "/key/generate", {}).json["key"] != made["key"]


def test_a_row_that_was_moved_opens_nothing(api: Api) -> None:
    post(api, "/key/generate", {}, name="a")
    GivenAnswer.objects.update(name=answers.name_of("master|", "b"))
    assert post(api, "/key/generate", {}, name="b").status == 500


@pytest.mark.parametrize("name", ["", "x" * 256, "tab\there"])
def test_a_bad_name_is_400(api: Api, name: str) -> None:
    answer = post(api, "/key/generate", {}, name=name)
    assert (answer.status, answer.error["param"]) == (400, "Idempotency-Key")
