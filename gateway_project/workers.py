"""The gateway's server worker: uvicorn's, without headers that tell what runs here."""

from typing import Any, ClassVar

from httptools import HttpParserUpgrade, HttpRequestParser
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol
from uvicorn_worker import UvicornWorker


class Protocol(HttpToolsProtocol):
    """Reads a request that offers to go on in another protocol than WebSocket as if it offered nothing (RFC 9110, 7.8).

    The parser ends such a request with its headers. Its body would be lost, or read as a request of its own, and Java's
    HttpClient offers HTTP/2 with all that it sends without TLS.
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.parser = _Parser(self)
        # As uvicorn sets it on its own.
        self.parser.set_dangerous_leniencies(lenient_data_after_close=True)

    def declines(self) -> bool:
        return self.parser.should_upgrade() and self._get_upgrade() is not None and not self._should_upgrade()

    def head_without_offer(self) -> bytes:
        version = self.parser.get_http_version().encode()
        lines = [b"%s %s HTTP/%s" % (self.parser.get_method(), self.url, version)]
        lines += [b"%s: %s" % (name, value) for name, value in self.headers if name != b"upgrade"]
        return b"\r\n".join([*lines, b"", b""])

    def on_headers_complete(self) -> None:
        if not self.declines():
            super().on_headers_complete()

    def on_message_complete(self) -> None:
        if not self.declines():
            super().on_message_complete()


class _Parser(HttpRequestParser):
    def __init__(self, protocol: Protocol) -> None:
        super().__init__(protocol)
        self._protocol = protocol

    def feed_data(self, data: Any) -> None:
        try:
            super().feed_data(data)
        except HttpParserUpgrade as offer:
            if not self._protocol.declines():
                raise
            self.feed_data(self._protocol.head_without_offer() + bytes(data[offer.args[0] :]))


class GatewayWorker(UvicornWorker):
    CONFIG_KWARGS: ClassVar[dict[str, Any]] = {
        "loop": "uvloop",
        "http": Protocol,
        "lifespan": "on",
        "server_header": False,
        "access_log": False,
        "timeout_graceful_shutdown": 60,
    }
