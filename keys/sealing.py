"""Deriving purpose-bound keys from one configured secret. Pure: no Django, no I/O."""

from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF


def derive_key(secret: str, purpose: str) -> bytes:
    """32 bytes for one purpose (HKDF-SHA-256); other purposes' keys tell nothing about it."""
    return HKDF(algorithm=SHA256(), length=32, salt=b"latchkey", info=purpose.encode()).derive(secret.encode())
