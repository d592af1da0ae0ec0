"""Rendering in processes of its own: C codecs crash, hang and swallow memory, and only their task pays."""

from __future__ import annotations

import multiprocessing
import os
import queue
import select
import threading
from concurrent.futures import Future
from multiprocessing.connection import Connection
from pathlib import Path
from typing import TYPE_CHECKING

from core import errors
from core.errors import KnownError, NotFound, NotRenderable
from core.imaging.worker import Answer, Task, VoiSpec, serve

if TYPE_CHECKING:
    from multiprocessing.context import SpawnProcess

    from core.imaging.voi import Voi

TIME_LIMIT_S = 20.0
MEMORY_LIMIT = 2 << 30
START_LIMIT_S = 60.0
CRASHED = "The decoder crashed on this picture."
TOO_SLOW = "This picture takes too long to read."
CLOSED = "Rendering has been shut down."

Work = tuple[Task, "Future[bytes]"]


class RenderPool:
    """Worker processes with a queue before them; thread-safe. Workers start with the first task.

    Every task has a time limit, every worker a memory limit; a worker that crashes, hangs or dies fails
    its own task with NotRenderable and is replaced. `close` (or the with statement) ends them all.
    """

    def __init__(
        self,
        workers: int | None = None,
        *,
        time_limit_s: float = TIME_LIMIT_S,
        memory_limit: int = MEMORY_LIMIT,
    ) -> None:
        self.workers = workers or max(1, min(4, os.cpu_count() or 1))
        self._time_limit_s = time_limit_s
        self._memory_limit = memory_limit
        self._queue: queue.SimpleQueue[Work | None] = queue.SimpleQueue()
        self._lock = threading.Lock()
        self._hands: list[_Hand] = []
        self._closed = False

    def start(self) -> None:
        """Start the workers ahead of the first task."""
        with self._lock:
            if self._closed or self._hands:
                return
            self._hands = [
                _Hand(self._queue, self._time_limit_s, self._memory_limit) for _ in range(self.workers)
            ]
        for hand in self._hands:
            hand.start()

    def render(
        self,
        source: Path | bytes,
        frame0: int = 0,
        kind: str = "jpeg",
        size: tuple[int, int] | None = None,
        quality: int = 90,
        *,
        voi: Voi | None = None,
        invert: bool = False,
        region: tuple[float, float, float, float] | None = None,
    ) -> Future[bytes]:
        """*kind* is "jpeg", "png", "thumbnail" (a JPEG never enlarged) or "description" (JSON).

        *size* (width, height) is what the picture is fitted into; *region* is what `cropped` takes of it.
        The Future raises NotFound, NotDicom, NotRenderable, StorageFault. Cancelling it skips a task that
        has not begun. A *voi* with a table cannot cross; its window is used.
        """
        spec = None if voi is None else VoiSpec(voi.center, voi.width, voi.function.value)
        place = source if isinstance(source, bytes) else os.fspath(source)
        future: Future[bytes] = Future()
        self.start()
        with self._lock:
            if self._closed:
                future.set_exception(NotRenderable(CLOSED))
            else:
                self._queue.put((Task(place, frame0, kind, size, quality, spec, invert, region), future))
        return future

    def thumbnail(self, file: Path, frame: int, box: int) -> bytes:
        """The `Thumbnailer` port: waits for the picture."""
        return self.render(file, frame, "thumbnail", (box, box), 75).result()

    def pids(self) -> list[int]:
        """Process ids of the workers that live."""
        return [pid for hand in self._hands if (pid := hand.pid) is not None]

    def close(self) -> None:
        """Fail what has not begun, end the workers and wait for them."""
        with self._lock:
            if self._closed:
                return
            self._closed = True
            while not self._queue.empty():
                try:
                    work = self._queue.get_nowait()
                except queue.Empty:
                    break
                if work is not None and work[1].set_running_or_notify_cancel():
                    work[1].set_exception(NotRenderable(CLOSED))
        for _ in self._hands:
            self._queue.put(None)
        for hand in self._hands:
            hand.end()

    def __enter__(self) -> RenderPool:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


class _Hand:
    """One thread that feeds one worker process, and a new one when that is gone."""

    def __init__(self, tasks: queue.SimpleQueue[Work | None], time_limit_s: float, memory: int) -> None:
        self._tasks = tasks
        self._time_limit_s = time_limit_s
        self._memory = memory
        self.pid: int | None = None
        self._process: SpawnProcess | None = None
        self._pipe: Connection | None = None
        self._used = False
        self._thread = threading.Thread(target=self._run, name="render", daemon=True)

    def start(self) -> None:
        """Start the thread, which starts the process."""
        self._thread.start()

    def end(self) -> None:
        """Wait for the thread; the queue has told it to stop."""
        self._thread.join()

    def _run(self) -> None:
        try:
            self._spawn()
        except OSError:
            self._dismiss()  # tried again with the first task, which then says why
        while (work := self._tasks.get()) is not None:
            task, future = work
            if not future.set_running_or_notify_cancel():
                continue
            try:
                answer = self._ask(task)
            except Exception as error:  # the thread must live on to serve the next task
                future.set_exception(error)
            else:
                if answer.error:
                    future.set_exception(_error(answer))
                else:
                    future.set_result(answer.picture)
        self._dismiss()

    def _ask(self, task: Task) -> Answer:
        """Send the task and wait. A second worker tries too: the first may have died before this task."""
        for _ in range(2):
            pipe = self._pipe or self._spawn()
            limit = self._time_limit_s if self._used else max(self._time_limit_s, START_LIMIT_S)
            try:
                pipe.send(tuple(task))
                if not _answers(pipe, limit):
                    self._dismiss()
                    return Answer(b"", "NotRenderable", TOO_SLOW)
                answer = Answer(*pipe.recv())
            except (EOFError, OSError):
                self._dismiss()
                continue
            self._used = True
            return answer
        return Answer(b"", "NotRenderable", CRASHED)

    def _spawn(self) -> Connection:
        context = multiprocessing.get_context("spawn")
        ours, theirs = context.Pipe()
        process = context.Process(
            target=serve, args=(theirs, self._memory), name="filmjacket-render", daemon=True
        )
        try:
            process.start()
        except BaseException:
            ours.close()
            raise
        finally:
            theirs.close()
        self._process, self._pipe, self._used = process, ours, False
        self.pid = process.pid
        return ours

    def _dismiss(self) -> None:
        """End the worker, kindly if it is idle, and reap it."""
        process, pipe = self._process, self._pipe
        self._process = self._pipe = self.pid = None
        if pipe is not None:
            pipe.close()
        if process is not None:
            process.terminate()
            process.join(2)
            if process.exitcode is None:
                process.kill()
                process.join()
            process.close()


def _answers(pipe: Connection, limit_s: float) -> bool:
    """Whether an answer comes within the time; `Connection.poll` does the same ten times as slowly."""
    if not hasattr(select, "poll"):  # Windows
        return pipe.poll(limit_s)
    waiting = select.poll()
    waiting.register(pipe, select.POLLIN)
    return bool(waiting.poll(limit_s * 1000))


def _error(answer: Answer) -> KnownError:
    if answer.error == "NotFound":
        kind = "frame" if "frame" in answer.message else "image"
        return NotFound(kind, answer.message, answer.remedy)
    found = getattr(errors, answer.error, NotRenderable)
    error: KnownError = found(answer.message, answer.remedy)
    return error
