"""The form of an entry: new, or one that is edited."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from PySide6.QtCore import Qt, Signal
from PySide6.QtWidgets import (
    QDialog,
    QFrame,
    QGridLayout,
    QHBoxLayout,
    QLabel,
    QPushButton,
    QScrollArea,
    QToolButton,
    QVBoxLayout,
    QWidget,
)

from ui.icons import icon
from ui.messages import MessageBar, announce
from ui.models.entries import patient_of
from ui.models.worklist_table import DAY, TIME
from ui.widgets.banner import PatientBanner
from ui.worklist.entry_fields import BirthField, ChoiceField, DayField, Field, NameField, TextField, TimeField
from ui.worklist.patient_name import PatientNameField

if TYPE_CHECKING:
    from core.net.worklist_client import EntryRow

MODALITIES = (
    *("CR", "CT", "DX", "ECG", "ES", "GM", "IO", "MG", "MR", "NM", "OP", "OT", "PT", "PX", "RF", "SM"),
    *("US", "XA", "XC"),
)
WHO = ("PatientName", "PatientID", "PatientBirthDate", "PatientSex", "AccessionNumber")
"""What an entry in progress keeps."""


class EntryForm(QDialog):
    """Signals: `saved(object)` with the fields by keyword; whoever hears it says `failed` or closes it."""

    saved = Signal(object)

    def __init__(
        self, entry: EntryRow | None, stations: Sequence[str] = (), parent: QWidget | None = None
    ) -> None:
        super().__init__(parent)
        self.entry = entry
        self.setWindowTitle(self.tr("Edit entry") if entry else self.tr("New entry"))
        self.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        self.messages = MessageBar(self)
        self.banner = PatientBanner(self)
        self.fields: dict[str, Field] = {}
        self.more = QToolButton(self)
        self._further = QWidget(self)
        self._build(sorted(set(stations)))
        self._show()
        height = parent.window().height() - 40 if parent is not None else 720
        self.resize(700, min(760, height))

    def _build(self, stations: Sequence[str]) -> None:
        content = QWidget(self)
        column = QVBoxLayout(content)
        column.setContentsMargins(20, 4, 20, 4)
        column.setSpacing(12)
        column.addWidget(self._title(self.tr("Patient")))
        column.addLayout(self._grid(self._patient()))
        column.addWidget(self._title(self.tr("Procedure")))
        column.addLayout(self._grid(self._procedure(stations)))
        self.more.setText(self.tr("More about patient and order"))
        self.more.setCheckable(True)
        self.more.setProperty("role", "quiet")
        self.more.setToolButtonStyle(Qt.ToolButtonStyle.ToolButtonTextBesideIcon)
        self.more.setIcon(icon("ph.caret-right"))
        self.more.toggled.connect(self._show_further)
        column.addWidget(self.more, 0, Qt.AlignmentFlag.AlignLeft)
        further = QVBoxLayout(self._further)
        further.setContentsMargins(0, 0, 0, 0)
        further.addLayout(self._grid(self._rest()))
        self._further.hide()
        column.addWidget(self._further)
        column.addStretch(1)
        scroll = QScrollArea(self)
        scroll.setWidgetResizable(True)
        scroll.setFrameShape(QFrame.Shape.NoFrame)
        scroll.setWidget(content)
        scroll.setAccessibleName(self.windowTitle())
        self._scroll = scroll
        top = QVBoxLayout()
        top.setContentsMargins(24, 0, 24, 0)
        top.addWidget(self.banner)
        top.addWidget(self.messages)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 16, 0, 16)
        layout.setSpacing(12)
        layout.addLayout(top)
        layout.addWidget(scroll, 1)
        layout.addLayout(self._foot())

    def _foot(self) -> QHBoxLayout:
        """The buttons, made last: Tab comes to them last."""
        self.cancel_button = QPushButton(self.tr("Cancel"), self)
        self.save_button = QPushButton(self.tr("Save"), self)
        self.save_button.setProperty("role", "primary")
        self.save_button.setDefault(True)
        self.cancel_button.setAutoDefault(False)
        self.save_button.clicked.connect(lambda: self.save())
        self.cancel_button.clicked.connect(self.reject)
        hint = QLabel(self.tr("* must be filled in"), self)
        hint.setProperty("role", "muted")
        buttons = QHBoxLayout()
        buttons.setContentsMargins(24, 0, 24, 0)
        buttons.setSpacing(8)
        buttons.addWidget(hint)
        buttons.addStretch(1)
        buttons.addWidget(self.cancel_button)
        buttons.addWidget(self.save_button)
        return buttons

    def _title(self, text: str) -> QLabel:
        label = QLabel(text, self)
        label.setProperty("role", "heading")
        label.setContentsMargins(4, 0, 0, 0)
        return label

    def _grid(self, rows: Sequence[Sequence[Field]]) -> QGridLayout:
        """Fields in lines of two; a field alone takes the whole line."""
        grid = QGridLayout()
        grid.setHorizontalSpacing(12)
        grid.setVerticalSpacing(10)
        for column in range(2):
            grid.setColumnStretch(column, 1)
        for number, fields in enumerate(rows):
            for column, field in enumerate(fields):
                self.fields[field.keyword] = field
                grid.addWidget(field, number, column, 1, 2 if len(fields) == 1 else 1)
        return grid

    def _patient(self) -> Sequence[Sequence[Field]]:
        sexes = (
            (self.tr("not known"), ""),
            (self.tr("Female"), "F"),
            (self.tr("Male"), "M"),
            (self.tr("Other"), "O"),
        )
        return (
            (PatientNameField(self),),
            (
                TextField("PatientID", self.tr("Patient &ID *")),
                BirthField("PatientBirthDate", self.tr("&Birth date")),
            ),
            (
                ChoiceField("PatientSex", self.tr("Se&x"), sexes),
                TextField("MedicalAlerts", self.tr("Alerts")),
            ),
        )

    def _procedure(self, stations: Sequence[str]) -> Sequence[Sequence[Field]]:
        types = [(each, each) for each in MODALITIES]
        known = [(each, each) for each in stations]
        return (
            (TextField("ScheduledProcedureStepDescription", self.tr("&Procedure *")),),
            (
                TextField("AccessionNumber", self.tr("&Accession number *")),
                ChoiceField("Modality", self.tr("&Type (modality) *"), types, free=True),
            ),
            (
                ChoiceField("ScheduledStationAETitle", self.tr("&Station (AE title) *"), known, free=True),
                TextField("ScheduledStationName", self.tr("Station's name")),
            ),
            (DayField(DAY, self.tr("&Day *")), TimeField(TIME, self.tr("Ti&me *"))),
            (
                NameField("ReferringPhysicianName", self.tr("&Referring physician")),
                NameField("ScheduledPerformingPhysiciansName", self.tr("Performing physician")),
            ),
        )

    def _rest(self) -> Sequence[Sequence[Field]]:
        pregnancy = (
            (self.tr("not said"), ""),
            (self.tr("not pregnant"), "1"),
            (self.tr("possibly pregnant"), "2"),
            (self.tr("definitely pregnant"), "3"),
            (self.tr("unknown"), "4"),
        )
        return (
            (
                TextField("RequestedProcedureDescription", self.tr("Requested procedure")),
                TextField("RequestedProcedureID", self.tr("Requested procedure ID")),
            ),
            (
                NameField("RequestingPhysician", self.tr("Requesting physician")),
                TextField("ScheduledProcedureStepID", self.tr("Procedure step ID")),
            ),
            (
                ChoiceField("PregnancyStatus", self.tr("Pregnancy"), pregnancy),
                TextField("PatientState", self.tr("Patient's state")),
            ),
            (
                TextField("CurrentPatientLocation", self.tr("Where the patient is")),
                TextField("AdmissionID", self.tr("Admission ID")),
            ),
            (
                TextField("ServiceEpisodeID", self.tr("Service episode ID")),
                TextField("PlacerOrderNumberImagingServiceRequest", self.tr("Placer order number")),
            ),
            (
                TextField(
                    "ConfidentialityConstraintOnPatientDataDescription",
                    self.tr("Confidentiality of the patient's data"),
                ),
            ),
        )

    def _show(self) -> None:
        entry = self.entry
        self.banner.setVisible(entry is not None)
        if entry is None:
            self.fields["PatientName"].editor.setFocus()
            return
        self.banner.show_patient(patient_of(entry))
        for keyword, field in self.fields.items():
            field.show_value(entry.said(keyword))
            if entry.state == "IN PROGRESS" and keyword in WHO:
                field.setEnabled(False)
                field.setToolTip(self.tr("The entry is in progress: patient and accession number stay."))
        further = self._further.findChildren(Field)
        self.more.setChecked(any(entry.said(field.keyword) for field in further))

    def _show_further(self, shown: bool) -> None:
        self._further.setVisible(shown)
        self.more.setIcon(icon("ph.caret-down" if shown else "ph.caret-right"))

    def values(self) -> Mapping[str, str]:
        """What the form says, by keyword; what it has no field for stays as it was."""
        said = dict(self.entry.fields) if self.entry is not None else {}
        said |= {keyword: field.value() for keyword, field in self.fields.items()}
        return {keyword: value for keyword, value in said.items() if value}

    def save(self) -> None:
        """Say what is wrong beside the fields, or hand the values on."""
        wrong = [field for field in self.fields.values() if field.isEnabled() and not field.check()]
        if wrong:
            first = wrong[0]
            if self._further.isAncestorOf(first):
                self.more.setChecked(True)
            first.editor.setFocus()
            self._scroll.ensureWidgetVisible(first)
            announce(first.editor, f"{first.editor.accessibleName()}: {first.error.text()}", urgent=True)
            return
        self.save_button.setEnabled(False)
        self.saved.emit(self.values())

    def failed(self, error: Exception) -> None:
        """It was not kept: say why, and let the person try again."""
        self.save_button.setEnabled(True)
        self.messages.show_error(error)
