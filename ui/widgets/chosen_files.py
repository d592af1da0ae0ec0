"""The files a person chose to add: a list with kind and size, chosen, dropped or taken off."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from PySide6.QtCore import QSize, Qt, Signal
from PySide6.QtGui import QDropEvent, QKeyEvent
from PySide6.QtWidgets import (
    QFileDialog,
    QHBoxLayout,
    QListWidget,
    QListWidgetItem,
    QPushButton,
    QVBoxLayout,
    QWidget,
)
from shiboken6 import isValid

from core.errors import KnownError
from core.media.kinds import ENDINGS, media_type_of
from ui.icons import icon
from ui.models.people import said, size_text
from ui.tasks import Tasks

MOST_FILES = 50
SIGNS = {"application": "ph.file-pdf", "image": "ph.image", "video": "ph.film-strip"}
_FILE = Qt.ItemDataRole.UserRole


@dataclass(frozen=True, slots=True)
class Looked:
    """A file that was looked at; *refusal* says why it cannot be added, "" if it can."""

    path: Path
    media_type: str = ""
    bytes: int = 0
    refusal: str = ""


class ChosenFiles(QWidget):
    """Lists files; what cannot be added is refused in words. Files are looked at by *tasks*.

    Signals:
        changed(): files came or went.
        refused(list): sentences on files that were left out.
    """

    changed = Signal()
    refused = Signal(list)

    def __init__(self, tasks: Tasks, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._tasks = tasks
        self.list = QListWidget(self)
        self.choose_button = QPushButton(icon("ph.plus", before_text=True), self.tr("Choose &files…"), self)
        self.remove_button = QPushButton(icon("ph.x", before_text=True), self.tr("&Remove"), self)
        self._build()

    def _build(self) -> None:
        self.list.setAccessibleName(self.tr("Files to add"))
        self.list.setSelectionMode(QListWidget.SelectionMode.ExtendedSelection)
        self.list.setIconSize(QSize(24, 24))
        self.list.setMinimumHeight(140)
        self.list.itemSelectionChanged.connect(self._refresh)
        self.choose_button.clicked.connect(lambda: self.choose())
        self.remove_button.clicked.connect(lambda: self.take_off())
        row = QHBoxLayout()
        row.setSpacing(8)
        for button in (self.choose_button, self.remove_button):
            button.setAutoDefault(False)
            row.addWidget(button)
        row.addStretch(1)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(8)
        layout.addWidget(self.list, 1)
        layout.addLayout(row)
        self._refresh()

    @property
    def files(self) -> list[Path]:
        """What is listed, in order."""
        return [each.path for each in self._rows()]

    @property
    def pictures(self) -> bool:
        """Whether a picture is among them."""
        return any(each.media_type.startswith("image/") for each in self._rows())

    def choose(self) -> None:
        """Let the person pick files."""
        endings = " ".join(f"*.{each} *.{each.upper()}" for each in ENDINGS)
        kinds = self.tr("PDFs, pictures, videos ({endings})").format(endings=endings)
        paths, _kind = QFileDialog.getOpenFileNames(self, self.tr("Files to add"), "", kinds)
        self.add([Path(path) for path in paths])

    def add(self, paths: Sequence[Path]) -> None:
        """Look at these files and list them."""
        if paths:
            self._tasks.call(partial(_look, tuple(paths)), done=self._looked, failed=self._not_looked)

    def take_off(self) -> None:
        """Take the chosen files off the list."""
        for item in self.list.selectedItems():
            self.list.takeItem(self.list.row(item))
        self._refresh()
        self.changed.emit()

    def keyPressEvent(self, event: QKeyEvent) -> None:
        if event.key() == Qt.Key.Key_Delete and self.list.hasFocus():
            self.take_off()
            return
        super().keyPressEvent(event)

    def _looked(self, found: Sequence[Looked]) -> None:
        if not isValid(self):  # the dialog was closed meanwhile
            return
        refusals = []
        for each in found:
            if each.refusal:
                refusals.append(each.refusal)
            elif each.path not in self.files:
                if self.list.count() >= MOST_FILES:
                    refusals.append(self.tr("{n} files at most go at once.").format(n=MOST_FILES))
                    break
                self.list.addItem(self._row(each))
        self._refresh()
        self.changed.emit()
        if refusals:
            self.refused.emit(refusals)

    def _not_looked(self, error: Exception) -> None:
        if isValid(self):
            self.refused.emit([str(error)])

    def _row(self, file: Looked) -> QListWidgetItem:
        kind = file.media_type.partition("/")[0]
        words = {"application": self.tr("PDF"), "image": self.tr("Picture"), "video": self.tr("Video")}
        row = QListWidgetItem(icon(SIGNS[kind]), f"{file.path.name}\n{words[kind]} · {size_text(file.bytes)}")
        row.setData(_FILE, file)
        row.setToolTip(str(file.path))
        return row

    def _rows(self) -> list[Looked]:
        return [self.list.item(n).data(_FILE) for n in range(self.list.count())]

    def _refresh(self) -> None:
        self.remove_button.setEnabled(bool(self.list.selectedItems()))


def _look(paths: Sequence[Path]) -> list[Looked]:
    """Slow where the disc is. Never raises."""
    found = []
    for path in paths:
        try:
            size = path.stat().st_size
            found.append(Looked(path, media_type_of(path), size))
        except KnownError as error:
            found.append(Looked(path, refusal=f"{path.name}: {said(error.message)}"))
        except OSError as error:
            found.append(Looked(path, refusal=f"{path.name}: {error.strerror or 'unreadable'}"))
    return found


def dropped(event: QDropEvent) -> list[Path]:
    """Local files of a drag."""
    return [Path(url.toLocalFile()) for url in event.mimeData().urls() if url.isLocalFile()]
