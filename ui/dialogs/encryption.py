"""How a connection is encrypted, as rows of a form: whom to trust, and the certificate of ours."""

from __future__ import annotations

from enum import Enum

from PySide6.QtCore import QObject, QSignalBlocker, Signal
from PySide6.QtWidgets import (
    QComboBox,
    QFileDialog,
    QFormLayout,
    QHBoxLayout,
    QLineEdit,
    QPushButton,
    QWidget,
)

from core.net.tls import Tls

NONE, SYSTEM, AUTHORITY, PINNED = "", "system", "ca", "pin"


class Rows(Enum):
    """Which rows there are to be seen."""

    NONE = "none"
    CHOICE = "choice"
    """A DICOM node, which may be encrypted or not."""
    ALWAYS = "always"
    """An https address."""


class FileField(QWidget):
    """The name of a file, and a button that chooses one. Signals: `changed()`."""

    changed = Signal()

    def __init__(self, name: str, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.line = QLineEdit(self)
        self.button = QPushButton(self.tr("Choose…"), self)
        self.button.setAutoDefault(False)
        self.button.clicked.connect(lambda: self.choose())
        self.line.textChanged.connect(lambda _text: self.changed.emit())
        self.setFocusProxy(self.line)
        self.call(name)
        row = QHBoxLayout(self)
        row.setContentsMargins(0, 0, 0, 0)
        row.setSpacing(8)
        row.addWidget(self.line, 1)
        row.addWidget(self.button)

    def call(self, name: str) -> None:
        """What it is the file of, for those who do not see the label."""
        self.line.setAccessibleName(name)
        self.button.setAccessibleName(self.tr("Choose: {what}").format(what=name))

    @property
    def path(self) -> str:
        """What stands there."""
        return self.line.text().strip()

    def choose(self) -> None:
        """Ask for a file."""
        kinds = self.tr("Certificates (*.pem *.crt *.cer *.key);;All files (*)")
        name, _kind = QFileDialog.getOpenFileName(self, self.line.accessibleName(), self.path, kinds)
        if name:
            self.line.setText(name)


class EncryptionRows(QObject):
    """Rows that are shown where there is something to choose. Signals: `changed()`."""

    changed = Signal()

    def __init__(self, form: QFormLayout, parent: QWidget) -> None:
        super().__init__(parent)
        self._form = form
        self._rows = Rows.CHOICE
        self.mode = QComboBox(parent)
        self.mode.setAccessibleName(self.tr("Encryption"))
        for words, mode in (
            (self.tr("None"), NONE),
            (self.tr("TLS, trusting whom this computer trusts"), SYSTEM),
            (self.tr("TLS, trusting an authority of your own"), AUTHORITY),
            (self.tr("TLS, trusting exactly one certificate"), PINNED),
        ):
            self.mode.addItem(words, mode)
        self.trusted = FileField(self.tr("Trusted certificate"), parent)
        self.certificate = FileField(self.tr("Our certificate"), parent)
        self.key = FileField(self.tr("Our private key"), parent)
        form.addRow(self.tr("&Encryption"), self.mode)
        form.addRow(self.tr("T&rusted"), self.trusted)
        form.addRow(self.tr("&Our certificate"), self.certificate)
        form.addRow(self.tr("Our &key"), self.key)
        self.trusted.line.setPlaceholderText(self.tr("its certificate, a PEM file"))
        self.certificate.line.setPlaceholderText(self.tr("only if it is asked for"))
        self.key.line.setPlaceholderText(self.tr("if it is not in the same file"))
        self.mode.currentIndexChanged.connect(lambda _index: self._changed())
        for field in (self.trusted, self.certificate, self.key):
            field.changed.connect(self.changed)

    def show_rows(self, rows: Rows) -> None:
        """Show what can be chosen, or nothing."""
        self._rows = rows
        self._offer_none(rows is not Rows.ALWAYS)
        shown, mode = rows is not Rows.NONE, self.mode.currentData()
        self._form.setRowVisible(self.mode, shown)
        self._form.setRowVisible(self.trusted, shown and mode in (AUTHORITY, PINNED))
        ours = mode != NONE and (rows is Rows.CHOICE or mode != SYSTEM or bool(self.certificate.path))
        for field in (self.certificate, self.key):
            self._form.setRowVisible(field, shown and ours)

    def _offer_none(self, offered: bool) -> None:
        """Whether *None* is one of the choices; it stays what was chosen, for an address that allows it."""
        with QSignalBlocker(self.mode):
            there = self.mode.findData(NONE) >= 0
            if there and not offered:
                self.mode.removeItem(0)
            elif offered and not there:
                self.mode.insertItem(0, self.tr("None"), NONE)
                if self.mode.currentData() == SYSTEM:
                    self.mode.setCurrentIndex(0)

    def fill(self, tls: Tls | None) -> None:
        """Show *tls*."""
        mode = NONE if tls is None else PINNED if tls.pin else AUTHORITY if tls.ca else SYSTEM
        self.mode.setCurrentIndex(self.mode.findData(mode))
        if tls is not None:
            self.trusted.line.setText(tls.pin or tls.ca)
            self.certificate.line.setText(tls.certificate)
            self.key.line.setText(tls.key)

    @property
    def complete(self) -> bool:
        """Whether nothing that must be chosen is missing."""
        return self.mode.currentData() not in (AUTHORITY, PINNED) or bool(self.trusted.path)

    @property
    def tls(self) -> Tls | None:
        """What is chosen, None for no encryption."""
        mode, trusted = self.mode.currentData(), self.trusted.path
        if mode == NONE:
            return None
        certificate = self.certificate.path
        key = self.key.path if certificate else ""
        ca, pin = (trusted if mode == each else "" for each in (AUTHORITY, PINNED))
        return Tls(ca, pin, certificate, key)

    def _changed(self) -> None:
        self.show_rows(self._rows)
        self.changed.emit()
