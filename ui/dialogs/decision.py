"""A question with a consequence: it names the patient, and Enter never takes the dangerous way."""

from __future__ import annotations

from PySide6.QtCore import Qt, Signal
from PySide6.QtWidgets import QDialog, QHBoxLayout, QLabel, QPushButton, QVBoxLayout, QWidget

from ui.picture import Picture


class Decision(QDialog):
    """*question* in large, *who* in bold, *detail* below; `decided()` when the person says yes.

    Signals: `decided()`.
    """

    decided = Signal()

    def __init__(
        self,
        question: str,
        *,
        yes: str,
        no: str,
        who: str = "",
        detail: str = "",
        dangerous: bool = True,
        parent: QWidget | None = None,
    ) -> None:
        super().__init__(parent)
        self.setWindowTitle(question)
        self.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        self.setMinimumWidth(440)
        name, role = ("ph.warning-fill", "warn") if dangerous else ("ph.question-fill", "primary")
        sign = Picture(32, self, name=name, role=role)
        words = QVBoxLayout()
        words.setSpacing(8)
        for text, part in ((question, "heading"), (who, "patient"), (detail, "muted")):
            if text:
                label = QLabel(text, self)
                label.setProperty("role", part)
                label.setWordWrap(True)
                words.addWidget(label)
        self.yes_button = QPushButton(yes, self)
        self.no_button = QPushButton(no, self)
        self.yes_button.setProperty("role", "danger" if dangerous else "primary")
        self.yes_button.setAutoDefault(False)
        (self.no_button if dangerous else self.yes_button).setDefault(True)
        self.yes_button.clicked.connect(self._yes)
        self.no_button.clicked.connect(self.reject)
        top = QHBoxLayout()
        top.setSpacing(16)
        top.addWidget(sign, 0, Qt.AlignmentFlag.AlignTop)
        top.addLayout(words, 1)
        buttons = QHBoxLayout()
        buttons.setSpacing(8)
        buttons.addStretch(1)
        buttons.addWidget(self.yes_button)
        buttons.addWidget(self.no_button)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(24, 24, 24, 16)
        layout.setSpacing(24)
        layout.addLayout(top)
        layout.addLayout(buttons)
        (self.no_button if dangerous else self.yes_button).setFocus()

    def _yes(self) -> None:
        self.decided.emit()
        self.accept()
