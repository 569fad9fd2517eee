"""The seam to providers: one method to send a call, implemented over aiohttp."""

from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import contextmanager
from functools import lru_cache
from types import TracebackType
from typing import Protocol, Self

import aiohttp

from proxy.runtime.catalog import Target


class NotSent(Exception):
    """The request never reached the provider: nothing can have been billed."""


class NoAnswer(Exception):
    """The provider broke off or kept silent past the time limit; `timed_out` tells which."""

    def __init__(self, reason: str, *, timed_out: bool) -> None:
        super().__init__(reason)
        self.timed_out = timed_out


class Answer(Protocol):
    """A provider's answer, headers first. Close it when done."""

    status: int
    headers: Mapping[str, str]

    async def read(self, at_most: int) -> bytes: ...
    def chunks(self) -> AsyncIterator[bytes]: ...
    async def close(self) -> None: ...


class UpstreamClient(Protocol):
    async def send(self, target: Target, path: str, payload: bytes, headers: Mapping[str, str]) -> Answer: ...
    async def __aenter__(self) -> Self: ...
    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None: ...


class AiohttpAnswer:
    def __init__(self, response: aiohttp.ClientResponse) -> None:
        self._response = response
        self.status = response.status
        self.headers: Mapping[str, str] = {name.lower(): value for name, value in response.headers.items()}

    async def read(self, at_most: int) -> bytes:
        """The whole body. Raises NoAnswer if it breaks off or is larger than allowed."""
        # How long a compressed one is says nothing about what it unfolds to.
        if 0 <= (self._response.content_length or -1) <= at_most and "content-encoding" not in self.headers:
            with _told():
                return await self._response.read()
        parts, size = [], 0
        async for chunk in self.chunks():
            size += len(chunk)
            if size > at_most:
                raise NoAnswer("the provider's answer is too large", timed_out=False)
            parts.append(chunk)
        return b"".join(parts)

    async def chunks(self) -> AsyncIterator[bytes]:
        with _told():
            async for chunk in self._response.content.iter_any():
                yield chunk

    async def close(self) -> None:
        self._response.close()


@contextmanager
def _told() -> Iterator[None]:
    try:
        yield
    except TimeoutError as error:
        raise NoAnswer("the provider stopped answering", timed_out=True) from error
    except aiohttp.ClientError as error:
        raise NoAnswer("the provider broke off its answer", timed_out=False) from error


@lru_cache(maxsize=1024)
def _limit(seconds: float) -> aiohttp.ClientTimeout:
    return aiohttp.ClientTimeout(total=None, sock_connect=min(10, seconds), sock_read=seconds)


class AiohttpClient:
    """Follows no redirects: a credential is only ever sent to the host it is bound to."""

    def __init__(self) -> None:
        self._session: aiohttp.ClientSession | None = None

    async def __aenter__(self) -> Self:
        self._session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(limit=0, ttl_dns_cache=30, keepalive_timeout=15),
            cookie_jar=aiohttp.DummyCookieJar(),
            skip_auto_headers=("User-Agent",),
        )
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._session is not None:
            await self._session.close()

    async def send(self, target: Target, path: str, payload: bytes, headers: Mapping[str, str]) -> Answer:
        """Raises NotSent or NoAnswer."""
        assert self._session is not None, "enter the client first"  # noqa: S101
        try:
            response = await self._session.post(
                target.base_url + path,
                data=payload,
                headers=headers,
                timeout=_limit(target.timeout_seconds),
                allow_redirects=False,
            )
        except (aiohttp.ConnectionTimeoutError, aiohttp.ClientConnectorError, ValueError) as error:
            # ValueError: an address or a header that cannot be sent at all.
            raise NotSent(type(error).__name__) from error
        except TimeoutError as error:
            raise NoAnswer("the provider did not answer in time", timed_out=True) from error
        except aiohttp.ClientError as error:
            raise NoAnswer("the provider closed the connection", timed_out=False) from error
        return AiohttpAnswer(response)
