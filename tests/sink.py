"""An HTTP receiver on loopback that keeps what it is told and answers as the test says."""

from __future__ import annotations

import threading
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import NamedTuple
from urllib.parse import parse_qsl, urlsplit


class Told(NamedTuple):
    """One request that came in."""

    method: str
    path: str
    query: dict[str, str]
    body: str


class Sink:
    """Use it in a with statement; *answer* gives the status for each request."""

    def __init__(self, answer: Callable[[Told], int] = lambda told: 200) -> None:
        self.answer = answer
        self.told: list[Told] = []
        self._news = threading.Condition()
        sink = self

        class Handler(BaseHTTPRequestHandler):
            def handle_any(self) -> None:
                length = int(self.headers.get("Content-Length") or 0)
                parts = urlsplit(self.path)
                body = self.rfile.read(length).decode()
                told = Told(self.command, parts.path, dict(parse_qsl(parts.query)), body)
                status = sink.hear(told)
                self.send_response(status)
                if status in (301, 302):
                    self.send_header("Location", "/elsewhere")
                self.send_header("Content-Length", "0")
                self.end_headers()

            do_GET = do_POST = do_PUT = handle_any

            def log_message(self, *args: object) -> None:
                """Say nothing."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,), name="sink")

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._server.server_port}"

    def hear(self, told: Told) -> int:
        status = self.answer(told)
        with self._news:
            self.told.append(told)
            self._news.notify_all()
        return status

    def wait(self, enough: Callable[[list[Told]], bool], timeout_s: float = 20) -> list[Told]:
        """What was told once that is *enough*."""
        with self._news:
            assert self._news.wait_for(lambda: enough(self.told), timeout_s), self.told
            return list(self.told)

    def __enter__(self) -> Sink:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()
