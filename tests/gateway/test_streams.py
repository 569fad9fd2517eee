"""Streams that end before their time: the client goes away, or its key is no longer good."""

import json
import socket
import threading
import time
from pathlib import Path

import httpx
import pytest

from tests.gateway.running import Running, eventually, running
from tests.gateway.upstream import Books, say


def _stream(latchkey: Running, key: str, lines: list[str], **body: object) -> None:
    """Read a slow stream to its end, line by line."""
    url = f"http://127.0.0.1:{latchkey.port}/v1/chat/completions"
    body = {"model": "gpt-books", "stream": True, "max_tokens": 50, "messages": say(pause=0.5), **body}
    headers = {"authorization": f"Bearer {key}"}
    with httpx.stream("POST", url, json=body, headers=headers, timeout=30) as answer:
        lines += [line for line in answer.iter_lines() if line]


def _begin_and_leave(latchkey: Running, key: str, **body: object) -> None:
    url = f"http://127.0.0.1:{latchkey.port}/v1/chat/completions"
    body = {"model": "gpt-books", "stream": True, "max_tokens": 50, "messages": say(pause=0.3), **body}
    with httpx.stream("POST", url, json=body, headers={"authorization": f"Bearer {key}"}, timeout=30) as answer:
        next(answer.iter_lines())


def test_a_stream_whose_client_went_away_is_read_on_and_charged_as_billed(latchkey: Running, books: Books) -> None:
    key = latchkey.new_key()
    _begin_and_leave(latchkey, key)
    ((amount, source),) = latchkey.key_rows(key, "amount_nano, usage_source")
    assert (amount, source) == (books.total_nano, "upstream")


def test_where_hanging_up_stops_the_provider_a_lost_client_ends_the_stream(latchkey: Running, books: Books) -> None:
    key = latchkey.new_key()
    _begin_and_leave(latchkey, key, model="gpt-cancel")
    ((source, tokens),) = latchkey.key_rows(key, "usage_source, output_tokens")
    assert source == "estimated_partial"
    assert 1 <= tokens < 20


@pytest.mark.parametrize(
    ("script", "tokens", "source"),
    [
        ({"early": [0]}, 12, "estimated_partial"),
        ({"early": [1, 2, 3]}, 7, "estimated_partial"),
        ({"early": [1, 2, 3, 4]}, 4, "upstream"),
        ({"early": [9]}, 9, "upstream"),
        ({"early": [3], "break": True}, 3, "estimated_partial"),
    ],
    ids=["of its begin", "of most of it", "in every piece", "of all, early", "of what came before it broke"],
)
def test_a_report_of_a_part_of_a_stream_is_completed_by_what_came_after_it_and_says_so(
    latchkey: Running, books: Books, script: dict[str, object], tokens: int, source: str
) -> None:
    key, lines = latchkey.new_key(), []
    _stream(latchkey, key, lines, messages=say(usage=False, **script))
    assert latchkey.key_rows(key, "output_tokens, usage_source") == [(tokens, source)]


def _begin_and_take_nothing(port: int, key: str) -> socket.socket:
    """A client that stays connected and reads none of an answer that is larger than all buffers on the way."""
    body = {"model": "gpt-books", "stream": True, "max_tokens": 50, "messages": say(flood=8_000_000)}
    sent = json.dumps(body).encode()
    head = f"authorization: Bearer {key}\r\ncontent-length: {len(sent)}\r\n\r\n"
    client = socket.create_connection(("127.0.0.1", port))
    client.sendall(b"POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\n" + head.encode() + sent)
    return client


def test_a_client_that_takes_nothing_loses_its_hold_and_its_slot(provider: Books, books: Books, tmp_path: Path) -> None:
    with running(tmp_path, provider.url, LATCHKEY_CLIENT_STALL_SECONDS="1") as latchkey:
        key = latchkey.new_key(max_parallel_requests=1)
        with _begin_and_take_nothing(latchkey.port, key):
            eventually(lambda: len(books.billed) == 1)
            assert latchkey.chat(key).status_code == 429
            ((source,),) = latchkey.key_rows(key, "usage_source")
            assert source == "estimated_partial"
            assert latchkey.chat(key).status_code == 200


@pytest.mark.parametrize("deed", ["block", "delete", "expire"])
def test_open_streams_of_a_revoked_key_are_cut_within_a_second(latchkey: Running, books: Books, deed: str) -> None:
    key, lines = latchkey.new_key(), []
    reader = threading.Thread(target=_stream, args=(latchkey, key, lines), daemon=True)
    reader.start()
    eventually(lambda: len(books.billed) == 1)
    if deed == "block":
        latchkey.manage("POST", "/key/block", json={"key": key})
    elif deed == "delete":
        latchkey.manage("POST", "/key/delete", json={"keys": [key]})
    else:
        latchkey.manage("POST", "/key/update", json={"key": key, "duration": "1s"})
        time.sleep(1)
    reader.join(1.9)
    assert not reader.is_alive(), "the stream takes over two seconds; it was not cut"
    error = json.loads(lines[-1].removeprefix("data: "))["error"]
    assert error["code"] == "401" and error["message"]
    assert "[DONE]" not in lines[-1]
    ((source,),) = latchkey.key_rows(key, "usage_source")
    assert source == "estimated_partial"
