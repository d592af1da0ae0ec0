"""Studies of a PACS: search line, table, the chosen study, and Retrieve."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING

from PySide6.QtCore import Qt, Signal
from PySide6.QtWidgets import QHBoxLayout, QLabel, QPushButton, QSplitter, QVBoxLayout, QWidget

from ui.archive.search_line import Search, SearchLine
from ui.icons import icon
from ui.messages import of_error
from ui.models.lines_table import Line, LinesTable
from ui.models.people import iso_date, person_name
from ui.pacs.lines_list import LinesList
from ui.pacs.study_side import StudySide
from ui.pacs.whose import WhoseDialog, patients_of
from ui.services import Services

if TYPE_CHECKING:
    from core.net.records import StudyRow
    from core.net.study_search import Matches

NAMESPACE = "default"
LEAST_LETTERS = 2
"""So many are typed before a PACS is asked; fewer fit half of it."""


class StudiesView(QWidget):
    """Signals:
    retrieve(object): rows that are to be fetched.
    failed(object, object): a `Message`, and what tries again.
    """

    retrieve = Signal(object)
    failed = Signal(object, object)
    worked = Signal()

    def __init__(self, services: Services, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._services = services
        self._asked = 0
        self._all = False
        self.name = ""
        self._rows: dict[str, StudyRow] = {}
        self._here: Mapping[str, int] = {}
        self.model = LinesTable(
            (
                self.tr("Patient"), self.tr("ID"), self.tr("Born"), self.tr("Date"),
                self.tr("Description"), self.tr("Type"), self.tr("Images"), self.tr("Here"),
                self.tr("Accession"),
            ),
            self,
            numbers=(6,),
        )  # fmt: skip
        self.search = SearchLine(self)
        self.list = LinesList(self.model, self.tr("Studies in the PACS"), shares={4: 1}, many=True)
        self.side = StudySide(services, self)
        self.count = QLabel(self)
        self.retrieve_button = QPushButton(
            icon("ph.download-simple", "on_primary", before_text=True), self.tr("Retrieve"), self
        )
        self._build()
        self.forget()

    def _build(self) -> None:
        self.count.setProperty("role", "muted")
        self.retrieve_button.setProperty("role", "primary")
        self.retrieve_button.setToolTip(self.tr("Fetch the chosen studies into the local archive"))
        splitter = QSplitter(Qt.Orientation.Horizontal, self)
        splitter.addWidget(self.list)
        splitter.addWidget(self.side)
        splitter.setStretchFactor(0, 3)
        splitter.setStretchFactor(1, 1)
        splitter.setChildrenCollapsible(False)
        splitter.setSizes([840, 320])
        actions = QHBoxLayout()
        actions.setContentsMargins(4, 0, 4, 0)
        actions.addWidget(self.count)
        actions.addStretch(1)
        actions.addWidget(self.retrieve_button)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 8, 0, 0)
        layout.setSpacing(8)
        layout.addWidget(self.search)
        layout.addWidget(splitter, 1)
        layout.addLayout(actions)
        self.search.changed.connect(self._changed)
        self.list.pressed.connect(self._show_all)
        self.list.changed.connect(self._choose)
        self.list.opened.connect(lambda _key: self.ask_to_retrieve())
        self.retrieve_button.clicked.connect(self.ask_to_retrieve)

    # -- searching

    def show_node(self, name: str) -> None:
        """Search the PACS saved under *name* from now on."""
        if name != self.name:
            self.name = name
            self.forget()
            self._changed(self.search.search)

    def forget(self) -> None:
        """Show nothing but what can be done."""
        self._asked += 1
        self._rows = {}
        self.count.clear()
        self.list.say(
            self.tr("Type a name, ID or accession number, or choose a date."), self.tr("Show all studies")
        )
        self._choose()

    def _changed(self, search: Search) -> None:
        narrow = len(search.text) >= LEAST_LETTERS or search.date_from or search.modalities
        if narrow or self._all:
            self.look()
        else:
            self.forget()

    def _show_all(self) -> None:
        self._all = True
        self.search.clear()
        self._all = False

    def look(self) -> None:
        """Ask the PACS; a question that is still open is given up."""
        if not self.name:
            return
        self._asked += 1
        if not self._rows:
            self.list.say(self.tr("Looking…"))
        asked = self._asked
        self._services.jobs.call(
            partial(self._ask, asked, self.name, self.search.search),
            done=partial(self._found, asked),
            failed=partial(self._not_found, asked),
        )

    def _ask(self, asked: int, name: str, search: Search) -> Matches:
        from core.net.study_search import Wanted

        pacs = self._services.destinations.pacs(name, lambda: asked != self._asked)
        return pacs.studies(Wanted(search.text, search.date_from, search.date_to, search.modalities))

    def _found(self, asked: int, matches: Matches) -> None:
        if asked != self._asked:
            return
        self.worked.emit()
        self._rows = {row.study_uid: row for row in matches.rows}
        if matches.more:
            words = self.tr("The first {n} studies; narrow the search to see the others")
        else:
            words = self.tr("1 study") if len(self._rows) == 1 else self.tr("{n} studies")
        self.count.setText(words.format(n=len(self._rows)))
        if not self._rows:
            self.list.say(self.tr("No study matches."))
        else:
            self.list.show_lines(self._lines())
            self.look_here()

    def _not_found(self, asked: int, error: Exception) -> None:
        if asked != self._asked:
            return
        self._rows = {}
        self.count.clear()
        self.list.say(self.tr("{node} cannot be searched now.").format(node=self.name))
        self.failed.emit(of_error(error), self.look)

    # -- what is in the archive already

    def look_here(self) -> None:
        """Ask the local archive which of the studies it has."""
        if self._rows:
            self._services.tasks.call(
                partial(self._ask_here, tuple(self._rows)), done=self._found_here, failed=lambda _error: None
            )

    def _ask_here(self, uids: Sequence[str]) -> Mapping[str, int]:
        from core.net.pacs_client import PacsClient

        return PacsClient(self._services.archive.client()).here(NAMESPACE, uids)

    def _found_here(self, here: Mapping[str, int]) -> None:
        self._here = here
        if self._rows and self.list.currentIndex() == 0:
            self.list.show_lines(self._lines())

    def _lines(self) -> list[Line]:
        return [Line(uid, self._cells(row)) for uid, row in self._rows.items()]

    def _cells(self, row: StudyRow) -> tuple[str, ...]:
        return (
            person_name(row.patient_name),
            row.patient_id,
            iso_date(row.patient_birth_date),
            iso_date(row.study_date),
            row.study_description,
            ", ".join(row.modalities),
            str(row.images) if row.images else "",
            self._here_text(row),
            row.accession_number,
        )

    def _here_text(self, row: StudyRow) -> str:
        count = self._here.get(row.study_uid, 0)
        if not count:
            return ""
        return (
            self.tr("✓ yes") if count >= row.images else self.tr("{n} of {m}").format(n=count, m=row.images)
        )

    # -- the chosen ones

    @property
    def chosen(self) -> list[StudyRow]:
        """The chosen studies, from top to bottom."""
        return [self._rows[str(key)] for key in self.list.keys if key in self._rows]

    def _choose(self) -> None:
        rows = self.chosen
        self.retrieve_button.setEnabled(bool(rows))
        if len(rows) == 1:
            if self.side.shown != rows[0].study_uid:
                self.side.show_study(self.name, rows[0])
        else:
            self.side.show_none(len(rows))

    def ask_to_retrieve(self) -> None:
        """Fetch the chosen studies; those of several patients only after each patient was ticked."""
        rows = self.chosen
        if not rows:
            return
        if len(patients_of(rows)) == 1:
            self.retrieve.emit(rows)
            return
        dialog = WhoseDialog(rows, self.name, self)
        dialog.decided.connect(self.retrieve)
        dialog.open()
