"""`filmjacket serve` as tests start it, over TLS if they like."""

from __future__ import annotations

import re
import signal
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from tests.app.archive_process import ROOT, environment

READY = re.compile(r"ready http=(\S+) internal=(\S+) dimse=(\S+)\n")
FREE = ("--port", "0", "--internal-port", "0", "--dimse-port", "0")


class Serving:
    """A running `filmjacket serve`."""

    def __init__(self, data: Path, *options: str) -> None:
        self.data = data
        self.process = subprocess.Popen(
            [sys.executable, "-m", "app", "serve", "--data", str(data), *FREE, *options],
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=ROOT, env=environment(),
        )  # fmt: skip
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        match = READY.fullmatch(line)
        if match is None:
            self.process.kill()
            raise AssertionError(f"{line!r} {self.process.communicate()[1]}")
        self.url, self.internal, self.dimse = match.groups()

    def stop(self, how: signal.Signals = signal.SIGTERM) -> tuple[int, str, str]:
        """Exit code, the rest of stdout, stderr."""
        if self.process.poll() is None:
            self.process.send_signal(how)
        out, err = self.process.communicate(timeout=60)
        return self.process.returncode, out, err


@dataclass(frozen=True)
class Certificate:
    """Of this machine's loopback names, signed by itself."""

    path: Path
    key: Path

    @property
    def options(self) -> tuple[str, str, str, str]:
        """What `serve` is told."""
        return "--tls-cert", str(self.path), "--tls-key", str(self.key)


def certificate(folder: Path) -> Certificate | None:
    """A new one, None if openssl makes none here."""
    made = Certificate(folder / "cert.pem", folder / "key.pem")
    done = subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=localhost",
         "-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1", "-out", made.path, "-keyout", made.key],
        check=False, capture_output=True,
    )  # fmt: skip
    return None if done.returncode else made
