"""The chosen study of a PACS: whose it is, and its series, which are asked for when it is chosen."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from PySide6.QtCore import Qt
from PySide6.QtWidgets import QLabel, QStackedWidget, QVBoxLayout, QWidget

from ui.messages import of_error
from ui.models.lines_table import Line, LinesTable
from ui.models.people import iso_date
from ui.models.study_view import PatientText
from ui.pacs.lines_list import LinesList
from ui.services import Services
from ui.widgets.banner import ElidedLabel, PatientBanner

if TYPE_CHECKING:
    from core.net.dimse.pacs import SeriesThere
    from core.net.records import StudyRow


class StudySide(QWidget):
    """Shows one study, several, or none."""

    def __init__(self, services: Services, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._services = services
        self._asked = 0
        self.shown = ""
        self.patient = PatientBanner(self)
        self.study = ElidedLabel(self)
        self.series = LinesTable(
            (self.tr("No."), self.tr("Description"), self.tr("Type"), self.tr("Images")), self, numbers=(3,)
        )
        self.list = LinesList(self.series, self.tr("Series of this study"), shares={1: 1})
        self.hint = QLabel(self)
        self._stack = QStackedWidget(self)
        self._build()
        self.show_none(0)

    def _build(self) -> None:
        self.study.setProperty("role", "muted")
        self.hint.setProperty("role", "muted")
        self.hint.setAlignment(Qt.AlignmentFlag.AlignCenter)
        self.hint.setWordWrap(True)
        page = QWidget(self)
        inner = QVBoxLayout(page)
        inner.setContentsMargins(12, 8, 4, 4)
        inner.setSpacing(8)
        inner.addWidget(self.patient)
        inner.addWidget(self.study)
        inner.addWidget(self.list, 1)
        self._stack.addWidget(self.hint)
        self._stack.addWidget(page)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addWidget(self._stack)
        self.setMinimumWidth(280)

    def show_none(self, many: int) -> None:
        """Nothing is chosen, or *many* are."""
        self._asked += 1
        self.shown = ""
        self.hint.setText(
            self.tr("{n} studies are chosen.").format(n=many)
            if many
            else self.tr("Choose a study to see whose it is and its series.")
        )
        self._stack.setCurrentIndex(0)

    def show_study(self, name: str, row: StudyRow) -> None:
        """Name the study, and ask *name* for its series."""
        self._asked += 1
        self.shown = row.study_uid
        self.patient.show_patient(
            PatientText(row.patient_name, row.patient_id, row.patient_birth_date, row.patient_sex)
        )
        accession = self.tr("Acc {n}").format(n=row.accession_number) if row.accession_number else ""
        line = " · ".join(
            part for part in (row.study_description, iso_date(row.study_date), accession) if part
        )
        self.study.setText(line)
        self.study.setToolTip(line)
        self._stack.setCurrentIndex(1)
        self.list.say(self.tr("Looking…"))
        asked = self._asked
        self._services.jobs.call(
            partial(self._ask, asked, name, row.study_uid),
            done=partial(self._show_series, asked),
            failed=partial(self._no_series, asked),
        )

    def _ask(self, asked: int, name: str, study_uid: str) -> list[SeriesThere]:
        return self._services.destinations.pacs(name, lambda: asked != self._asked).series(study_uid)

    def _show_series(self, asked: int, series: list[SeriesThere]) -> None:
        if asked != self._asked:
            return
        if not series:
            self.list.say(self.tr("The PACS lists no series of this study."))
            return
        self.list.show_lines([Line(each.uid, _cells(each)) for each in series])

    def _no_series(self, asked: int, error: Exception) -> None:
        if asked == self._asked:
            self.list.say(of_error(error).sentence)


def _cells(each: SeriesThere) -> tuple[str, str, str, str]:
    number = "" if each.number is None else str(each.number)
    return number, each.description, each.modality, str(each.images) if each.images else ""
