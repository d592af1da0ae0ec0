"""Starts, stops and watches the archive in the data folder without holding the window."""

from __future__ import annotations

from PySide6.QtCore import QObject, QTimer, Signal

from ui.services import ArchiveState, LocalArchive
from ui.tasks import Tasks

WATCH_EVERY_MS = 1000


class ArchiveKeeper(QObject):
    """Signals: `changed()` when its state changed; `failed(object)` with what a start ran into."""

    changed = Signal()
    failed = Signal(object)

    def __init__(self, archive: LocalArchive, tasks: Tasks, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._archive = archive
        self._tasks = tasks
        self._said: tuple[ArchiveState, str] | None = None
        self._busy = False
        self._timer = QTimer(self)
        self._timer.setInterval(WATCH_EVERY_MS)
        self._timer.timeout.connect(self._look)

    @property
    def state(self) -> ArchiveState:
        """Where it stands; starting while a start is under way."""
        return ArchiveState.STARTING if self._busy else self._archive.state

    @property
    def where(self) -> str:
        """Its address, "" while it does not run."""
        return self._archive.where

    def watch(self) -> None:
        """Look every second whether it is still alive."""
        self._timer.start()
        self._look()

    def stop_watching(self) -> None:
        """No more looking; for the end of the program."""
        self._timer.stop()

    def start(self) -> None:
        """Start it in the background."""
        if not self._busy:
            self._busy = True
            self._look()
            self._tasks.call(self._archive.start, done=self._started, failed=self._not_started)

    def stop(self) -> None:
        """Stop it in the background."""
        self._tasks.call(self._archive.stop, done=lambda _: self._look(), failed=self._not_started)

    def restart(self) -> None:
        """Stop and start it, for new ports."""
        if self._busy:
            return

        def again() -> None:
            self._archive.stop()
            self._archive.start()

        self._busy = True
        self._look()
        self._tasks.call(again, done=self._started, failed=self._not_started)

    def _started(self, _none: None) -> None:
        self._busy = False
        self._look()

    def _not_started(self, error: Exception) -> None:
        self._busy = False
        self._look()
        self.failed.emit(error)

    def _look(self) -> None:
        now = (self.state, self.where)
        if now != self._said:
            self._said = now
            self.changed.emit()
