"""The table of studies, with what stands in its place when there is nothing to show."""

from __future__ import annotations

from collections.abc import Collection, Iterable

from PySide6.QtCore import QItemSelectionModel, QModelIndex, Qt, Signal
from PySide6.QtGui import QResizeEvent
from PySide6.QtWidgets import QAbstractItemView, QWidget

from ui.models.archive_table import ORDERS, ArchiveTable, Column
from ui.widgets.tables import RowTable, TableOrSentence

SHARES = {Column.PATIENT: 0.46, Column.ID: 0.28, Column.STUDY: 0.26}
"""Of the width that the columns of known length leave."""
LEAST = {Column.PATIENT: 120, Column.ID: 64, Column.STUDY: 60}
SAMPLES = {
    Column.BORN: "0000-00-00",
    Column.DATE: "0000-00-00",
    Column.MODALITY: "CT, SR",
    Column.IMAGES: "12345",
    Column.RECEIVED: "0000-00-00",
}
BESIDE, ARROW = 14, 10
"""Pixels of a cell that are no text; of the arrow where a column can be sorted by."""


class StudyTable(RowTable):
    """Studies; columns share the width until a person pulls at one."""

    def __init__(self, model: ArchiveTable, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._table = model
        self.setModel(model)
        self.setAccessibleName(self.tr("Studies in the archive"))
        self._left_out: frozenset[int] = frozenset()
        self._sorted = (int(Column.RECEIVED), Qt.SortOrder.DescendingOrder)
        header = self.horizontalHeader()
        header.setSectionsMovable(True)
        header.setStretchLastSection(True)
        header.setSortIndicator(*self._sorted)
        self.setSortingEnabled(True)
        header.sortIndicatorChanged.connect(self._keep_sorting_column)

    def leave_out(self, columns: Collection[int]) -> None:
        """Do not show *columns*; without the day of arrival the newest study stands first."""
        self._left_out = frozenset(columns)
        for column in columns:
            self.setColumnHidden(column, True)
        self.sortByColumn(Column.DATE, Qt.SortOrder.DescendingOrder)

    def resizeEvent(self, event: QResizeEvent) -> None:
        super().resizeEvent(event)
        self._share(self.viewport().width())

    def _share(self, width: int) -> None:
        """Columns of known length get that, the words share the rest: all is seen where there is room."""
        length = self.fontMetrics().horizontalAdvance
        known = {column: length(text) for column, text in SAMPLES.items()}
        known[Column.STATE] = max(length(word) for word in self._table.states)
        shown = {column: each for column, each in known.items() if column not in self._left_out}
        widths = {column: max(each + BESIDE, self._title(column)) for column, each in shown.items()}
        left = width - sum(widths.values())
        widths |= {column: max(LEAST[column], int(left * share)) for column, share in SHARES.items()}
        self.set_widths(widths)

    def _title(self, column: int) -> int:
        return self.title_width(column) + (ARROW if column in ORDERS else 0)

    def _keep_sorting_column(self, column: int, order: Qt.SortOrder) -> None:
        if column in ORDERS:
            self._sorted = (column, order)
        else:  # the archive cannot sort by it: the arrow stays where it was
            self.horizontalHeader().setSortIndicator(*self._sorted)


class StudyList(TableOrSentence):
    """The table, or a sentence and a button.

    Signals:
        chosen(int): the row in hand, -1 for none.
        pickedChanged(): other rows are chosen, where *many* may be.
    """

    chosen = Signal(int)
    pickedChanged = Signal()

    def __init__(self, model: ArchiveTable, parent: QWidget | None = None, *, many: bool = False) -> None:
        table = StudyTable(model)
        super().__init__(table, parent)
        self.model, self.table = model, table
        if many:
            table.setSelectionMode(QAbstractItemView.SelectionMode.ExtendedSelection)
        table.selectionModel().currentRowChanged.connect(self._current_changed)
        table.selectionModel().selectionChanged.connect(lambda *_: self.pickedChanged.emit())

    def say_none_matches(self) -> None:
        """A search found nothing: the button shows everything again."""
        self.say(self.tr("No study matches."), self.tr("Show all studies"))

    @property
    def row(self) -> int:
        """The chosen row, -1 for none."""
        return self.table.currentIndex().row()

    @property
    def rows(self) -> list[int]:
        """Every chosen row, from top to bottom."""
        return sorted(index.row() for index in self.table.selectionModel().selectedRows())

    def choose(self, row: int) -> None:
        """Choose a row."""
        self.table.setCurrentIndex(self.model.index(row, 0) if row >= 0 else QModelIndex())

    def choose_too(self, rows: Iterable[int]) -> None:
        """Choose these as well; the row in hand stays what it is."""
        flags = QItemSelectionModel.SelectionFlag.Select | QItemSelectionModel.SelectionFlag.Rows
        for row in rows:
            self.table.selectionModel().select(self.model.index(row, 0), flags)

    def _current_changed(self, now: QModelIndex, _before: QModelIndex) -> None:
        self.chosen.emit(now.row())
