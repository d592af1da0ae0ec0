"""The doorway: everything arrives, in order, on the Qt thread; nothing is left running."""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Generator

import pytest
from pytestqt.qtbot import QtBot

from ui.tasks import Tasks

MAIN = threading.main_thread()


def boom(value: object) -> None:
    """A callback that must not be called."""
    pytest.fail(repr(value))


def on_qt() -> bool:
    """Whether we are on the Qt thread."""
    return threading.current_thread() is MAIN


def ticking(closed: threading.Event) -> Generator[int, None, None]:
    """Work without an end that says when it was closed."""
    try:
        while True:
            time.sleep(0.005)
            yield 0
    finally:
        closed.set()


def test_progress_and_result_arrive_on_the_qt_thread(qtbot: QtBot, tasks: Tasks) -> None:
    log: list[object] = []

    def work() -> Generator[int, None, str]:
        log.append(("work", on_qt()))
        yield from range(3)
        return "done"

    tasks.run(
        work(),
        done=lambda v: log.append((v, on_qt())),
        failed=boom,
        progress=lambda v: log.append((v, on_qt())),
    )
    qtbot.waitUntil(lambda: ("done", True) in log, timeout=2000)
    assert log == [("work", False), (0, True), (1, True), (2, True), ("done", True)]


def test_nothing_is_lost_over_many_fast_jobs(qtbot: QtBot, tasks: Tasks) -> None:
    got: list[int] = []

    def work(i: int) -> Generator[int, None, int]:
        yield i
        return i

    for i in range(300):
        tasks.run(work(i), done=got.append, failed=boom)
    qtbot.waitUntil(lambda: len(got) == 300, timeout=5000)
    assert sorted(got) == list(range(300))
    assert tasks.busy == 0


def test_progress_is_bundled_to_ten_deliveries_a_second_and_loses_no_step(qtbot: QtBot, tasks: Tasks) -> None:
    steps: list[int] = []
    wakes: list[float] = []
    finished: list[bool] = []

    def work() -> Generator[int, None, bool]:
        until = time.monotonic() + 0.5
        n = 0
        while time.monotonic() < until:
            yield n
            n += 1
            time.sleep(0.001)
        return True

    tasks._wake.connect(lambda: wakes.append(time.monotonic()))
    tasks.run(work(), done=finished.append, failed=boom, progress=steps.append)
    qtbot.waitUntil(lambda: bool(finished), timeout=3000)
    assert steps == list(range(len(steps)))
    assert len(steps) > 50
    assert len(wakes) <= 8


def test_a_step_before_a_long_silence_is_still_shown(qtbot: QtBot, tasks: Tasks) -> None:
    steps: list[int] = []
    go_on = threading.Event()

    def work() -> Generator[int, None, None]:
        yield 1
        yield 2
        go_on.wait(5)

    tasks.run(work(), done=lambda _: None, failed=boom, progress=steps.append)
    qtbot.waitUntil(lambda: steps == [1, 2], timeout=1000)
    go_on.set()
    qtbot.waitUntil(lambda: tasks.busy == 0, timeout=1000)


def test_cancel_runs_finally(qtbot: QtBot, tasks: Tasks) -> None:
    closed = threading.Event()
    out: list[str] = []
    task = tasks.run(ticking(closed), done=boom, failed=boom, cancelled=lambda: out.append("c"))
    qtbot.wait(20)
    task.cancel()
    qtbot.waitUntil(lambda: out == ["c"], timeout=2000)
    assert closed.is_set()
    assert task.cancelled


def test_failure_is_delivered(qtbot: QtBot, tasks: Tasks) -> None:
    out: list[Exception] = []

    def work() -> Generator[int, None, None]:
        yield 1
        raise ValueError("x")

    tasks.run(work(), done=boom, failed=out.append)
    qtbot.waitUntil(lambda: bool(out), timeout=2000)
    assert isinstance(out[0], ValueError)


def test_a_callback_that_raises_does_not_swallow_the_mail_behind_it(qtbot: QtBot, tasks: Tasks) -> None:
    got: list[int] = []

    def bad(_: object) -> None:
        raise RuntimeError("a bug in a callback")

    with qtbot.captureExceptions() as caught:
        tasks.call(lambda: 1, done=bad, failed=boom)
        tasks.call(lambda: 2, done=got.append, failed=boom)
        qtbot.waitUntil(lambda: got == [2] and bool(caught), timeout=2000)
    assert caught[0][0] is RuntimeError


def test_shutdown_stops_running_work_and_may_be_repeated(qtbot: QtBot) -> None:
    tasks = Tasks(2)
    closed = threading.Event()
    tasks.run(ticking(closed), done=boom, failed=boom)
    qtbot.wait(20)
    tasks.shutdown()
    tasks.shutdown()
    assert closed.is_set()


def test_work_offered_after_shutdown_is_refused_quietly(qtbot: QtBot) -> None:
    tasks = Tasks(1)
    tasks.shutdown()
    assert tasks.call(lambda: 1, done=boom, failed=boom).cancelled


def test_emitting_keeps_the_references_of_true(qtbot: QtBot, tasks: Tasks) -> None:
    """PySide6 6.12.0 drops a reference to True per emit() on Python 3.11 and aborts after some 550."""
    before = sys.getrefcount(True)
    for _ in range(400):
        tasks._wake.emit()
    qtbot.wait(1)
    assert abs(sys.getrefcount(True) - before) < 100
