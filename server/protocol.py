"""HTTP/1.1 over one connection, with the limits the server library lacks: header size and idle waits."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, cast

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

if TYPE_CHECKING:
    from uvicorn._types import ASGIReceiveCallable, ASGIReceiveEvent

MAX_HEADER_BYTES = 64 << 10
MAX_HEADERS = 200
HEADER_TIMEOUT_S = 30.0
"""From the first byte (or the connection) to the end of the request's headers."""
GATHER_BYTES = 1 << 20
"""A body is handed over in pieces of this size, or as a whole: most images are smaller."""
GATHER_S = 0.5
"""What has arrived of a body is handed over after this time, so that a slow sender can be noticed."""
LINGER_S = 15.0
"""How long a body nobody wants any more is read, so that its sender sees the answer."""

FAREWELL_S = 1.0
"""How long a peer is waited for that should end a TLS connection it does not use; asyncio's is 30 s."""

COPIED_BYTES = 16 << 10
"""Up to this size head and body are joined before they are sent."""

HEAD = b"HTTP/1.1 "
GO_ON = b"HTTP/1.1 100 "
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
        self._heading = False
        self._refused = False
        self._deadline: asyncio.TimerHandle | None = None
        self._parts: list[bytes] = []
        self._gathered = 0
        self._patience: asyncio.TimerHandle | None = None
        self._last: _LastWords | None = None

    def connection_made(self, transport: Any) -> None:
        """Start the clock for the first request."""
        super().connection_made(transport)
        self._await(HEADER_TIMEOUT_S)

    def connection_lost(self, exc: Exception | None) -> None:
        """Stop the clocks; what had arrived of a body can still be read, and only then is the client gone."""
        self._cancel()
        if self.cycle is not None and not self.cycle.response_complete and self._last is not None:
            self._last.body = b"".join((self.cycle.body, *self._parts))
        self._forget_body()
        super().connection_lost(exc)

    def eof_received(self) -> bool | None:  # type: ignore[override]  # the library says None, asyncio takes both
        """A client that has said all may still listen for the answer; one that stopped half-way has gone."""
        if self.cycle is None or self.cycle.more_body or self.cycle.response_complete:
            return None
        self.cycle.keep_alive = False
        return True

    def data_received(self, data: bytes) -> None:
        """Feed the parser unless the connection was refused; headers that are not complete have a clock."""
        if self._refused:
            return
        heading = self._heading
        super().data_received(data)
        if self._heading and (not heading or self._deadline is None):
            self._await(HEADER_TIMEOUT_S)

    def shutdown(self) -> None:
        """The node stops: what is being answered is finished; an idle peer may owe TLS its farewell."""
        idle = self.cycle is None or self.cycle.response_complete
        super().shutdown()
        if idle:
            self.loop.call_later(FAREWELL_S, self.transport.abort)

    def on_message_begin(self) -> None:
        """A request starts."""
        self._header_bytes = self._header_count = 0
        self._heading = True
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
        self._heading = False
        self._cancel()
        if not self._refused:
            before = self.cycle
            super().on_headers_complete()
            if self.cycle is before:
                return  # a WebSocket: another protocol takes the connection over
            if self.parser.get_method() != b"HEAD":
                self.cycle.transport = cast(asyncio.Transport, _InOnePiece(self.transport))
            self._last = _LastWords(self.cycle.receive)
            self.cycle.receive = self._last.receive  # type: ignore[method-assign]  # the library has no hook

    def on_body(self, body: bytes) -> None:
        """Part of the body; what comes after the answer is read for a while only."""
        if self._refused:
            return
        if self.cycle.response_complete and self._deadline is None:
            self._await(LINGER_S)
            self._forget_body()
        if self.cycle.response_complete:
            return
        self._parts.append(body)
        self._gathered += len(body)
        if self._gathered >= GATHER_BYTES:
            self.flow.pause_reading()  # until the handler asks for more
            self._hand_over()
        elif self._patience is None:
            self._patience = self.loop.call_later(GATHER_S, self._hand_over)

    def on_message_complete(self) -> None:
        """The body's end."""
        if not self._refused:
            self._cancel()
            self._hand_over()
            super().on_message_complete()

    def _hand_over(self) -> None:
        """Let the handler have what arrived of the body."""
        parts = self._parts
        if parts and not self.cycle.response_complete:
            if self.cycle.body:
                parts = [bytes(self.cycle.body), *parts]
            # bytes, as they are: the library copies what it gathers itself
            self.cycle.body = parts[0] if len(parts) == 1 else b"".join(parts)  # type: ignore[assignment]
            self.cycle.message_event.set()
        self._forget_body()

    def _forget_body(self) -> None:
        self._parts = []
        self._gathered = 0
        if self._patience is not None:
            self._patience.cancel()
            self._patience = None

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


class _LastWords:
    """A cycle's `receive` that gives what arrived before the client vanished before it says so."""

    __slots__ = ("_receive", "body")

    def __init__(self, receive: ASGIReceiveCallable) -> None:
        self._receive = receive
        self.body = b""

    async def receive(self) -> ASGIReceiveEvent:
        """ASGI receive."""
        message = await self._receive()
        if self.body and message["type"] == "http.disconnect":
            body, self.body = self.body, b""
            return {"type": "http.request", "body": body, "more_body": True}
        return message


class _InOnePiece:
    """A transport that sends the head of an answer together with the first piece of its body."""

    __slots__ = ("_head", "_transport")

    def __init__(self, transport: Any) -> None:
        self._transport = transport
        self._head = b""

    def write(self, data: bytes) -> None:
        """Send, or keep for a moment if it is a head."""
        if self._head:
            head, self._head = self._head, b""
            if len(data) < COPIED_BYTES:
                self._transport.write(head + data)
            else:  # large pieces are not copied
                self._transport.writelines((head, data))
        elif data.startswith(HEAD) and not data.startswith(GO_ON):
            self._head = data
        else:
            self._transport.write(data)

    def close(self) -> None:
        """Send what is kept, and close."""
        if self._head:
            self._transport.write(self._head)
            self._head = b""
        self._transport.close()

    def is_closing(self) -> bool:
        """As the transport says."""
        return bool(self._transport.is_closing())
