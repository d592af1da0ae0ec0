"""The table of entries, with what stands in its place when there is nothing to show."""

from __future__ import annotations

from typing import TYPE_CHECKING

from PySide6.QtCore import QModelIndex, QSortFilterProxyModel, Qt, Signal
from PySide6.QtGui import QKeyEvent
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

from ui.models.worklist_table import SORT_ROLE, Column, WorklistTable
from ui.picture import Picture

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


class WorklistView(QTableView):
    """Signals: `opened()` by double click or Enter, `removeWanted()` by Delete."""

    opened = Signal()
    removeWanted = Signal()

    def __init__(self, model: WorklistTable, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._source = model
        self.sorted = QSortFilterProxyModel(self)
        self.sorted.setSourceModel(model)
        self.sorted.setSortRole(SORT_ROLE)
        self.sorted.sort(Column.TIME)
        self.setModel(self.sorted)
        self.setAccessibleName(self.tr("Worklist"))
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
        header.setSortIndicator(Column.TIME, Qt.SortOrder.AscendingOrder)
        self.setSortingEnabled(True)
        self.doubleClicked.connect(lambda _index: self.opened.emit())
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

    def keyPressEvent(self, event: QKeyEvent) -> None:
        """Enter opens, Delete asks."""
        if event.key() in (Qt.Key.Key_Return, Qt.Key.Key_Enter) and self.currentIndex().isValid():
            self.opened.emit()
        elif event.key() == Qt.Key.Key_Delete:
            self.removeWanted.emit()
        else:
            super().keyPressEvent(event)


class WorklistStack(QStackedWidget):
    """The table, or a picture, a sentence and a button. Signals: `pressed()` the button."""

    pressed = Signal()

    def __init__(self, model: WorklistTable, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.table = WorklistView(model, self)
        self.sentence = QLabel(self)
        self.sentence.setProperty("role", "muted")
        self.sentence.setAlignment(Qt.AlignmentFlag.AlignCenter)
        self.sentence.setWordWrap(True)
        self.button = QPushButton(self)
        self.button.clicked.connect(lambda: self.pressed.emit())
        empty = QWidget(self)
        layout = QVBoxLayout(empty)
        layout.setContentsMargins(24, 24, 24, 24)
        layout.setSpacing(12)
        layout.addStretch(1)
        layout.addWidget(Picture(72, empty, name="ph.clipboard-text", role="muted"))
        layout.addWidget(self.sentence)
        layout.addWidget(self.button, 0, Qt.AlignmentFlag.AlignHCenter)
        layout.addStretch(2)
        room = QWidget(self)  # for the focus ring
        around = QVBoxLayout(room)
        around.setContentsMargins(4, 4, 4, 4)
        around.addWidget(self.table)
        self.addWidget(room)
        self.addWidget(empty)

    def say(self, sentence: str, button: str = "") -> None:
        """Show a sentence, and a button if *button* names it, instead of the table."""
        self.sentence.setText(sentence)
        self.button.setText(button)
        self.button.setVisible(bool(button))
        self.setCurrentIndex(1)

    def show_table(self) -> None:
        """Show the table."""
        self.setCurrentIndex(0)
