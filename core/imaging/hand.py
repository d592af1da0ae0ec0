"""One thread of the render pool: it takes tasks, has its worker process do them, and hands the answers on."""

from __future__ import annotations

import queue
import threading
from collections import deque
from collections.abc import Callable
from concurrent.futures import Future
from typing import Protocol

from core import errors
from core.errors import KnownError, NotFound, NotRenderable
from core.imaging.worker import Answer, Task
from core.imaging.worker_process import WorkerProcess

START_LIMIT_S = 60.0
PATIENCE_S = 0.5
"""Behind a task that takes longer nobody waits any more."""
CRASHED = "The decoder crashed on this picture."
TOO_SLOW = "This picture takes too long to read."

Prepare = Callable[["Future[bytes]"], "Task | bytes | Future[bytes]"]
"""Finds out on a thread of the pool what is to be made for a Future, or gives what was made or will be."""
Work = tuple[Task | Prepare, "Future[bytes]"]
LOOK: Work = (lambda _: b"", Future())
"""No work, but a sign that some has been given back."""


class Crew(Protocol):
    """The others, for a hand that cannot go on."""

    def slow(self, hand: Hand) -> None:
        """It is at a task that takes long."""

    def done(self, hand: Hand) -> bool:
        """It is at it no more; whether there are enough others, so that it may go."""

    def left(self, hand: Hand) -> None:
        """It has gone."""

    def give_back(self, task: Task, future: Future[bytes]) -> None:
        """A task that had been taken is the next for somebody else."""


class Tasks:
    """What is to be done, and how many hands wait for it."""

    def __init__(self) -> None:
        self._queue: queue.SimpleQueue[Work | None] = queue.SimpleQueue()
        self._returned: deque[Work] = deque()
        self._lock = threading.Lock()
        self._waiting = 0

    def put(self, work: Work | None) -> None:
        """Add work; None ends one hand."""
        self._queue.put(work)

    def put_back(self, work: Work) -> None:
        """It is next; whoever waits comes to see it."""
        self._returned.append(work)
        self._queue.put(LOOK)

    def get(self) -> Work | None:
        """Wait for work."""
        with self._lock:
            self._waiting += 1
        try:
            while True:
                if (work := self._back()) is not None:
                    return work
                if (work := self._queue.get()) is not LOOK:
                    return work
        finally:
            with self._lock:
                self._waiting -= 1

    def spare(self) -> Work | None:
        """Work for which no other hand is free; None if there is none."""
        return None if self._waiting else self.left()

    def left(self) -> Work | None:
        """The next work, None if there is none; what ends a hand is left to it."""
        if (work := self._back()) is not None:
            return work
        try:
            while (work := self._queue.get_nowait()) is LOOK:
                pass
        except queue.Empty:
            return None
        if work is None:
            self._queue.put(None)
        return work

    def _back(self) -> Work | None:
        try:
            return self._returned.popleft()
        except IndexError:
            return None


