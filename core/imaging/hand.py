"""One worker process of the render pool, looked after on an event loop: it is never waited for."""

from __future__ import annotations

import asyncio
import logging
import threading
from collections import deque
from collections.abc import Callable
from concurrent.futures import Future
from contextlib import suppress
from typing import Protocol

from core import errors
from core.errors import KnownError, NotFound, NotRenderable
from core.imaging.worker import PICTURE, READY, Answer, Task, reason
from core.imaging.worker_process import WorkerProcess

logger = logging.getLogger(__name__)

START_LIMIT_S = 60.0
PATIENCE_S = 0.5
"""Behind a task that takes longer nobody waits any more."""
TRIES = 2
"""So many workers die of a task before it is given up: the first may have died of something before it."""
CRASHED = "The decoder crashed on this picture."
TOO_SLOW = "This picture takes too long to read."
CLOSED = "Rendering has been shut down."


class Job:
    """A task, who waits for it, and how many workers have died of it."""

    __slots__ = ("_begun", "deaths", "future", "task")

    def __init__(self, task: Task) -> None:
        self.task = task
        self.future: Future[bytes] = Future()
        self.deaths = 0
        self._begun = False

    def begin(self) -> bool:
        """Whether somebody still waits for it; from then on it cannot be called off."""
        self._begun = self._begun or self.future.set_running_or_notify_cancel()
        return self._begun

    def fail(self, message: str) -> None:
        """Whoever waits hears why there is no picture."""
        if self.begin():
            self.future.set_exception(NotRenderable(message))

    def settle(self, kind: int, body: bytes) -> None:
        """With what a worker has sent; nothing in it is run here, whatever a picture has made of that."""
        if kind == PICTURE:
            self.future.set_result(body)
        else:
            self.future.set_exception(error_of(reason(body)))


class Crew(Protocol):
    """The others, for a hand that cannot go on."""

    def free(self, hand: Hand) -> None:
        """It can take a task."""

    def slow(self, hand: Hand) -> None:
        """It is at a task that takes long."""

    def quick(self, hand: Hand) -> bool:
        """It is at it no more; False if there are enough others, so that it has been let go."""

    def give_back(self, job: Job) -> None:
        """One that had been taken is the next for somebody else."""

    def lost(self, hand: Hand) -> None:
        """Its worker has gone."""


