"""Whose key a request carries. Shape and checksum are judged before any I/O. Pure.

The order of headers is the one clients of LiteLLM know (management contract, 1.1).
"""

import base64
import binascii
import hmac
from collections.abc import Mapping

from keys import secrets
from proxy.runtime import errors

_PLAIN = ("api-key", "x-api-key", "x-goog-api-key", "ocp-apim-subscription-key")


def presented_key(headers: Mapping[str, str]) -> str:
    """The key as sent; empty if there is none."""
    if headers.get("x-litellm-api-key"):
        return _unwrapped(headers["x-litellm-api-key"]) or headers["x-litellm-api-key"].strip()
    if headers.get("authorization"):
        return _unwrapped(headers["authorization"])
    return next((headers[name].strip() for name in _PLAIN if headers.get(name)), "")


def identify(headers: Mapping[str, str], master_token: str) -> str:
    """The token (SHA-256) of the presented key. Raises 401 for a missing or malformed one."""
    key = presented_key(headers)
    if not key:
        raise errors.unauthorized("No api key passed in: send it as 'Authorization: Bearer sk-...'")
    if len(key) > secrets.MAXIMUM_LENGTH or not key.isascii():
        raise _malformed()
    token = secrets.token_of(key)
    if hmac.compare_digest(token, master_token) or secrets.is_well_formed(key):
        return token
    raise _malformed()


def unknown_key() -> errors.GatewayError:
    return errors.unauthorized(
        "Invalid api key: this key is not known here. Create one in the portal, or ask your platform admin.",
        "token_not_found_in_db",
        "key",
    )


def _malformed() -> errors.GatewayError:
    return errors.unauthorized(
        "Invalid api key: malformed. LiteLLM Virtual Key expected: a key is expected to start with 'sk-' "
        "and to be complete. Check that it was copied whole.",
        "token_not_found_in_db",
        "key",
    )


def _unwrapped(value: str) -> str:
    scheme, _, rest = value.strip().partition(" ")
    if scheme.lower() == "bearer":
        return rest.strip()
    if scheme.lower() == "basic":
        return _from_basic(rest.strip())
    if "Credential=Bearer " in value:
        return value.partition("Credential=Bearer ")[2].partition("/")[0].strip()
    return ""


def _from_basic(text: str) -> str:
    """`Basic <key>` as LiteLLM takes it, or base64 `user:key`."""
    if text.startswith("sk-"):
        return text
    try:
        user, _, password = base64.b64decode(text, validate=True).decode().partition(":")
    except (binascii.Error, UnicodeDecodeError):
        return text
    return password or user
