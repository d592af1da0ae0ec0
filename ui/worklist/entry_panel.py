"""The chosen entry: whose it is, what is to be done, what belongs to it already, and what can be done now."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from PySide6.QtCore import Qt, Signal
from PySide6.QtWidgets import (
    QFormLayout,
    QFrame,
    QGridLayout,
    QHBoxLayout,
    QLabel,
    QPushButton,
    QScrollArea,
    QStackedWidget,
    QVBoxLayout,
    QWidget,
)

from ui.icons import icon
from ui.models.entries import patient_of
from ui.models.people import clock_time, images_text, iso_date, person_name, study_text
from ui.models.worklist_table import DAY, TIME
from ui.widgets.banner import PatientBanner

if TYPE_CHECKING:
    from core.net.records import StudyRow
    from core.net.worklist_client import EntryRow

NAMES = ("ReferringPhysicianName", "RequestingPhysician", "ScheduledPerformingPhysiciansName")


class EntryPanel(QWidget):
    """Signals: what a person wants: `start()`, `edit()`, `addFiles()`, `addDisc()`, `complete()`, `cancel()`,
    `remove()`; `takeBack(str)` and `look(str)` with the UID of a study.
    """

    start = Signal()
    edit = Signal()
    addFiles = Signal()
    addDisc = Signal()
    complete = Signal()
    cancel = Signal()
    remove = Signal()
    takeBack = Signal(str)
    look = Signal(str)

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.entry: EntryRow | None = None
        self._studies: Sequence[StudyRow] | None = None
        self.banner = PatientBanner(self)
        self.state = QLabel(self)
        self.note = QLabel(self)
        self.facts = QFormLayout()
        self.studies = QVBoxLayout()
        self.start_button = QPushButton(
            icon("ph.play", "on_primary", before_text=True), self.tr("Start"), self
        )
        self.disc_button = QPushButton(
            icon("disc", before_text=True), self.tr("Attach a disc or folder…"), self
        )
        self.files_button = QPushButton(
            icon("ph.paperclip", before_text=True), self.tr("Attach files…"), self
        )
        self.complete_button = QPushButton(
            icon("ph.check", "on_primary", before_text=True), self.tr("Complete…"), self
        )
        self.edit_button = QPushButton(self.tr("Edit…"), self)
        self.cancel_button = QPushButton(self.tr("Cancel…"), self)
        self.delete_button = QPushButton(self.tr("Delete…"), self)
        self._hint = QLabel(self.tr("Choose an entry to see what is to be done."), self)
        self.stack = QStackedWidget(self)
        self._build()
        self._connect()

    def _build(self) -> None:
        self.note.setWordWrap(True)
        self.note.setProperty("role", "muted")
        self.state.setProperty("role", "heading")
        self._hint.setProperty("role", "muted")
        self._hint.setWordWrap(True)
        self._hint.setAlignment(Qt.AlignmentFlag.AlignCenter)
        for button in (self.start_button, self.complete_button):
            button.setProperty("role", "primary")
        self.delete_button.setProperty("role", "danger")
        self.cancel_button.setToolTip(self.tr("Give the entry up, with a reason"))
        self.facts.setHorizontalSpacing(16)
        self.facts.setVerticalSpacing(6)
        self.facts.setRowWrapPolicy(QFormLayout.RowWrapPolicy.WrapLongRows)
        self.studies.setSpacing(4)
        content = QWidget(self)
        inside = QVBoxLayout(content)
        inside.setContentsMargins(0, 0, 8, 0)
        inside.setSpacing(12)
        inside.addLayout(self.facts)
        inside.addLayout(self.studies)
        inside.addStretch(1)
        scroll = QScrollArea(self)
        scroll.setWidgetResizable(True)
        scroll.setFrameShape(QFrame.Shape.NoFrame)
        scroll.setWidget(content)
        scroll.setAccessibleName(self.tr("The entry"))
        page = QWidget(self)
        layout = QVBoxLayout(page)
        layout.setContentsMargins(12, 8, 4, 4)
        layout.setSpacing(8)
        for part in (self.banner, self.state, self.note):
            layout.addWidget(part)
        layout.addWidget(scroll, 1)
        layout.addLayout(self._buttons())
        self.stack.addWidget(self._hint)
        self.stack.addWidget(page)
        outer = QVBoxLayout(self)
        outer.setContentsMargins(0, 0, 0, 0)
        outer.addWidget(self.stack)
        self.setMinimumWidth(300)

    def _buttons(self) -> QGridLayout:
        grid = QGridLayout()
        grid.setSpacing(8)
        grid.addWidget(self.start_button, 0, 0, 1, 2)
        grid.addWidget(self.disc_button, 1, 0, 1, 2)
        grid.addWidget(self.files_button, 2, 0)
        grid.addWidget(self.complete_button, 2, 1)
        small = QHBoxLayout()
        small.setSpacing(8)
        for button in (self.edit_button, self.cancel_button, self.delete_button):
            small.addWidget(button)
        grid.addLayout(small, 3, 0, 1, 2)
        return grid

    def _connect(self) -> None:
        for button, signal in (
            (self.start_button, self.start),
            (self.edit_button, self.edit),
            (self.files_button, self.addFiles),
            (self.disc_button, self.addDisc),
            (self.complete_button, self.complete),
            (self.cancel_button, self.cancel),
            (self.delete_button, self.remove),
        ):
            button.clicked.connect(lambda _on=False, signal=signal: signal.emit())

    def show_entry(self, entry: EntryRow | None, state: str = "") -> None:
        """Show this one; *state* is its state in a word."""
        if entry is None or self.entry is None or entry.key != self.entry.key:
            self._show_studies(None)
        before, self.entry = self.entry, entry
        self.stack.setCurrentIndex(0 if entry is None else 1)
        if entry is None or entry == before:
            return
        self.banner.show_patient(patient_of(entry))
        self.state.setText(state)
        self.note.setText(self._note(entry))
        self.note.setVisible(bool(self.note.text()))
        self._show_facts(entry)
        self._offer(entry)

    def _note(self, entry: EntryRow) -> str:
        if not entry.uid:
            return self.tr("An order of another system. It can be started here, not edited.")
        if entry.state == "IN PROGRESS" and not entry.ours:
            return self.tr("Another station has claimed this entry and is the one to finish it.")
        return ""

    def _offer(self, entry: EntryRow) -> None:
        """Show the buttons that lead somewhere in this state."""
        planned, ours = entry.state == "SCHEDULED", entry.ours
        item = bool(entry.uid)
        for button, shown in (
            (self.start_button, planned),
            (self.files_button, ours),
            (self.disc_button, ours),
            (self.complete_button, ours),
            (self.edit_button, item and (planned or ours)),
            (self.cancel_button, item and (planned or ours)),
            (self.delete_button, item),
        ):
            button.setVisible(shown)

    def _show_facts(self, entry: EntryRow) -> None:
        while self.facts.rowCount():
            self.facts.removeRow(0)
        for name, keyword in self._titles():
            value = entry.said(keyword)
            if keyword == DAY:
                value = f"{iso_date(value)} {clock_time(entry.said(TIME))}".strip()
            elif keyword in NAMES and value:
                value = person_name(value)
            if value:
                self._add_fact(name, value)

    def _titles(self) -> Sequence[tuple[str, str]]:
        return (
            (self.tr("Procedure"), "ScheduledProcedureStepDescription"),
            (self.tr("Requested"), "RequestedProcedureDescription"),
            (self.tr("Time"), DAY),
            (self.tr("Type"), "Modality"),
            (self.tr("Station"), "ScheduledStationAETitle"),
            (self.tr("Accession"), "AccessionNumber"),
            (self.tr("Referring"), "ReferringPhysicianName"),
            (self.tr("Requesting"), "RequestingPhysician"),
            (self.tr("Performing"), "ScheduledPerformingPhysiciansName"),
            (self.tr("Alerts"), "MedicalAlerts"),
            (self.tr("Patient state"), "PatientState"),
            (self.tr("Location"), "CurrentPatientLocation"),
            (self.tr("Admission"), "AdmissionID"),
        )

    def _add_fact(self, name: str, value: str) -> None:
        label, text = QLabel(name, self), QLabel(value, self)
        label.setProperty("role", "muted")
        text.setTextFormat(Qt.TextFormat.PlainText)
        text.setWordWrap(True)
        text.setTextInteractionFlags(Qt.TextInteractionFlag.TextSelectableByMouse)
        self.facts.addRow(label, text)

    def show_studies(self, key: str, studies: Sequence[StudyRow]) -> None:
        """Show what belongs to the entry *key*, if that is still the one."""
        if self.entry is not None and self.entry.key == key and list(studies) != list(self._studies or ()):
            self._show_studies(studies)

    def _show_studies(self, studies: Sequence[StudyRow] | None) -> None:
        self._studies = studies
        while (item := self.studies.takeAt(0)) is not None:
            if (widget := item.widget()) is not None:
                widget.hide()
                widget.deleteLater()
        if studies:
            title = QLabel(self.tr("Belongs to it"), self)
            title.setProperty("role", "heading")
            self.studies.addWidget(title)
        for each in studies or ():
            self.studies.addWidget(self._study_line(each))

    def _study_line(self, study: StudyRow) -> QWidget:
        box = QWidget(self)
        what = study_text(study.study_description, study.study_date)
        words = QLabel(f"{what} · {images_text(study.images)}", box)
        words.setWordWrap(True)
        words.setTextFormat(Qt.TextFormat.PlainText)
        look = QPushButton(self.tr("Show"), box)
        look.setAccessibleName(self.tr("Show {study} in the archive").format(study=what))
        look.clicked.connect(lambda: self.look.emit(study.study_uid))
        line = QHBoxLayout()
        line.setSpacing(4)
        buttons = [look]
        if self.entry is not None and study.study_uid in self.entry.studies:
            back = QPushButton(self.tr("Take back…"), box)
            back.setAccessibleName(self.tr("Take {study} back from the entry").format(study=what))
            back.clicked.connect(lambda: self.takeBack.emit(study.study_uid))
            buttons.append(back)
        for button in buttons:
            button.setProperty("role", "link")
            line.addWidget(button)
        line.addStretch(1)
        column = QVBoxLayout(box)
        column.setContentsMargins(0, 0, 4, 4)
        column.setSpacing(0)
        column.addWidget(words)
        column.addLayout(line)
        return box