class Hand:
    """A worker process and what it has been given; all of it happens on *loop*.

    While the worker makes one picture, the next task lies in its line: between two it waits for nobody. If
    the first takes long, somebody else gets the next one, and what the worker makes of it is thrown away.
    """

    def __init__(
        self, crew: Crew, loop: asyncio.AbstractEventLoop, time_limit_s: float, memory_limit: int
    ) -> None:
        self._crew = crew
        self._loop = loop
        self._time_limit_s = time_limit_s
        self._memory_limit = memory_limit
        self._worker: WorkerProcess | None = None
        self._launched: WorkerProcess | None = None
        """One that the loop has not seen yet."""
        self._threads: list[threading.Thread] = []
        """They start workers and end them."""
        self._given: deque[Job | None] = deque()
        """What the worker has got, in order; None for what somebody else has got meanwhile."""
        self._since = 0.0
        """When the worker began with the first of them, or was begun with."""
        self._ended = False
        self.starting = False
        self.ready = False
        """Whether the worker has said so."""
        self.failures = 0
        """So many workers in a row were never ready."""
        self.slow = False
        """Whether the first task takes long."""

    @property
    def pid(self) -> int | None:
        """Process id of its worker, None if it has none now."""
        worker = self._worker
        return None if worker is None else worker.pid

    @property
    def busy(self) -> bool:
        """Whether there is something to look after."""
        return self.starting or bool(self._given)

    @property
    def ending(self) -> bool:
        """Whether a worker of it is being ended."""
        return any(thread.is_alive() for thread in self._threads)

    @property
    def idle(self) -> bool:
        """Whether its worker waits for a task."""
        return self.ready and not self._given

    @property
    def has_room(self) -> bool:
        """Whether a task may lie in the line, behind the one its worker is at."""
        return self.ready and not self.slow and len(self._given) < 2

    def start(self) -> None:
        """Have a worker, if there is none; nothing is given to it before it is ready."""
        if self.starting or self._worker is not None:
            return
        self.starting, self._since = True, self._loop.time()
        self._apart(self._launch)

    def _apart(self, work: Callable[[], None]) -> None:
        """On a thread: starting a process, and reaping one, take longer than a loop may wait."""
        self._threads = [each for each in self._threads if each.is_alive()]
        thread = threading.Thread(target=work, name="render-process", daemon=True)
        try:
            thread.start()
        except RuntimeError:  # the system has no thread left: then the loop does wait
            work()
            return
        self._threads.append(thread)

    def _launch(self) -> None:
        try:
            self._launched = WorkerProcess(self._memory_limit)
        except Exception as error:  # tried again, and then whoever waits for a picture hears of it
            logger.warning("A render process cannot be started (%s).", error)
        with suppress(RuntimeError):  # the loop has ended meanwhile
            self._loop.call_soon_threadsafe(self._meet)

    def _meet(self) -> None:
        """The worker is there, or could not be started."""
        worker = self._worker = self._launched
        self._launched = None
        if worker is None or self._ended:
            self._lose(worker)
        else:
            self._loop.add_reader(worker.line.fileno(), self._hear)

    def give(self, job: Job) -> None:
        """Send it to the worker, which is ready."""
        if not self._given:
            self._since = self._loop.time()
        self._given.append(job)
        worker = self._worker
        try:
            if worker is not None and not worker.give(job.task):
                self._loop.add_writer(worker.line.fileno(), self._flush)
        except OSError:
            self._loop.call_soon(self._lose, worker)
        except Exception as error:  # too large for this machine, or for a message: nothing of it was sent
            self._given.pop()
            job.future.set_exception(error)

    def _flush(self) -> None:
        worker = self._worker
        try:
            if worker is not None and worker.line.flush():
                self._loop.remove_writer(worker.line.fileno())
        except OSError:
            self._lose(worker)

    def _hear(self) -> None:
        """The worker has said something."""
        worker = self._worker
        try:
            while worker is not None and worker is self._worker:
                if (message := worker.line.receive()) is None:
                    return
                self._heard(*message)
                if not worker.line.heard:
                    return
        except (EOFError, OSError):
            self._lose(worker)

    def _heard(self, kind: int, body: bytes) -> None:
        self._since = self._loop.time()
        if kind == READY:
            self.ready, self.starting, self.failures = True, False, 0
            self._crew.free(self)
        elif self._given:
            job, was_slow = self._given.popleft(), self.slow
            self.slow = False
            try:
                if not was_slow or self._crew.quick(self):
                    self._crew.free(self)  # the worker goes on before anybody looks at what it has made
            finally:
                if job is not None:
                    job.settle(kind, body)

    def look(self) -> None:
        """What takes long is told, what takes too long is ended; to be called now and then."""
        age = self._loop.time() - self._since
        if self.starting:
            if age > START_LIMIT_S and self._worker is not None:
                self._lose(self._worker)
        elif self._given:
            if age > self._time_limit_s:
                self._give_up()
            elif age > PATIENCE_S and not self.slow:
                self._let_others()

    def _let_others(self) -> None:
        """The first task takes long: what is behind it goes to somebody else."""
        self.slow = True
        for at in range(len(self._given) - 1, 0, -1):
            if (job := self._given[at]) is not None:
                self._given[at] = None
                self._crew.give_back(job)
        self._crew.slow(self)

    def _give_up(self) -> None:
        """The first task has had its time."""
        job, self._given[0] = self._given[0], None
        self._lose(self._worker)
        if job is not None:
            job.fail(TOO_SLOW)

    def _lose(self, worker: WorkerProcess | None) -> None:
        """The worker has gone, or has to: of what it was at it dies alone."""
        if worker is not self._worker:
            return
        self._dismiss()
        given, self._given = self._given, deque()
        if not self.ready:
            self.failures += 1
        self.ready = self.starting = self.slow = False
        first = given[0] if given else None
        if first is not None:
            first.deaths += 1
        for job in reversed(given):
            if job is None:
                continue
            if job.deaths < TRIES:
                self._crew.give_back(job)
            else:
                job.fail(CRASHED)
        if not self._ended:
            self._crew.lost(self)

    def _dismiss(self) -> None:
        worker, self._worker = self._worker, None
        if worker is not None:
            with suppress(RuntimeError):  # the loop has ended, and with it what it listened to
                self._loop.remove_reader(worker.line.fileno())
                self._loop.remove_writer(worker.line.fileno())
            self._apart(worker.end)

    def leave(self) -> None:
        """It is not needed any more, and has been given nothing that somebody waits for."""
        self._ended, self.ready = True, False
        self._dismiss()

    def end(self) -> None:
        """Leave, and wait until no process is left; what it was given fails. When the loop has stopped."""
        self._join()
        if self._launched is not None:
            self._worker, self._launched = self._launched, None
        self.leave()
        self._join()
        while self._given:
            if (job := self._given.popleft()) is not None:
                job.fail(CLOSED)

    def _join(self) -> None:
        for thread in self._threads:
            thread.join()


def error_of(answer: Answer) -> KnownError:
    """What went wrong, as an error of ours."""
    if answer.error == "NotFound":
        kind = "frame" if "frame" in answer.message else "image"
        return NotFound(kind, answer.message, answer.remedy)
    kind_of = getattr(errors, answer.error, None)
    if not (isinstance(kind_of, type) and issubclass(kind_of, KnownError)):  # whatever a worker has become
        kind_of = NotRenderable
    return kind_of(answer.message, answer.remedy)
