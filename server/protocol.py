"""HTTP/1.1 over one connection, with the limits the server library lacks: header size and idle waits."""

from __future__ import annotations

import asyncio
from typing import Any

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

MAX_HEADER_BYTES = 64 << 10
MAX_HEADERS = 200
HEADER_TIMEOUT_S = 30.0
"""From the first byte (or the connection) to the end of the request's headers."""
LINGER_S = 15.0
"""How long a body nobody wants any more is read, so that its sender sees the answer."""

TOO_LARGE = (
    b"HTTP/1.1 431 Request Header Fields Too Large\r\ncontent-type: text/plain; charset=utf-8\r\n"
    b"content-length: 38\r\nconnection: close\r\n\r\nThe request's headers are too large.\r\n"
)


class GuardedProtocol(HttpToolsProtocol):
    """The server library's protocol with limits on what comes before a handler is reached."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.access_log = False  # its lines name paths and queries, whatever the configuration says
        self._header_bytes = 0
        self._header_count = 0
        self._refused = False
        self._deadline: asyncio.TimerHandle | None = None

    def connection_made(self, transport: Any) -> None:
        """Start the clock for the first request."""
        super().connection_made(transport)
        self._await(HEADER_TIMEOUT_S)

    def connection_lost(self, exc: Exception | None) -> None:
        """Stop the clock."""
        self._cancel()
        super().connection_lost(exc)

    def eof_received(self) -> bool | None:  # type: ignore[override]  # the library says None, asyncio takes both
        """A client that has said all may still listen for the answer; one that stopped half-way has gone."""
        if self.cycle is None or self.cycle.more_body or self.cycle.response_complete:
            return None
        self.cycle.keep_alive = False
        return True

    def data_received(self, data: bytes) -> None:
        """Feed the parser unless the connection was refused."""
        if not self._refused:
            super().data_received(data)

    def on_message_begin(self) -> None:
        """A request starts."""
        self._header_bytes = self._header_count = 0
        self._await(HEADER_TIMEOUT_S)
        super().on_message_begin()

    def on_url(self, url: bytes) -> None:
        """Part of the request line."""
        if self._count(len(url)):
            super().on_url(url)

    def on_header(self, name: bytes, value: bytes) -> None:
        """One header."""
        self._header_count += 1
        if self._count(len(name) + len(value)):
            super().on_header(name, value)

    def on_headers_complete(self) -> None:
        """The handler takes over, with clocks of its own."""
        self._cancel()
        if not self._refused:
            super().on_headers_complete()

    def on_body(self, body: bytes) -> None:
        """Part of the body; what comes after the answer is read for a while only."""
        if self._refused:
            return
        if self.cycle.response_complete and self._deadline is None:
            self._await(LINGER_S)
        super().on_body(body)

    def on_message_complete(self) -> None:
        """The body's end."""
        if not self._refused:
            self._cancel()
            super().on_message_complete()

    def _count(self, size: int) -> bool:
        self._header_bytes += size
        if self._refused or (self._header_bytes <= MAX_HEADER_BYTES and self._header_count <= MAX_HEADERS):
            return not self._refused
        self._refused = True
        self.transport.write(TOO_LARGE)
        self.transport.close()
        return False

    def _await(self, seconds: float) -> None:
        self._cancel()
        self._deadline = self.loop.call_later(seconds, self.transport.close)

    def _cancel(self) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None
