"""Envelope encryption of what must be read again: provider secrets, answers that hold a key. Pure: no Django, no I/O.

A random data key encrypts the secret with AES-256-GCM; the key-encryption key wraps the data key. Both
are bound to a context text (the row and the host), so an envelope moved to another row does not open.
"""

import base64
import json
import secrets

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from keys.sealing import derive_key


class CannotDecrypt(Exception):
    """The envelope was made under another salt key, for another row, or was altered."""


def key_id(salt_key: str) -> str:
    """Names a salt key without revealing it."""
    return derive_key(salt_key, "key id").hex()[:8]


def seal(plaintext: str, context: str, salt_key: str) -> str:
    """Encrypt for `context`; the result is JSON text."""
    data_key = AESGCM.generate_key(256)
    return json.dumps(
        {
            "kid": key_id(salt_key),
            "key": _encrypt(derive_key(salt_key, "credentials"), data_key, context),
            "text": _encrypt(data_key, plaintext.encode(), context),
        }
    )


def open_envelope(envelope: str, context: str, salt_keys: list[str]) -> str:
    """Decrypt with whichever of the live salt keys made the envelope. Raises CannotDecrypt."""
    try:
        parts = json.loads(envelope)
        salt_key = {key_id(key): key for key in salt_keys}[parts["kid"]]
        data_key = _decrypt(derive_key(salt_key, "credentials"), parts["key"], context)
        return _decrypt(data_key, parts["text"], context).decode()
    except (InvalidTag, ValueError, KeyError) as error:
        raise CannotDecrypt(
            "the credential cannot be decrypted: LATCHKEY_SALT_KEY is not the one it was stored with"
        ) from error


def _encrypt(key: bytes, plaintext: bytes, context: str) -> str:
    nonce = secrets.token_bytes(12)
    return base64.b64encode(nonce + AESGCM(key).encrypt(nonce, plaintext, context.encode())).decode()


def _decrypt(key: bytes, text: str, context: str) -> bytes:
    raw = base64.b64decode(text)
    return AESGCM(key).decrypt(raw[:12], raw[12:], context.encode())
