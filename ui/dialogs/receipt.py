"""The receipt of one sending in full: to read, to copy, to save."""

from __future__ import annotations

from pathlib import Path

from PySide6.QtGui import QFontDatabase, QGuiApplication
from PySide6.QtWidgets import (
    QDialog,
    QFileDialog,
    QHBoxLayout,
    QPlainTextEdit,
    QPushButton,
    QVBoxLayout,
    QWidget,
)

from core.errors import KnownError
from ui.icons import icon
from ui.messages import MessageBar
from ui.uploads.receipt_bar import save_receipt
from ui.uploads.transfers import Transfer
from ui.uploads.words import receipt_page


class ReceiptDialog(QDialog):
    """A sheet with the receipt's text."""

    def __init__(self, transfer: Transfer, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._transfer = transfer
        self.setWindowTitle(self.tr("Receipt"))
        self.resize(640, 420)
        self.messages = MessageBar(self)
        self.text = QPlainTextEdit(receipt_page(transfer), self)
        self.text.setReadOnly(True)
        self.text.setTabChangesFocus(True)
        self.text.setAccessibleName(self.tr("Receipt"))
        self.text.setFont(QFontDatabase.systemFont(QFontDatabase.SystemFont.FixedFont))
        copy = QPushButton(icon("ph.copy", before_text=True), self.tr("Copy"), self)
        save = QPushButton(icon("ph.floppy-disk", before_text=True), self.tr("Save receipt…"), self)
        close = QPushButton(self.tr("Close"), self)
        close.setDefault(True)
        copy.clicked.connect(lambda: QGuiApplication.clipboard().setText(self.text.toPlainText()))
        save.clicked.connect(lambda: self.choose_file())
        close.clicked.connect(self.accept)
        buttons = QHBoxLayout()
        buttons.setSpacing(8)
        buttons.addWidget(copy)
        buttons.addWidget(save)
        buttons.addStretch(1)
        buttons.addWidget(close)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(24, 24, 24, 16)
        layout.setSpacing(12)
        layout.addWidget(self.messages)
        layout.addWidget(self.text, 1)
        layout.addLayout(buttons)

    def choose_file(self) -> None:
        """Ask where it is to lie, and write it."""
        name, _kind = QFileDialog.getSaveFileName(
            self, self.tr("Save receipt"), "receipt.txt", self.tr("Text (*.txt);;JSON (*.json)")
        )
        if not name:
            return
        try:
            save_receipt(self._transfer, Path(name))
        except KnownError as error:
            self.messages.show_error(error)
