import json

import pytest

from keys import vault

SALT, OLD_SALT = "salt-key-of-today-1234", "salt-key-of-yesterday"
CONTEXT = "proxy.credential|1|api.openai.com"
SECRET = "sk-provider-secret"


def test_an_envelope_opens_again_and_shows_nothing() -> None:
    envelope = vault.seal(SECRET, CONTEXT, SALT)
    assert vault.open_envelope(envelope, CONTEXT, [SALT]) == SECRET
    assert SECRET not in envelope
    assert SALT not in envelope


def test_two_envelopes_of_one_secret_differ() -> None:
    assert vault.seal(SECRET, CONTEXT, SALT) != vault.seal(SECRET, CONTEXT, SALT)


@pytest.mark.parametrize("context", ["proxy.credential|2|api.openai.com", "proxy.credential|1|evil.example"])
def test_an_envelope_moved_to_another_row_or_host_does_not_open(context: str) -> None:
    with pytest.raises(vault.CannotDecrypt, match="LATCHKEY_SALT_KEY"):
        vault.open_envelope(vault.seal(SECRET, CONTEXT, SALT), context, [SALT])


def test_every_live_salt_key_opens_its_own_envelopes() -> None:
    envelopes = [vault.seal(SECRET, CONTEXT, salt) for salt in (SALT, OLD_SALT)]
    assert [vault.open_envelope(e, CONTEXT, [SALT, OLD_SALT]) for e in envelopes] == [SECRET] * 2
    with pytest.raises(vault.CannotDecrypt):
        vault.open_envelope(envelopes[1], CONTEXT, [SALT])


@pytest.mark.parametrize("field", ["key", "text"])
def test_an_altered_envelope_does_not_open(field: str) -> None:
    parts = json.loads(vault.seal(SECRET, CONTEXT, SALT))
    parts[field] = parts[field][:-8] + ("A" * 8 if not parts[field].endswith("A" * 8) else "B" * 8)
    with pytest.raises(vault.CannotDecrypt):
        vault.open_envelope(json.dumps(parts), CONTEXT, [SALT])


@pytest.mark.parametrize("envelope", ["", "{}", "not json"])
def test_what_is_no_envelope_is_refused_without_showing_it(envelope: str) -> None:
    with pytest.raises(vault.CannotDecrypt) as refusal:
        vault.open_envelope(envelope, CONTEXT, [SALT])
    assert SALT not in str(refusal.value)
