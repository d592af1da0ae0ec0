"""The local archive as a child: its parent killed, itself killed, its folder taken, kept and adopted."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import psutil
import pytest

from app import paths
from app.embedded import EmbeddedArchive, Ready, State, Wishes
from core.errors import KnownError
from core.net.dimse.requestor import Peer, Wish, associate
from tests.app.archive_process import ROOT, environment

WAIT_S = 30


def eventually(what: Callable[[], bool]) -> None:
    until = time.monotonic() + WAIT_S
    while not what():
        assert time.monotonic() < until, "it did not happen in time"
        time.sleep(0.02)


def gone(pid: int) -> bool:
    try:
        return bool(psutil.Process(pid).status() == psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return True


def status(ready: Ready, token: str = "") -> int:
    headers = {"Authorization": f"Bearer {token or ready.token}"}
    with httpx.Client(trust_env=False) as client:
        return client.get(f"{ready.http_url}/api/desktop/v1/status", headers=headers).status_code


@contextlib.contextmanager
def embedded(data: Path, wishes: Wishes | None = None) -> Iterator[EmbeddedArchive]:
    archive = EmbeddedArchive(data, wishes)
    try:
        yield archive
    finally:
        archive.stop(even_if_kept=True)


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[EmbeddedArchive, Path, int]]:
    """One that runs all the time, its data folder, and the port of its DICOM door."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    data = tmp_path_factory.mktemp("running") / "data"
    with embedded(data, Wishes(dimse_port=port, ae_title="DESK")) as archive:
        archive.start()
        yield archive, data, port


def test_it_starts_lets_its_desktop_in_and_stops(tmp_path: Path) -> None:
    states: list[State] = []
    archive = EmbeddedArchive(tmp_path / "data", on_change=states.append)
    ready = archive.start()
    assert archive.start() is ready and archive.state is State.RUNNING and archive.ready == ready
    assert status(ready) == 200 and status(ready, "0123456789abcdef") == 401
    assert not paths.serve_file(tmp_path / "data").exists()
    archive.stop()
    archive.stop()
    assert states == [State.STARTING, State.RUNNING, State.OFF] and archive.ready is None
    assert gone(ready.pid)


def test_it_accepts_dicom_associations_if_it_is_to(running: tuple[EmbeddedArchive, Path, int]) -> None:
    peer = Peer("DESK", "127.0.0.1", running[2])
    association = associate(peer, [Wish("1.2.840.10008.1.1", ("1.2.840.10008.1.2",))])
    assert len(association.contexts) == 1
    association.release()
    association.close()


def test_a_killed_child_is_noticed_and_starts_again(tmp_path: Path) -> None:
    with embedded(tmp_path / "data") as archive:
        first = archive.start()
        os.kill(first.pid, signal.SIGKILL)
        eventually(lambda: archive.state is State.FAILED)
        assert "unexpectedly" in archive.reason and archive.ready is None
        second = archive.start()
        assert second.pid != first.pid and status(second) == 200 and archive.reason == ""


DESKTOP = """
import sys
from pathlib import Path
from app.embedded import EmbeddedArchive, Wishes
archive = EmbeddedArchive(Path(sys.argv[1]), Wishes(keep_running=sys.argv[2] == "keep"))
ready = archive.start()
print(ready.pid, ready.http_url, flush=True)
sys.stdin.read()
"""


def start_desktop(data: Path, how: str) -> tuple[subprocess.Popen[str], int, str]:
    process = subprocess.Popen(
        [sys.executable, "-c", DESKTOP, str(data), how],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=ROOT, env=environment(),
    )  # fmt: skip
    assert process.stdout is not None
    pid, url = process.stdout.readline().split()
    return process, int(pid), url


def test_a_killed_desktop_takes_its_archive_along(tmp_path: Path) -> None:
    desktop, pid, url = start_desktop(tmp_path / "data", "stop")
    with httpx.Client(trust_env=False) as client:
        assert client.get(f"{url}/healthz").status_code == 200
    desktop.kill()
    desktop.communicate()
    eventually(lambda: gone(pid))


