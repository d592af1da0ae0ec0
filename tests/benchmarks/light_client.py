"""Requests over kept connections from one thread and raw sockets: the server is what takes the time."""

from __future__ import annotations

import re
import selectors
import socket
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

PIECE = 1 << 18
KEPT = 1 << 22
LENGTH = re.compile(rb"\r\ncontent-length: *(\d+)\r\n", re.IGNORECASE)
CLOSE = re.compile(rb"\r\nconnection: *close", re.IGNORECASE)
CHUNKED = re.compile(rb"\r\ntransfer-encoding: *chunked\r\n", re.IGNORECASE)


@dataclass(slots=True)
class Answers:
    """What came back: seconds for all, seconds of each from request to last byte, and its last body."""

    seconds: float = 0.0
    each_s: list[float] = field(default_factory=list)
    bytes: int = 0
    body: bytes = b""


class _Line:
    """One connection: the answer it is reading, and when it asked.

    Of an answer no more than KEPT bytes are kept: what a server sends is counted, not piled up.
    """

    def __init__(self, peer: str) -> None:
        self._peer = peer
        self._room = memoryview(bytearray(PIECE))
        self.socket = self._connected()
        self.asked = 0.0
        self.closing = False
        self._begin()

    def _connected(self) -> socket.socket:
        host, port = self._peer.split(":")
        connected = socket.create_connection((host, int(port)), 60)
        connected.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return connected

    def _begin(self) -> None:
        self.bytes = 0
        self.body = bytearray()
        self._head: bytearray | None = bytearray()
        self._left = 0
        self._frame: bytearray | None = None
        """What has come of the line before a chunk, its length; None for an answer without chunks."""
        self._last = False

    def reconnect(self) -> None:
        """Open it again: the server has ended its answer by closing."""
        self.socket.close()
        self.socket, self.closing = self._connected(), False

    def ask(self, request: bytes) -> None:
        """Send the next request."""
        self._begin()
        self.asked = time.perf_counter()
        self.socket.sendall(request)

    def read(self) -> bool:
        """Take what is there; whether the answer is complete. Raises RuntimeError unless it is 200 or 204."""
        count = self.socket.recv_into(self._room)
        if not count and self.closing and self._head is None:
            return True
        if not count:
            raise RuntimeError("the server closed the connection")
        self.bytes += count
        piece = self._room[:count]
        if self._head is not None:
            self._head += piece
            end = self._head.find(b"\r\n\r\n")
            if end < 0:
                return False
            head, piece = bytes(self._head[: end + 2]), memoryview(bytes(self._head[end + 4 :]))
            self._head = None
            self._heed(head)
        return self._chunked(piece) if self._frame is not None else self._plain(piece)

    def _heed(self, head: bytes) -> None:
        length = LENGTH.search(head)
        self._left = int(length[1]) if length else 0
        self._frame = bytearray() if CHUNKED.search(head) else None
        self.closing = not length and self._frame is None
        fine = head.startswith((b"HTTP/1.1 200", b"HTTP/1.1 204"))
        if not fine or (self.closing and not CLOSE.search(head)):
            raise RuntimeError(f"answered {head[:60]!r}")

    def _plain(self, piece: memoryview) -> bool:
        self._keep(piece)
        self._left -= len(piece)
        return not self.closing and self._left <= 0

    def _chunked(self, piece: memoryview) -> bool:
        while piece:
            if self._left:
                taken = min(self._left, len(piece))
                self._keep(piece[: max(0, min(taken, self._left - 2))])  # without the line end behind it
                self._left -= taken
                piece = piece[taken:]
                if not self._left and self._last:
                    return True
                continue
            if self._frame is None:
                return False
            self._frame += piece[:1]
            piece = piece[1:]
            if self._frame.endswith(b"\r\n"):
                size = int(self._frame, 16)
                self._left, self._last = size + 2, not size
                self._frame.clear()
        return False

    def _keep(self, piece: memoryview) -> None:
        if len(self.body) < KEPT:
            self.body += piece


def request_of(method: str, peer: str, path: str, headers: Mapping[str, str], body: bytes = b"") -> bytes:
    """A request as it goes over the line."""
    lines = [f"{method} {path} HTTP/1.1", f"Host: {peer}", *(f"{k}: {v}" for k, v in headers.items())]
    if body:
        lines.append(f"Content-Length: {len(body)}")
    return "\r\n".join([*lines, "", ""]).encode() + body


def get(peer: str, paths: Sequence[str], connections: int, accept: str = "*/*") -> Answers:
    """Ask *peer* (HOST:PORT) for every path, *connections* requests under way at any time."""
    requests = [request_of("GET", peer, path, {"Accept": accept}) for path in paths]
    return exchange(peer, requests, connections)


def exchange(peer: str, requests: Sequence[bytes], connections: int) -> Answers:
    """Send them all to *peer*, *connections* under way at any time, and take the answers."""
    lines = [_Line(peer) for _ in range(min(connections, len(requests)))]
    answers, waiting = Answers(), iter(requests)
    with selectors.DefaultSelector() as ready:
        began = time.perf_counter()
        for line in lines:
            ready.register(line.socket, selectors.EVENT_READ, line)
            line.ask(next(waiting))
        while len(answers.each_s) < len(requests):
            for key, _ in ready.select(60):
                line = key.data
                if not line.read():
                    continue
                answers.each_s.append(time.perf_counter() - line.asked)
                answers.bytes += line.bytes
                answers.body = bytes(line.body)
                if (request := next(waiting, None)) is not None:
                    if line.closing:
                        ready.unregister(line.socket)
                        line.reconnect()
                        ready.register(line.socket, selectors.EVENT_READ, line)
                    line.ask(request)
                elif line.closing:
                    ready.unregister(line.socket)
        answers.seconds = time.perf_counter() - began
    for line in lines:
        line.socket.close()
    return answers
