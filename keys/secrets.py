"""Key material: making, recognising and sealing virtual keys. Pure: no Django, no I/O.

`sk-lk-` + 8-character public id + 43-character secret + 6-character checksum. The checksum lets garbage
be refused without a look-up and lets secret scanners find leaked keys.
"""

import hashlib
import hmac
import re
import secrets
import string
import zlib
from dataclasses import dataclass

PREFIX = "sk-lk-"
_ALPHABET = string.ascii_letters + string.digits
_ID, _SECRET, _CHECK = 8, 43, 6
_LENGTH = len(PREFIX) + _ID + _SECRET + _CHECK
MINIMUM_CUSTOM_LENGTH = 16
MAXIMUM_LENGTH = 512
#: What looks like a key, ours or a provider's, wherever it stands.
_KEYS = re.compile(r"\bsk-[^\s/\\\"'<>&,;:(){}\[\]]{8,}")


@dataclass(frozen=True, slots=True)
class Issued:
    """A fresh key. `plaintext` is shown once and kept nowhere."""

    plaintext: str
    public_id: str

    def __repr__(self) -> str:
        return f"Issued(public_id={self.public_id!r})"


def generate() -> Issued:
    public_id = "".join(secrets.choice(_ALPHABET) for _ in range(_ID))
    body = public_id + "".join(secrets.choice(_ALPHABET) for _ in range(_SECRET))
    return Issued(PREFIX + body + _checksum(body), public_id)


def is_well_formed(key: str) -> bool:
    """Whether a presented key may exist at all: our own shape and checksum, or a custom `sk-` key."""
    if not key.startswith("sk-") or not MINIMUM_CUSTOM_LENGTH <= len(key) <= MAXIMUM_LENGTH:
        return False
    if not key.isascii() or not key.isprintable() or " " in key:
        return False
    if key.startswith(PREFIX) and len(key) == _LENGTH:
        body = key[len(PREFIX) : -_CHECK]
        return hmac.compare_digest(_checksum(body), key[-_CHECK:])
    return True


def token_of(key: str) -> str:
    """SHA-256 hex of the whole key: the id under which clients of the management API know it."""
    return hashlib.sha256(key.encode()).hexdigest()


def can_be_hidden(key: str) -> bool:
    """Whether logs and errors would show no more of it than lists do."""
    return hidden(key) == masked(key)


def masked(key: str) -> str:
    return f"sk-...{key[-4:]}"


def hidden(text: str) -> str:
    """A text for logs and errors: every key in it as lists show it."""
    return _KEYS.sub(lambda found: masked(found.group()), text) if "sk-" in text else text


def shown_path(path: str) -> str:
    """A request's path for an error: not all of it, and no key."""
    return hidden(path[:200])


def seal_of(token: str, row_id: int, sealing_key: bytes) -> str:
    """Binds a token to its row; a row planted or altered in the database does not authenticate."""
    return hmac.digest(sealing_key, f"{token}|{row_id}".encode(), "sha256").hex()


def _checksum(body: str) -> str:
    """CRC-32 in six base-62 characters."""
    number, digits = zlib.crc32(body.encode()), ""
    for _ in range(_CHECK):
        number, rest = divmod(number, len(_ALPHABET))
        digits = _ALPHABET[rest] + digits
    return digits
