"""The Worklist page: today's entries, and what can be done with each."""

from __future__ import annotations

from PySide6.QtCore import Qt
from PySide6.QtWidgets import QLabel, QPushButton, QVBoxLayout, QWidget

from ui.keeper import ArchiveKeeper
from ui.picture import Picture
from ui.services import ArchiveState, Services


class WorklistPage(QWidget):
    """The worklist of the archive in the data folder."""

    def __init__(self, services: Services, keeper: ArchiveKeeper, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._services = services
        self._keeper = keeper
        self.sentence = QLabel(self)
        self.start_button = QPushButton(self.tr("Start the archive"), self)
        self.start_button.clicked.connect(lambda: keeper.start())
        self.sentence.setProperty("role", "muted")
        self.sentence.setAlignment(Qt.AlignmentFlag.AlignCenter)
        layout = QVBoxLayout(self)
        layout.addStretch(1)
        layout.addWidget(Picture(72, self, name="ph.clipboard-text", role="muted"))
        layout.addWidget(self.sentence)
        layout.addWidget(self.start_button, 0, Qt.AlignmentFlag.AlignHCenter)
        layout.addStretch(2)
        keeper.changed.connect(self._look)
        self._look()

    def _look(self) -> None:
        running = self._keeper.state is ArchiveState.RUNNING
        self.start_button.setVisible(not running)
        self.sentence.setText(
            self.tr("Nothing is planned.")
            if running
            else self.tr("The worklist is kept by the archive, which does not run.")
        )
