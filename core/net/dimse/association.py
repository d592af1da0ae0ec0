"""An established association: messages over its presentation contexts (PS3.7 6, PS3.8 annex E)."""

from __future__ import annotations

import contextlib
import struct
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import BinaryIO

from core.errors import KnownError, SourceFault
from core.net.dimse.command import MOST_COMMAND_BYTES, Command, Element, Value, decode, encode
from core.net.dimse.faults import AbortReason, LinkLost, PeerReleases, Violation
from core.net.dimse.link import ABORT, P_DATA, RELEASE_RP, RELEASE_RQ, Link

PDV_HEAD = 6
PDU_HEAD = 6
LARGEST_SENT = 128 << 10
SEND_BYTES = 256 << 10
"""So much is put together before it is given to the socket: the peer works on it meanwhile."""
GATHERED_BYTES = 32 << 10
"""So much of small messages goes out together."""
LEAST_PDU = 1024
COMMAND, LAST = 1, 2
LINGER_S = 2.0
RELEASE_S = 10.0
BY_USER, BY_PROVIDER = 0, 2

_PDU = struct.Struct(">BxL")
_PDV = struct.Struct(">LBB")
_WHOLE = struct.Struct(">BxLLBB")
"""Heads of a PDU with one value."""


@dataclass(frozen=True, slots=True)
class Context:
    """An accepted presentation context."""

    id: int
    abstract_syntax: str
    transfer_syntax: str


@dataclass(frozen=True, slots=True)
class Message:
    """A command and the context it came in; its data set, if it has one, is still to be read."""

    context: Context
    command: Command


