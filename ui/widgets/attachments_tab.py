"""The tab of files that lie beside the images: open one, save one, add a PDF."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from PySide6.QtCore import QSize, Qt, Signal
from PySide6.QtGui import QDragEnterEvent, QDropEvent
from PySide6.QtWidgets import (
    QFileDialog,
    QHBoxLayout,
    QLabel,
    QListWidget,
    QListWidgetItem,
    QPushButton,
    QVBoxLayout,
    QWidget,
)

from ui.icons import icon
from ui.models.archive_table import local_time
from ui.models.people import size_text
from ui.models.study_view import AttachmentView

_ID = Qt.ItemDataRole.UserRole
ICONS = {"application": "ph.file-pdf", "image": "ph.image", "text": "ph.file-text"}


class AttachmentsTab(QWidget):
    """A list with Open and Add PDF….

    Signals:
        openAttachment(str): id of the file to open.
        addPdf(str): path of a PDF the person chose or dropped here.
    """

    openAttachment = Signal(str)
    addPdf = Signal(str)

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.list = QListWidget(self)
        self.list.setAccessibleName(self.tr("Attachments"))
        self.list.setSpacing(2)
        self.list.setIconSize(QSize(24, 24))
        self.list.itemActivated.connect(self._open)
        self.empty = QLabel(self.tr("No attachments. Drop a PDF here, or add one."), self)
        self.empty.setObjectName("muted")
        self.empty.setAlignment(Qt.AlignmentFlag.AlignCenter)
        self.open_button = QPushButton(self.tr("Open"), self)
        self.open_button.setEnabled(False)
        self.open_button.clicked.connect(lambda: self._open(self.list.currentItem()))
        self.add_button = QPushButton(self.tr("Add PDF…"), self)
        self.add_button.clicked.connect(lambda: self.choose())
        self.list.currentItemChanged.connect(lambda item, _old: self.open_button.setEnabled(item is not None))
        self.setAcceptDrops(True)
        buttons = QHBoxLayout()
        buttons.addStretch(1)
        buttons.addWidget(self.open_button)
        buttons.addWidget(self.add_button)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(4, 12, 4, 4)
        layout.setSpacing(8)
        layout.addWidget(self.list, 1)
        layout.addWidget(self.empty, 1)
        layout.addLayout(buttons)

    def show_attachments(self, attachments: Sequence[AttachmentView]) -> None:
        """Show these; the chosen one stays chosen if it is still there."""
        item = self.list.currentItem()
        chosen = item.data(_ID) if item is not None else None
        self.list.clear()
        for attachment in attachments:
            row = QListWidgetItem(f"{attachment.name}\n{self._about(attachment)}")
            row.setIcon(icon(ICONS.get(attachment.content_type.split("/")[0], "ph.file-text")))
            row.setData(_ID, attachment.id)
            row.setToolTip(attachment.name)
            self.list.addItem(row)
            if attachment.id == chosen:
                self.list.setCurrentItem(row)
        self.list.setVisible(bool(attachments))
        self.empty.setVisible(not attachments)
        self.open_button.setEnabled(self.list.currentItem() is not None)

    def choose(self) -> None:
        """Let the person pick a PDF."""
        path, _kind = QFileDialog.getOpenFileName(self, self.tr("Add PDF"), "", self.tr("PDF files (*.pdf)"))
        if path:
            self.addPdf.emit(path)

    def dragEnterEvent(self, event: QDragEnterEvent) -> None:
        if pdfs(event):
            event.acceptProposedAction()

    def dropEvent(self, event: QDropEvent) -> None:
        for path in pdfs(event):
            self.addPdf.emit(path)
        event.acceptProposedAction()

    def _about(self, attachment: AttachmentView) -> str:
        state = (
            local_time(attachment.created)
            if attachment.created
            else self.tr("goes along when the study is sent")
        )
        return " · ".join(p for p in (size_text(attachment.bytes), attachment.uploaded_by, state) if p)

    def _open(self, item: QListWidgetItem | None) -> None:
        if item is not None:
            self.openAttachment.emit(item.data(_ID))


def pdfs(event: QDropEvent) -> list[str]:
    """Local PDF files of a drag."""
    paths = [url.toLocalFile() for url in event.mimeData().urls() if url.isLocalFile()]
    return [path for path in paths if Path(path).suffix.lower() == ".pdf"]
