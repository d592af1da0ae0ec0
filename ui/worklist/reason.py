"""Asks why an entry is given up, naming the patient; Enter keeps the entry."""

from __future__ import annotations

from PySide6.QtCore import Signal
from PySide6.QtWidgets import QComboBox, QDialog, QHBoxLayout, QLabel, QPushButton, QVBoxLayout, QWidget

from ui.models.study_view import PatientText
from ui.widgets.banner import PatientBanner

LONGEST = 200


class ReasonDialog(QDialog):
    """Signals: `decided(str)` with the reason, which must not be empty."""

    decided = Signal(str)

    def __init__(self, patient: PatientText, what: str, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setWindowTitle(self.tr("Cancel this entry?"))
        self.setMinimumWidth(460)
        question = QLabel(self.tr("Cancel this entry?"), self)
        question.setProperty("role", "heading")
        banner = PatientBanner(self)
        banner.show_patient(patient)
        detail = QLabel(what, self)
        detail.setProperty("role", "muted")
        detail.setWordWrap(True)
        after = QLabel(self.tr("It stays on the list as cancelled and cannot be started again."), self)
        after.setWordWrap(True)
        self.reason = QComboBox(self)
        self.reason.setEditable(True)
        for words in (
            "",
            self.tr("The patient did not come"),
            self.tr("The patient declined"),
            self.tr("Entered by mistake"),
            self.tr("Done elsewhere"),
            self.tr("Equipment failure"),
        ):
            self.reason.addItem(words)
        self.reason.setAccessibleName(self.tr("Reason"))
        line = self.reason.lineEdit()
        if line is not None:
            line.setMaxLength(LONGEST)
            line.setAccessibleName(self.tr("Reason"))
        label = QLabel(self.tr("&Reason"), self)
        label.setBuddy(self.reason)
        self.yes_button = QPushButton(self.tr("Cancel the entry"), self)
        self.no_button = QPushButton(self.tr("Keep it"), self)
        self.yes_button.setProperty("role", "danger")
        self.yes_button.setAutoDefault(False)
        self.yes_button.setEnabled(False)
        self.no_button.setDefault(True)
        self.reason.currentTextChanged.connect(lambda text: self.yes_button.setEnabled(bool(text.strip())))
        self.yes_button.clicked.connect(lambda: self._yes())
        self.no_button.clicked.connect(self.reject)
        buttons = QHBoxLayout()
        buttons.setSpacing(8)
        buttons.addStretch(1)
        buttons.addWidget(self.yes_button)
        buttons.addWidget(self.no_button)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(24, 24, 24, 16)
        layout.setSpacing(12)
        for part in (question, banner, detail, after, label, self.reason):
            layout.addWidget(part)
        layout.addLayout(buttons)
        self.reason.setFocus()

    def _yes(self) -> None:
        self.decided.emit(self.reason.currentText().strip())
        self.accept()
