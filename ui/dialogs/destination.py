"""Adding or changing a destination: name, address, login, and a secret that goes to the keyring."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import replace

from PySide6.QtCore import Signal
from PySide6.QtWidgets import (
    QComboBox,
    QDialog,
    QFormLayout,
    QHBoxLayout,
    QLabel,
    QLineEdit,
    QPushButton,
    QVBoxLayout,
    QWidget,
)

from core.errors import KnownError
from core.net.address import parse
from core.net.dimse.node import options, parse_node
from core.net.tls import Tls
from ui.dialogs.encryption import EncryptionRows, Rows
from ui.flow import level_labels
from ui.icons import icon
from ui.messages import MessageBar
from ui.services import LOCAL_ARCHIVE, DestinationText, Services

KINDS = ("v3:", "stow:", "exams:", "dimse:", "share:")
EXAMPLES = {
    "v3:": "https://archive.example:8500",
    "stow:": "https://archive.example/dicom-web",
    "dimse:": "ARCHIVE@192.0.2.1:104",
    "exams:": "https://service.example",
}
OPTIONS = "?"
"""What stands between an address and how it is encrypted."""
ENCRYPTED = "https://"
NO_LOGIN = "dimse:"
"""A kind that knows no logins: there the AE titles decide."""


class DestinationDialog(QDialog):
    """Signals: `saved(str)` with the destination's name."""

    saved = Signal(str)

    def __init__(
        self, services: Services, old: DestinationText | None = None, parent: QWidget | None = None
    ) -> None:
        super().__init__(parent)
        self._services = services
        self._old = old
        self.setWindowTitle(self.tr("Destination"))
        self.setMinimumWidth(520)
        self.name = QLineEdit(old.name if old else "", self)
        kind, address, tls = _parted(old.spec) if old else ("v3:", "", None)
        self.kind = QComboBox(self)
        self.kind.addItem(self.tr("Filmjacket, or another V3 archive"), "v3:")
        self.kind.addItem(self.tr("DICOMweb archive"), "stow:")
        self.kind.addItem(self.tr("DICOM node (AE title, C-STORE)"), "dimse:")
        self.kind.addItem(self.tr("DICOM Service (exams)"), "exams:")
        self.kind.setCurrentIndex(max(0, self.kind.findData(kind)))
        self.address = QLineEdit(address, self)
        self.login = QLineEdit(old.login if old else "", self)
        self.secret = QLineEdit(self)
        self.form = QFormLayout()
        self.hint = QLabel(
            self.tr("The password is kept in the keyring of this computer, never in a file."), self
        )
        self.messages = MessageBar(self)
        self.answer = QLabel(self)
        self.test_button = QPushButton(icon("ph.activity", before_text=True), self.tr("Test"), self)
        self.cancel_button = QPushButton(self.tr("Cancel"), self)
        self.save_button = QPushButton(self.tr("Save"), self)
        self._build()
        self.encryption.fill(tls)
        self.encryption.changed.connect(self._refresh)
        self._refresh()

    def _build(self) -> None:
        self.name.setPlaceholderText(self.tr("City hospital"))
        self.name.setEnabled(self._old is None)
        self.secret.setEchoMode(QLineEdit.EchoMode.Password)
        form = self.form
        form.setHorizontalSpacing(16)
        form.setVerticalSpacing(12)
        form.addRow(self.tr("&Name"), self.name)
        form.addRow(self.tr("&Kind"), self.kind)
        form.addRow(self.tr("&Address"), self.address)
        self.encryption = EncryptionRows(form, self)
        form.addRow(self.tr("&Login"), self.login)
        form.addRow(self.tr("&Password"), self.secret)
        level_labels(form)
        for field, words in (
            (self.name, self.tr("Name")),
            (self.address, self.tr("Address")),
            (self.login, self.tr("Login")),
            (self.secret, self.tr("Password")),
        ):
            field.setAccessibleName(words)
            field.textChanged.connect(lambda _text: self._refresh())
        self.kind.setAccessibleName(self.tr("Kind of archive"))
        self.kind.currentIndexChanged.connect(lambda _index: self._refresh())
        self.hint.setProperty("role", "small")
        self.hint.setWordWrap(True)
        self.answer.setWordWrap(True)
        self.save_button.setProperty("role", "primary")
        self.save_button.setDefault(True)
        self.test_button.setAutoDefault(False)
        self.cancel_button.setAutoDefault(False)
        self.test_button.clicked.connect(lambda: self.test())
        self.save_button.clicked.connect(lambda: self.save())
        self.cancel_button.clicked.connect(self.reject)
        buttons = QHBoxLayout()
        buttons.setSpacing(8)
        buttons.addWidget(self.test_button)
        buttons.addStretch(1)
        buttons.addWidget(self.cancel_button)
        buttons.addWidget(self.save_button)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(24, 24, 24, 16)
        layout.setSpacing(16)
        layout.addWidget(self.messages)
        layout.addLayout(form)
        layout.addWidget(self.hint)
        layout.addWidget(self.answer)
        layout.addLayout(buttons)

    def entered(self) -> DestinationText:
        """What stands in the fields."""
        address = self.address.text().strip()
        spec = address if address.startswith(KINDS) else f"{self.kind.currentData()}{address}"
        if OPTIONS not in spec:
            spec += self._encryption()
        login = "" if spec.startswith(NO_LOGIN) else self.login.text().strip()
        has = bool(self.secret.text()) or self._keeps(spec, login)
        return DestinationText(self.name.text().strip(), spec, login, has and bool(login))

    def _keeps(self, spec: str, login: str) -> bool:
        """Whether the password that is kept is for these; it goes to no other address."""
        old = self._old
        if old is None or not old.has_secret:
            return False
        return (spec.partition(OPTIONS)[0], login) == (old.spec.partition(OPTIONS)[0], old.login)

    def _encryption(self) -> str:
        """What is written behind the address."""
        rows, tls = self._rows(), self.encryption.tls
        if rows is Rows.ALWAYS:
            return f"{OPTIONS}{tls}" if tls is not None and str(tls) else ""
        return options(tls) if rows is Rows.CHOICE else ""

    def _rows(self) -> Rows:
        """What is to be chosen about encryption; nothing where the address says it in words."""
        address = self.address.text().strip()
        if OPTIONS in address:
            return Rows.NONE
        if self.kind.currentData() == NO_LOGIN:
            return Rows.CHOICE
        return Rows.ALWAYS if ENCRYPTED in address.lower() else Rows.NONE

    def _secret(self) -> str | None:
        return self.secret.text() or None

    def _refresh(self) -> None:
        filled = bool(self.address.text().strip())
        named = bool(self.name.text().strip()) and self.name.text().strip() != LOCAL_ARCHIVE
        written = next((each for each in KINDS if self.address.text().strip().startswith(each)), "")
        if (row := self.kind.findData(written)) >= 0:
            self.kind.setCurrentIndex(row)
        self.kind.setEnabled(not written)
        self.address.setPlaceholderText(EXAMPLES[self.kind.currentData()])
        entered = self.entered()
        unchanged = self.tr("unchanged") if self._keeps(entered.spec, entered.login) else ""
        again = self.tr("to be entered again") if self._old and self._old.has_secret else ""
        self.secret.setPlaceholderText(unchanged or again)
        node = self.kind.currentData() == NO_LOGIN
        for field in (self.login, self.secret):
            field.setEnabled(not node)
            self.form.setRowVisible(field, not node)
        self.hint.setVisible(not node)
        self.encryption.show_rows(self._rows())
        filled = filled and (self._rows() is Rows.NONE or self.encryption.complete)
        self.save_button.setEnabled(filled and named)
        self.test_button.setEnabled(filled)

    def test(self) -> None:
        """Call it and say what answered."""
        subject, secret = self.entered(), self._secret()
        self.messages.put_away()
        self.test_button.setEnabled(False)
        self.answer.setText(self.tr("Asking…"))
        self._services.jobs.call(
            lambda: self._services.destinations.test(subject, secret),
            done=self._answered,
            failed=self._failed,
        )

    def _answered(self, words: str) -> None:
        self._refresh()
        self.answer.setText(words)

    def _failed(self, error: Exception) -> None:
        self._refresh()
        self.answer.setText("")
        self.messages.show_error(error)

    def save(self) -> None:
        """Keep it; the keyring may ask the person for its password, so not on the Qt thread."""
        subject, secret = self.entered(), self._secret()
        self.save_button.setEnabled(False)
        self._services.tasks.call(
            lambda: self._services.destinations.save(subject, secret),
            done=lambda _none: self._kept(subject.name),
            failed=self._failed,
        )

    def _kept(self, name: str) -> None:
        self.saved.emit(name)
        self.accept()


def _parted(spec: str) -> tuple[str, str, Tls | None]:
    """Kind, address and encryption; what is none of the kinds to choose from stays as it is written."""
    kind = next((each for each in EXAMPLES if spec.startswith(each)), "")
    address = spec.removeprefix(kind)
    if kind == NO_LOGIN:
        with suppress(KnownError):
            node = parse_node(address)
            return kind, str(replace(node, tls=None)), node.tls
    elif OPTIONS in address:
        with suppress(KnownError):
            found = parse(address)
            return kind, str(found), found.tls
    return kind, address, None
