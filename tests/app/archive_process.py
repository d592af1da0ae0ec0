"""`filmjacket serve` as a child process of a test, to be asked, stopped and killed."""

from __future__ import annotations

import io
import logging
import os
import signal
import subprocess
import sys
from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path
from types import TracebackType
from unittest.mock import patch

from app import cli

ROOT = Path(__file__).resolve().parents[2]


class ArchiveProcess:
    """One archive on a data folder, without accounts; keeps its port over restarts."""

    def __init__(self, data: Path, **variables: str) -> None:
        self.data = data
        self._variables = variables
        self.port = 0
        self.internal = ""
        self._process: subprocess.Popen[str] | None = None

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def pid(self) -> int:
        return self._process.pid if self._process else 0

    def start(self) -> None:
        """Start and wait until it says that it is ready."""
        process = subprocess.Popen(
            [sys.executable, "-m", "app", "serve", "--data", str(self.data), "--port", str(self.port),
             "--internal-port", "0", "--dimse-port", "off", "--no-auth"],
            stdout=subprocess.PIPE, text=True, cwd=ROOT, env=environment(**self._variables),
        )  # fmt: skip
        line = process.stdout.readline() if process.stdout else ""
        if not line.startswith("ready "):
            process.kill()
            process.communicate()
            raise AssertionError(f"it did not start: {line!r}")
        self.internal = line.split("internal=")[1].split()[0]
        self.port = int(line.split("http=")[1].split()[0].rsplit(":", 1)[1])
        self._process = process

    def kill(self) -> None:
        """As a power cut would."""
        self._end(signal.SIGKILL)

    def stop(self) -> None:
        """As its owner would."""
        self._end(signal.SIGTERM)

    def _end(self, how: signal.Signals) -> None:
        if self._process is not None:
            process, self._process = self._process, None
            process.send_signal(how)
            process.communicate(timeout=60)

    def __enter__(self) -> ArchiveProcess:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.kill() if kind else self.stop()


def environment(**more: str) -> dict[str, str]:
    """The environment without settings of whoever runs the tests."""
    ours = ("FILMJACKET_", "CALLBACK_URLS")
    return {k: v for k, v in os.environ.items() if not k.startswith(ours)} | more


def here(*arguments: object, **more: str) -> subprocess.CompletedProcess[str]:
    """Run the program to its end in this process: much cheaper, where its being a process proves nothing."""
    line = [str(each) for each in arguments]
    out, err = io.StringIO(), io.StringIO()
    root = logging.getLogger()
    level = root.level
    with patch.dict(os.environ, environment(**more), clear=True), redirect_stdout(out), redirect_stderr(err):
        try:
            code = cli.main(line)
        finally:
            root.setLevel(level)
    return subprocess.CompletedProcess(line, code, out.getvalue(), err.getvalue())


def filmjacket(*arguments: object, **more: str) -> subprocess.CompletedProcess[str]:
    """Run the program to its end, as a process."""
    return subprocess.run(
        [sys.executable, "-m", "app", *map(str, arguments)],
        capture_output=True, text=True, cwd=ROOT, env=environment(**more), check=False, timeout=100,
    )  # fmt: skip
