"""One render process as its owner sees it: started, given tasks, asked for answers, ended. Of one thread."""

from __future__ import annotations

import multiprocessing
import pickle
from typing import TYPE_CHECKING

from core.imaging.line import Line, line
from core.imaging.worker import PICTURE, TASK, Answer, Task, reason, serve

if TYPE_CHECKING:
    from multiprocessing.context import SpawnProcess


class WorkerProcess:
    """A process with so many bytes of memory, and the pipe to it; `start` makes a new one when it is gone."""

    def __init__(self, memory_limit: int) -> None:
        self._memory_limit = memory_limit
        self._process: SpawnProcess | None = None
        self._line: Line | None = None
        self.pid: int | None = None
        self.ready = False
        """Whether it has said so: until then it is starting."""

    def start(self) -> None:
        """Start it unless it is there. Raises OSError."""
        if self._line is not None:
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
        self._process, self._line, self.ready = process, line(ours), False
        self.pid = process.pid

    def give(self, task: Task) -> None:
        """Send a task; it waits in the pipe while another one is being done. Raises OSError."""
        self._there().send(TASK, pickle.dumps(tuple(task), pickle.HIGHEST_PROTOCOL))

    def starts(self, limit_s: float) -> bool:
        """Whether it is ready within the time. Raises EOFError, OSError where the process has died."""
        if not self.ready:
            self.ready = self._there().receive(limit_s) is not None
        return self.ready

    def answer(self, limit_s: float) -> Answer | None:
        """The answer to the first task without one, None if there is none within the time.

        Nothing in it is run here, whatever a picture has made of the process. Raises EOFError, OSError where
        that has died.
        """
        message = self._there().receive(limit_s)
        if message is None:
            return None
        kind, body = message
        return Answer(body) if kind == PICTURE else reason(body)

    def end(self) -> None:
        """End it, kindly if it is idle, and reap it."""
        process, connected = self._process, self._line
        self._process = self._line = self.pid = None
        if connected is not None:
            connected.close()
        if process is not None:
            process.terminate()
            process.join(2)
            if process.exitcode is None:
                process.kill()
                process.join()
            process.close()

    def _there(self) -> Line:
        if self._line is None:
            raise BrokenPipeError("the worker has not been started")
        return self._line
