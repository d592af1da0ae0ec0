"""The scanner: from paths to a `Scan`, reporting as it reads.

Listing and reading take turns, so that the first patient shows at once and the total is known soon after.
Where there is much to read on a drive that bears it, worker processes read along.
"""

from __future__ import annotations

import os
import stat
import time
from collections import deque
from collections.abc import Generator, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from core.dicom.file_names import shown
from core.dicom.reader import HeaderReader
from core.dicom.refs import FileRef, Found, Skipped, SkipReason
from core.errors import SourceFault
from core.scan import sentences
from core.scan.drives import is_optical
from core.scan.intake import Intake
from core.scan.reading import File, Packed, Refused, Task, Verdict, is_directory_name, read_path
from core.scan.result import PathSource, Receipt, Scan
from core.scan.walking import Odd, files

if TYPE_CHECKING:
    from core.scan.crew import Crew

__all__ = ["PathUnavailable", "Receipt", "Scan", "ScanProgress", "Scanner", "scan"]

PROGRESS_EVERY_S = 0.1
TURN_S = 0.01  # how long listing, or reading, goes on before the other has its turn
WORTH_A_CREW_S = 1.0  # reading still to do; below, starting processes costs more than they save
ENOUGH_TO_JUDGE = 100  # files read before that is reckoned
MAX_WORKERS = 3
CHUNK = 250  # files handed over at a time


class PathUnavailable(SourceFault):
    """A path to scan is not there or cannot be opened."""


@dataclass(frozen=True, slots=True)
class ScanProgress:
    """How far a scan is, and what came in since the last report; *files_total* is None until it is known."""

    files_read: int
    files_total: int | None
    patients: int
    seconds_left: float | None
    found: Sequence[Found] = ()
    skipped: Sequence[Skipped] = ()


