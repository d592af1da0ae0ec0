"""The one doorway from the Qt thread to background work.

A task is a plain generator from core: it *yields* progress, *returns* its result, and raises core errors.
Nothing below this module knows about threads. One long-lived QObject carries everything to the Qt thread:
a QObject per task lost results or crashed.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Generator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from threading import Event, Lock
from typing import Any, TypeVar

from PySide6.QtCore import QObject, Qt, QTimer, Signal, Slot

P = TypeVar("P")
R = TypeVar("R")

PROGRESS_EVERY_S = 0.1
"""Progress is delivered at most this often; an end is delivered at once. Steps are never dropped."""

DELIVERY_BUDGET_S = 0.02
"""How long one delivery may hold the Qt thread before it lets input and painting through."""


class Task:
    """Handle on one running job. Plain Python: no QObject crosses threads."""

    def __init__(self) -> None:
        self._stop = Event()

    def cancel(self) -> None:
        """Ask the job to end at its next yield; the generator's `finally` runs."""
        self._stop.set()

    @property
    def cancelled(self) -> bool:
        """Whether the job was asked to end."""
        return self._stop.is_set()


@dataclass(frozen=True, slots=True)
class _Callbacks:
    """Whom to tell; all of them are called on the Qt thread."""

    done: Callable[[Any], object]
    failed: Callable[[Exception], object]
    progress: Callable[[Any], object] | None
    cancelled: Callable[[], object] | None


class Tasks(QObject):
    """Runs core generators on a small pool; every callback runs on the Qt thread.

    Signals: `_wake` (private) says that there is mail; it is emitted once per delivery, not per step.
    """

    _wake = Signal()

    def __init__(self, workers: int = 4, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._pool = ThreadPoolExecutor(workers, thread_name_prefix="task")
        self._alive: set[Task] = set()
        self._mail: deque[Callable[[], object]] = deque()
        self._lock = Lock()
        self._announced = False
        self._urgent = False
        self._closed = False
        self._last_delivery = 0.0
        self._later = QTimer(self)
        self._later.setSingleShot(True)
        self._later.timeout.connect(self._deliver)
        self._wake.connect(self._woken, Qt.ConnectionType.QueuedConnection)

    @property
    def busy(self) -> int:
        """How many tasks have not ended yet."""
        return len(self._alive)

    def run(
        self,
        work: Generator[P, None, R],
        *,
        done: Callable[[R], object],
        failed: Callable[[Exception], object],
        progress: Callable[[P], object] | None = None,
        cancelled: Callable[[], object] | None = None,
    ) -> Task:
        """Run *work* in the background; callbacks are known before it starts."""
        task = Task()
        if self._closed:
            work.close()
            task.cancel()
            return task
        self._alive.add(task)
        self._pool.submit(self._drive, task, work, _Callbacks(done, failed, progress, cancelled))
        return task

    def call(
        self,
        function: Callable[[], R],
        *,
        done: Callable[[R], object],
        failed: Callable[[Exception], object],
    ) -> Task:
        """Run a plain function in the background; cancelling it before it starts skips it."""

        def work() -> Generator[None, None, R]:
            yield
            return function()

        return self.run(work(), done=done, failed=failed)

    def shutdown(self) -> None:
        """Cancel everything and join the pool; late mail is dropped. A second call does nothing."""
        self._closed = True
        for task in tuple(self._alive):
            task.cancel()
        self._pool.shutdown(wait=True)
        self._later.stop()
        self._mail.clear()
        self._alive.clear()

    def _drive(self, task: Task, work: Generator[Any, None, Any], to: _Callbacks) -> None:
        try:
            while not task.cancelled:
                step = next(work)
                if to.progress is not None:
                    self._post(partial(to.progress, step))
            work.close()
        except StopIteration as end:
            self._post(partial(to.done, end.value), task)
        except Exception as error:  # the window must hear about every failure, known or bug
            self._post(partial(to.failed, error), task)
        else:
            self._post(to.cancelled or _nothing, task)

    def _post(self, call: Callable[[], object], ended: Task | None = None) -> None:
        if ended is not None:
            self._mail.append(partial(self._alive.discard, ended))
        self._mail.append(call)
        with self._lock:
            if self._announced and (ended is None or self._urgent):
                return
            self._announced = True
            self._urgent = self._urgent or ended is not None
        if not self._closed:
            self._wake.emit()

    @Slot()
    def _woken(self) -> None:
        wait = PROGRESS_EVERY_S - (time.monotonic() - self._last_delivery)
        if self._urgent or wait <= 0:
            self._deliver()
        elif not self._later.isActive():
            self._later.start(int(wait * 1000) + 1)

    @Slot()
    def _deliver(self) -> None:
        with self._lock:
            self._announced = self._urgent = False
        started = self._last_delivery = time.monotonic()
        try:
            while self._mail and time.monotonic() - started < DELIVERY_BUDGET_S:
                self._mail.popleft()()
        finally:  # also when a callback raised: the rest of the mail must still arrive
            if self._mail and not self._closed:
                self._later.start(1)


def _nothing() -> None:
    """The callback of a caller that does not mind."""
