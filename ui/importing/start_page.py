"""Before a disc is read: the drop area, a button for each drive, and the last sources."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from PySide6.QtCore import Qt, Signal
from PySide6.QtGui import QColor, QPainter, QPaintEvent, QPen
from PySide6.QtWidgets import (
    QFileDialog,
    QFrame,
    QHBoxLayout,
    QLabel,
    QPushButton,
    QScrollArea,
    QVBoxLayout,
    QWidget,
)

from ui.flow import FlowLayout
from ui.icons import icon
from ui.picture import Picture
from ui.theme import RADIUS, tokens
from ui.widgets.banner import ElidedLabel

if TYPE_CHECKING:
    from core.scan.drives import Drive

_DRIVE_ICONS = {"optical": "disc", "removable": "ph.hard-drive", "folder": "ph.folder"}


class DropArea(QFrame):
    """The large dashed frame; it lights up while something is held over it."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._lit = False
        self.setMinimumHeight(250)

    def light(self, on: bool) -> None:
        """Show that a drop would be taken."""
        self._lit = on
        self.update()

    def paintEvent(self, _event: QPaintEvent) -> None:
        now = tokens()
        with QPainter(self) as painter:
            painter.setRenderHint(QPainter.RenderHint.Antialiasing)
            pen = QPen(QColor(now.primary if self._lit else now.field_border), 2 if self._lit else 1.5)
            pen.setDashPattern([5, 4])
            painter.setPen(pen)
            painter.setBrush(QColor(now.primary_tint if self._lit else now.surface))
            painter.drawRoundedRect(self.rect().adjusted(1, 1, -1, -1), RADIUS * 2, RADIUS * 2)


class StartPage(QWidget):
    """Signals: `open(list)` with the paths to read."""

    open = Signal(list)

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._drives: tuple[Drive, ...] | None = None
        self.area = DropArea(self)
        self.folder_button = QPushButton(
            icon("ph.folder-open", "on_primary", before_text=True), self.tr("Open folder…"), self
        )
        self.folder_button.setProperty("role", "primary")
        self.folder_button.clicked.connect(lambda: self.choose_folder())
        self.files_button = QPushButton(
            icon("ph.archive-box", before_text=True), self.tr("Open ZIP or files…"), self
        )
        self.files_button.clicked.connect(lambda: self.choose_files())
        self._drive_row = FlowLayout(spacing=8, centred=True)
        self._recent_box = QVBoxLayout()
        self._recent_title = QLabel(self.tr("Last opened"), self)
        self._recent_title.setProperty("role", "heading")
        self._build()

    def _build(self) -> None:
        picture = Picture(72, self.area, name="disc", role="muted")
        invitation = QLabel(self.tr("Insert a disc, or drop a folder, ZIP file or images here"), self.area)
        invitation.setProperty("role", "title")
        invitation.setAlignment(Qt.AlignmentFlag.AlignCenter)
        invitation.setWordWrap(True)
        promise = QLabel(
            self.tr("Nothing is copied or sent until you say so. The disc is only read."), self.area
        )
        promise.setProperty("role", "muted")
        promise.setAlignment(Qt.AlignmentFlag.AlignCenter)
        promise.setWordWrap(True)
        buttons = QHBoxLayout()
        buttons.setSpacing(8)
        buttons.addStretch(1)
        buttons.addWidget(self.folder_button)
        buttons.addWidget(self.files_button)
        buttons.addStretch(1)
        inner = QVBoxLayout(self.area)
        inner.setContentsMargins(24, 24, 24, 24)
        inner.setSpacing(12)
        inner.addStretch(1)
        for label in (picture, invitation, promise):
            inner.addWidget(label)
        inner.addSpacing(8)
        inner.addLayout(buttons)
        inner.addLayout(self._drive_row)
        inner.addStretch(1)
        content = QWidget(self)
        column = QVBoxLayout(content)
        column.setContentsMargins(24, 24, 24, 24)
        column.setSpacing(12)
        column.addWidget(self.area, 1)
        column.addSpacing(12)
        column.addWidget(self._recent_title)
        column.addLayout(self._recent_box)
        self._recent_box.setSpacing(4)
        scroll = QScrollArea(self)
        scroll.setWidgetResizable(True)
        scroll.setWidget(content)
        scroll.setFocusPolicy(Qt.FocusPolicy.NoFocus)
        whole = QVBoxLayout(self)
        whole.setContentsMargins(0, 0, 0, 0)
        whole.addWidget(scroll)

    def show_drives(self, drives: Sequence[Drive]) -> None:
        """One button a drive; left alone while nothing changed, so that focus stays."""
        if self._drives == tuple(drives):
            return
        self._drives = tuple(drives)
        _empty(self._drive_row)
        for drive in drives:
            picture = icon(_DRIVE_ICONS.get(drive.kind, "ph.hard-drive"), before_text=True)
            button = QPushButton(picture, drive.label, self.area)
            button.setAccessibleName(self.tr("Read {drive}").format(drive=drive.label))
            button.setToolTip(str(drive.path))
            button.clicked.connect(partial(self._emit, drive.path))
            self._drive_row.addWidget(button)

    def show_recent(self, recent: Sequence[Path]) -> None:
        """The last sources, newest first."""
        _empty(self._recent_box)
        self._recent_title.setVisible(bool(recent))
        for path in recent:
            self._recent_box.addWidget(self._recent_row(path))

    def _recent_row(self, path: Path) -> QWidget:
        row = QWidget(self)
        layout = QHBoxLayout(row)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(8)
        kind = "ph.archive-box" if path.suffix.lower() == ".zip" else "ph.folder"
        button = QPushButton(icon(kind, "primary", before_text=True), path.name or str(path), row)
        button.setProperty("role", "link")
        button.setAccessibleName(self.tr("Open {source} again").format(source=path.name or str(path)))
        button.clicked.connect(partial(self._emit, path))
        where = ElidedLabel(row)
        where.setText(str(path.parent))
        where.setToolTip(str(path))
        where.setProperty("role", "small")
        layout.addWidget(button)
        layout.addWidget(where, 1)
        return row

    def choose_folder(self) -> None:
        """Ask for a folder."""
        name = QFileDialog.getExistingDirectory(self, self.tr("Open folder"))
        if name:
            self.open.emit([Path(name)])

    def choose_files(self) -> None:
        """Ask for ZIP files or images."""
        names, _kind = QFileDialog.getOpenFileNames(self, self.tr("Open ZIP or files"))
        if names:
            self.open.emit([Path(name) for name in names])

    def _emit(self, path: Path) -> None:
        self.open.emit([path])


def _empty(layout: FlowLayout | QVBoxLayout) -> None:
    while (item := layout.takeAt(0)) is not None:
        widget = item.widget()
        if widget is not None:
            widget.hide()
            widget.deleteLater()
