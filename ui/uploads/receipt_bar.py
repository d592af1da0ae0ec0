"""The receipt after a sending: the sentence that says whether the disc may go, Eject, Save, Next disc."""

from __future__ import annotations

from pathlib import Path

from PySide6.QtCore import Qt, Signal
from PySide6.QtWidgets import QFileDialog, QFrame, QHBoxLayout, QLabel, QPushButton, QVBoxLayout, QWidget

from core.errors import KnownError, StorageFault
from ui.flow import FlowLayout
from ui.icons import icon
from ui.picture import Picture
from ui.uploads.transfers import Transfer
from ui.uploads.words import receipt_numbers, receipt_page, sentence_of, trouble_text


class ReceiptBar(QFrame):
    """Signals: `retry()`, `eject()`, `saved(str)` with the file's path, `failed(object)`, `next()`."""

    retry = Signal()
    eject = Signal()
    saved = Signal(str)
    failed = Signal(object)
    next = Signal()

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.transfer: Transfer | None = None
        self._icon = Picture(28, self)
        self.sentence = QLabel(self)
        self.sentence.setWordWrap(True)
        self.sentence.setProperty("role", "heading")
        self.numbers = QLabel(self)
        self.numbers.setProperty("role", "muted")
        self.note = QLabel(self)
        self.note.setWordWrap(True)
        self.note.setProperty("role", "warn")
        self.retry_button = QPushButton(
            icon("ph.arrow-clockwise", "on_primary", before_text=True), self.tr("Retry"), self
        )
        self.retry_button.setProperty("role", "primary")
        self.retry_button.clicked.connect(lambda: self.retry.emit())
        self.eject_button = QPushButton(icon("ph.eject", before_text=True), self.tr("Eject"), self)
        self.save_button = QPushButton(
            icon("ph.floppy-disk", before_text=True), self.tr("Save receipt…"), self
        )
        self.next_button = QPushButton(
            icon("disc", "on_primary", before_text=True), self.tr("Next disc"), self
        )
        self.next_button.setProperty("role", "primary")
        self.eject_button.clicked.connect(lambda: self.eject.emit())
        self.save_button.clicked.connect(lambda: self.choose_file())
        self.next_button.clicked.connect(lambda: self.next.emit())
        words = QVBoxLayout()
        words.setSpacing(4)
        words.addWidget(self.sentence)
        words.addWidget(self.numbers)
        words.addWidget(self.note)
        top = QHBoxLayout()
        top.setSpacing(12)
        top.addWidget(self._icon, 0, Qt.AlignmentFlag.AlignTop)
        top.addLayout(words, 1)
        buttons = FlowLayout(spacing=8)
        for button in (self.retry_button, self.eject_button, self.save_button, self.next_button):
            buttons.addWidget(button)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(16, 12, 16, 12)
        layout.setSpacing(12)
        layout.addLayout(top)
        layout.addLayout(buttons)
        self.hide()

    def show_receipt(self, transfer: Transfer, *, can_eject: bool, note: str = "") -> None:
        """Show the receipt of a sending that came to its end; *note* says what the disc itself lacks."""
        receipt = transfer.receipt
        if receipt is None:
            return
        self.transfer = transfer
        good = receipt.complete
        self.setProperty("role", "banner-good" if good else "banner-warn")
        self.style().unpolish(self)
        self.style().polish(self)
        name, role = ("ph.check-circle-fill", "good") if good else ("ph.warning-fill", "warn")
        self._icon.show_icon(name, role)
        self.sentence.setText(sentence_of(transfer, receipt))
        self.numbers.setText(receipt_numbers(receipt))
        notes = [part for part in (trouble_text(receipt), note) if part]
        self.note.setText("\n".join(f"⚠ {part}" for part in notes))
        self.note.setVisible(bool(notes))
        self.setAccessibleName(" ".join([self.sentence.text(), *notes]))
        self.retry_button.setVisible(not good)
        self.next_button.setProperty("role", "primary" if good else "")
        self.next_button.setIcon(icon("disc", "on_primary" if good else "text", before_text=True))
        self.next_button.style().unpolish(self.next_button)
        self.next_button.style().polish(self.next_button)
        self.eject_button.setVisible(can_eject)
        self.eject_button.setEnabled(receipt.safe_to_eject)
        self.eject_button.setToolTip(
            "" if receipt.safe_to_eject else self.tr("Not yet: something is still only on the disc")
        )
        self.show()

    def choose_file(self) -> None:
        """Ask where the receipt is to lie."""
        name, _kind = QFileDialog.getSaveFileName(
            self, self.tr("Save receipt"), "receipt.txt", self.tr("Text (*.txt);;JSON (*.json)")
        )
        if name:
            self.save(Path(name))

    def save(self, path: Path) -> None:
        """Write the receipt as text, or as JSON where the name says so."""
        if self.transfer is None or self.transfer.receipt is None:
            return
        try:
            save_receipt(self.transfer, path)
        except KnownError as error:
            self.failed.emit(error)
        else:
            self.saved.emit(str(path))


def save_receipt(transfer: Transfer, path: Path) -> None:
    """Write the receipt to *path*. Raises StorageFault."""
    import json

    if path.suffix.lower() == ".json" and transfer.receipt is not None:
        text = json.dumps(transfer.receipt.to_json(), indent=2, ensure_ascii=False) + "\n"
    else:
        text = receipt_page(transfer)
    try:
        path.write_text(text, "utf-8")
    except OSError as error:
        raise StorageFault(
            f"The receipt could not be written to {path}.", "Choose another folder, or make room."
        ) from error
