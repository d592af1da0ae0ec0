"""Requests over kept connections from one thread and raw sockets: the server is what takes the time."""

from __future__ import annotations

import re
import selectors
import socket
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

PIECE = 1 << 18
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
    """One connection: the answer it is reading, and when it asked."""

    def __init__(self, peer: str) -> None:
        self._peer = peer
        self.socket = self._connected()
        self.got = bytearray()
        self.start = 0
        self.whole = 0
        self.chunk = 0
        self.closing = False
        self.asked = 0.0

    def _connected(self) -> socket.socket:
        host, port = self._peer.split(":")
        connected = socket.create_connection((host, int(port)), 60)
        connected.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return connected

    def reconnect(self) -> None:
        """Open it again: the server has ended its answer by closing."""
        self.socket.close()
        self.socket, self.closing = self._connected(), False

    def ask(self, request: bytes) -> None:
        self.got.clear()
        self.start = self.whole = self.chunk = 0
        self.asked = time.perf_counter()
        self.socket.sendall(request)

    def read(self) -> bool:
        """Take what is there; whether the answer is complete. Raises RuntimeError unless it is 200."""
        piece = self.socket.recv(PIECE)
        if not piece and self.closing and self.start:
            self.whole = len(self.got)
            return True
        if not piece:
            raise RuntimeError("the server closed the connection")
        self.got += piece
        if not self.start and not self._headed():
            return False
        if self.closing:
            return False
        return len(self.got) >= self.whole if self.whole else self._ended()

    def _headed(self) -> bool:
        end = self.got.find(b"\r\n\r\n")
        if end < 0:
            return False
        length = LENGTH.search(self.got, 0, end + 2)
        self.closing = not length and not CHUNKED.search(self.got, 0, end + 2)
        if not self.got.startswith(b"HTTP/1.1 200") or (self.closing and not CLOSE.search(self.got, 0, end)):
            raise RuntimeError(f"answered {bytes(self.got[:60])!r}")
        self.start = self.chunk = end + 4
        self.whole = self.start + int(length[1]) if length else 0
        return True

    def _ended(self) -> bool:
        """Whether the last chunk is there: steps from one length to the next, without looking at the data."""
        while (end := self.got.find(b"\r\n", self.chunk)) >= 0:
            size = int(self.got[self.chunk : end], 16)
            following = end + 2 + size + 2
            if len(self.got) < following:
                return False
            if not size:
                self.whole = following
                return True
            self.chunk = following
        return False

    @property
    def body(self) -> bytes:
        """What came after the head, as it came."""
        return bytes(self.got[self.start : self.whole])


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
                answers.bytes += line.whole
                answers.body = line.body
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
