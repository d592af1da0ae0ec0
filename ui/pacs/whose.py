"""Studies of more than one patient are to be fetched: each patient is ticked, or stays where it is."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from PySide6.QtCore import Qt, Signal
from PySide6.QtWidgets import (
    QCheckBox,
    QDialog,
    QHBoxLayout,
    QLabel,
    QPushButton,
    QScrollArea,
    QVBoxLayout,
    QWidget,
)

from ui.models.people import banner_text, study_text

if TYPE_CHECKING:
    from core.net.records import StudyRow


def patients_of(rows: Sequence[StudyRow]) -> dict[str, list[StudyRow]]:
    """Studies by patient, as the patient is called in one line."""
    found: dict[str, list[StudyRow]] = {}
    for row in rows:
        who = banner_text(row.patient_name, row.patient_sex, row.patient_birth_date, row.patient_id)
        found.setdefault(who, []).append(row)
    return found


class WhoseDialog(QDialog):
    """Signals: `decided(object)` with the rows of those who are ticked."""

    decided = Signal(object)

    def __init__(self, rows: Sequence[StudyRow], node: str, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setWindowTitle(self.tr("Whose studies?"))
        self.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        self.resize(560, 420)
        self._patients = patients_of(rows)
        self.ticks: dict[str, QCheckBox] = {}
        self.retrieve_button = QPushButton(self.tr("Retrieve"), self)
        self.cancel_button = QPushButton(self.tr("Cancel"), self)
        self._build(node)
        self._enable()

    def _build(self, node: str) -> None:
        heading = QLabel(self.tr("These are studies of {n} patients").format(n=len(self._patients)), self)
        heading.setProperty("role", "heading")
        words = QLabel(
            self.tr("Tick the patients whose studies are to come from {node}.").format(node=node), self
        )
        words.setWordWrap(True)
        content = QWidget(self)
        column = QVBoxLayout(content)
        column.setSpacing(12)
        for who, rows in self._patients.items():
            tick = QCheckBox(who, content)
            what = QLabel(
                "\n".join(study_text(row.study_description, row.study_date) for row in rows), content
            )
            what.setProperty("role", "muted")
            what.setContentsMargins(28, 0, 0, 0)
            tick.toggled.connect(lambda _on: self._enable())
            self.ticks[who] = tick
            column.addWidget(tick)
            column.addWidget(what)
        column.addStretch(1)
        scroll = QScrollArea(self)
        scroll.setWidgetResizable(True)
        scroll.setWidget(content)
        scroll.setFocusPolicy(Qt.FocusPolicy.NoFocus)
        scroll.setAccessibleName(self.tr("Patients"))
        self.retrieve_button.setProperty("role", "primary")
        self.retrieve_button.setAutoDefault(False)
        self.cancel_button.setDefault(True)
        self.retrieve_button.clicked.connect(self._yes)
        self.cancel_button.clicked.connect(self.reject)
        buttons = QHBoxLayout()
        buttons.setSpacing(8)
        buttons.addStretch(1)
        buttons.addWidget(self.retrieve_button)
        buttons.addWidget(self.cancel_button)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(24, 24, 24, 16)
        layout.setSpacing(12)
        layout.addWidget(heading)
        layout.addWidget(words)
        layout.addWidget(scroll, 1)
        layout.addLayout(buttons)

    def _enable(self) -> None:
        self.retrieve_button.setEnabled(any(tick.isChecked() for tick in self.ticks.values()))

    def _yes(self) -> None:
        ticked = [row for who, rows in self._patients.items() if self.ticks[who].isChecked() for row in rows]
        self.decided.emit(ticked)
        self.accept()
