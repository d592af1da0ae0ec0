"""The entries of the worklist as a table that changes row by row: what is looked at stays in its place."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from PySide6.QtCore import QAbstractTableModel, QModelIndex, QObject, QPersistentModelIndex, Qt

from ui.models.people import all_groups, clock_time, iso_date, person_name

if TYPE_CHECKING:
    from core.net.worklist_client import EntryRow

Index = QModelIndex | QPersistentModelIndex
_ROOT = QModelIndex()
SORT_ROLE = Qt.ItemDataRole.UserRole


class Column:
    """Where each thing stands."""

    TIME, STATE, PATIENT, ID, BORN, SEX, PROCEDURE, MODALITY, STATION, ACCESSION, REFERRING = range(11)


DAY, TIME = "ScheduledProcedureStepStartDate", "ScheduledProcedureStepStartTime"
KEYWORDS = {
    Column.PATIENT: "PatientName",
    Column.ID: "PatientID",
    Column.BORN: "PatientBirthDate",
    Column.SEX: "PatientSex",
    Column.PROCEDURE: "ScheduledProcedureStepDescription",
    Column.MODALITY: "Modality",
    Column.STATION: "ScheduledStationAETitle",
    Column.ACCESSION: "AccessionNumber",
    Column.REFERRING: "ReferringPhysicianName",
}


class WorklistTable(QAbstractTableModel):
    """One row an entry; *with_day* shows the day before the time of day."""

    def __init__(self, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._rows: list[EntryRow] = []
        self._with_day = False
        self._titles = {
            Column.TIME: self.tr("Time"),
            Column.STATE: self.tr("State"),
            Column.PATIENT: self.tr("Patient"),
            Column.ID: self.tr("ID"),
            Column.BORN: self.tr("Birth date"),
            Column.SEX: self.tr("Sex"),
            Column.PROCEDURE: self.tr("Procedure"),
            Column.MODALITY: self.tr("Type"),
            Column.STATION: self.tr("Station"),
            Column.ACCESSION: self.tr("Accession"),
            Column.REFERRING: self.tr("Referring physician"),
        }
        self._states = {
            "SCHEDULED": self.tr("Planned"),
            "IN PROGRESS": self.tr("In progress"),
            "COMPLETED": self.tr("Completed"),
            "CANCELED": self.tr("Cancelled"),
        }

    @property
    def entries(self) -> Sequence[EntryRow]:
        """Every entry, in the order they start."""
        return self._rows

    def state_text(self, entry: EntryRow) -> str:
        """The state in a word."""
        return self._states.get(entry.state, entry.state)

    def row_of(self, key: str) -> int:
        """Where an entry stands, -1 if it is not here."""
        return next((n for n, row in enumerate(self._rows) if row.key == key), -1)

    def show_entries(self, entries: Sequence[EntryRow], *, with_day: bool) -> None:
        """Become these; rows that stay are not touched, and only where none stays all is new."""
        if with_day != self._with_day:
            self._with_day = with_day
            if self._rows:
                self.dataChanged.emit(self.index(0, 0), self.index(len(self._rows) - 1, 0))
        wanted, known = {entry.key for entry in entries}, {row.key for row in self._rows}
        if not wanted & known and wanted | known:
            self.beginResetModel()
            self._rows = list(entries)
            self.endResetModel()
            return
        for row in reversed(range(len(self._rows))):
            if self._rows[row].key not in wanted:
                self._remove(row)
        for row, entry in enumerate(entries):
            if row < len(self._rows) and self._rows[row].key == entry.key:
                self._replace(row, entry)
                continue
            if entry.key in known:  # its time was changed
                self._remove(self.row_of(entry.key))
            self.beginInsertRows(_ROOT, row, row)
            self._rows.insert(row, entry)
            self.endInsertRows()

    def _remove(self, row: int) -> None:
        self.beginRemoveRows(_ROOT, row, row)
        del self._rows[row]
        self.endRemoveRows()

    def _replace(self, row: int, entry: EntryRow) -> None:
        if self._rows[row] != entry:
            self._rows[row] = entry
            self.dataChanged.emit(self.index(row, 0), self.index(row, len(self._titles) - 1))

    def rowCount(self, parent: Index = _ROOT) -> int:
        return 0 if parent.isValid() else len(self._rows)

    def columnCount(self, parent: Index = _ROOT) -> int:
        return 0 if parent.isValid() else len(self._titles)

    def headerData(
        self, section: int, orientation: Qt.Orientation, role: int = Qt.ItemDataRole.DisplayRole
    ) -> Any:
        if orientation == Qt.Orientation.Horizontal and role == Qt.ItemDataRole.DisplayRole:
            return self._titles[section]
        return None

    def data(self, index: Index, role: int = Qt.ItemDataRole.DisplayRole) -> Any:
        if not index.isValid():
            return None
        row, column = self._rows[index.row()], index.column()
        if role == Qt.ItemDataRole.DisplayRole:
            return self._text(row, column)
        if role == Qt.ItemDataRole.ToolTipRole:
            return self._hint(row, column)
        if role == SORT_ROLE:
            return self._sorted_by(row, column)
        return None

    def _text(self, row: EntryRow, column: int) -> str:
        if column == Column.STATE:
            return self.state_text(row)
        if column == Column.TIME:
            day = iso_date(row.said(DAY)) if self._with_day else ""
            return " ".join(part for part in (day, clock_time(row.said(TIME))) if part)
        value = row.said(KEYWORDS[column])
        if column == Column.BORN:
            return iso_date(value)
        if column == Column.PATIENT or (column == Column.REFERRING and value):
            return person_name(value)
        return value

    def _hint(self, row: EntryRow, column: int) -> str | None:
        if column in (Column.PATIENT, Column.REFERRING):
            value = row.said(KEYWORDS[column])
            return all_groups(value) if value else None
        if column == Column.TIME:
            return f"{iso_date(row.said(DAY))} {clock_time(row.said(TIME))}".strip() or None
        if column == Column.STATE and not row.uid:
            return self.tr("An order of another system; it becomes an entry when it is started.")
        return self._text(row, column) or None

    def _sorted_by(self, row: EntryRow, column: int) -> str:
        start = row.said(DAY) + row.said(TIME)
        return start if column == Column.TIME else f"{self._text(row, column).casefold()}\0{start}"
