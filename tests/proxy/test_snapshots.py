"""What was read is used until something that it was read from changes, and not a moment longer."""

import pytest

from proxy.runtime import snapshots
from proxy.runtime.snapshots import Changes, Snapshots


def _kept(changes: Changes) -> Snapshots[str, str]:
    """Values are the scopes they were read from, as one text."""
    return Snapshots(changes, str.split)


def test_a_value_is_used_until_one_of_its_scopes_changes() -> None:
    changes = Changes()
    kept = _kept(changes)
    kept.put("a", "org:1 key:1", changes.serial)
    kept.put("b", "org:1 key:2", changes.serial)
    changes.note(["key:3"])
    assert (kept.get("a"), kept.get("b")) == ("org:1 key:1", "org:1 key:2")
    changes.note(["key:1"])
    assert (kept.get("a"), kept.get("b")) == (None, "org:1 key:2")
    changes.note(["org:1"])
    assert kept.get("b") is None


def test_what_changed_while_a_value_was_being_read_counts() -> None:
    changes = Changes()
    kept = _kept(changes)
    since = changes.serial
    changes.note(["key:1"])
    kept.put("a", "org:1 key:1", since)
    assert kept.get("a") is None
    kept.put("a", "org:1 key:1", changes.serial)
    assert kept.get("a")


def test_more_changes_than_are_kept_drop_whatever_may_have_changed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(snapshots, "_MOST_CHANGES", 3)
    changes = Changes()
    kept = _kept(changes)
    kept.put("a", "key:1", changes.serial)
    for number in range(2, 6):
        changes.note([f"key:{number}"])
    assert kept.get("a") is None
    kept.put("a", "key:1", changes.serial)
    changes.note(["key:9"])
    assert kept.get("a")


def test_the_oldest_make_room(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(snapshots, "_MOST", 2)
    kept = _kept(Changes())
    for name in "abc":
        kept.put(name, "key:1", 0)
    assert [name in kept for name in "abc"] == [False, True, True]
