"""Worker processes that read headers beside the scanner; started only when there is enough to read.

Each is spawned, never forked: the scanner may live in a program with threads and windows. A worker that dies
costs nothing but its help, since what it was given is read by the scanner itself.
"""

from __future__ import annotations

import contextlib
import multiprocessing
import signal
from collections.abc import Sequence
from dataclasses import dataclass, field
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess
from typing import Any

from core import processes
from core.dicom.reader import HeaderReader
from core.dicom.refs import Header
from core.scan.reading import Directory, Instance, Packed, Refused, Task, Verdict, read_path

Shared = tuple[Any, ...]  # the fields that the instances of one series have in common
Light = tuple[
    int, int, str, int | None
]  # size, number of its shared fields, SOP Instance UID, InstanceNumber


def work(connection: Connection) -> None:
    """A worker's life: paths in, verdicts out, until there are no more."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    reader = HeaderReader()
    known: dict[Shared, int] = {}
    with contextlib.suppress(EOFError, OSError):  # the scanner has gone
        connection.send(None)  # ready
        while paths := connection.recv():
            fresh: list[Shared] = []
            verdicts = [_light(read_path(reader, path), known, fresh) for path in paths]
            connection.send((fresh, verdicts))


def _light(verdict: Verdict, known: dict[Shared, int], fresh: list[Shared]) -> Light | Verdict:
    """An instance without what others had too: most of a header crosses to the scanner once a series."""
    if type(verdict) is not Instance:
        return verdict
    size, header = verdict
    shared = (header[0], *header[2:21], *header[22:])
    number = known.get(shared)
    if number is None:
        number = known[shared] = len(known)
        fresh.append(shared)
    return size, number, header.sop_instance_uid, header.instance_number


def _whole(light: Light | Verdict, shared: Sequence[Shared]) -> Verdict:
    if isinstance(light, Instance | Directory | Packed | Refused):
        return light
    size, number, uid, instance_number = light
    fields = shared[number]
    return Instance(size, Header._make((fields[0], uid, *fields[1:20], instance_number, *fields[20:])))


@dataclass(slots=True)
class _Worker:
    process: BaseProcess
    connection: Connection
    shared: list[Shared] = field(default_factory=list)
    ready: bool = False
    task: Task | None = None


class Crew:
    """Some workers; `close` ends them."""

    def __init__(self, count: int) -> None:
        self._workers: list[_Worker] = []
        context = multiprocessing.get_context("spawn")
        for _ in range(count):
            ours, theirs = context.Pipe()
            process = context.Process(target=work, args=(theirs,), daemon=True, name="filmjacket-scan")
            try:
                process.start()
            except OSError:
                ours.close()
                return
            finally:
                theirs.close()
            self._workers.append(_Worker(process, ours))

    @property
    def idle(self) -> bool:
        """Whether a worker waits for files."""
        return any(worker.ready and worker.task is None for worker in self._workers)

    def give(self, task: Task) -> None:
        """Hand files to an idle worker."""
        worker = next(worker for worker in self._workers if worker.ready and worker.task is None)
        worker.task = task
        with contextlib.suppress(OSError):  # it died, which `collect` finds out
            worker.connection.send([file.full for file in task.files])

    def collect(self, timeout_s: float) -> list[Task]:
        """Put the verdicts that come within the time into their tasks; the tasks of workers that died."""
        orphans: list[Task] = []
        workers = {worker.connection: worker for worker in self._workers}
        for connection in wait(list(workers), timeout_s) if workers else ():
            worker = workers[connection]  # type: ignore[index]  # `wait` gives back what it was given
            try:
                answer = worker.connection.recv()
            except (EOFError, OSError):
                if worker.task is not None:
                    orphans.append(worker.task)
                self._workers.remove(worker)
                _end(worker)
                continue
            worker.ready = True
            if worker.task is not None and answer is not None:
                fresh, verdicts = answer
                worker.shared.extend(fresh)
                worker.task.verdicts = [_whole(verdict, worker.shared) for verdict in verdicts]
                worker.task = None
        return orphans

    def close(self) -> None:
        """End the workers."""
        for worker in self._workers:
            _end(worker)
        self._workers.clear()


def _end(worker: _Worker) -> None:
    worker.connection.close()
    processes.end(worker.process, 5)
