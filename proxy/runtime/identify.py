"""Whose key a request carries. Shape and checksum are judged before any I/O. Pure.

The order of headers is the one clients of LiteLLM know (management contract, 1.1). Both doors use it.
"""

import base64
import binascii
import hmac
import re
from collections.abc import Container, Iterable, Mapping

from keys import secrets
from proxy.runtime import errors

_PLAIN = ("api-key", "x-api-key", "x-goog-api-key", "ocp-apim-subscription-key")
#: Of these a request has one: whoever stands in between may have looked at another one than we would choose.
KEY_HEADERS = frozenset({"authorization", "x-litellm-api-key", *_PLAIN})
#: Where a second value begins that was joined to the first; no key and no signature has that inside.
_SECOND = re.compile(r",\s*(?:bearer|basic)\s", re.IGNORECASE)
_SUBPROTOCOL = "openai-insecure-api-key."


def presented_key(headers: Mapping[str, str], own_header: str = "") -> str:
    """The key as sent; empty if there is none. `own_header`, where it is present, replaces every other.

    Raises 401 for an `Authorization` of two.
    """
    if own_header and own_header in headers:
        return _own(headers[own_header], own_header)
    if headers.get("x-litellm-api-key"):
        return _unwrapped(headers["x-litellm-api-key"]) or headers["x-litellm-api-key"].strip()
    if headers.get("authorization"):
        if _SECOND.search(headers["authorization"]):
            raise errors.unauthorized(
                "Authentication Error, the request has two Authorization headers, or one with two keys: send one"
            )
        return _unwrapped(headers["authorization"])
    return next((headers[name].strip() for name in _PLAIN if headers.get(name)), "")


def identify(headers: Mapping[str, str], master_token: str, own_header: str = "", known: Container[str] = ()) -> str:
    """The token (SHA-256) of the presented key. Raises 401 for a missing or malformed one that is not `known`."""
    key = presented_key(headers, own_header)
    if not key:
        raise errors.unauthorized(
            "Authentication Error, No api key passed in: send it as 'Authorization: Bearer sk-...'"
        )
    if len(key) > secrets.MAXIMUM_LENGTH or not key.isascii():
        raise _malformed()
    # Digests are compared, and always: neither the length nor the first letters of the master key show in the time.
    token = secrets.token_of(key)
    if hmac.compare_digest(token, master_token) or token in known or secrets.is_well_formed(key):
        return token
    raise unknown_key() if key.startswith("sk-") else _malformed()


def with_subprotocol_key(headers: Mapping[str, str], subprotocols: Iterable[str]) -> dict[str, str]:
    """Headers of a WebSocket handshake: browsers, which can set none, send the key as a sub-protocol."""
    named = [name.removeprefix(_SUBPROTOCOL) for name in subprotocols if name.startswith(_SUBPROTOCOL)]
    given = dict(headers)
    if named:
        given.setdefault("ocp-apim-subscription-key", named[0])
    return given


def unknown_key() -> errors.GatewayError:
    return errors.unauthorized(
        "Authentication Error, Invalid proxy server token passed: this key is not known here. Check that it was "
        "copied whole, or ask your platform admin for one.",
        "token_not_found_in_db",
        "key",
    )


def _malformed() -> errors.GatewayError:
    return errors.unauthorized(
        "Authentication Error, LiteLLM Virtual Key expected. What was sent is no key: a key is expected to start "
        "with 'sk-'.",
        "auth_error",
        "key",
    )


def _own(value: str, name: str) -> str:
    scheme, _, rest = value.strip().partition(" ")
    if scheme.lower() != "bearer" or not rest.strip():
        raise errors.unauthorized(f"Authentication Error, the header {name} must have the form 'Bearer sk-...'")
    return rest.strip()


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


def unknown_customer(name: str) -> errors.GatewayError:
    return errors.invalid(f"End user '{name[:100]}' does not exist in the database; make it with /customer/new", "user")