class Association:
    """Sends and receives messages on a link, for one thread; close it when done."""

    def __init__(
        self,
        link: Link,
        contexts: Mapping[int, Context],
        *,
        calling: str,
        called: str,
        peer_pdu_bytes: int = 0,
    ) -> None:
        """*peer_pdu_bytes*: the longest PDU the peer takes, 0 = any."""
        self.calling = calling
        self.called = called
        self.contexts = contexts
        self._link = link
        wanted = peer_pdu_bytes if peer_pdu_bytes > 0 else LARGEST_SENT
        self._most = max(LEAST_PDU, min(wanted, LARGEST_SENT)) - PDV_HEAD
        self._body = memoryview(b"")
        self._at = 0
        self._ended = False
        self._waiting = bytearray()
        self._outgoing = bytearray()
        self._next_message_id = 0

    # Receiving

    def receive(self, idle_s: float | None = None) -> Message:
        """The next command. Raises PeerReleases (to be answered by `released`), LinkLost, Violation."""
        found = bytearray()
        while True:
            try:
                context_id, control, data = self._pdv(idle_s)
            except PeerReleases:
                if found:
                    raise _unexpected() from None
                raise
            if not control & COMMAND:
                raise _unexpected()
            found += data
            if len(found) > MOST_COMMAND_BYTES:
                raise Violation("A command set of the peer is too long.")
            if control & LAST:
                return Message(self._context(context_id), decode(bytes(found)))

    def data_set(self, message: Message) -> Iterator[memoryview]:
        """The fragments of the data set that follows a command; each holds until the next is asked for.

        Raises LinkLost, Violation.
        """
        if not message.command.has_data_set:
            return
        wanted = message.context.id
        while True:
            try:
                context_id, control, data = self._pdv(None)
            except PeerReleases:
                raise _unexpected() from None
            if context_id != wanted or control & COMMAND:
                raise _unexpected()
            yield data
            if control & LAST:
                return

    def whole_data_set(self, message: Message, limit: int) -> bytes:
        """The data set as one piece. Raises LinkLost, Violation (also if it is over *limit*)."""
        found = bytearray()
        for fragment in self.data_set(message):
            found += fragment
            if len(found) > limit:
                raise Violation("A data set of the peer is too long.")
        return bytes(found)

    def waiting(self) -> bool:
        """Whether something of the peer can be read."""
        return self._at < len(self._body) or self._link.waiting()

    def wait(self, seconds: float) -> bool:
        """Whether something of the peer can be read, now or within *seconds*."""
        return self._at < len(self._body) or self._link.wait(seconds)

    @property
    def own_address(self) -> str:
        """The address of this machine that the peer sees, "" if there is none."""
        return self._link.own_address

    # Sending

    def new_message_id(self) -> int:
        """A number for a request of ours."""
        self._next_message_id = self._next_message_id % 0xFFFF + 1
        return self._next_message_id

    def send(
        self,
        context_id: int,
        command: Mapping[Element, Value],
        data: bytes | None = None,
    ) -> None:
        """One message, and what has waited for it. Raises LinkLost."""
        self._put(self._waiting, context_id, COMMAND, encode(command))
        if data is not None:
            self._put(self._waiting, context_id, 0, data)
        self._send_waiting()

    def repeating(self, context_id: int, command: Mapping[Element, Value]) -> Callable[[bytes], None]:
        """Sends the same command with one data set after the other; each may wait for the next one.

        What it gives raises LinkLost.
        """
        head = bytearray()
        self._put(head, context_id, COMMAND, encode(command))

        def send(data: bytes) -> None:
            out = self._waiting
            out += head
            if len(data) <= self._most:
                out += _WHOLE.pack(P_DATA, len(data) + PDV_HEAD, len(data) + 2, context_id, LAST)
                out += data
            else:
                self._put(out, context_id, 0, data)
            if len(out) >= GATHERED_BYTES:
                self._send_waiting()

        return send

    def send_file(self, context_id: int, command: Mapping[Element, Value], file: BinaryIO, size: int) -> None:
        """One message whose data set is the next *size* bytes of *file*. Raises LinkLost, SourceFault.

        After SourceFault the message is incomplete, and the association must be aborted.
        """
        out, self._waiting = self._waiting, bytearray()
        self._put(out, context_id, COMMAND, encode(command))
        pieces = [memoryview(out)]
        view = memoryview(self._read_buffer(size))
        most, left = self._most, size
        count = min(left, most)  # little at first: the peer has something to do while more is read
        while True:
            if _read_into(file, view[:count]) < count:
                raise SourceFault("The object is shorter than it was.", "Send it again.")
            left -= count
            pieces += self._values(context_id, view[:count], ends=not left)
            self._link.send_pieces(pieces)
            if not left:
                return
            pieces = []
            count = min(left, len(view))

    # Ending

    def released(self) -> None:
        """Answer the peer's wish for release."""
        self._ended = True
        self._link.send(_PDU.pack(RELEASE_RP, 4) + bytes(4))
        self._link.linger(LINGER_S)

    def release(self) -> None:
        """Ask for release and wait for the answer; a peer that does not give it is left."""
        if self._ended:
            return
        self._ended = True
        with contextlib.suppress(KnownError):
            self._link.send(_PDU.pack(RELEASE_RQ, 4) + bytes(4))
            until = time.monotonic() + RELEASE_S
            while self._link.read(RELEASE_S)[0] not in (RELEASE_RP, ABORT) and time.monotonic() < until:
                pass

    def abort(self, reason: AbortReason | None = None) -> None:
        """End it at once; *reason* if it is the peer's fault."""
        if self._ended:
            return
        self._ended = True
        source = BY_USER if reason is None else BY_PROVIDER
        with contextlib.suppress(KnownError):
            self._link.send(_PDU.pack(ABORT, 4) + bytes((0, 0, source, reason or 0)))
            self._link.linger(LINGER_S)

    def close(self) -> None:
        """Abort it if it is not over, and close the connection."""
        self.abort()
        self._link.close()

    def _send_waiting(self) -> None:
        out, self._waiting = self._waiting, bytearray()
        self._link.send(out)

    def _pdv(self, idle_s: float | None) -> tuple[int, int, memoryview]:
        """Context, control and data of the next presentation data value."""
        while self._at >= len(self._body):
            kind, self._body = self._link.read(idle_s)
            self._at = 0
            if kind == P_DATA:
                continue
            self._body = memoryview(b"")
            if kind == RELEASE_RQ:
                raise PeerReleases
            if kind == ABORT:
                self._ended = True
                raise LinkLost("The peer aborted the association.", "Try again.")
            raise _unexpected()
        body, at = self._body, self._at
        if len(body) - at < PDV_HEAD:
            raise Violation("A PDU of the peer makes no sense.")
        length, context_id, control = _PDV.unpack_from(body, at)
        end = at + 4 + length
        if length < 2 or end > len(body):
            raise Violation("A PDU of the peer makes no sense.")
        self._at = end
        return context_id, control, body[at + PDV_HEAD : end]

    def _context(self, context_id: int) -> Context:
        try:
            return self.contexts[context_id]
        except KeyError:
            raise Violation("The peer uses a presentation context that was not accepted.") from None

    def _read_buffer(self, size: int) -> bytearray:
        """Room for as many whole PDUs as are read and sent at once, or for all of *size* bytes."""
        wanted = min(max(1, SEND_BYTES // self._most) * self._most, size)
        if len(self._outgoing) < wanted:
            self._outgoing = bytearray(wanted)
        return self._outgoing

    def _values(self, context_id: int, data: memoryview, *, ends: bool) -> list[memoryview]:
        """*data* as P-DATA-TF PDUs, not put together; *ends*: nothing comes after it."""
        step, size = self._most, len(data)
        rest = (size % step or min(size, step)) if ends or size % step else 0
        whole = memoryview(_WHOLE.pack(P_DATA, step + PDV_HEAD, step + 2, context_id, 0))
        pieces: list[memoryview] = []
        for start in range(0, size - rest, step):
            pieces += (whole, data[start : start + step])
        if ends or rest:
            last = LAST if ends else 0
            head = _WHOLE.pack(P_DATA, rest + PDV_HEAD, rest + 2, context_id, last)
            pieces += (memoryview(head), data[size - rest :])
        return pieces

    def _put(self, out: bytearray, context_id: int, control: int, data: bytes) -> None:
        """Append *data* as P-DATA-TF PDUs."""
        step = self._most
        for start in range(0, max(len(data), 1), step):
            part = data[start : start + step]
            last = LAST if start + step >= len(data) else 0
            out += _PDU.pack(P_DATA, len(part) + PDV_HEAD)
            out += _PDV.pack(len(part) + 2, context_id, control | last)
            out += part


def _read_into(file: BinaryIO, view: memoryview) -> int:
    """Fill *view*; how much of it could be filled."""
    done = 0
    while done < len(view):
        try:
            count = file.readinto(view[done:])  # type: ignore[attr-defined]  # every real file has it
        except OSError as error:
            raise SourceFault("An object could not be read.", "Check the disk.") from error
        if not count:
            break
        done += count
    return done


def _unexpected() -> Violation:
    return Violation("The peer sent something out of turn.", AbortReason.UNEXPECTED_PDU)
