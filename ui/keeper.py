"""Starts, stops and watches the archive in the data folder without holding the window."""

from __future__ import annotations

from collections.abc import Callable

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
        self._busy = self._starting = False
        self._next: tuple[Callable[[], None], bool] | None = None
        self._timer = QTimer(self)
        self._timer.setInterval(WATCH_EVERY_MS)
        self._timer.timeout.connect(self._look)

    @property
    def state(self) -> ArchiveState:
        """Where it stands; starting while a start is under way."""
        return ArchiveState.STARTING if self._starting else self._archive.state

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
        self._do(self._archive.start, starting=True)

    def stop(self) -> None:
        """Stop it in the background."""
        self._do(self._archive.stop, starting=False)

    def restart(self) -> None:
        """Stop and start it, for new ports."""

        def again() -> None:
            self._archive.stop()
            self._archive.start()

        self._do(again, starting=True)

    def _do(self, action: Callable[[], None], *, starting: bool) -> None:
        """One thing after the other; of those that wait, only the last wish counts."""
        if self._busy:
            self._next = (action, starting)
            return
        self._busy, self._starting = True, starting
        self._look()
        self._tasks.call(action, done=lambda _none: self._did(), failed=self._not_done)

    def _not_done(self, error: Exception) -> None:
        self._did()
        self.failed.emit(error)

    def _did(self) -> None:
        self._busy = self._starting = False
        waiting, self._next = self._next, None
        if waiting is not None:
            self._do(waiting[0], starting=waiting[1])
        self._look()

    def _look(self) -> None:
        now = (self.state, self.where)
        if now != self._said:
            self._said = now
            self.changed.emit()