class Scanner:
    """One scan of some paths; *result* fills while `run` is driven. Closing the generator stops the scan.

    *workers* is how many processes read along; None leaves that to the drive and the number of files.
    """

    def __init__(self, paths: Sequence[Path], workers: int | None = None) -> None:
        self.result = Scan(sources(paths))
        self._intake = Intake(self.result)
        self._reader = HeaderReader()
        self._wait_for_worth = workers is None
        self._workers = _spare_cores() if workers is None else workers
        self._crew: Crew | None = None
        self._tasks: deque[Task] = (
            deque()
        )  # in order, so that the first of two equal files is always the same
        self._queue: deque[File] = deque()
        self._again: deque[File] = deque()
        self._packed: deque[tuple[File, int]] = deque()
        self._listed = 0
        self._listed_all = False
        self._started = 0.0
        self._next_report = 0.0

    def run(self) -> Generator[ScanProgress, None, Scan]:
        """Read everything. Raises PathUnavailable."""
        self._started = time.perf_counter()
        self._next_report = self._started + PROGRESS_EVERY_S
        for source in self.result.sources:
            _check(source.path)
        optical = any(is_optical(source.path) for source in self.result.sources)
        if optical:
            self._workers = 0  # two readers make the head of the drive jump
        try:
            with closing(self._work(self._listing(optical))) as work:
                first = True
                for _ in work:
                    if time.perf_counter() >= self._next_report or (first and self._intake.found):
                        first = first and not self._intake.found
                        yield self._progress()
            self._intake.compare_with_directories()
            self.result.finished = True
        finally:
            if self._crew is not None:
                self._crew.close()
            self.result.seconds = time.perf_counter() - self._started
        yield self._progress()
        return self.result

    def _listing(self, optical: bool) -> Iterator[None]:
        """Fill the queue; yields often. Raises PathUnavailable."""
        for source in self.result.sources:
            if os.path.isfile(source.path):
                self._listed += 1
                self._queue.append(File(str(source.path), source.prefix or source.path.name))
                yield
                continue
            try:
                for entry in files(str(source.path), in_disc_order=optical):
                    if entry is None:
                        yield
                    elif isinstance(entry, Odd):
                        self._listed += 1
                        self._intake.take(FileRef(source.prefix + entry.relative), entry.refused)
                    else:
                        self._listed += 1
                        self._queue.append(
                            File(entry.full, source.prefix + entry.relative) if source.prefix else entry
                        )
            except OSError as error:
                raise _unavailable(source.path, error) from error

    def _work(self, listing: Iterator[None]) -> Generator[None, None, None]:
        """Do everything in small pieces; yields after each."""
        while True:
            self._list_for_a_while(listing)
            self._share_out()
            if self._queue:
                self._read_for_a_while()
            elif self._tasks:
                self._collect(PROGRESS_EVERY_S)
            elif self._packed:
                yield from self._read_packed(*self._packed.popleft())
            elif self._again:
                file = self._again.popleft()
                self._intake.take(FileRef(file.relative), read_path(self._reader, file.full))
            elif self._listed_all:
                return
            yield

    def _list_for_a_while(self, listing: Iterator[None]) -> None:
        until = time.perf_counter() + TURN_S
        while not self._listed_all and time.perf_counter() < until:
            self._listed_all = next(listing, True) is True

    def _read_for_a_while(self) -> None:
        until = time.perf_counter() + TURN_S
        queue, reader = self._queue, self._reader
        if not self._tasks:
            while queue and time.perf_counter() < until:
                file = queue.popleft()
                self._take(file, read_path(reader, file.full))
            return
        read: list[File] = []
        verdicts: list[Verdict] = []
        while queue and time.perf_counter() < until:
            file = queue.popleft()
            read.append(file)
            verdicts.append(read_path(reader, file.full))
        self._tasks.append(Task(read, verdicts))
        self._collect(0)

    def _share_out(self) -> None:
        """Give the crew what it can take, once there is enough to start one."""
        if self._crew is None:
            if not self._workers or not self._queue or (self._wait_for_worth and not self._is_much_left()):
                return
            from core.scan.crew import Crew  # small scans need no processes

            self._crew = Crew(self._workers)
        self._collect(0)
        while self._crew.idle and len(self._queue) > CHUNK // 2:
            task = Task([self._queue.popleft() for _ in range(min(CHUNK, len(self._queue) // 2))])
            self._tasks.append(task)
            self._crew.give(task)

    def _is_much_left(self) -> bool:
        read = self.result.files
        if read < ENOUGH_TO_JUDGE:
            return False
        return (time.perf_counter() - self._started) / read * len(self._queue) > WORTH_A_CREW_S

    def _collect(self, timeout_s: float) -> None:
        """Take in what is read, in order; what a dead worker left is read here."""
        if self._crew is not None:
            for task in self._crew.collect(timeout_s):
                task.verdicts = [read_path(self._reader, file.full) for file in task.files]
        tasks = self._tasks
        while tasks and tasks[0].verdicts is not None:
            task = tasks.popleft()
            for file, verdict in zip(task.files, task.verdicts or (), strict=True):
                self._take(file, verdict)

    def _take(self, file: File, verdict: Verdict) -> None:
        if type(verdict) is Packed:
            self._packed.append((file, verdict.size))
        elif type(verdict) is Refused and verdict.again:
            self._again.append(file)  # a scratched disc may give it up at the second try
        else:
            self._intake.take(FileRef(file.relative), verdict)

    def _read_packed(self, file: File, size: int) -> Iterator[None]:
        """The members of a ZIP file; yields after each."""
        from core.scan import zips  # most scans need no ZIP files

        self._listed -= 1
        try:
            with open(file.full, "rb") as archive:
                for member, verdict in zips.members(self._reader, archive, size):
                    self._listed += 1
                    self._intake.take(FileRef(file.relative, member), _of_packed(file, member, verdict))
                    yield
        except OSError:
            self._listed += 1
            self._intake.take(FileRef(file.relative), Refused(SkipReason.UNREADABLE, sentences.READ_FAULT))

    def _progress(self) -> ScanProgress:
        now = time.perf_counter()
        self._next_report = now + PROGRESS_EVERY_S
        read, total = self.result.files, self._listed if self._listed_all else None
        left = (now - self._started) / read * max(0, total - read) if total is not None and read else None
        found, self._intake.found = self._intake.found, []
        skipped, self._intake.skipped = self._intake.skipped, []
        return ScanProgress(read, total, len(self.result.tree.patients), left, found, skipped)


def scan(paths: Sequence[Path], *, workers: int | None = None) -> Generator[ScanProgress, None, Scan]:
    """Read discs, folders, ZIP files and files; at most ten reports a second. Raises PathUnavailable."""
    return (yield from Scanner(paths, workers).run())


def _spare_cores() -> int:
    """How many processes could read beside this one without taking turns with others."""
    load = int(os.getloadavg()[0]) if hasattr(os, "getloadavg") else 0
    return max(0, min(MAX_WORKERS, (os.cpu_count() or 1) - 1 - load))


def sources(paths: Sequence[Path]) -> list[PathSource]:
    """One source for each path; a DICOMDIR stands for the disc it lies on."""
    found: list[Path] = []
    for path in paths:
        whole = Path(os.path.abspath(path))
        if is_directory_name(whole.name) and os.path.isfile(whole):
            whole = whole.parent
        if whole not in found:
            found.append(whole)
    if len(found) == 1:
        return [PathSource(found[0])]
    labelled: dict[str, Path] = {}
    for path in found:
        label, number = path.name or "disc", 1
        while label in labelled:
            number += 1
            label = f"{path.name or 'disc'} ({number})"
        labelled[label] = path
    return [
        PathSource(path, f"{label}/" if os.path.isdir(path) else label) for label, path in labelled.items()
    ]


def _check(path: Path) -> None:
    try:
        status = os.stat(path)
    except OSError as error:
        raise _unavailable(path, error) from error
    if stat.S_ISDIR(status.st_mode) or stat.S_ISREG(status.st_mode):
        return
    raise PathUnavailable(
        f"{shown(str(path))} is neither a folder nor a file.", "Choose a disc, a folder or a file."
    )


def _unavailable(path: Path, error: OSError) -> PathUnavailable:
    where = shown(str(path))
    if isinstance(error, FileNotFoundError):
        return PathUnavailable(
            f"There is nothing at {where}.", "Check the path, and that the disc is inserted."
        )
    if isinstance(error, PermissionError):
        return PathUnavailable(f"{where} may not be opened.", "Ask for permission to read it.")
    return PathUnavailable(f"{where} cannot be read.", "Check the drive and the disc.")


def _of_packed(file: File, member: str, verdict: Verdict) -> Verdict:
    """What only starts like a ZIP file and cannot be opened is junk, unless its name says ZIP."""
    if not member and isinstance(verdict, Refused) and not file.full.lower().endswith(".zip"):
        return Refused(SkipReason.NOT_DICOM, sentences.no_dicom(b"PK", file.full))
    return verdict
