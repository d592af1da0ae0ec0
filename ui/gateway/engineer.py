"""What the engineer of a modality must enter, on a card: to read out, to copy, to save as a text."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from PySide6.QtCore import Qt, Signal
from PySide6.QtGui import QGuiApplication
from PySide6.QtWidgets import (
    QFileDialog,
    QFrame,
    QGridLayout,
    QHBoxLayout,
    QLabel,
    QPushButton,
    QVBoxLayout,
    QWidget,
)

from core.errors import StorageFault
from ui.gateway.words import sheet
from ui.icons import icon
from ui.messages import Kind, Message
from ui.tasks import Tasks

if TYPE_CHECKING:
    from core.net.pacs_client import Gateway


class EngineerCard(QFrame):
    """Signals: `said(object)` with a `Message`, `failed(object)` with an error."""

    said = Signal(object)
    failed = Signal(object)

    def __init__(self, tasks: Tasks, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._tasks = tasks
        self._gateway: Gateway | None = None
        self.setProperty("role", "card")
        self.title, self.address, self.port = QLabel(self), QLabel(self), QLabel(self)
        self.copy_button = QPushButton(icon("ph.copy", before_text=True), self.tr("Copy"), self)
        self.save_button = QPushButton(self.tr("Save as text…"), self)
        self._build()
        self.show_gateway(None)

    def _build(self) -> None:
        heading = QLabel(self.tr("To tell the modality's engineer"), self)
        heading.setProperty("role", "heading")
        grid = QGridLayout()
        grid.setHorizontalSpacing(16)
        grid.setVerticalSpacing(4)
        grid.setColumnStretch(1, 1)
        rows = (
            (self.tr("AE title"), self.title),
            (self.tr("Address"), self.address),
            (self.tr("Port"), self.port),
        )
        for number, (words, value) in enumerate(rows):
            label = QLabel(words, self)
            label.setProperty("role", "muted")
            value.setTextInteractionFlags(Qt.TextInteractionFlag.TextSelectableByMouse)
            value.setWordWrap(True)
            grid.addWidget(label, number, 0)
            grid.addWidget(value, number, 1)
        self.copy_button.setAccessibleName(self.tr("Copy what the engineer must enter"))
        self.save_button.setAccessibleName(self.tr("Save what the engineer must enter as a text file"))
        self.copy_button.clicked.connect(self.copy)
        self.save_button.clicked.connect(lambda: self.save())
        side = QVBoxLayout()
        side.setSpacing(8)
        side.addWidget(self.copy_button)
        side.addWidget(self.save_button)
        side.addStretch(1)
        beside = QHBoxLayout()
        beside.addLayout(grid, 1)
        beside.addLayout(side)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(16, 12, 16, 12)
        layout.setSpacing(8)
        layout.addWidget(heading)
        layout.addLayout(beside)

    def show_gateway(self, gateway: Gateway | None) -> None:
        """Show where the door is; None or one that is shut has nothing to tell."""
        self._gateway = gateway if gateway is not None and gateway.running else None
        self.title.setText(gateway.ae_title if gateway is not None else "–")
        self.address.setText(", ".join(self._gateway.addresses) if self._gateway is not None else "–")
        self.port.setText(str(self._gateway.port) if self._gateway is not None else "–")
        for button in (self.copy_button, self.save_button):
            button.setEnabled(self._gateway is not None)

    def copy(self) -> None:
        """Put the sheet on the clipboard."""
        if self._gateway is not None:
            QGuiApplication.clipboard().setText(sheet(self._gateway))
            self.said.emit(Message(Kind.GOOD, self.tr("Copied.")))

    def save(self, path: str = "") -> None:
        """Write the sheet to *path*, or where the person says."""
        if self._gateway is None:
            return
        name = f"DICOM {self._gateway.ae_title}.txt"
        path = path or QFileDialog.getSaveFileName(self, self.tr("Save as text"), name, "*.txt")[0]
        if path:
            self._tasks.call(
                partial(_written, Path(path), sheet(self._gateway)),
                done=lambda _none: self.said.emit(Message(Kind.GOOD, self.tr("Saved."))),
                failed=self.failed.emit,
            )


def _written(path: Path, text: str) -> None:
    """Raises StorageFault."""
    try:
        path.write_text(text, "utf-8")
    except OSError as error:
        raise StorageFault("The file could not be written.", "Choose another folder.") from error
