"""Sending large bodies by POST: the hot path of an upload, over http.client.

`core.net.http` rests on httpx, which spends four times the processor time of http.client on a request body
(1,100 against 4,500 MB/s into a sink over four connections, see docs/adr). All else goes through httpx.
"""

from __future__ import annotations

import http.client
import select
import socket
import ssl
import threading
from collections.abc import Callable, Iterator, Mapping
from typing import Protocol

from core.errors import KnownError, SourceFault, TookTooLong
from core.net.address import Address
from core.net.answers import Answer
from core.net.http import Timeouts, cut, is_cut, too_slow, unreachable, untrusted

PIECE = 1024 * 1024
"""Most files go in one piece: each read, hash and send gives the interpreter lock away once, not thrice."""
SMALL_PIECE = 4096
HUNG_UP = (http.client.RemoteDisconnected, ConnectionResetError, BrokenPipeError)
LARGEST_ANSWER = 4 * 1024 * 1024
Connection = http.client.HTTPConnection


class Body(Protocol):
    """What a body is read from; an error of its own must not be an OSError, those are the network's."""

    def read(self, size: int, /) -> bytes: ...
    def tell(self) -> int: ...
    def seek(self, offset: int, /) -> int: ...


Pieces = Callable[[], Iterator[bytes]]
"""A body piece by piece, from its beginning each time it is called."""


