"""No exam event is lost through kill -9 of its receiver, a process of its own that comes back on its port."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from time import monotonic, sleep
from types import TracebackType

import httpx

from tests.app.archive_process import ArchiveProcess

EVENTS, ROUNDS, WAIT_S = 10, 1, 60.0
RECEIVER = """
import os, sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

kept = os.open(sys.argv[2], os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)

class Handler(BaseHTTPRequestHandler):
    def do_POST(self):
        body = self.rfile.read(int(self.headers["Content-Length"]))
        os.write(kept, body.replace(b"\\n", b" ") + b"\\n")
        self.send_response(200)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *args):
        pass

server = ThreadingHTTPServer(("127.0.0.1", int(sys.argv[1])), Handler)
print(server.server_port, flush=True)
server.serve_forever()
"""
"""Acknowledges what it has written to its file, and nothing else."""


class Receiver:
    """The process; what it has acknowledged stays in *file*."""

    def __init__(self, file: Path) -> None:
        self._file = file
        self.port = 0
        self._process: subprocess.Popen[str] | None = None

    def start(self) -> None:
        """On the port it had before."""
        line = [sys.executable, "-c", RECEIVER, str(self.port), str(self._file)]
        self._process = subprocess.Popen(line, stdout=subprocess.PIPE, text=True)
        assert self._process.stdout is not None
        self.port = int(self._process.stdout.readline())

    def kill(self) -> None:
        """As a power cut would."""
        if self._process is not None:
            process, self._process = self._process, None
            process.kill()
            process.communicate()

    def heard(self) -> list[str]:
        """The studies it was told of, in order; half a line is none."""
        lines = self._file.read_text().splitlines(keepends=True) if self._file.exists() else []
        return [json.loads(line)["StudyInstanceUID"] for line in lines if line.endswith("\n")]

    def __enter__(self) -> Receiver:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.kill()


def test_a_receiver_that_is_killed_and_comes_back_hears_everything(tmp_path: Path) -> None:
    told: list[str] = []

    def tell(archive: ArchiveProcess, count: int) -> None:
        for _ in range(count):
            event = {"StudyInstanceUID": f"1.2.3.{len(told)}", "EventType": "COMPLETED"}
            answer = httpx.post(f"{archive.url}/new-exam-callback", json=event, trust_env=False, timeout=60)
            assert answer.status_code == 204
            told.append(event["StudyInstanceUID"])

    with Receiver(tmp_path / "heard") as receiver:
        url = f"http://127.0.0.1:{receiver.port}/"
        with ArchiveProcess(tmp_path / "data", CALLBACK_URLS=url) as archive:
            for _ in range(ROUNDS):
                before = len(receiver.heard())
                tell(archive, EVENTS)
                wait(lambda before=before: len(receiver.heard()) > before)  # type: ignore[misc] # bound now
                receiver.kill()
                tell(archive, EVENTS)
                receiver.start()
            wait(lambda: set(receiver.heard()) == set(told))
    assert len(told) == 2 * ROUNDS * EVENTS


def wait(enough: Callable[[], bool]) -> None:
    """Until it is so."""
    until = monotonic() + WAIT_S
    while not enough() and monotonic() < until:
        sleep(0.05)
    assert enough()
