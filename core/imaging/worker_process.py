"""One render process as its owner sees it: started, spoken with over a line, ended."""

from __future__ import annotations

import multiprocessing
import pickle
import socket
from typing import TYPE_CHECKING

from core import processes
from core.imaging.line import Line
from core.imaging.worker import TASK, Task, serve

if TYPE_CHECKING:
    from multiprocessing.context import SpawnProcess


class WorkerProcess:
    """A process with so many bytes of memory, and the line to it, which does not wait."""

    def __init__(self, memory_limit: int) -> None:
        """Start it, which takes a while. Raises OSError."""
        ours, theirs = socket.socketpair()
        process = multiprocessing.get_context("spawn").Process(
            target=serve, args=(theirs, memory_limit), name="filmjacket-render", daemon=True
        )
        try:
            process.start()
        except BaseException:
            ours.close()
            raise
        finally:
            theirs.close()
        ours.setblocking(False)
        self.line = Line(ours)
        self.pid = process.pid
        self._process: SpawnProcess = process

    def give(self, task: Task) -> bool:
        """Send a task; it waits in the line while another one is being done.

        False if some of it is left for the line's `flush`. Raises OSError where the process has died.
        """
        return self.line.send(TASK, pickle.dumps(tuple(task), pickle.HIGHEST_PROTOCOL))

    def end(self) -> None:
        """End it and reap it, which takes a moment; once, from any thread that has it to itself."""
        self.line.close()
        processes.end(self._process, 2)
