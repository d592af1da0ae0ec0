"""Messages between a render process and its owner, over a pair of connected sockets."""

from __future__ import annotations

import socket
import struct

HEAD = struct.Struct("<IB")
"""How long the body is, and what kind of message it is."""
ROOM = 256 << 10
"""Bytes taken at once: more than the system holds for a reader (wmem_default of Linux is 208 KiB)."""
GATHERS = hasattr(socket.socket, "sendmsg")
"""Whether the system sends several pieces at once."""

Message = tuple[int, bytes]
"""Its kind, a number of eight bits, and its body."""


class Line:
    """One end; of one thread. It waits for the other end if its socket does.

    One system call a message at either end, as a rule: each lets another thread run, and then waits for its
    turn, which costs more than what the call does.
    """

    def __init__(self, end: socket.socket) -> None:
        """Takes *end* over."""
        self._socket = end
        self._room = bytearray(ROOM)
        self._first = self._last = 0
        """What has come and was not taken yet lies between them."""
        self._unsent: list[memoryview] = []

    def fileno(self) -> int:
        """Of the socket, as event loops want it."""
        return self._socket.fileno()

    def send(self, kind: int, *parts: bytes) -> bool:
        """One message, its body in *parts*; False if some of it is left for `flush`. Raises OSError."""
        self._unsent += map(memoryview, (HEAD.pack(sum(map(len, parts)), kind), *filter(None, parts)))
        return self.flush()

    def flush(self) -> bool:
        """Send what is left; False if the system takes no more of it now. Raises OSError."""
        while self._unsent:
            try:
                sent = self._socket.sendmsg(self._unsent) if GATHERS else self._socket.send(self._unsent[0])
            except BlockingIOError:
                return False
            while self._unsent and sent >= len(self._unsent[0]):
                sent -= len(self._unsent.pop(0))
            if sent:
                self._unsent[0] = self._unsent[0][sent:]
        return True

    @property
    def heard(self) -> bool:
        """Whether something has come that was not taken yet."""
        return self._first < self._last

    def receive(self) -> Message | None:
        """The next message; None if it is not all there and the socket does not wait.

        Raises EOFError or OSError where the other end has gone.
        """
        while (message := self._taken()) is None:
            try:
                count = self._socket.recv_into(memoryview(self._room)[self._last :])
            except BlockingIOError:
                return None
            if not count:
                raise EOFError("the other end has gone")
            self._last += count
        return message

    def _taken(self) -> Message | None:
        """The first message if all of it has come; else there is room for the rest."""
        have, needed = self._last - self._first, HEAD.size
        if have >= needed:
            size, kind = HEAD.unpack_from(self._room, self._first)
            begin, needed = self._first + needed, needed + size
            if have >= needed:
                body = bytes(memoryview(self._room)[begin : begin + size])
                self._first = begin + size
                if self._first == self._last:
                    self._use(self._room if len(self._room) == ROOM else bytearray(ROOM), 0)
                return kind, body
        if self._first + needed > len(self._room):
            room = bytearray(max(ROOM, needed))
            room[:have] = self._room[self._first : self._last]
            self._use(room, have)
        return None

    def _use(self, room: bytearray, have: int) -> None:
        self._room, self._first, self._last = room, 0, have

    def close(self) -> None:
        """Let go of it."""
        self._socket.close()
