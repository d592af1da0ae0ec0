"""One reading of a disc, without widgets: the scan, its tree, what was skipped, what is to go along."""

from __future__ import annotations

from collections.abc import Sequence
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING

from PySide6.QtCore import QObject, Signal

from core.dicom.refs import Skipped
from ui.models.study_tree import StudyTree
from ui.services import Order, Services
from ui.tasks import Task

if TYPE_CHECKING:
    from core.scan.scanner import Scan, ScanProgress


class Stage(StrEnum):
    """Where the reading stands."""

    IDLE = "idle"
    READING = "reading"
    STOPPED = "stopped"
    FAILED = "failed"
    DONE = "done"


class ScanSession(QObject):
    """Reads one source at a time.

    Signals:
        changed(): stage, progress or skipped files changed.
        failed(object): the exception that ended it.
        attachmentsChanged(str): of the study with this UID.
    """

    changed = Signal()
    failed = Signal(object)
    attachmentsChanged = Signal(str)

    def __init__(self, services: Services, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._services = services
        self._task: Task | None = None
        self._run = 0
        self.model = StudyTree(self)
        self.model.fed.connect(self._fed)
        self.model.ticksChanged.connect(self._ticked)
        self._reset(())

    def _reset(self, paths: Sequence[Path]) -> None:
        self.paths = tuple(paths)
        self.name = ""
        self.stage = Stage.READING if paths else Stage.IDLE
        self.scan: Scan | None = None
        self.progress: ScanProgress | None = None
        self.skipped: list[Skipped] = []
        self.attachments: dict[str, list[Path]] = {}
        self._by_hand = False
        self._ticking = False
        self._ended = False

    def start(self, paths: Sequence[Path], name: str = "") -> None:
        """Read *paths*, called *name*; what was shown before is let go."""
        self.stop()
        self._reset(paths)
        self.name = name or ", ".join(path.name or str(path) for path in paths)
        self.model.clear()
        self._run = run = self._run + 1
        scanner = self._services.scanner(paths)
        self.scan = scanner.result
        self._task = self._services.jobs.run(
            scanner.run(),
            done=lambda scan: self._done(scan) if run == self._run else None,
            failed=lambda error: self._broke(error) if run == self._run else None,
            progress=lambda step: self._progressed(step) if run == self._run else None,
        )
        self.changed.emit()

    def stop(self) -> None:
        """Stop reading; what was found so far stays."""
        if self._task is not None and self.stage is Stage.READING:
            self._task.cancel()
            self.stage = Stage.STOPPED
            self.changed.emit()

    def close(self) -> None:
        """Stop, and show nothing."""
        self.stop()
        self._task = None
        self._run += 1
        self._reset(())
        self.model.clear()
        self.changed.emit()

    @property
    def worth_reading_again(self) -> bool:
        """Whether something may be missing that another reading could find."""
        if self.stage is Stage.DONE and self.scan is not None:
            return not self.scan.receipt.complete or not self.scan.receipt.instances
        return self.stage in (Stage.STOPPED, Stage.FAILED)

    def attach(self, study_uid: str, path: Path) -> None:
        """Let a file go along with a study."""
        files = self.attachments.setdefault(study_uid, [])
        if path not in files:
            files.append(path)
        self.attachmentsChanged.emit(study_uid)
        self.changed.emit()

    def detach(self, study_uid: str, path: Path) -> None:
        """Take a file back."""
        files = self.attachments.get(study_uid, [])
        if path in files:
            files.remove(path)
        self.attachmentsChanged.emit(study_uid)
        self.changed.emit()

    def order(self, destination: str) -> Order | None:
        """What is ticked, with its attachments; None if nothing is."""
        picked = self.model.picked()
        if not picked or self.scan is None:
            return None
        uids = {each.study.study_instance_uid for each in picked}
        files = {uid: tuple(paths) for uid, paths in self.attachments.items() if uid in uids and paths}
        return Order(self.scan, tuple(picked), files, destination)

    def _progressed(self, step: ScanProgress) -> None:
        if self.stage is Stage.READING:
            if self.progress is None:  # it can be read: worth offering again
                self._services.state.opened(self.paths)
            self.progress = step
            self._take(step)
            self.changed.emit()

    def _take(self, step: ScanProgress) -> None:
        self.model.feed(step.found)
        self.skipped.extend(step.skipped)

    def _done(self, scan: Scan) -> None:
        self._ended = True
        self.skipped = list(scan.skipped)
        if self.model.settled:
            self._fed()

    def _fed(self) -> None:
        if self._ended and self.stage is Stage.READING:
            self.stage = Stage.DONE
            self._tick_the_only_patient()
        self.changed.emit()

    def _tick_the_only_patient(self) -> None:
        """One patient and nothing ticked by hand: everything is meant. With two a person must choose."""
        if self.model.rowCount() == 1 and not self._by_hand:
            self._ticking = True
            self.model.tick_all(True)
            self._ticking = False

    def _ticked(self) -> None:
        if self.stage is not Stage.IDLE and not self._ticking and self.model.rowCount():
            self._by_hand = True
        self.changed.emit()

    def _broke(self, error: Exception) -> None:
        if self.stage is Stage.READING:
            self.stage = Stage.FAILED
            self.failed.emit(error)
            self.changed.emit()
