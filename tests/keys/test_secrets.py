import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from keys import secrets
from keys.sealing import derive_key


def test_a_key_has_the_documented_shape() -> None:
    issued = secrets.generate()
    assert re.fullmatch(r"sk-lk-[A-Za-z0-9]{57}", issued.plaintext)
    assert issued.plaintext.startswith(f"sk-lk-{issued.public_id}")
    assert secrets.is_well_formed(issued.plaintext)


def test_keys_never_come_twice() -> None:
    assert len({secrets.generate().plaintext for _ in range(200)}) == 200


@given(position=st.integers(6, 62), letter=st.sampled_from("abcXYZ019"))
def test_one_altered_character_breaks_the_checksum(position: int, letter: str) -> None:
    key = secrets.generate().plaintext
    altered = key[:position] + letter + key[position + 1 :]
    assert secrets.is_well_formed(altered) == (altered == key)


@pytest.mark.parametrize(
    ("key", "accepted"),
    [
        ("sk-0123456789abc", True),
        ("sk-0123456789ab", False),
        ("pk-0123456789abcdef", False),
        ("sk-with space in the middle", False),
        ("sk-with-a-\n-line-break", False),
        ("sk-mit-umlaut-äöü-ist-zu-viel", False),
        ("sk-" + "x" * 509, True),
        ("sk-" + "x" * 510, False),
        ("", False),
    ],
)
def test_custom_keys_start_with_sk_and_are_printable(key: str, accepted: bool) -> None:
    assert secrets.is_well_formed(key) is accepted


def test_neither_repr_nor_mask_tells_the_secret() -> None:
    issued = secrets.generate()
    assert issued.plaintext not in repr(issued)
    assert secrets.masked(issued.plaintext) == f"sk-...{issued.plaintext[-4:]}"


def test_a_seal_binds_token_row_and_sealing_key() -> None:
    key = derive_key("salt", "seal of virtual keys")
    seals = {
        secrets.seal_of("token", 1, key),
        secrets.seal_of("token", 2, key),
        secrets.seal_of("other", 1, key),
        secrets.seal_of("token", 1, derive_key("salt", "another purpose")),
        secrets.seal_of("token", 1, derive_key("other salt", "seal of virtual keys")),
    }
    assert len(seals) == 5
    assert secrets.seal_of("token", 1, key) in seals
