"""Messages between a render process and its owner: one system call each, as a rule, at either end."""

from __future__ import annotations

import os
import socket
import struct
import sys
from multiprocessing.connection import Connection
from typing import Protocol

HEAD = struct.Struct("<IB")
"""How long the body is, and what kind of message it is."""
ROOM = 256 << 10
"""Bytes taken at once: more than the system holds for a reader (wmem_default of Linux is 208 KiB)."""
TIME = struct.Struct("@ll")
"""A `struct timeval`, as SO_RCVTIMEO has it (socket(7))."""

Message = tuple[int, bytes]
"""Its kind, a number of eight bits, and its body."""


class Line(Protocol):
    """One end; of one thread."""

    def send(self, kind: int, *parts: bytes) -> None:
        """One message, its body in *parts*. Raises OSError where the other end has gone."""

    def receive(self, limit_s: float | None = None) -> Message | None:
        """The next message, None if it has not come within the time. Raises EOFError, OSError."""

    def close(self) -> None:
        """Let go of it."""


def line(end: Connection) -> Line:
    """Over *end* of a two-way pipe of `multiprocessing`, which is taken over."""
    return PipeLine(end) if sys.platform == "win32" else SocketLine(end)


class PipeLine:
    """Over any kind of pipe the library has."""

    def __init__(self, end: Connection) -> None:
        self._end = end

    def send(self, kind: int, *parts: bytes) -> None:
        """One message. Raises OSError."""
        self._end.send_bytes(b"".join((bytes((kind,)), *parts)))

    def receive(self, limit_s: float | None = None) -> Message | None:
        """The next message, None if it has not come within the time. Raises EOFError, OSError."""
        if limit_s is not None and not self._end.poll(limit_s):
            return None
        message = self._end.recv_bytes()
        return message[0], message[1:]

    def close(self) -> None:
        """Let go of it."""
        self._end.close()


class SocketLine:
    """Over a pair of sockets.

    Each call lets another thread run, and then waits for its turn: that costs more than what the call does.
    """

    def __init__(self, end: Connection) -> None:
        self._socket = socket.socket(fileno=os.dup(end.fileno()))
        end.close()
        self._room = bytearray(ROOM)
        self._first = self._last = 0
        """What has come and was not taken yet lies between them."""
        self._limit_s: float | None = None

    def send(self, kind: int, *parts: bytes) -> None:
        """One message. Raises OSError."""
        pieces = (HEAD.pack(sum(map(len, parts)), kind), *parts)
        sent = self._socket.sendmsg(pieces)
        if sent < sum(map(len, pieces)):  # a signal came between
            self._socket.sendall(memoryview(b"".join(pieces))[sent:])

    def receive(self, limit_s: float | None = None) -> Message | None:
        """The next message, None if it has not come within the time. Raises EOFError, OSError."""
        if limit_s != self._limit_s:
            self._limit(limit_s)
        while (message := self._taken()) is None:
            try:
                count = self._socket.recv_into(memoryview(self._room)[self._last :])
            except BlockingIOError:
                return None
            if not count:
                raise EOFError("the other end has gone")
            self._last += count
        return message

    def _limit(self, limit_s: float | None) -> None:
        """How long a call to receive waits; no time at all would mean for ever."""
        micros = 0 if limit_s is None else max(1, round(limit_s * 1e6))
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVTIMEO, TIME.pack(*divmod(micros, 1_000_000)))
        self._limit_s = limit_s

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
