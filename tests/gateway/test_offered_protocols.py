"""Requests that offer to go on in another protocol, as Java's HttpClient does with HTTP/2 wherever there is no TLS."""

import json
import socket
import time

import pytest

from tests.gateway.running import Running
from tests.gateway.upstream import Books

OFFER = "Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABkAAQCAAAAAAIAAAAA\r\n"


def _request(key: str, text: str, more: str = OFFER) -> tuple[bytes, bytes]:
    body = json.dumps(
        {"model": "gpt-books", "max_tokens": 20, "messages": [{"role": "user", "content": text}]}
    ).encode()
    head = "POST /v1/chat/completions HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
    head += f"Authorization: Bearer {key}\r\nContent-Length: {len(body)}\r\n{more}\r\n"
    return head.encode(), body


def _statuses(connection: socket.socket, count: int) -> list[bytes]:
    received = b""
    while received.count(b"chat.completion") < count and (piece := connection.recv(65536)):
        received += piece
    return [part.split(b" ", 1)[0] for part in received.split(b"HTTP/1.1 ")[1:]]


@pytest.mark.parametrize("apart", [False, True])
def test_a_call_that_offers_http_2_is_read_with_its_body(latchkey: Running, books: Books, apart: bool) -> None:
    head, body = _request(latchkey.new_key(), "hi")
    with socket.create_connection(("127.0.0.1", latchkey.port), timeout=10) as connection:
        for piece in (head[:40], head[40:], body) if apart else (head + body,):
            connection.sendall(piece)
            # So that each is read by itself.
            time.sleep(0.1)
        assert _statuses(connection, 1) == [b"200"]
    assert books.bodies[0]["messages"][0]["content"] == "hi"


def test_calls_after_one_that_offered_http_2_are_answered_on_its_connection(latchkey: Running, books: Books) -> None:
    key = latchkey.new_key()
    requests = [_request(key, "first"), _request(key, "second", ""), _request(key, "third")]
    with socket.create_connection(("127.0.0.1", latchkey.port), timeout=10) as connection:
        connection.sendall(b"".join(head + body for head, body in requests))
        assert _statuses(connection, 3) == [b"200"] * 3
    assert [body["messages"][0]["content"] for body in books.bodies] == ["first", "second", "third"]


def test_the_body_of_a_declined_offer_is_no_request_of_its_own(latchkey: Running, books: Books) -> None:
    hidden = b"".join(_request(latchkey.new_key(), "hidden", ""))
    head = f"POST /v1/chat/completions HTTP/1.1\r\nHost: localhost\r\nContent-Length: {len(hidden)}\r\n{OFFER}\r\n"
    with socket.create_connection(("127.0.0.1", latchkey.port), timeout=10) as connection:
        connection.sendall(head.encode())
        time.sleep(0.1)
        connection.sendall(hidden)
        assert connection.recv(65536).startswith(b"HTTP/1.1 401")
        connection.shutdown(socket.SHUT_WR)
        assert b"HTTP/1.1 200" not in b"".join(iter(lambda: connection.recv(65536), b""))
    assert not books.bodies
