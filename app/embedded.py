"""The archive in the data folder as the desktop's child: started, adopted if kept running, watched, stopped.

It is the standalone archive (`filmjacket serve`) on loopback and free ports, with a random secret over its
standard input. It ends when that closes, so a killed desktop leaves nothing behind, unless it was told to
keep running: then `DATA/serve.json` (0600) says where it is, and the next desktop adopts it.
"""

from __future__ import annotations

import contextlib
import http.client
import json
import os
import re
import secrets
import signal
import stat
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from pathlib import Path
from urllib.parse import urlsplit

from app import paths
from core.errors import KnownError, StorageFault, Unreachable

START_TIMEOUT_S = 30.0
STOP_TIMEOUT_S = 40.0
PROBE_TIMEOUT_S = 3.0
WATCH_S = 1.0
CREATION_FLAGS: int = getattr(subprocess, "CREATE_NO_WINDOW", 0) | getattr(
    subprocess, "CREATE_NEW_PROCESS_GROUP", 0
)
"""A group of its own, so that Ctrl-C in a terminal reaches the desktop alone; no console window."""
READY = re.compile(r"ready http=(\S+) internal=(\S+) dimse=(.+)")


class State(StrEnum):
    """How the local archive stands."""

    OFF = "off"
    STARTING = "starting"
    RUNNING = "running"
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class Ready:
    """Where a running local archive is and what lets its desktop in; *adopted* if it ran before.

    *dimse* is AET@HOST:PORT of its DICOM door, "" if that is shut.
    """

    http_url: str
    token: str
    pid: int
    adopted: bool = False
    dimse: str = ""


@dataclass(frozen=True, slots=True)
class Wishes:
    """How to run it: port 0 is any free one, *dimse_port* -1 none, *keep_running* outlives the desktop."""

    port: int = 0
    internal_port: int = 0
    dimse_port: int = -1
    ae_title: str = "FILMJACKET"
    keep_running: bool = False


