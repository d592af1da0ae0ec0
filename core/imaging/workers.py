"""Rendering in processes of its own: C codecs crash, hang and swallow memory, and only their task pays."""

from __future__ import annotations

import multiprocessing
import os
import queue
import select
import threading
from collections import deque
from collections.abc import Callable
from concurrent.futures import Future
from multiprocessing.connection import Connection
from pathlib import Path
from typing import TYPE_CHECKING

from core import errors
from core.errors import KnownError, NotFound, NotRenderable
from core.imaging.worker import MODEL, Answer, Task, VoiSpec, serve

if TYPE_CHECKING:
    from multiprocessing.context import SpawnProcess

    from core.imaging.voi import Voi

TIME_LIMIT_S = 20.0
MEMORY_LIMIT = 2 << 30
START_LIMIT_S = 60.0
CRASHED = "The decoder crashed on this picture."
TOO_SLOW = "This picture takes too long to read."
CLOSED = "Rendering has been shut down."

Prepare = Callable[[], Task | bytes]
"""Finds out on a thread of the pool what is to be made, or gives what was made already."""
Work = tuple[Task | Prepare, "Future[bytes]"]


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
        self._queue = _Tasks()
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
        return self._put(Task(place, frame0, kind, size, quality, spec, invert, region))

    def prepared(self, prepare: Prepare) -> Future[bytes]:
        """The same for a task that has yet to be found out; the Future raises what *prepare* does, too."""
        return self._put(prepare)

    def _put(self, task: Task | Prepare) -> Future[bytes]:
        future: Future[bytes] = Future()
        self.start()
        with self._lock:
            if self._closed:
                future.set_exception(NotRenderable(CLOSED))
            else:
                self._queue.put((task, future))
        return future

    def thumbnail(self, file: Path, frame: int, box: int) -> bytes:
        """The `Thumbnailer` port: waits for the picture."""
        return self.render(file, frame, "thumbnail", (box, box), 75).result()

    def model(self, file: Path, address: str) -> bytes:
        """The `Modeller` port: waits for the model."""
        return self.render(file, 0, MODEL + address, None, 0).result()

    def pids(self) -> list[int]:
        """Process ids of the workers that live."""
        return [pid for hand in self._hands if (pid := hand.pid) is not None]

    def close(self) -> None:
        """Fail what has not begun, end the workers and wait for them."""
        with self._lock:
            if self._closed:
                return
            self._closed = True
            while (work := self._queue.left()) is not None:
                if work[1].set_running_or_notify_cancel():
                    work[1].set_exception(NotRenderable(CLOSED))
        for _ in self._hands:
            self._queue.put(None)
        for hand in self._hands:
            hand.end()

    def __enter__(self) -> RenderPool:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


class _Tasks:
    """What is to be done, and how many hands wait for it."""

    def __init__(self) -> None:
        self._queue: queue.SimpleQueue[Work | None] = queue.SimpleQueue()
        self._lock = threading.Lock()
        self._waiting = 0

    def put(self, work: Work | None) -> None:
        """Add work; None ends one hand."""
        self._queue.put(work)

    def get(self) -> Work | None:
        """Wait for work."""
        with self._lock:
            self._waiting += 1
        try:
            return self._queue.get()
        finally:
            with self._lock:
                self._waiting -= 1

    def spare(self) -> Work | None:
        """Work for which no other hand is free; None if there is none."""
        return None if self._waiting else self.left()

    def left(self) -> Work | None:
        """The next work, None if there is none; what ends a hand is left to it."""
        try:
            work = self._queue.get_nowait()
        except queue.Empty:
            return None
        if work is None:
            self._queue.put(None)
        return work


class _Hand:
    """One thread that feeds one worker process, and a new one when that is gone.

    While the worker makes one picture, the next task lies in its pipe: between two it waits for nobody.
    """

    def __init__(self, tasks: _Tasks, time_limit_s: float, memory: int) -> None:
        self._tasks = tasks
        self._time_limit_s = time_limit_s
        self._memory = memory
        self.pid: int | None = None
        self._process: SpawnProcess | None = None
        self._pipe: Connection | None = None
        self._used = False
        self._taken: deque[tuple[Task, Future[bytes]]] = deque()
        self._given = 0
        """So many of those taken has the worker."""
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
        while self._take():
            _, future = self._taken[0]
            try:
                answer = self._ask()
            except Exception as error:  # the thread must live on to serve the next task
                self._dismiss()
                self._taken.popleft()
                future.set_exception(error)
                continue
            self._taken.popleft()
            if answer.error:
                future.set_exception(_error(answer))
            else:
                future.set_result(answer.picture)
        self._dismiss()

    def _take(self) -> bool:
        """Have a task, and one more if nobody else is free for it; False when the pool is closed."""
        while not self._taken:
            work = self._tasks.get()
            if work is None:
                return False
            self._accept(*work)
        if len(self._taken) == 1 and (work := self._tasks.spare()):
            self._accept(*work)
        return True

    def _accept(self, task: Task | Prepare, future: Future[bytes]) -> None:
        if not future.set_running_or_notify_cancel():
            return
        if not isinstance(task, Task):
            try:
                found = task()
            except BaseException as error:  # whoever waits must hear of it
                future.set_exception(error)
                return
            if isinstance(found, bytes):
                future.set_result(found)
                return
            task = found
        self._taken.append((task, future))

    def _ask(self) -> Answer:
        """The answer to the first task. A second worker tries too: the first may have died before it."""
        for _ in range(2):
            pipe = self._pipe or self._spawn()
            limit = self._time_limit_s if self._used else max(self._time_limit_s, START_LIMIT_S)
            try:
                self._give(pipe)
                if not _answers(pipe, limit):
                    self._dismiss()
                    return Answer(b"", "NotRenderable", TOO_SLOW)
                answer = Answer(*pipe.recv())
            except (EOFError, OSError):
                self._dismiss()
                continue
            self._used = True
            self._given -= 1
            return answer
        return Answer(b"", "NotRenderable", CRASHED)

    def _give(self, pipe: Connection) -> None:
        """Send what the worker has not got: a second one if it is short, so that the pipe holds it."""
        for task, _ in list(self._taken)[self._given :]:
            if self._given and not isinstance(task.source, str):
                return
            pipe.send(tuple(task))
            self._given += 1

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
        self._given = 0
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