class Poster:
    """POSTs bodies to one peer from any number of threads, a kept connection for each at work."""

    def __init__(self, address: Address, timeouts: Timeouts | None = None) -> None:
        self._address = address
        self._times = timeouts or Timeouts()
        self._idle: list[http.client.HTTPConnection] = []
        self._busy: set[http.client.HTTPConnection] = set()
        self._lock = threading.Lock()
        self._closed = False

    def post(self, path: str, body: Body, size: int, headers: Mapping[str, str]) -> Answer:
        """Send *size* bytes of *body*; the answer may come early, before all was sent. Raises Unreachable."""
        start = body.tell()

        def pieces() -> Iterator[bytes]:
            if body.tell() != start:
                body.seek(start)
            return _pieces(body, size)

        return self._post(path, pieces, {"Content-Length": str(size), **headers})

    def post_pieces(
        self, path: str, pieces: Pieces, headers: Mapping[str, str], *, answer_s: float | None = None
    ) -> Answer:
        """The same for a body whose size is not known beforehand: it goes in chunks (RFC 9112 7.1).

        *answer_s* is more, or less, patience with the answer than usual.
        """

        headers = {"Transfer-Encoding": "chunked", **headers}
        return self._post(path, lambda: _chunked(pieces()), headers, answer_s)

    def _post(
        self, path: str, pieces: Pieces, headers: Mapping[str, str], answer_s: float | None = None
    ) -> Answer:
        answer_s = self._times.answer_s if answer_s is None else answer_s
        try:
            connection, kept = self._take()
            try:
                return self._send_over(connection, path, pieces(), headers, answer_s=answer_s)
            except HUNG_UP:
                if not kept:
                    raise
            # a kept connection that was just being closed says nothing of the peer
            connection = self._admit(self._connect())
            return self._send_over(connection, path, pieces(), headers, answer_s=answer_s)
        except TimeoutError as error:
            raise TookTooLong(*too_slow(self._address.peer)) from error
        except ssl.SSLError as error:
            if is_cut(error):
                raise unreachable(self._address.peer) from error
            raise untrusted(error, self._address.peer) from error
        except (OSError, http.client.HTTPException) as error:
            raise unreachable(self._address.peer, error) from error

    def close(self) -> None:
        """Close the kept connections and cut those at work, whose senders hear Unreachable."""
        with self._lock:
            self._closed = True
            idle, self._idle = self._idle, []
            for connection in self._busy:
                cut(connection.sock)
        for connection in idle:
            connection.close()

    def _send_over(
        self,
        connection: http.client.HTTPConnection,
        path: str,
        pieces: Iterator[bytes],
        headers: Mapping[str, str],
        *,
        answer_s: float,
    ) -> Answer:
        reusable = False
        try:
            answer, reusable = self._exchange(connection, path, pieces, headers, answer_s=answer_s)
            return answer
        finally:
            self._give_back(connection, reusable=reusable)

    def _exchange(
        self,
        connection: http.client.HTTPConnection,
        path: str,
        pieces: Iterator[bytes],
        headers: Mapping[str, str],
        *,
        answer_s: float,
    ) -> tuple[Answer, bool]:
        connection.putrequest("POST", self._address.prefix + path, skip_accept_encoding=True)
        for name, value in headers.items():
            connection.putheader(name, value)
        complete = self._send(connection, pieces)
        if connection.sock is not None:
            connection.sock.settimeout(answer_s)
        response = connection.getresponse()
        content = response.read(LARGEST_ANSWER + 1)
        if len(content) > LARGEST_ANSWER:
            raise KnownError(f"{self._address.peer} sent an answer larger than can be taken.")
        reusable = complete and not response.will_close and response.isclosed()
        answer_headers = {
            name.lower(): ", ".join(response.headers.get_all(name, ())) for name in response.headers
        }
        response.close()
        return Answer(response.status, answer_headers, content), reusable

    def _send(self, connection: Connection, pieces: Iterator[bytes]) -> bool:
        """Send headers and body; False if the peer answered or hung up before it had everything."""
        first = next(pieces, None)
        try:
            connection.endheaders(first)
            for piece in pieces:
                if _has_answered(connection.sock):
                    return False
                connection.send(piece)
        except (BrokenPipeError, ConnectionResetError):
            return False  # it may have said why before it hung up
        return True

    def _take(self) -> tuple[http.client.HTTPConnection, bool]:
        """A connection, and whether it was kept from an earlier exchange."""
        while True:
            with self._lock:
                connection = self._idle.pop() if self._idle else None
            if connection is None:
                return self._admit(self._connect()), False
            if connection.sock is not None and not _readable(connection.sock):
                return self._admit(connection), True
            connection.close()  # the peer closed it while it lay idle

    def _admit(self, connection: http.client.HTTPConnection) -> http.client.HTTPConnection:
        if connection.sock is not None:
            connection.sock.settimeout(self._times.idle_s)
        with self._lock:
            if not self._closed:
                self._busy.add(connection)
                return connection
        connection.close()
        raise ConnectionAbortedError("closed by us")

    def _connect(self) -> http.client.HTTPConnection:
        address = self._address
        connection: http.client.HTTPConnection
        if address.scheme == "https":
            connection = http.client.HTTPSConnection(
                address.host, address.port, timeout=self._times.connect_s, context=address.tls.context()
            )
        else:
            connection = http.client.HTTPConnection(address.host, address.port, timeout=self._times.connect_s)
        try:
            connection.connect()
        except OSError:
            connection.close()
            raise
        return connection

    def _give_back(self, connection: http.client.HTTPConnection, *, reusable: bool) -> None:
        with self._lock:
            self._busy.discard(connection)
            if reusable and not self._closed:
                self._idle.append(connection)
                return
        connection.close()


def _pieces(body: Body, left: int) -> Iterator[bytes]:
    while left:
        piece = body.read(min(PIECE, left))
        if not piece:
            raise SourceFault(
                "The file ended before its stated size.", "Read the source again.", lasting=True
            )
        left -= len(piece)
        yield piece


def _chunked(pieces: Iterator[bytes]) -> Iterator[bytes]:
    """Framed; small pieces are joined, a large one is not copied."""
    waiting = b""
    for piece in pieces:
        waiting += b"%x\r\n" % len(piece)
        if len(piece) <= SMALL_PIECE:
            waiting += piece + b"\r\n"
        else:
            yield waiting
            yield piece
            waiting = b"\r\n"
    yield waiting + b"0\r\n\r\n"


def _has_answered(sock: socket.socket | None) -> bool:
    """Whether an answer waits; not asked of TLS, where a session ticket looks the same."""
    return sock is not None and not isinstance(sock, ssl.SSLSocket) and _readable(sock)


def _readable(sock: socket.socket) -> bool:
    if hasattr(select, "poll"):
        poll = select.poll()
        poll.register(sock, select.POLLIN)
        return bool(poll.poll(0))
    return bool(select.select([sock], [], [], 0)[0])
