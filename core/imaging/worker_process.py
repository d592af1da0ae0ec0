"""One render process as its owner sees it: started, given tasks, asked for answers, ended. Of one thread."""

from __future__ import annotations

import multiprocessing
import select
from multiprocessing.connection import Connection
from typing import TYPE_CHECKING

from core.imaging.worker import Answer, Task, serve

if TYPE_CHECKING:
    from multiprocessing.context import SpawnProcess


class WorkerProcess:
    """A process with so many bytes of memory, and the pipe to it; `start` makes a new one when it is gone."""

    def __init__(self, memory_limit: int) -> None:
        self._memory_limit = memory_limit
        self._process: SpawnProcess | None = None
        self._pipe: Connection | None = None
        self.pid: int | None = None
        self.ready = False
        """Whether it has said so: until then it is starting."""

    def start(self) -> None:
        """Start it unless it is there. Raises OSError."""
        if self._pipe is not None:
            return
        context = multiprocessing.get_context("spawn")
        ours, theirs = context.Pipe()
        process = context.Process(
            target=serve, args=(theirs, self._memory_limit), name="filmjacket-render", daemon=True
        )
        try:
            process.start()
        except BaseException:
            ours.close()
            raise
        finally:
            theirs.close()
        self._process, self._pipe, self.ready = process, ours, False
        self.pid = process.pid

    def give(self, task: Task) -> None:
        """Send a task; it waits in the pipe while another one is being done. Raises OSError."""
        self._there().send(tuple(task))

    def answers(self, limit_s: float) -> bool:
        """Whether there is an answer, or an end, within the time."""
        pipe = self._there()
        if not hasattr(select, "poll"):  # Windows
            return pipe.poll(limit_s)
        waiting = select.poll()  # `Connection.poll` does the same ten times as slowly
        waiting.register(pipe, select.POLLIN)
        return bool(waiting.poll(limit_s * 1000))

    def starts(self, limit_s: float) -> bool:
        """Whether it is ready within the time. Raises EOFError, OSError where the process has died."""
        if not self.ready and self.answers(limit_s):
            self._there().recv()
            self.ready = True
        return self.ready

    def answer(self) -> Answer:
        """The answer to the first task without one. Raises EOFError, OSError where the process has died."""
        return Answer(*self._there().recv())

    def end(self) -> None:
        """End it, kindly if it is idle, and reap it."""
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

    def _there(self) -> Connection:
        if self._pipe is None:
            raise BrokenPipeError("the worker has not been started")
        return self._pipe