def test_one_that_is_kept_running_is_adopted(tmp_path: Path) -> None:
    data = tmp_path / "data"
    desktop, pid, url = start_desktop(data, "keep")
    entry = paths.serve_file(data)
    assert entry.stat().st_mode & 0o777 == 0o600
    desktop.kill()
    desktop.communicate()
    with embedded(data, Wishes(keep_running=True)) as archive:
        ready = archive.start()
        assert (ready.pid, ready.http_url, ready.adopted) == (pid, url, True) and status(ready) == 200
        archive.stop()
        assert archive.state is State.OFF and not gone(pid)
        assert archive.start().adopted
        archive.stop(even_if_kept=True)
        eventually(lambda: gone(pid))
        assert not entry.exists()


def test_an_adopted_one_that_dies_is_noticed(tmp_path: Path) -> None:
    data = tmp_path / "data"
    desktop, pid, _ = start_desktop(data, "keep")
    desktop.kill()
    desktop.communicate()
    with embedded(data) as archive:
        archive.start()
        os.kill(pid, signal.SIGKILL)
        eventually(lambda: archive.state is State.FAILED)
        assert paths.serve_file(data).exists()
        ready = archive.start()
        assert not ready.adopted and ready.pid != pid and status(ready) == 200


def test_whether_it_is_kept_can_change_while_it_runs(tmp_path: Path) -> None:
    data = tmp_path / "data"
    with embedded(data) as archive:
        ready = archive.start()
        archive.keep_running(True)
        eventually(paths.serve_file(data).exists)
        archive.keep_running(False)
        eventually(lambda: not paths.serve_file(data).exists())
        archive.stop()
        assert gone(ready.pid)


def test_a_folder_locked_by_another_names_who_holds_it(running: tuple[EmbeddedArchive, Path, int]) -> None:
    holder, data, _ = running
    ready = holder.start()
    with embedded(data) as archive:
        with pytest.raises(KnownError) as refused:
            archive.start()
        assert archive.state is State.FAILED and f"in use by process {ready.pid}" in archive.reason
        assert "in use by process" in refused.value.message and refused.value.remedy
    assert holder.state is State.RUNNING and status(ready) == 200


STAND_IN = """
import sys
print("ready http=http://127.0.0.1:9 internal=http://127.0.0.1:9 dimse=off", flush=True)
sys.stdin.read()
"""
"""What is started is another test's business: this one is as quick as Python."""


@pytest.mark.parametrize("how", ["no json", "dead", "other program", "too open", "elsewhere", "wrong token"])
def test_a_wrong_or_old_entry_is_ignored(
    tmp_path: Path, how: str, running: tuple[EmbeddedArchive, Path, int]
) -> None:
    data = paths.prepare(tmp_path / "data")
    file = paths.serve_file(data)
    entry = {"pid": os.getpid(), "http": "http://127.0.0.1:9", "internal": "", "token": "0123456789abcdef"}
    if how == "dead":
        process = subprocess.Popen([sys.executable, "-S", "-c", ""])
        process.wait()
        entry["pid"] = process.pid
    if how == "elsewhere":
        entry["http"] = "http://192.0.2.1:8500"
    if how == "wrong token":
        entry["http"] = running[0].start().http_url
    file.write_text("{" if how == "no json" else json.dumps(entry))
    file.chmod(0o644 if how == "too open" else 0o600)
    archive = EmbeddedArchive(data, command=[sys.executable, "-S", "-c", STAND_IN])
    ready = archive.start()
    assert not ready.adopted and ready.pid != entry["pid"] and archive.state is State.RUNNING
    archive.stop()


def test_a_program_that_cannot_start_is_told_in_a_sentence(tmp_path: Path) -> None:
    archive = EmbeddedArchive(tmp_path / "data", command=[sys.executable, "-c", "raise SystemExit(3)"])
    with pytest.raises(KnownError):
        archive.start()
    assert archive.state is State.FAILED and archive.reason
    missing = EmbeddedArchive(tmp_path / "data", command=[str(tmp_path / "no-such-program")])
    with pytest.raises(KnownError):
        missing.start()
    missing.stop()
