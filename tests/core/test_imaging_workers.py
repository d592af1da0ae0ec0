"""Render processes: pictures come out, crashes and hangs stay with their task, nothing is left behind."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
import textwrap
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from pathlib import Path
from unittest.mock import Mock

import imagecodecs
import numpy as np
import psutil
import pytest

from core.errors import NotDicom, NotFound, NotRenderable
from core.imaging import hand
from core.imaging.hand import error_of
from core.imaging.image import ImageObject
from core.imaging.render import render
from core.imaging.voi import Voi
from core.imaging.worker import Task, perform, reason
from core.imaging.worker_process import WorkerProcess
from core.imaging.workers import RenderPool
from core.media import samples
from tests.core.imaging_objects import file_of, grey_ramp

linux = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="limits need Linux")


@pytest.fixture(scope="module")
def pool() -> Iterator[RenderPool]:
    with RenderPool(2) as pool:
        yield pool


@pytest.fixture(scope="module")
def ct(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("ct")
    return samples.write(samples.ct_slice(samples.SampleStudy(), size=128), folder / "ct.dcm")


def test_pictures_are_those_of_the_same_process(pool: RenderPool, ct: Path) -> None:
    expected = render(ImageObject.open(ct), 0)
    png = pool.render(ct, 0, "png").result(60)
    np.testing.assert_array_equal(imagecodecs.png_decode(png), expected)
    jpeg = imagecodecs.jpeg8_decode(pool.render(ct, quality=95).result(60))
    assert np.abs(jpeg.astype(int) - expected).mean() < 2
    windowed = imagecodecs.png_decode(pool.render(ct, 0, "png", voi=Voi(-600, 1500)).result(60))
    np.testing.assert_array_equal(windowed, render(ImageObject.open(ct), 0, Voi(-600, 1500)))
    assert imagecodecs.jpeg8_decode(pool.render(ct, 0, "thumbnail", (32, 32)).result(60)).shape == (32, 32)
    assert imagecodecs.jpeg8_decode(pool.render(ct, 0, "jpeg", (256, 300)).result(60)).shape == (256, 256)
    assert imagecodecs.jpeg8_decode(pool.thumbnail(ct, 0, 64)).shape == (64, 64)


def test_reasons_come_back_as_they_were(pool: RenderPool, ct: Path, tmp_path: Path) -> None:
    with pytest.raises(NotFound) as missing:
        pool.render(tmp_path / "absent").result(60)
    assert missing.value.kind == "image"
    with pytest.raises(NotFound) as frame:
        pool.render(ct, 7).result(60)
    assert frame.value.kind == "frame"
    with pytest.raises(NotDicom):
        pool.render(b"not at all").result(60)
    with pytest.raises(NotRenderable, match="too large"):
        pool.render(file_of(grey_ramp(4, 4), Rows=65535, Columns=65535)).result(60)


def test_a_batch_keeps_its_order(pool: RenderPool) -> None:
    files = [file_of(np.full((8, 8), n, np.uint8)) for n in range(40)]
    pictures = [f.result(60) for f in [pool.render(data, 0, "png") for data in files]]
    assert [int(imagecodecs.png_decode(p)[0, 0]) for p in pictures] == list(range(40))


@linux
def test_killed_workers_are_replaced(ct: Path) -> None:
    with RenderPool(1) as pool:
        assert pool.render(ct).result(60)
        for _ in range(2):
            (pid,) = pool.pids()
            os.kill(pid, signal.SIGKILL)
            assert pool.render(ct).result(60)
            assert pool.pids() != [pid]


@linux
def test_a_task_that_hangs_fails_alone_and_in_time(ct: Path, tmp_path: Path) -> None:
    pipe = tmp_path / "never-written"
    os.mkfifo(pipe)
    with RenderPool(1, time_limit_s=0.5) as pool:
        assert pool.render(ct).result(60)
        slow, next_one = pool.render(pipe), pool.render(ct)
        with pytest.raises(NotRenderable, match="too long"):
            slow.result(60)
        assert next_one.result(60)


@linux
def test_a_task_that_hangs_costs_nobody_else_its_time(ct: Path, tmp_path: Path) -> None:
    """Those behind it are done meanwhile, the one in its worker's pipe too; then the help goes."""
    pipe = tmp_path / "not-yet-written"
    os.mkfifo(pipe)
    with RenderPool(1) as pool:
        picture = pool.render(ct).result(60)
        slow, *others = pool.render(pipe), *(pool.render(ct) for _ in range(3))
        assert [each.result(15) for each in others] == [picture] * 3
        assert not slow.done() and len(pool.pids()) == 2
        pipe.open("wb").close()
        with pytest.raises(NotDicom):
            slow.result(15)
        until = time.monotonic() + 15
        while len(pool.pids()) > 1 and time.monotonic() < until:
            time.sleep(0.01)
        assert len(pool.pids()) == 1
        assert pool.render(ct).result(60) == picture


