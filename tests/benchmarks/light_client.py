"""GET over kept connections from one thread and raw sockets: the server is what takes the time."""

from __future__ import annotations

import re
import selectors
import socket
import time
from collections.abc import Sequence
from dataclasses import dataclass, field

PIECE = 1 << 18
LENGTH = re.compile(rb"\r\ncontent-length: *(\d+)\r\n", re.IGNORECASE)


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
        host, port = peer.split(":")
        self.socket = socket.create_connection((host, int(port)), 60)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.got = bytearray()
        self.whole = 0
        self.asked = 0.0

    def ask(self, request: bytes) -> None:
        self.got.clear()
        self.whole = 0
        self.asked = time.perf_counter()
        self.socket.sendall(request)

    def read(self) -> bool:
        """Take what is there; whether the answer is complete. Raises RuntimeError unless it is 200."""
        piece = self.socket.recv(PIECE)
        if not piece:
            raise RuntimeError("the server closed the connection")
        self.got += piece
        if not self.whole:
            end = self.got.find(b"\r\n\r\n")
            if end < 0:
                return False
            length = LENGTH.search(self.got, 0, end + 2)
            if not self.got.startswith(b"HTTP/1.1 200") or length is None:
                raise RuntimeError(f"answered {bytes(self.got[:60])!r}")
            self.whole = end + 4 + int(length[1])
        return len(self.got) >= self.whole

    @property
    def body(self) -> bytes:
        return bytes(self.got[self.got.find(b"\r\n\r\n") + 4 : self.whole])


def get(peer: str, paths: Sequence[str], connections: int, accept: str = "*/*") -> Answers:
    """Ask *peer* (HOST:PORT) for every path, *connections* requests under way at any time."""
    requests = [f"GET {path} HTTP/1.1\r\nHost: {peer}\r\nAccept: {accept}\r\n\r\n".encode() for path in paths]
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
                    line.ask(request)
        answers.seconds = time.perf_counter() - began
    for line in lines:
        line.socket.close()
    return answers
