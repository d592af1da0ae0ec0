"""The worklist of a PACS or information system: what is scheduled there, and taking an entry into ours."""

from __future__ import annotations

from datetime import date, timedelta
from functools import partial
from typing import TYPE_CHECKING

from PySide6.QtCore import QTimer, Signal
from PySide6.QtWidgets import QComboBox, QHBoxLayout, QLabel, QLineEdit, QPushButton, QVBoxLayout, QWidget

from ui.icons import icon
from ui.messages import Kind, Message, of_error
from ui.models.lines_table import Line, LinesTable
from ui.models.people import banner_text, clock_time, iso_date, person_name
from ui.pacs.lines_list import LinesList
from ui.services import Services

if TYPE_CHECKING:
    from core.net.dimse.pacs import Entries, EntriesWanted, Entry

WAIT_MS = 400
DAYS = (("today", 0, 0), ("tomorrow", 1, 1), ("week", 0, 6))


class WorklistThere(QWidget):
    """Signals: `said(object)`: a `Message`; `failed(object, object)`: a `Message`, and what tries again."""

    said = Signal(object)
    failed = Signal(object, object)
    worked = Signal()

    def __init__(self, services: Services, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._services = services
        self._asked = 0
        self.name = ""
        self._entries: tuple[Entry, ...] = ()
        self.text = QLineEdit(self)
        self.days = QComboBox(self)
        self.modality = QComboBox(self)
        self.model = LinesTable(
            (
                self.tr("Date"), self.tr("Time"), self.tr("Patient"), self.tr("ID"), self.tr("Birth date"),
                self.tr("Type"), self.tr("Procedure"), self.tr("Station"), self.tr("Accession"),
            ),
            self,
        )  # fmt: skip
        self.list = LinesList(self.model, self.tr("Entries of the worklist there"), shares={6: 1})
        self.count = QLabel(self)
        self.look_button = QPushButton(
            icon("ph.arrow-clockwise", before_text=True), self.tr("Look again"), self
        )
        self.take_button = QPushButton(
            icon("ph.clipboard-text", "on_primary", before_text=True), self.tr("Take into our worklist"), self
        )
        self._timer = QTimer(self)
        self._timer.setSingleShot(True)
        self._timer.setInterval(WAIT_MS)
        self._build()
        self.list.say(self.tr("Looking…"))

    def _build(self) -> None:
        self.text.setPlaceholderText(self.tr("Name, ID or accession number"))
        self.text.setAccessibleName(self.tr("Name, ID or accession number"))
        self.text.addAction(icon("ph.magnifying-glass", "muted"), QLineEdit.ActionPosition.LeadingPosition)
        self.text.setClearButtonEnabled(True)
        words = {
            "today": self.tr("Today"), "tomorrow": self.tr("Tomorrow"), "week": self.tr("7 days"),
        }  # fmt: skip
        for key, _first, _last in DAYS:
            self.days.addItem(words[key], key)
        self.days.addItem(self.tr("Any day"), "any")
        self.days.setAccessibleName(self.tr("Scheduled for"))
        self.modality.addItem(self.tr("Any type"), "")
        for each in ("CT", "MR", "CR", "DX", "US", "MG", "XA", "RF", "NM", "PT", "ES", "XC"):
            self.modality.addItem(each, each)
        self.modality.setAccessibleName(self.tr("Type of examination"))
        self.count.setProperty("role", "muted")
        self.take_button.setProperty("role", "primary")
        self.take_button.setEnabled(False)
        top, bottom = QHBoxLayout(), QHBoxLayout()
        for row in (top, bottom):
            row.setSpacing(8)
            row.setContentsMargins(4, 0, 4, 0)
        top.addWidget(self.text, 1)
        for box in (self.days, self.modality, self.look_button):
            top.addWidget(box)
        bottom.addWidget(self.count)
        bottom.addStretch(1)
        bottom.addWidget(self.take_button)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 12, 0, 0)
        layout.setSpacing(8)
        layout.addLayout(top)
        layout.addWidget(self.list, 1)
        layout.addLayout(bottom)
        self.text.textChanged.connect(lambda _text: self._timer.start())
        self.text.returnPressed.connect(self.look)
        self._timer.timeout.connect(self.look)
        for box in (self.days, self.modality):
            box.currentIndexChanged.connect(lambda _index: self.look())
        self.look_button.clicked.connect(self.look)
        self.list.changed.connect(lambda: self.take_button.setEnabled(self.chosen is not None))
        self.list.opened.connect(lambda _key: self.take())
        self.take_button.clicked.connect(self.take)
        self.setTabOrder(self.look_button, self.list.table)

    def show_node(self, name: str) -> None:
        """Read the worklist of *name* from now on."""
        if name != self.name:
            self.name = name
            self._entries = ()
            self.look()

    def look(self) -> None:
        """Ask; a question that is still open is given up."""
        self._timer.stop()
        if not self.name:
            return
        self._asked += 1
        if not self._entries:
            self.list.say(self.tr("Looking…"))
        asked = self._asked
        self._services.jobs.call(
            partial(self._ask, asked, self.name, self._wanted()),
            done=partial(self._found, asked),
            failed=partial(self._not_found, asked),
        )

    def _wanted(self) -> EntriesWanted:
        from core.net.dimse.pacs import EntriesWanted

        chosen = next((each for each in DAYS if each[0] == self.days.currentData()), None)
        first = last = ""
        if chosen is not None:
            today = date.today()
            first, last = (f"{today + timedelta(days=days):%Y%m%d}" for days in chosen[1:])
        return EntriesWanted(first, last, self.modality.currentData(), "", self.text.text().strip())

    def _ask(self, asked: int, name: str, wanted: EntriesWanted) -> Entries:
        return self._services.destinations.pacs(name, lambda: asked != self._asked).worklist(wanted)

    def _found(self, asked: int, found: Entries) -> None:
        if asked != self._asked:
            return
        self.worked.emit()
        self._entries = found.rows
        words = self.tr("1 entry") if len(found.rows) == 1 else self.tr("{n} entries")
        if found.more:
            words = self.tr("The first {n} entries")
        self.count.setText(words.format(n=len(found.rows)))
        if found.rows:
            self.list.show_lines([Line(number, _cells(each)) for number, each in enumerate(found.rows)])
        else:
            self.list.say(self.tr("Nothing is scheduled there that fits."))

    def _not_found(self, asked: int, error: Exception) -> None:
        if asked != self._asked:
            return
        self._entries = ()
        self.count.clear()
        self.list.say(self.tr("The worklist of {node} cannot be read.").format(node=self.name))
        self.failed.emit(of_error(error), self.look)

    @property
    def chosen(self) -> Entry | None:
        """The chosen entry."""
        keys = self.list.keys
        return self._entries[int(str(keys[0]))] if keys and self._entries else None

    def take(self) -> None:
        """Make an entry of our worklist of the chosen one."""
        entry = self.chosen
        if entry is not None:
            self._services.tasks.call(
                partial(self._take, entry), done=lambda _row: self._taken(entry), failed=self._not_taken
            )

    def _take(self, entry: Entry) -> object:
        from core.net.worklist_client import WorklistClient

        return WorklistClient(self._services.archive.client().session).create(fields_of(entry))

    def _taken(self, entry: Entry) -> None:
        who = banner_text(
            entry["PatientName"], entry["PatientSex"], entry["PatientBirthDate"], entry["PatientID"]
        )
        sentence = self.tr("{who} is on our worklist now.").format(who=who)
        self.said.emit(Message(Kind.GOOD, sentence))

    def _not_taken(self, error: Exception) -> None:
        self.said.emit(of_error(error))


def fields_of(entry: Entry) -> dict[str, str]:
    """The fields of an entry of ours; a step without a description is called as its procedure."""
    found = {name: value for name, value in entry.values.items() if value}
    performer = found.pop("ScheduledPerformingPhysicianName", "")
    if performer:
        found["ScheduledPerformingPhysiciansName"] = performer
    name, other = "ScheduledProcedureStepDescription", "RequestedProcedureDescription"
    if not found.get(name) and found.get(other):
        found[name] = found[other]
    return found


def _cells(entry: Entry) -> tuple[str, ...]:
    return (
        iso_date(entry["ScheduledProcedureStepStartDate"]),
        clock_time(entry["ScheduledProcedureStepStartTime"]),
        person_name(entry["PatientName"]),
        entry["PatientID"],
        iso_date(entry["PatientBirthDate"]),
        entry["Modality"],
        entry["ScheduledProcedureStepDescription"] or entry["RequestedProcedureDescription"],
        entry["ScheduledStationName"] or entry["ScheduledStationAETitle"],
        entry["AccessionNumber"],
    )
