"""Worker processes end when asked to, when made to, and whoever reaps them."""

from __future__ import annotations

import multiprocessing
import os
import signal
import sys
import time
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess

import psutil
import pytest

from core import processes

posix = pytest.mark.skipif(sys.platform == "win32", reason="a process is reaped once, by whoever asks first")


def idle(connection: Connection, *, deaf: bool) -> None:
    if deaf:
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
    connection.send("up")
    while True:
        time.sleep(60)


def started(*, deaf: bool = False) -> BaseProcess:
    context = multiprocessing.get_context("spawn")
    ours, theirs = context.Pipe()
    process = context.Process(target=idle, args=(theirs,), kwargs={"deaf": deaf}, daemon=True)
    process.start()
    theirs.close()
    assert ours.recv() == "up"
    ours.close()
    return process


@pytest.mark.parametrize("deaf", [False, pytest.param(True, marks=posix)])
def test_a_process_ends(*, deaf: bool) -> None:
    process = started(deaf=deaf)
    pid = process.pid
    assert pid is not None
    processes.end(process, 0.2 if deaf else 30)
    assert not psutil.pid_exists(pid)
    with pytest.raises(ValueError, match="closed"):
        process.is_alive()


@posix
def test_one_that_another_thread_has_just_reaped_has_ended() -> None:
    process = started()
    assert process.pid is not None
    process.kill()
    assert os.waitpid(process.pid, 0)[0] == process.pid  # as the start of another process does,
    processes.end(process, 30)
    process._popen.returncode = -signal.SIGKILL  # type: ignore[attr-defined]  # and then notes it
    assert process not in multiprocessing.active_children()
