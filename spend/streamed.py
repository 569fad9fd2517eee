"""Answers that are sent while they are made, so that none of them is ever whole in memory."""

from collections.abc import AsyncIterator, Iterator

from asgiref.sync import sync_to_async
from django.db import connections
from django.http import StreamingHttpResponse


class Streamed(StreamingHttpResponse):
    """Parts of an answer, each of which may ask the database. The next is made when the client has taken the last.

    Django by itself would make all of them before it sends the first. Between parts nobody holds a connection: there
    are few, and a client may be slow.
    """

    def __init__(self, parts: Iterator[bytes], *, content_type: str) -> None:
        super().__init__(_letting_go(parts), content_type=content_type)

    async def __aiter__(self) -> AsyncIterator[bytes]:
        parts = iter(self)

        def following() -> bytes | None:
            return next(parts, None)

        while (part := await sync_to_async(following)()) is not None:
            yield part


def _letting_go(parts: Iterator[bytes]) -> Iterator[bytes]:
    for part in parts:
        for connection in connections.all(initialized_only=True):
            # Within a transaction it is somebody else's, who goes on with it.
            if not connection.in_atomic_block:
                connection.close_if_unusable_or_obsolete()
        yield part
