"""A slow link on the loopback: forwards TCP at a given rate, can be cut and mended."""

from __future__ import annotations

import socket
import threading
import time
from contextlib import suppress
from types import TracebackType

PIECE = 16 * 1024


class SlowLink:
    """Listens on a free port for *target*; *rate* is bytes a second of all connections together, upwards."""

    def __init__(self, target: int, rate: float) -> None:
        self.rate = rate
        self.passed = 0
        self._target = target
        self._up = True
        self._lock = threading.Lock()
        self._free_at = 0.0
        self._ends: set[socket.socket] = set()
        self._threads: list[threading.Thread] = []
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]

    def cut(self) -> None:
        """The cable is out: what is open breaks, nothing new gets through."""
        self._up = False
        with self._lock:
            ends, self._ends = self._ends, set()
        for end in ends:
            _break(end)

    def mend(self) -> None:
        """The cable is in again."""
        self._up = True

    def __enter__(self) -> SlowLink:
        self._start(self._accept)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        _break(self._listener)
        self._listener.close()
        self.rate = 1e12
        self.cut()
        for thread in self._threads:
            thread.join(10)

    def _start(self, work: object, *arguments: object) -> None:
        thread = threading.Thread(target=work, args=arguments, name="slow link")  # type: ignore[arg-type]  # callables
        self._threads.append(thread)
        thread.start()

    def _accept(self) -> None:
        while True:
            try:
                near, _address = self._listener.accept()
            except OSError:
                return
            if not self._up:
                near.close()
                continue
            near.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4 * PIECE)
            far = socket.create_connection(("127.0.0.1", self._target))
            with self._lock:
                self._ends |= {near, far}
            self._start(self._pump, near, far, True)
            self._start(self._pump, far, near, False)

    def _pump(self, source: socket.socket, sink: socket.socket, slow: bool) -> None:
        try:
            while piece := source.recv(PIECE):
                if slow:
                    time.sleep(self._wait(len(piece)))
                sink.sendall(piece)
        except OSError:
            pass
        for end in (source, sink):
            _break(end)
        if not slow:
            source.close()
            sink.close()

    def _wait(self, size: int) -> float:
        with self._lock:
            now = time.monotonic()
            self._free_at = max(now, self._free_at) + size / self.rate
            self.passed += size
            return self._free_at - now


def _break(end: socket.socket) -> None:
    with suppress(OSError):  # it was not connected any more
        end.shutdown(socket.SHUT_RDWR)
