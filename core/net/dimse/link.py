"""One TCP connection and the PDUs on it (PS3.8 9.3): read within limits of size and time.

Senders as DCMTK builds them wait for the acknowledgement of every small segment (Nagle), which a receiver
delays by 40 ms and more. So each read asks the system to acknowledge at once (TCP_QUICKACK, where there is
such a thing): that alone is worth more than all else this gateway does for speed.
"""

from __future__ import annotations

import contextlib
import select
import socket
import ssl
import struct
import time
from collections.abc import Sequence
from dataclasses import dataclass

from core.net.dimse.faults import AbortReason, LinkLost, Violation

ASSOCIATE_RQ, ASSOCIATE_AC, ASSOCIATE_RJ, P_DATA, RELEASE_RQ, RELEASE_RP, ABORT = range(1, 8)

HEAD_BYTES = 6
MOST_ASSOCIATE_BYTES = 256 << 10
"""128 presentation contexts with all the transfer syntaxes there are need less."""
FIXED_BYTES = 4
"""Length of the PDUs that carry nothing."""
LEAST_ROOM = 64 << 10
TICK_S = 5.0
SLOWEST = 1024
"""Bytes a second: a peer that lets a PDU drip in slower than this does not hold a thread for ever."""
MOST_PIECES = 256
"""Of one call; systems take 1,024, or at least 16."""
QUICKACK = getattr(socket, "TCP_QUICKACK", None)

_HEAD = struct.Struct(">BxL")


@dataclass(frozen=True, slots=True)
class Patience:
    """*idle_s* between PDUs; *stall_s* for a PDU that has begun, and for the peer to take what is sent."""

    idle_s: float = 300.0
    stall_s: float = 30.0


