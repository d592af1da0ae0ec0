"""Whose images are sent for a worklist entry: both patients side by side, and a yes where they differ."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from PySide6.QtCore import Qt
from PySide6.QtWidgets import QCheckBox, QGridLayout, QLabel, QWidget

from core.dicom.tree import Patient
from ui.models.entries import differences, patient_of
from ui.models.people import person_name, said
from ui.models.study_view import patient_text
from ui.widgets.banner import PatientBanner

if TYPE_CHECKING:
    from core.net.worklist_client import EntryRow


class Comparison(QWidget):
    """A line for each patient of the disc; *ticks* must all be set before anything may be sent."""

    def __init__(self, entry: EntryRow, patients: Sequence[Patient], parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.ticks: list[QCheckBox] = []
        self._entry = patient_of(entry)
        self._grid = QGridLayout(self)
        self._grid.setContentsMargins(0, 0, 0, 0)
        self._grid.setHorizontalSpacing(24)
        self._grid.setVerticalSpacing(8)
        for column, title in enumerate((self.tr("On the worklist"), self.tr("On the disc"))):
            self._grid.setColumnStretch(column, 1)
            label = QLabel(title, self)
            label.setProperty("role", "muted")
            self._grid.addWidget(label, 0, column)
        for patient in patients:
            self._add(patient)

    def _add(self, patient: Patient) -> None:
        disc = patient_text(patient)
        row = self._grid.rowCount()
        for column, one in enumerate((self._entry, disc)):
            banner = PatientBanner(self)
            banner.show_patient(one)
            self._grid.addWidget(banner, row, column, Qt.AlignmentFlag.AlignTop)
        found = differences(self._entry, disc)
        if not found:
            self._line(self.tr("Name, ID and birth date are the same."), "good", "✓")
            return
        self._line(" ".join(found), "warn", "⚠")
        if patient.warning:
            self._line(said(patient.warning), "warn", "⚠")
        name = person_name(self._entry.name)
        after = self.tr("The archive will show them as images of {who}.").format(who=name)
        back = self.tr("The files stay as they are, and this can be taken back.")
        self._line(f"{after} {back}", "muted", "")
        tick = QCheckBox(self.tr("Yes, these are images of {who} of the worklist").format(who=name), self)
        self.ticks.append(tick)
        self._grid.addWidget(tick, self._grid.rowCount(), 0, 1, 2)

    def _line(self, words: str, role: str, sign: str) -> None:
        label = QLabel(f"{sign} {words}".strip(), self)
        label.setProperty("role", role)
        label.setWordWrap(True)
        self._grid.addWidget(label, self._grid.rowCount(), 0, 1, 2)
