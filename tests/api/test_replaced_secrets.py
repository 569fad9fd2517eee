"""What a secret that was replaced still does until its grace ends: it reads, and gets the new one."""

from datetime import timedelta

from django.utils import timezone

from keys import rotation, services
from teams.actors import SYSTEM
from teams.models import Team, User
from tests.api.conftest import Api
from tests.factories import issue


def test_it_changes_nothing(api: Api, search: Team, grace: User) -> None:
    key, old = issue(user=grace)
    new = services.regenerate_key(key, actor=SYSTEM, grace=timedelta(hours=1))
    for path, body in (
        ("/key/generate", {}),
        ("/key/update", {"key": new, "key_alias": "mine"}),
        ("/key/regenerate", {"key": new}),
        ("/key/delete", {"keys": [new]}),
        ("/team/update", {"team_id": search.public_id, "team_alias": "mine"}),
        ("/user/update", {"user_id": grace.public_id, "user_email": "mine@example.com"}),
        ("/user/password/change", {"current_password": "correct-horse-7", "new_password": "correct-horse-8"}),
    ):
        answer = api.post(path, body, bearer=old)
        assert (answer.status, "was replaced" in answer.text) == (403, True), path
    assert api.get("/key/info", bearer=old).status == 200
    assert api.post("/v2/key/info", {"keys": [new]}, bearer=old).status == 200


def test_it_picks_up_the_new_one_that_a_rotation_made(api: Api, grace: User) -> None:
    key, old = issue(user=grace, auto_rotate=True, rotation_interval="1d")
    later = timezone.now() + timedelta(days=1, seconds=1)
    assert rotation.rotate_due(now=later, actor=SYSTEM, grace=timedelta(hours=1)) == 1
    picked = api.post(f"/key/{key.token}/pick_up", {}, bearer=old)
    assert picked.status == 200, picked.text
    assert api.post("/key/generate", {}, bearer=picked.json["key"]).status == 200


def test_it_picks_up_no_other_keys(api: Api, grace: User) -> None:
    key, old = issue(user=grace)
    services.regenerate_key(key, actor=SYSTEM, grace=timedelta(days=2))
    other, _ = issue(user=grace, auto_rotate=True, rotation_interval="1d")
    later = timezone.now() + timedelta(days=1, seconds=1)
    assert rotation.rotate_due(now=later, actor=SYSTEM, grace=timedelta(hours=1)) == 1
    other.refresh_from_db()
    assert api.post(f"/key/{other.token}/pick_up", {}, bearer=old).status == 403
    assert api.post(f"/key/{other.token}/pick_up", {}).status == 200
