"""Rendering in processes of its own: C codecs crash, hang and swallow memory, and only their task pays."""

from __future__ import annotations

import asyncio
import os
import threading
from collections import deque
from concurrent.futures import Future
from pathlib import Path
from typing import TYPE_CHECKING

from core.imaging.hand import CLOSED, CRASHED, Hand, Job
from core.imaging.worker import MODEL, Task, VoiSpec
from core.loops import runs_here

if TYPE_CHECKING:
    from core.imaging.voi import Voi

TIME_LIMIT_S = 20.0
MEMORY_LIMIT = 2 << 30
LOOK_S = 0.1
"""So often is looked who has been at a task for long."""
MOST_FAILURES = 2
"""When so many workers in a row were never ready, somebody who waits hears of it."""


class RenderPool:
    """Worker processes with a queue before them; thread-safe. Workers start with the first task.

    Every task has a time limit, every worker a memory limit; a worker that crashes, hangs or dies fails
    its own task with NotRenderable and is replaced. While all workers are at tasks that take long, others
    help out, at most as many again. `close` (or the with statement) ends them all.

    The workers are spoken with on an event loop: on a thread of the pool's own, unless `live_on` names one.
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
        self._lock = threading.Lock()
        self._closed = False
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread: threading.Thread | None = None
        """Runs the loop if that is the pool's own."""
        self._queue: deque[Job] = deque()
        self._hands: list[Hand] = []
        self._left: list[Hand] = []
        self._looking = False

    def live_on(self, loop: asyncio.AbstractEventLoop) -> None:
        """Speak with the workers on *loop*, whose thread then gets pictures without a thread between.

        Before the first task. *loop* has to have stopped when the pool is closed.
        """
        with self._lock:
            if self._loop is None:
                self._loop = loop

    def _home(self) -> asyncio.AbstractEventLoop:
        """The loop; the lock is held."""
        if self._loop is None:
            self._loop = asyncio.SelectorEventLoop()
            self._thread = threading.Thread(target=self._loop.run_forever, name="render", daemon=True)
            self._thread.start()
        return self._loop

    def _put(self, task: Task) -> Future[bytes]:
        job = Job(task)
        with self._lock:
            if self._closed:
                job.fail(CLOSED)
                return job.future
            loop = self._home()
            if not runs_here(loop):
                loop.call_soon_threadsafe(self._add, job)
                return job.future
        self._add(job)
        return job.future

    def _add(self, job: Job) -> None:
        self._queue.append(job)
        if not self._hands:
            for _ in range(self.workers):
                self._hire()
        if not self._looking:
            self._look()
        self._deal()

    def _hire(self) -> None:
        hand = Hand(self, self._home(), self._time_limit_s, self._memory_limit)
        self._hands.append(hand)
        hand.start()

    def _deal(self) -> None:
        """Give what waits to whom can take it."""
        while self._queue:
            hand = next((each for each in self._hands if each.idle), None)
            hand = hand or next((each for each in self._hands if each.has_room), None)
            if hand is None:
                for each in self._hands:  # who has no worker any more, and did not need one
                    each.start()
                return
            job = self._queue.popleft()
            if job.begin():
                hand.give(job)

    def _look(self) -> None:
        """Look after those who are at something, again and again until nobody is."""
        try:
            for hand in [*self._hands]:
                hand.look()
        finally:
            self._looking = bool(self._queue) or any(hand.busy for hand in self._hands)
            if self._looking:
                self._home().call_later(LOOK_S, self._look)

    def free(self, hand: Hand) -> None:
        """It can take a task."""
        self._deal()

    def give_back(self, job: Job) -> None:
        """One that had been taken is the next for somebody else."""
        self._queue.appendleft(job)

    def slow(self, hand: Hand) -> None:
        """A hand is at a task that takes long; if all are, another one comes."""
        if all(each.slow for each in self._hands) and len(self._hands) < 2 * self.workers:
            self._hire()
        self._deal()

    def quick(self, hand: Hand) -> bool:
        """It is at it no more; False if there are enough others, so that it has been let go."""
        if len(self._hands) <= self.workers:
            return True
        self._let_go(hand)
        self._deal()
        return False

    def lost(self, hand: Hand) -> None:
        """Its worker has gone: another one comes, if it is needed."""
        if hand.failures >= MOST_FAILURES and self._queue:
            self._queue.popleft().fail(CRASHED)
        others = [each for each in self._hands if each is not hand and not each.slow]
        if others and len(self._hands) > self.workers:
            self._let_go(hand)
        elif self._queue or not hand.failures:
            hand.start()
        self._deal()

    def _let_go(self, hand: Hand) -> None:
        self._hands.remove(hand)
        self._left = [*(each for each in self._left if each.ending), hand]
        hand.leave()

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

    def thumbnail(self, file: Path, frame: int, box: int) -> bytes:
        """The `Thumbnailer` port: waits for the picture."""
        return self.render(file, frame, "thumbnail", (box, box), 75).result()

    def model(self, file: Path, address: str) -> bytes:
        """The `Modeller` port: waits for the model."""
        return self.render(file, 0, MODEL + address, None, 0).result()

    def pids(self) -> list[int]:
        """Process ids of the workers that live."""
        return [pid for hand in [*self._hands] if (pid := hand.pid) is not None]

    def close(self) -> None:
        """Fail what has not begun, end the workers and wait for them."""
        with self._lock:
            if self._closed:
                return
            self._closed = True
            loop, thread = self._loop, self._thread
        if loop is not None and thread is not None:
            loop.call_soon_threadsafe(loop.stop)
            thread.join()
        for job in self._queue:
            job.fail(CLOSED)
        for hand in (*self._hands, *self._left):
            hand.end()
        self._queue.clear()
        self._hands.clear()
        if loop is not None and thread is not None:
            loop.close()

    def __enter__(self) -> RenderPool:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
