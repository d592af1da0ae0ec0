"""The table of studies, with what stands in its place when there is nothing to show."""

from __future__ import annotations

from PySide6.QtCore import QModelIndex, Qt, Signal
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

from ui.models.archive_table import ORDERS, ArchiveTable, Column

WIDTHS = {
    Column.PATIENT: 146,
    Column.ID: 88,
    Column.BORN: 100,
    Column.DATE: 102,
    Column.STUDY: 122,
    Column.MODALITY: 84,
    Column.IMAGES: 76,
    Column.RECEIVED: 140,
    Column.STATE: 90,
}


class StudyTable(QTableView):
    """Signals: `opened(int)` row that was double-clicked or entered; `deleteWanted()` on Delete."""

    opened = Signal(int)
    deleteWanted = Signal()

    def __init__(self, model: ArchiveTable, parent: QWidget | None = None) -> None:
        super().__init__(parent)
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
        for column, width in WIDTHS.items():
            self.setColumnWidth(column, width)
        header.setSortIndicator(Column.RECEIVED, Qt.SortOrder.DescendingOrder)
        self.setSortingEnabled(True)
        header.sortIndicatorChanged.connect(self._keep_sorting_column)
        self._sorted = (int(Column.RECEIVED), Qt.SortOrder.DescendingOrder)
        self.doubleClicked.connect(lambda index: self.opened.emit(index.row()))

    def keyPressEvent(self, event: QKeyEvent) -> None:
        """Enter opens, Delete asks."""
        if event.key() in (Qt.Key.Key_Return, Qt.Key.Key_Enter) and self.currentIndex().isValid():
            self.opened.emit(self.currentIndex().row())
        elif event.key() == Qt.Key.Key_Delete:
            self.deleteWanted.emit()
        else:
            super().keyPressEvent(event)

    def _keep_sorting_column(self, column: int, order: Qt.SortOrder) -> None:
        if column in ORDERS:
            self._sorted = (column, order)
        else:  # the archive cannot sort by it: the arrow stays where it was
            self.horizontalHeader().setSortIndicator(*self._sorted)


class StudyList(QStackedWidget):
    """The table, or a sentence and a button.

    Signals:
        chosen(int): row, -1 for none.
        clearWanted(): show everything again.
    """

    chosen = Signal(int)
    clearWanted = Signal()

    def __init__(self, model: ArchiveTable, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.model = model
        self.table = StudyTable(model, self)
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

    def choose(self, row: int) -> None:
        """Choose a row."""
        self.table.setCurrentIndex(self.model.index(row, 0) if row >= 0 else QModelIndex())

    def _current_changed(self, now: QModelIndex, _before: QModelIndex) -> None:
        self.chosen.emit(now.row())
