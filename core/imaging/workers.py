"""Rendering in processes of its own: C codecs crash, hang and swallow memory, and only their task pays."""

from __future__ import annotations

import os
import threading
from concurrent.futures import Future
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from core.errors import NotRenderable
from core.imaging.hand import Hand, Prepare, Tasks
from core.imaging.worker import MODEL, Task, VoiSpec
from core.imaging.worker_process import WorkerProcess

if TYPE_CHECKING:
    from core.imaging.voi import Voi

TIME_LIMIT_S = 20.0
MEMORY_LIMIT = 2 << 30
CLOSED = "Rendering has been shut down."


class RenderPool:
    """Worker processes with a queue before them; thread-safe. Workers start with the first task.

    Every task has a time limit, every worker a memory limit; a worker that crashes, hangs or dies fails
    its own task with NotRenderable and is replaced. While all workers are at tasks that take long, others
    help out, at most as many again. `close` (or the with statement) ends them all.
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
        self._queue = Tasks()
        self._lock = threading.Lock()
        self._hands: list[Hand] = []
        self._slow: set[Hand] = set()
        self._leaving: list[Hand] = []
        self._closed = False

    def start(self) -> None:
        """Start the workers ahead of the first task."""
        with self._lock:
            if self._closed or self._hands:
                return
            for _ in range(self.workers):
                self._hire()

    def _hire(self) -> None:
        """One more hand; the lock is held."""
        hand = Hand(self, self._queue, self._time_limit_s, WorkerProcess(self._memory_limit))
        self._hands.append(hand)
        hand.start()

    def give_back(self, task: Task, future: Future[bytes]) -> None:
        """A task that had been taken is the next for somebody else."""
        with self._lock:
            if self._closed:
                future.set_exception(NotRenderable(CLOSED))
            else:
                self._queue.put_back((task, future))

    def slow(self, hand: Hand) -> None:
        """A hand is at a task that takes long; if all are, another one comes."""
        with self._lock:
            self._slow.add(hand)
            if len(self._slow) >= len(self._hands) < 2 * self.workers and not self._closed:
                self._hire()

    def done(self, hand: Hand) -> bool:
        """It is at it no more; whether there are enough others, so that it may go."""
        with self._lock:
            self._slow.discard(hand)
            if len(self._hands) <= self.workers or self._closed:
                return False
            self._hands.remove(hand)
            self._leaving.append(hand)
            return True

    def left(self, hand: Hand) -> None:
        """It has gone."""
        with self._lock, suppress(ValueError):
            self._leaving.remove(hand)

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
        return [pid for hand in (*self._hands, *self._leaving) if (pid := hand.pid) is not None]

    def close(self) -> None:
        """Fail what has not begun, end the workers and wait for them."""
        with self._lock:
            if self._closed:
                return
            self._closed = True
            while (work := self._queue.left()) is not None:
                if work[1].running() or work[1].set_running_or_notify_cancel():
                    work[1].set_exception(NotRenderable(CLOSED))
            hands, leaving = list(self._hands), list(self._leaving)
        for _ in hands:
            self._queue.put(None)
        for hand in (*hands, *leaving):
            hand.end()

    def __enter__(self) -> RenderPool:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