@linux
def test_help_that_dies_is_replaced_while_the_others_hang(ct: Path, tmp_path: Path) -> None:
    pipe = tmp_path / "not-yet-written"
    os.mkfifo(pipe)
    with RenderPool(1) as pool:
        assert pool.render(ct).result(60)
        (busy,) = pool.pids()
        slow, other = pool.render(pipe), pool.render(ct)
        assert other.result(15)
        for pid in {*pool.pids()} - {busy}:
            os.kill(pid, signal.SIGKILL)
        assert pool.render(ct).result(15) and not slow.done()
        pipe.open("wb").close()
        with pytest.raises(NotDicom):
            slow.result(15)


def test_a_task_that_cannot_be_told_fails_alone(ct: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """And whoever it stood in line behind has the picture."""
    told = WorkerProcess.give

    def give(self: WorkerProcess, task: Task) -> bool:
        if task.kind == "png":
            raise MemoryError
        return told(self, task)

    monkeypatch.setattr(WorkerProcess, "give", give)
    with RenderPool(1) as pool:
        tasks = [pool.render(ct, 0, kind) for kind in ("jpeg", "jpeg", "png", "jpeg")]
        for each in (tasks[0], tasks[1], tasks[3]):
            assert each.result(60)
        with pytest.raises(MemoryError):
            tasks[2].result(60)


def test_where_no_thread_can_be_had_there_are_pictures(ct: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    started = threading.Thread.start

    def start(self: threading.Thread) -> None:
        if self.name == "render-process":
            raise RuntimeError("can't start new thread")
        started(self)

    monkeypatch.setattr(threading.Thread, "start", start)
    with RenderPool(1) as pool:
        assert pool.render(ct).result(60)
        pids = pool.pids()
    assert pids and not any(psutil.pid_exists(pid) for pid in pids)


@linux
def test_many_that_hang_have_no_end_of_help(ct: Path, tmp_path: Path) -> None:
    pipes = [tmp_path / str(number) for number in range(3)]
    for pipe in pipes:
        os.mkfifo(pipe)
    with RenderPool(1, time_limit_s=1) as pool:
        assert pool.render(ct).result(60)
        slow = [pool.render(pipe) for pipe in pipes]
        fine = pool.render(ct)
        for each in slow:
            with pytest.raises(NotRenderable, match="too long"):
                each.result(60)
            assert len(pool.pids()) <= 2
        assert fine.result(60)


@linux
def test_a_decoder_that_crashes_takes_only_its_own_task(ct: Path) -> None:
    """The worker dies of a task: its memory limit leaves no room even for a traceback."""
    large = file_of(grey_ramp(6000, 6000))
    with RenderPool(1, memory_limit=48 << 20) as pool:
        doomed, fine = pool.render(large), pool.render(ct)
        with pytest.raises(NotRenderable):
            doomed.result(60)
        assert fine.result(60)


def on_its_loop(pool: RenderPool, work: Callable[[], None]) -> None:
    """Work where nothing of the pool changes meanwhile."""
    done = threading.Event()
    assert pool._loop is not None
    pool._loop.call_soon_threadsafe(lambda: (work(), done.set()))
    assert done.wait(60)


def kill_who_is_at(doomed: Future[bytes], pool: RenderPool, gone: set[int]) -> None:
    for each in pool._hands:
        first = each._given[0] if each._given else None
        pid = each.pid
        if first is not None and first.future is doomed and pid is not None and pid not in gone:
            gone.add(pid)
            os.kill(pid, signal.SIGKILL)


@linux
def test_a_crash_that_repeats_is_reported(ct: Path) -> None:
    """Two workers in a row die of a task that cannot end by itself."""
    fifo = ct.parent / "fifo"
    os.mkfifo(fifo)
    with RenderPool(1) as pool:
        assert pool.render(ct).result(60)
        doomed, fine = pool.render(fifo), pool.render(ct)
        gone: set[int] = set()
        until = time.monotonic() + 60
        while len(gone) < 2 and time.monotonic() < until:
            on_its_loop(pool, lambda: kill_who_is_at(doomed, pool, gone))
        with pytest.raises(NotRenderable, match="crashed"):
            doomed.result(60)
        assert fine.result(60)
        assert not gone & set(pool.pids())


def test_a_worker_that_never_starts_is_told_of(
    ct: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """And the next task has another try."""
    with RenderPool(1) as pool:
        with monkeypatch.context() as patch:
            patch.setattr(hand, "WorkerProcess", Mock(side_effect=OSError(12, "Cannot allocate memory")))
            with pytest.raises(NotRenderable, match="crashed"):
                pool.render(ct).result(60)
        assert pool.render(ct).result(60)
    assert caplog.text.count("cannot be started") >= 2


def test_on_a_loop_of_somebody_else(ct: Path) -> None:
    """Asked on it and from elsewhere; what has been called off is not begun; close comes after it."""
    pool = RenderPool(1)

    async def ask() -> list[bytes]:
        pool.live_on(asyncio.get_running_loop())
        first = pool.render(ct)
        called_off = pool.render(ct)
        assert called_off.cancel()
        elsewhere = await asyncio.to_thread(pool.render, ct)
        large = pool.render(ct.read_bytes() + bytes(4 << 20))
        return [await asyncio.wrap_future(each) for each in (first, elsewhere, large)]

    first, *others = asyncio.run(ask())
    assert others == [first] * 2
    pids = pool.pids()
    pool.close()
    assert pids and not any(psutil.pid_exists(pid) for pid in pids)
    with pytest.raises(NotRenderable, match="shut down"):
        pool.render(ct).result(1)


def test_closing_ends_every_process_and_refuses_more(ct: Path) -> None:
    pool = RenderPool(2)
    assert pool.render(ct).result(60)
    pids = pool.pids()
    pool.close()
    pool.close()
    assert pids
    assert not any(psutil.pid_exists(pid) for pid in pids)
    with pytest.raises(NotRenderable, match="shut down"):
        pool.render(ct).result(1)


@linux
def test_workers_end_when_their_owner_is_killed(ct: Path) -> None:
    program = textwrap.dedent("""
        import sys
        from pathlib import Path
        from core.imaging.workers import RenderPool
        if __name__ == "__main__":
            pool = RenderPool(1)
            pool.render(Path(sys.argv[1])).result()
            print(*pool.pids(), flush=True)
            sys.stdin.read()
    """)
    script = ct.parent / "owner.py"
    script.write_text(program)
    root = Path(__file__).parents[2]
    with subprocess.Popen(
        [sys.executable, script, ct],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": str(root)},
    ) as owner:
        assert owner.stdout is not None
        worker = psutil.Process(int(owner.stdout.readline()))
        owner.kill()
        assert worker in psutil.wait_procs([worker], timeout=20)[0]


def test_every_failure_of_a_task_is_an_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(error: Exception) -> object:
        def raising(*_: object) -> None:
            raise error

        return raising

    task = Task(b"", 0, "jpeg", None, 90, None)
    for error, kind in (
        (MemoryError(), "NotRenderable"),
        (ValueError("patient name"), "NotRenderable"),
        (OSError(5, "Input/output error"), "StorageFault"),
    ):
        monkeypatch.setattr(ImageObject, "open", broken(error))
        answer = perform(task)
        assert (answer.picture, answer.error) == (b"", kind)
        assert "patient name" not in answer.message


@pytest.mark.parametrize("name", ["annotations", "FilmjacketError", "nonsense", "NotRenderable", ""])
def test_a_worker_can_name_no_error_but_ours(name: str) -> None:
    told = reason("\0".join((name, "It is so.", "Do this.")).encode() + b"\0more\xff")
    error = error_of(told)
    assert type(error) is NotRenderable and (error.message, error.remedy) == ("It is so.", "Do this.")
    assert reason(b"").error == "NotRenderable"