class EmbeddedArchive:
    """One local archive; safe from any thread. *on_change* is called from a thread when its state changes."""

    def __init__(
        self,
        data: Path,
        wishes: Wishes | None = None,
        *,
        on_change: Callable[[State], None] | None = None,
        command: Sequence[str] | None = None,
    ) -> None:
        self._data = data
        self._wishes = wishes or Wishes()
        self._on_change = on_change
        self._command = list(command or own_command())
        self._lock = threading.RLock()
        self._state = State.OFF
        self._reason = ""
        self._ready: Ready | None = None
        self._process: subprocess.Popen[bytes] | None = None
        self._watcher: threading.Thread | None = None
        self._stopping = threading.Event()

    @property
    def state(self) -> State:
        """How it stands now."""
        return self._state

    @property
    def reason(self) -> str:
        """Why it failed, a sentence; "" if it did not."""
        return self._reason

    @property
    def ready(self) -> Ready | None:
        """Where it is while it runs."""
        return self._ready if self._state is State.RUNNING else None

    def start(self) -> Ready:
        """Start it, or adopt the one that was kept running; returns once it works. Raises KnownError."""
        with self._lock:
            if self.ready is not None:
                return self.ready
            self._reap()
            self._stopping.clear()
            self._change(State.STARTING)
            try:
                ready = self._adopt() or self._launch()
            except KnownError as error:
                self._change(State.FAILED, error.message)
                raise
            self._ready = ready
            self._change(State.RUNNING)
            self._watcher = threading.Thread(
                target=self._watch, args=(ready,), name="archive watch", daemon=True
            )
            self._watcher.start()
            return ready

    def stop(self, *, even_if_kept: bool = False) -> None:
        """Stop it and wait; one that is to keep running is left alone unless *even_if_kept*. Never raises."""
        with self._lock:
            ready, process = self._ready, self._process
            self._stopping.set()
            leave = self._wishes.keep_running and not even_if_kept
            if process is not None:
                if even_if_kept:
                    _terminate(process.pid)
                _close(process)
                if not leave:
                    _wait(process)
            elif ready is not None and not leave:
                _terminate(ready.pid)
                _wait_for_pid(ready.pid)
            self._process = process if leave and process is not None and process.poll() is None else None
            self._ready = None
            self._change(State.OFF)
        watcher = self._watcher
        if watcher is not None and watcher is not threading.current_thread():
            watcher.join(2 * WATCH_S)

    def keep_running(self, keep: bool) -> None:
        """Change whether it outlives us."""
        self.wish(replace(self._wishes, keep_running=keep))

    def wish(self, wishes: Wishes) -> None:
        """Change how it is run: outliving us holds at once for one we started, ports at its next start."""
        with self._lock:
            self._wishes = wishes
            if self._process is not None and self._process.stdin is not None and self._ready is not None:
                with contextlib.suppress(OSError):  # it has just died; the watcher says so
                    self._process.stdin.write(self._order(self._ready.token))
                    self._process.stdin.flush()

    def _order(self, secret: str) -> bytes:
        return json.dumps({"secret": secret, "keep_running": self._wishes.keep_running}).encode() + b"\n"

    def _adopt(self) -> Ready | None:
        """The one that `serve.json` tells of, if it is ours, alive, and knows the token."""
        entry = read_entry(paths.serve_file(self._data))
        if entry is None or not _alive(entry.pid) or not _answers(entry):
            return None
        return entry

    def _launch(self) -> Ready:
        secret = secrets.token_urlsafe(32)
        dimse_port = "off" if self._wishes.dimse_port < 0 else str(self._wishes.dimse_port)
        arguments = [
            *self._command, "serve", "--embedded", "--data", str(self._data), "--host", "127.0.0.1",
            "--port", str(self._wishes.port), "--internal-port", str(self._wishes.internal_port),
            "--dimse-port", dimse_port, "--ae-title", self._wishes.ae_title,
        ]  # fmt: skip
        try:
            process = subprocess.Popen(
                arguments,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                creationflags=CREATION_FLAGS,
                start_new_session=os.name == "posix",
            )
        except OSError as error:
            raise StorageFault(
                "The local archive could not be started.", "Install the program again."
            ) from error
        said = _Said(process)
        try:
            if process.stdin is not None:
                process.stdin.write(self._order(secret))
                process.stdin.flush()
        except OSError:
            pass  # it ended at once; what it said on stderr tells why
        url, dimse = said.wait(START_TIMEOUT_S)
        if not url:
            _kill(process)
            raise said.failure()
        self._process = process
        return Ready(url, secret, process.pid, dimse=dimse)

    def _watch(self, ready: Ready) -> None:
        """Notice that it has gone without being asked to."""
        process = self._process
        while not self._stopping.wait(0 if process is not None and process.poll() is not None else WATCH_S):
            gone = process.poll() is not None if process is not None else not _alive(ready.pid)
            if not gone:
                continue
            with self._lock:
                if self._ready is ready and not self._stopping.is_set():
                    self._reap()
                    self._ready = None
                    self._change(State.FAILED, "The local archive has stopped unexpectedly.")
            return

    def _reap(self) -> None:
        if self._process is not None and self._process.poll() is not None:
            _close(self._process)
            self._process = None

    def _change(self, state: State, reason: str = "") -> None:
        changed = state is not self._state
        self._state, self._reason = state, reason
        if changed and self._on_change is not None:
            self._on_change(state)


