"""A few threads that do one task after another and report each result to whoever started them."""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Done:
    """One finished task: its key, and its result or the error it raised."""

    key: Any
    result: Any = None
    error: Exception | None = None


class Crew:
    """*count* threads; close it to have them end after what they are doing."""

    def __init__(self, count: int, name: str) -> None:
        self._tasks: queue.SimpleQueue[tuple[Any, Callable[[], Any]] | None] = queue.SimpleQueue()
        self._done: queue.SimpleQueue[Done] = queue.SimpleQueue()
        self._threads = [
            threading.Thread(target=self._work, name=f"{name} {n}", daemon=True) for n in range(count)
        ]
        for thread in self._threads:
            thread.start()

    def submit(self, key: Any, task: Callable[[], Any]) -> None:
        """Have *task* done; its result comes by `next` under *key*."""
        self._tasks.put((key, task))

    def next(self, timeout_s: float) -> Done | None:
        """The next finished task, None if there was none within *timeout_s*."""
        try:
            return self._done.get(timeout=timeout_s) if timeout_s > 0 else self._done.get_nowait()
        except queue.Empty:
            return None

    def close(self) -> None:
        """Drop what was not begun and wait for the rest."""
        while not self._tasks.empty():
            try:
                self._tasks.get_nowait()
            except queue.Empty:
                break
        for _ in self._threads:
            self._tasks.put(None)
        for thread in self._threads:
            thread.join()

    def _work(self) -> None:
        while (task := self._tasks.get()) is not None:
            key, work = task
            try:
                self._done.put(Done(key, work()))
            except Exception as error:  # the coordinator decides what it means, a bug is raised again there
                self._done.put(Done(key, error=error))
