"""The table of entries."""

from __future__ import annotations

from typing import TYPE_CHECKING

from PySide6.QtCore import QModelIndex, QSortFilterProxyModel, Qt
from PySide6.QtWidgets import QWidget

from ui.models.worklist_table import SORT_ROLE, Column, WorklistTable
from ui.widgets.tables import RowTable, TableOrSentence

if TYPE_CHECKING:
    from core.net.worklist_client import EntryRow

SAMPLES = {
    Column.TIME: "00:00",
    Column.PATIENT: "MUSTERFRAU, Maximiliane",
    Column.ID: "1234567890",
    Column.BORN: "0000-00-00",
    Column.SEX: "M",
    Column.PROCEDURE: "MR Lendenwirbelsäule",
    Column.MODALITY: "MR",
    Column.STATION: "STATION_1",
    Column.ACCESSION: "A-2026-00001",
    Column.REFERRING: "MUSTERFRAU, Maxi",
}
"""For the first width of each column."""
WITH_DAY = "0000-00-00 00:00"
BESIDE = 22
"""Pixels of a column that are no text."""


class WorklistView(RowTable):
    """Entries of the worklist, sorted here."""

    def __init__(self, model: WorklistTable, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._source = model
        self.sorted = QSortFilterProxyModel(self)
        self.sorted.setSourceModel(model)
        self.sorted.setSortRole(SORT_ROLE)
        self.sorted.sort(Column.TIME)
        self.setModel(self.sorted)
        self.setAccessibleName(self.tr("Worklist"))
        header = self.horizontalHeader()
        header.setSectionsMovable(True)
        header.setStretchLastSection(True)
        header.setSortIndicator(Column.TIME, Qt.SortOrder.AscendingOrder)
        self.setSortingEnabled(True)
        for column, text in SAMPLES.items():
            self.setColumnWidth(column, self._width(column, text))
        self.setColumnWidth(Column.STATE, self._width(Column.STATE, self.tr("In progress")))

    def _width(self, column: int, text: str) -> int:
        title = self._source.headerData(column, Qt.Orientation.Horizontal)
        metrics = self.fontMetrics()
        return max(metrics.horizontalAdvance(text), metrics.horizontalAdvance(title) + 10) + BESIDE

    def show_days(self, shown: bool) -> None:
        """Make room for the day before the time."""
        text = WITH_DAY if shown else SAMPLES[Column.TIME]
        self.setColumnWidth(Column.TIME, self._width(Column.TIME, text))

    @property
    def entry(self) -> EntryRow | None:
        """The chosen entry."""
        index = self.sorted.mapToSource(self.currentIndex())
        return self._source.entries[index.row()] if index.isValid() else None

    def choose(self, key: str) -> None:
        """Choose the entry *key*, or none if it is not here."""
        row = self._source.row_of(key)
        index = self.sorted.mapFromSource(self._source.index(row, 0)) if row >= 0 else QModelIndex()
        if index.row() != self.currentIndex().row():
            self.setCurrentIndex(index)

    def choose_first(self) -> None:
        """Choose the entry on top."""
        if self.sorted.rowCount():
            self.setCurrentIndex(self.sorted.index(0, 0))


class WorklistStack(TableOrSentence):
    """The table, or what is said in its place."""

    def __init__(self, model: WorklistTable, parent: QWidget | None = None) -> None:
        table = WorklistView(model)
        super().__init__(table, parent, sign="ph.clipboard-text")
        self.table = table