class Link:
    """Reads and writes PDUs on a connected socket, which it closes; for one thread at a time."""

    def __init__(self, sock: socket.socket, patience: Patience, *, pdu_bytes: int) -> None:
        """*pdu_bytes*: the longest P-DATA-TF that is taken."""
        self._socket = sock
        self._patience = patience
        self._most = {
            ASSOCIATE_RQ: MOST_ASSOCIATE_BYTES,
            ASSOCIATE_AC: MOST_ASSOCIATE_BYTES,
            P_DATA: pdu_bytes,
        }
        self._buffer = bytearray(max(pdu_bytes, MOST_ASSOCIATE_BYTES) + HEAD_BYTES + LEAST_ROOM)
        self._view = memoryview(self._buffer)
        self._start = self._end = self._next = 0
        self._tls = isinstance(sock, ssl.SSLSocket)
        self._gathers = hasattr(sock, "sendmsg") and not self._tls
        sock.settimeout(min(TICK_S, patience.stall_s))
        with contextlib.suppress(OSError):  # not everything with a socket's face is TCP
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._acknowledge()

    def read(self, idle_s: float | None = None) -> tuple[int, memoryview]:
        """Type and content of the next PDU; the content holds until the next call.

        Raises LinkLost, Violation.
        """
        self._start = self._next
        idle_s = self._patience.idle_s if idle_s is None else idle_s
        if self._end - self._start < HEAD_BYTES:
            self._fill(HEAD_BYTES, idle_s)
        kind, length = _HEAD.unpack_from(self._buffer, self._start)
        if not ASSOCIATE_RQ <= kind <= ABORT:
            raise Violation("What the peer sent is no PDU.", AbortReason.UNRECOGNIZED_PDU)
        if length > self._most.get(kind, FIXED_BYTES):
            raise Violation("A PDU of the peer is longer than agreed.")
        if self._end - self._start < HEAD_BYTES + length:
            self._fill(HEAD_BYTES + length, self._patience.stall_s)
        begin = self._start + HEAD_BYTES
        self._next = begin + length
        return kind, self._view[begin : self._next]

    def waiting(self) -> bool:
        """Whether the peer has sent something that was not read yet."""
        if self._end > self._next or (isinstance(self._socket, ssl.SSLSocket) and self._socket.pending()):
            return True
        try:
            return _readable(self._socket)
        except (OSError, ValueError):
            return True  # what is wrong shows when it is read

    def wait(self, seconds: float) -> bool:
        """Whether something of the peer can be read, now or within *seconds*."""
        if self.waiting():
            return True
        try:
            return _readable(self._socket, seconds)
        except (OSError, ValueError):
            return True  # as above

    @property
    def own_address(self) -> str:
        """The address of this machine that the peer sees, "" if there is none."""
        try:
            return str(self._socket.getsockname()[0])
        except (OSError, IndexError):
            return ""

    def send(self, data: bytes | bytearray | memoryview) -> None:
        """All of *data*. Raises LinkLost when the peer has gone or does not take it."""
        self.send_pieces([memoryview(data)])

    def send_pieces(self, pieces: Sequence[memoryview]) -> None:
        """All of *pieces*, one behind the other; put together only for TLS. Raises as `send`."""
        if len(pieces) > 1 and not self._gathers:
            pieces = [memoryview(b"".join(pieces))]
        left = sum(map(len, pieces))
        until = time.monotonic() + self._patience.stall_s
        while left:
            sent = self._send_some(pieces)
            left -= sent
            if left and sent:
                pieces = _without(pieces, sent)
                until = time.monotonic() + self._patience.stall_s
            elif left and time.monotonic() > until:
                raise LinkLost("The peer does not take what is sent.", "Try again.")

    def shut(self) -> None:
        """Have a thread that waits in `read` see the end; safe from any thread."""
        with contextlib.suppress(OSError):
            # SSLSocket's own shutdown would have what is sent afterwards go out in the clear
            socket.socket.shutdown(self._socket, socket.SHUT_RD)

    def linger(self, seconds: float) -> None:
        """Wait for the peer to close, as whoever answered a release or aborted should (PS3.8 9.2, Sta13)."""
        until = time.monotonic() + seconds
        with contextlib.suppress(OSError):
            if not self._tls:
                self._socket.shutdown(socket.SHUT_WR)
            while (left := until - time.monotonic()) > 0:
                self._socket.settimeout(left)
                if not self._socket.recv_into(self._buffer):
                    return

    def close(self) -> None:
        """Let go of the socket; calling it again does nothing."""
        with contextlib.suppress(OSError):
            self._socket.close()

    def _send_some(self, pieces: Sequence[memoryview]) -> int:
        """How many bytes of *pieces* the system takes; 0 if none for a while. Raises LinkLost."""
        try:
            if self._gathers:
                return self._socket.sendmsg(pieces[:MOST_PIECES])
            return self._socket.send(pieces[0])
        except (TimeoutError, ssl.SSLWantWriteError):
            return 0
        except OSError as error:
            raise LinkLost("The connection to the peer broke.", "Try again.") from error

    def _fill(self, wanted: int, patience_s: float) -> None:
        """Have *wanted* bytes in the buffer. Raises LinkLost."""
        if len(self._buffer) - self._start < max(wanted, LEAST_ROOM):
            held = self._end - self._start
            self._view[:held] = bytes(self._view[self._start : self._end])
            self._start, self._end = 0, held
        began = heard = time.monotonic()
        while self._end - self._start < wanted:
            try:
                count = self._socket.recv_into(self._view[self._end :])
            except (TimeoutError, ssl.SSLWantReadError):
                if time.monotonic() - heard >= patience_s:
                    raise LinkLost("The peer fell silent.", "Try again.") from None
                continue
            except OSError as error:
                raise LinkLost("The connection to the peer broke.", "Try again.") from error
            if not count:
                raise LinkLost("The peer closed the connection.", "Try again.")
            self._end += count
            self._acknowledge()
            if self._end - self._start < wanted:
                heard = time.monotonic()
                if heard - began > patience_s + wanted / SLOWEST:
                    raise LinkLost("The peer is too slow.", "Try again.")

    def _acknowledge(self) -> None:
        """Ask for what has arrived to be acknowledged now; the wish holds only for a moment."""
        if QUICKACK is not None:
            with contextlib.suppress(OSError):
                self._socket.setsockopt(socket.IPPROTO_TCP, QUICKACK, 1)


def _without(pieces: Sequence[memoryview], count: int) -> Sequence[memoryview]:
    """What is left when the first *count* bytes are taken away."""
    at = 0
    while count >= len(pieces[at]):
        count -= len(pieces[at])
        at += 1
    return [pieces[at][count:], *pieces[at + 1 :]]


def _readable(sock: socket.socket, seconds: float = 0.0) -> bool:
    if hasattr(select, "poll"):  # `select` knows only the first thousand descriptors
        poller = select.poll()
        poller.register(sock, select.POLLIN)
        return bool(poller.poll(int(seconds * 1000)))
    return bool(select.select([sock], [], [], seconds)[0])
