"""Server-sent events come out whole, however the network cuts the bytes."""

import json
from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from proxy.runtime.usage import EventSplitter, texts_of

lines = st.text(st.sampled_from('aü🦊 :\r\\"'), max_size=12).map(lambda text: b"data: " + text.rstrip("\r").encode())
events = st.tuples(lines, st.sampled_from([b"\n\n", b"\r\n\r\n"])).map(b"".join)


@given(st.lists(events, max_size=6), lines, st.lists(st.integers(0, 200), max_size=12))
def test_events_and_rest_are_the_same_wherever_the_stream_is_cut(
    sent: list[bytes], rest: bytes, cuts: list[int]
) -> None:
    stream, splitter, got = b"".join(sent) + rest, EventSplitter(), []
    places = [0, *sorted(cuts), len(stream)]
    for start, end in pairwise(places):
        got += splitter.feed(stream[start:end])
    assert (got, splitter.rest()) == (sent, rest)
    assert splitter.waiting_bytes == 0


@given(st.text(min_size=1), st.booleans())
def test_a_text_is_found_whole_whatever_is_written_in_it(text: str, escaped: bool) -> None:
    raw = json.dumps({"delta": {"content": text, "role": "assistant"}}, ensure_ascii=escaped).encode()
    assert [json.loads(b'"' + found + b'"') for found in texts_of(raw)] == [text]


def test_a_text_without_an_end_is_none() -> None:
    assert texts_of(b'{"content": "' + b"a\\n" * 100_000) == []
