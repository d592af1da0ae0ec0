"""The status bar: the local archive in a dot and a word, what is being sent, how much room is left."""

from __future__ import annotations

import shutil
from pathlib import Path

from PySide6.QtCore import QSize, Qt, QTimer, Signal
from PySide6.QtWidgets import QHBoxLayout, QLabel, QPushButton, QStatusBar, QWidget

from ui.keeper import ArchiveKeeper
from ui.picture import Picture
from ui.services import ArchiveState
from ui.tasks import Tasks
from ui.uploads.transfers import State, Transfers
from ui.uploads.words import free_text, sending_text

LOOK_EVERY_MS = 15_000
LOW = 5_000_000_000
"""Bytes of free space below which the number turns into a warning."""

_DOTS = {
    ArchiveState.OFF: ("ph.circle", "muted"),
    ArchiveState.STARTING: ("ph.circle-half-fill", "warn"),
    ArchiveState.RUNNING: ("ph.circle-fill", "good"),
    ArchiveState.FAILED: ("ph.warning-circle-fill", "bad"),
}


class StatusBar(QStatusBar):
    """One quiet line below every page.

    Signals: `gatewayWanted()`: the person wants to see how the archive's DICOM door stands.
    """

    gatewayWanted = Signal()

    def __init__(
        self, keeper: ArchiveKeeper, transfers: Transfers, tasks: Tasks, data: Path, parent: QWidget
    ) -> None:
        super().__init__(parent)
        self._keeper, self._transfers, self._tasks, self._data = keeper, transfers, tasks, data
        self._words = {
            ArchiveState.OFF: self.tr("Archive off"),
            ArchiveState.STARTING: self.tr("Archive starting"),
            ArchiveState.RUNNING: self.tr("Archive running"),
            ArchiveState.FAILED: self.tr("Archive not running"),
        }
        self._dot = Picture(12, self)
        self.archive = QLabel(self)
        self.where = QPushButton(self)
        self.where.setProperty("role", "link")
        self.where.setToolTip(self.tr("How the DICOM gateway stands, and what to tell a modality's engineer"))
        self.where.clicked.connect(self.gatewayWanted)
        self.sending = QLabel(self)
        self.free = QLabel(self)
        line = QWidget(self)
        layout = QHBoxLayout(line)
        layout.setContentsMargins(12, 4, 12, 4)
        layout.setSpacing(8)
        layout.addWidget(self._dot)
        layout.addWidget(self.archive)
        layout.addSpacing(8)
        layout.addWidget(self.where)
        layout.addStretch(1)
        layout.addWidget(self.sending)
        layout.addSpacing(16)
        layout.addWidget(self.free)
        self.setSizeGripEnabled(False)
        self.setContentsMargins(0, 0, 0, 0)
        self.addPermanentWidget(line, 1)
        keeper.changed.connect(self._show_archive)
        for signal in (transfers.added, transfers.changed, transfers.removed):
            signal.connect(lambda _transfer: self._show_sending())
        self._timer = QTimer(self)
        self._timer.setInterval(LOOK_EVERY_MS)
        self._timer.timeout.connect(self.measure)
        self._timer.start()
        self._show_archive()
        self._show_sending()

    def _show_archive(self) -> None:
        state = self._keeper.state
        name, role = _DOTS[state]
        self._dot.show_icon(name, role)
        self.archive.setText(self._words[state])
        self.where.setText(self._keeper.where)
        self.where.setVisible(bool(self._keeper.where))
        self.where.setAccessibleName(self.tr("DICOM gateway: {where}").format(where=self._keeper.where))
        self.archive.setAccessibleName(self._words[state])

    def _show_sending(self) -> None:
        states = [t.state for t in self._transfers.busy if t.state is not State.PAUSED]
        waiting = states.count(State.WAITING)
        self.sending.setText(sending_text(len(states) - waiting, self._transfers.rate(), waiting))

    def measure(self) -> None:
        """Ask how much room is left; a network disc may take its time to say."""
        self._tasks.call(
            lambda: shutil.disk_usage(_existing(self._data)).free,
            done=self._show_free,
            failed=lambda _error: self.free.setText(""),
        )

    def _show_free(self, count: int) -> None:
        self.free.setText(free_text(count))
        role = "bad" if count < LOW else ""
        if self.free.property("role") != role:
            self.free.setProperty("role", role)
            self.free.style().unpolish(self.free)
            self.free.style().polish(self.free)

    def stop(self) -> None:
        """No more looking; for the end of the program."""
        self._timer.stop()

    def minimumSizeHint(self) -> QSize:
        return QSize(200, super().minimumSizeHint().height())

    def alignment(self) -> Qt.AlignmentFlag:
        """Everything in one line, centred in height."""
        return Qt.AlignmentFlag.AlignVCenter


def _existing(path: Path) -> Path:
    return next((each for each in (path, *path.parents) if each.exists()), path)