class _Said:
    """What the child says on its pipes, read by threads so that it never waits for us."""

    def __init__(self, process: subprocess.Popen[bytes]) -> None:
        self._process = process
        self._url = self._dimse = ""
        self._errors: list[str] = []
        self._event = threading.Event()
        self._threads = [
            threading.Thread(target=self._read_out, name="archive says", daemon=True),
            threading.Thread(target=self._read_errors, name="archive complains", daemon=True),
        ]
        for thread in self._threads:
            thread.start()

    def wait(self, seconds: float) -> tuple[str, str]:
        """The address it is ready at, "" if it ended or took too long; and that of its DICOM door."""
        self._event.wait(seconds)
        return self._url, self._dimse

    def failure(self) -> KnownError:
        """Why it did not become ready."""
        for thread in self._threads:
            thread.join(PROBE_TIMEOUT_S)
        lines = [line.removeprefix("filmjacket: ").strip() for line in self._errors if line.strip()]
        if not lines:
            return Unreachable(
                "The local archive did not start in time.", "Try again; its log file may say more."
            )
        return StorageFault(lines[0], " ".join(lines[1:3]))

    def _read_out(self) -> None:
        if self._process.stdout is not None:
            with self._process.stdout as out:
                for line in out:
                    if match := READY.match(line.decode("utf-8", "replace")):
                        self._url, self._dimse = match[1], _dimse_of(match[3])
                        self._event.set()
        self._event.set()

    def _read_errors(self) -> None:
        if self._process.stderr is not None:
            with self._process.stderr as errors:
                for line in errors:
                    if len(self._errors) < 50:
                        self._errors.append(line.decode("utf-8", "replace"))


def own_command() -> list[str]:
    """How to start this program again, as the frozen console executable or as a module."""
    if getattr(sys, "frozen", False):
        program = Path(sys.executable)
        console = program.with_name("filmjacket" + program.suffix)
        return [str(console if console.exists() else program)]
    return [sys.executable, "-m", "app"]


def read_entry(file: Path) -> Ready | None:
    """A serve.json that only this user can have written, else None."""
    try:
        status = file.stat()
        if os.name == "posix" and (status.st_uid != os.getuid() or stat.S_IMODE(status.st_mode) & 0o077):
            return None
        value = json.loads(file.read_text("utf-8"))
        pid, url, token = value["pid"], value["http"], value["token"]
        parts = urlsplit(url)
    except (OSError, ValueError, KeyError, TypeError):
        return None
    loopback = parts.scheme == "http" and parts.hostname in ("127.0.0.1", "::1", "localhost") and parts.port
    if not (loopback and isinstance(pid, int) and pid > 0 and isinstance(token, str) and len(token) >= 16):
        return None
    return Ready(url, token, pid, adopted=True, dimse=_dimse_of(value.get("dimse")))


def _dimse_of(said: object) -> str:
    """AET@HOST:PORT, "" for a door that is shut."""
    return said.strip() if isinstance(said, str) and "@" in said else ""


def _answers(entry: Ready) -> bool:
    """Whether a Filmjacket that knows the token is at that address."""
    parts = urlsplit(entry.http_url)
    connection = http.client.HTTPConnection(parts.hostname or "", parts.port, timeout=PROBE_TIMEOUT_S)
    try:
        connection.request(
            "GET", "/api/desktop/v1/status", headers={"Authorization": f"Bearer {entry.token}"}
        )
        answer = connection.getresponse()
        return answer.status == http.HTTPStatus.OK and "ae_title" in json.loads(answer.read(1 << 16))
    except (OSError, http.client.HTTPException, ValueError):
        return False
    finally:
        connection.close()


def _alive(pid: int) -> bool:
    import psutil

    try:
        return bool(psutil.Process(pid).status() != psutil.STATUS_ZOMBIE)
    except psutil.Error:
        return False


def _terminate(pid: int) -> None:
    with contextlib.suppress(OSError):  # it has gone already
        os.kill(pid, signal.SIGTERM)


def _wait(process: subprocess.Popen[bytes]) -> None:
    try:
        process.wait(STOP_TIMEOUT_S)
    except subprocess.TimeoutExpired:
        _kill(process)


def _wait_for_pid(pid: int) -> None:
    until = time.monotonic() + STOP_TIMEOUT_S
    while _alive(pid) and time.monotonic() < until:
        time.sleep(0.05)


def _kill(process: subprocess.Popen[bytes]) -> None:
    process.kill()
    process.wait()
    _close(process)


def _close(process: subprocess.Popen[bytes]) -> None:
    """Close the life line; the reading threads close the other pipes when these run dry."""
    if process.stdin is not None:
        with contextlib.suppress(OSError):  # broken already
            process.stdin.close()
