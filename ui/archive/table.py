"""The table of studies, with what stands in its place when there is nothing to show."""

from __future__ import annotations

from collections.abc import Collection, Iterable

from PySide6.QtCore import QItemSelectionModel, QModelIndex, Qt, Signal
from PySide6.QtGui import QFont, QFontMetrics, QGuiApplication, QKeyEvent, QResizeEvent
from PySide6.QtWidgets import (
    QAbstractItemView,
    QHeaderView,
    QLabel,
    QPushButton,
    QStackedWidget,
    QTableView,
    QVBoxLayout,
    QWidget,
)

from ui.models.archive_table import ORDERS, ArchiveTable, Column

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
BESIDE, BESIDE_TITLE, ARROW = 14, 18, 10
"""Pixels of a cell, and of a column's title, that are no text; of the arrow where it can be sorted."""


class StudyTable(QTableView):
    """Signals: `opened(int)` row that was double-clicked or entered; `deleteWanted()` on Delete."""

    opened = Signal(int)
    deleteWanted = Signal()

    def __init__(self, model: ArchiveTable, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._table = model
        self.setModel(model)
        self.setAccessibleName(self.tr("Studies in the archive"))
        self.setSelectionBehavior(QAbstractItemView.SelectionBehavior.SelectRows)
        self.setSelectionMode(QAbstractItemView.SelectionMode.SingleSelection)
        self.setShowGrid(False)
        self.setWordWrap(False)
        self.setTabKeyNavigation(False)
        self.setVerticalScrollMode(QAbstractItemView.ScrollMode.ScrollPerPixel)
        self.setHorizontalScrollMode(QAbstractItemView.ScrollMode.ScrollPerPixel)
        self.setTextElideMode(Qt.TextElideMode.ElideRight)
        self.verticalHeader().hide()
        self.verticalHeader().setDefaultSectionSize(34)
        header = self.horizontalHeader()
        header.setHighlightSections(False)
        header.setDefaultAlignment(Qt.AlignmentFlag.AlignLeft | Qt.AlignmentFlag.AlignVCenter)
        header.setSectionsMovable(True)
        header.setSectionResizeMode(QHeaderView.ResizeMode.Interactive)
        header.setStretchLastSection(True)
        header.setTextElideMode(Qt.TextElideMode.ElideRight)
        self._by_hand = self._sharing = False
        self._left_out: frozenset[int] = frozenset()
        header.sectionResized.connect(lambda *_: self._resized())
        header.setSortIndicator(Column.RECEIVED, Qt.SortOrder.DescendingOrder)
        self.setSortingEnabled(True)
        header.sortIndicatorChanged.connect(self._keep_sorting_column)
        self._sorted = (int(Column.RECEIVED), Qt.SortOrder.DescendingOrder)
        self.doubleClicked.connect(lambda index: self.opened.emit(index.row()))

    def leave_out(self, columns: Collection[int]) -> None:
        """Do not show *columns*; without the day of arrival the newest study stands first."""
        self._left_out = frozenset(columns)
        for column in columns:
            self.setColumnHidden(column, True)
        self.sortByColumn(Column.DATE, Qt.SortOrder.DescendingOrder)

    def keyPressEvent(self, event: QKeyEvent) -> None:
        """Enter opens, Delete asks."""
        if event.key() in (Qt.Key.Key_Return, Qt.Key.Key_Enter) and self.currentIndex().isValid():
            self.opened.emit(self.currentIndex().row())
        elif event.key() == Qt.Key.Key_Delete:
            self.deleteWanted.emit()
        else:
            super().keyPressEvent(event)

    def resizeEvent(self, event: QResizeEvent) -> None:
        super().resizeEvent(event)
        if not self._by_hand:
            self._share(self.viewport().width())

    def _resized(self) -> None:
        """A person who pulled at a column keeps the widths."""
        pulled = QGuiApplication.mouseButtons() != Qt.MouseButton.NoButton and not self._sharing
        self._by_hand = self._by_hand or (pulled and self.underMouse())

    def _share(self, width: int) -> None:
        """Columns of known length get that, the words share the rest: all is seen where there is room."""
        length = self.fontMetrics().horizontalAdvance
        known = {column: length(text) for column, text in SAMPLES.items()}
        known[Column.STATE] = max(length(word) for word in self._table.states)
        shown = {column: each for column, each in known.items() if column not in self._left_out}
        widths = {column: max(each + BESIDE, self._title(column)) for column, each in shown.items()}
        left = width - sum(widths.values())
        widths |= {column: max(LEAST[column], int(left * share)) for column, share in SHARES.items()}
        self._sharing = True
        for column, each in widths.items():
            self.setColumnWidth(column, each)
        self._sharing = False

    def _title(self, column: int) -> int:
        bold = QFont(self.horizontalHeader().font())
        bold.setWeight(QFont.Weight.DemiBold)
        words = QFontMetrics(bold).horizontalAdvance(
            self._table.headerData(column, Qt.Orientation.Horizontal)
        )
        return words + BESIDE_TITLE + (ARROW if column in ORDERS else 0)

    def _keep_sorting_column(self, column: int, order: Qt.SortOrder) -> None:
        if column in ORDERS:
            self._sorted = (column, order)
        else:  # the archive cannot sort by it: the arrow stays where it was
            self.horizontalHeader().setSortIndicator(*self._sorted)


class StudyList(QStackedWidget):
    """The table, or a sentence and a button.

    Signals:
        chosen(int): the row in hand, -1 for none.
        pickedChanged(): other rows are chosen, where *many* may be.
        clearWanted(): show everything again.
    """

    chosen = Signal(int)
    pickedChanged = Signal()
    clearWanted = Signal()

    def __init__(self, model: ArchiveTable, parent: QWidget | None = None, *, many: bool = False) -> None:
        super().__init__(parent)
        self.model = model
        self.table = StudyTable(model, self)
        if many:
            self.table.setSelectionMode(QAbstractItemView.SelectionMode.ExtendedSelection)
        self.sentence = QLabel(self)
        self.button = QPushButton(self.tr("Show all studies"), self)
        self.button.clicked.connect(lambda: self.clearWanted.emit())
        self.sentence.setProperty("role", "muted")
        self.sentence.setAlignment(Qt.AlignmentFlag.AlignCenter)
        self.sentence.setWordWrap(True)
        empty = QWidget(self)
        layout = QVBoxLayout(empty)
        layout.setContentsMargins(24, 24, 24, 24)
        layout.setSpacing(12)
        layout.addStretch(1)
        layout.addWidget(self.sentence)
        layout.addWidget(self.button, 0, Qt.AlignmentFlag.AlignHCenter)
        layout.addStretch(2)
        room = QWidget(self)  # for the focus ring
        around = QVBoxLayout(room)
        around.setContentsMargins(4, 4, 4, 4)
        around.addWidget(self.table)
        self.addWidget(room)
        self.addWidget(empty)
        self.table.selectionModel().currentRowChanged.connect(self._current_changed)
        self.table.selectionModel().selectionChanged.connect(lambda *_: self.pickedChanged.emit())

    def say(self, sentence: str, *, clear: bool = False) -> None:
        """Show a sentence instead of the table."""
        self.sentence.setText(sentence)
        self.button.setVisible(clear)
        self.setCurrentIndex(1)

    def show_table(self) -> None:
        """Show the table."""
        self.setCurrentIndex(0)

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