class Hand:
    """One thread that feeds one worker process, and a new one when that is gone.

    While the worker makes one picture, the next task lies in its pipe: between two it waits for nobody. If
    the first takes long, somebody else gets the next one, and what the worker makes of it is thrown away.
    """

    def __init__(self, crew: Crew, tasks: Tasks, time_limit_s: float, worker: WorkerProcess) -> None:
        self._crew = crew
        self._tasks = tasks
        self._time_limit_s = time_limit_s
        self._worker = worker
        self._taken: deque[tuple[Task, Future[bytes]]] = deque()
        self._given = 0
        """So many of those taken has the worker."""
        self._stray = 0
        """So many has the worker beside them, that somebody else got."""
        self._slow = False
        self._thread = threading.Thread(target=self._run, name="render", daemon=True)

    @property
    def pid(self) -> int | None:
        """Process id of its worker, None if it has none now."""
        return self._worker.pid

    def start(self) -> None:
        """Start the thread, which starts the process."""
        self._thread.start()

    def end(self) -> None:
        """Wait for the thread; the queue has told it to stop."""
        self._thread.join()

    def _run(self) -> None:
        try:
            self._worker.start()
        except OSError:
            self._dismiss()  # tried again with the first task, which then says why
        while self._take():
            self._serve_first()
            if self._slow:
                self._throw_away()
                self._slow = False
                if self._crew.done(self):
                    break
        self._dismiss()
        self._crew.left(self)

    def _serve_first(self) -> None:
        """The first task's end, whatever becomes of it."""
        _, future = self._taken[0]
        try:
            answer = self._ask()
        except Exception as error:  # the thread must live on to serve the next task
            self._dismiss()
            self._taken.popleft()
            future.set_exception(error)
            return
        self._taken.popleft()
        if answer.error:
            future.set_exception(error_of(answer))
        else:
            future.set_result(answer.picture)

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
        if not future.running() and not future.set_running_or_notify_cancel():
            return
        if not isinstance(task, Task):
            try:
                found = task(future)
            except BaseException as error:  # whoever waits must hear of it
                future.set_exception(error)
                return
            if isinstance(found, bytes):
                future.set_result(found)
                return
            if isinstance(found, Future):
                found.add_done_callback(lambda done: _pass_on(done, future))
                return
            task = found
        self._taken.append((task, future))

    def _ask(self) -> Answer:
        """The answer to the first task. A second worker tries too: the first may have died before it."""
        for _ in range(2):
            try:
                self._worker.start()
                self._give()
                answer = self._answer() if self._worker.starts(START_LIMIT_S) else None
            except (EOFError, OSError):
                self._dismiss()
                continue
            if answer is None:
                self._dismiss()
                return Answer(b"", "NotRenderable", TOO_SLOW)
            self._given -= 1
            return answer
        return Answer(b"", "NotRenderable", CRASHED)

    def _answer(self) -> Answer | None:
        patience = min(self._time_limit_s, PATIENCE_S)
        if answer := self._worker.answer(patience):
            return answer
        self._let_others()
        return self._worker.answer(self._time_limit_s - patience)

    def _let_others(self) -> None:
        """The first task takes long: what is behind it goes to somebody else."""
        while len(self._taken) > 1:
            self._crew.give_back(*self._taken.pop())
        self._stray, self._given = self._stray + self._given - 1, 1
        if not self._slow:
            self._slow = True
            self._crew.slow(self)

    def _throw_away(self) -> None:
        """What the worker makes of tasks that somebody else got."""
        try:
            while self._stray:
                if self._worker.answer(self._time_limit_s) is None:
                    self._dismiss()
                    return
                self._stray -= 1
        except (EOFError, OSError):
            self._dismiss()

    def _give(self) -> None:
        """Send what the worker has not got: a second one if it is short, so that the pipe holds it."""
        for task, _ in list(self._taken)[self._given :]:
            if self._given and not isinstance(task.source, str):
                return
            self._worker.give(task)
            self._given += 1

    def _dismiss(self) -> None:
        """The worker ends, and with it what it has."""
        self._given = self._stray = 0
        self._worker.end()


def _pass_on(done: Future[bytes], waiting: Future[bytes]) -> None:
    """What became of *done* becomes of *waiting*, which is running, too."""
    if done.cancelled():
        waiting.set_exception(NotRenderable("Nobody waits for this picture any more."))
    elif (error := done.exception()) is not None:
        waiting.set_exception(error)
    else:
        waiting.set_result(done.result())


def error_of(answer: Answer) -> KnownError:
    """What went wrong, as an error of ours."""
    if answer.error == "NotFound":
        kind = "frame" if "frame" in answer.message else "image"
        return NotFound(kind, answer.message, answer.remedy)
    kind_of = getattr(errors, answer.error, None)
    if not (isinstance(kind_of, type) and issubclass(kind_of, KnownError)):  # whatever a worker has become
        kind_of = NotRenderable
    return kind_of(answer.message, answer.remedy)
