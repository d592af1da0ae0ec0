"""A table of lines, or a sentence and a button in its place."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from PySide6.QtCore import QItemSelectionModel, Qt, Signal
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

from ui.models.lines_table import Line, LinesTable

LEAST, MOST = 90, 280
"""Pixels of a column of words, and of one of known length."""
BESIDE, BESIDE_TITLE = 4, 18
"""Pixels of a cell, and of a column's title, that are no text."""


class LinesView(QTableView):
    """Columns of known length get that, those of words share the rest, until a person pulls at one.

    Signals: `opened(int)` row that was double-clicked or entered.
    """

    opened = Signal(int)

    def __init__(self, shares: Mapping[int, int], parent: QWidget | None = None) -> None:
        """*shares*: how much of the rest each column of words gets."""
        super().__init__(parent)
        self._shares = shares
        self._by_hand = self._sharing = False
        self.horizontalHeader().sectionResized.connect(lambda *_: self._resized())

    def resizeEvent(self, event: QResizeEvent) -> None:
        super().resizeEvent(event)
        self.share()

    def share(self) -> None:
        """Give each column its width."""
        model, header = self.model(), self.horizontalHeader()
        if model is None or self._by_hand:
            return
        bold = QFont(header.font())
        bold.setWeight(QFont.Weight.DemiBold)
        title = QFontMetrics(bold).horizontalAdvance
        widths = {}
        for column in range(model.columnCount()):
            words = title(str(model.headerData(column, Qt.Orientation.Horizontal))) + BESIDE_TITLE
            widths[column] = max(words, min(self.sizeHintForColumn(column) + BESIDE, MOST))
        left = self.viewport().width() - sum(w for c, w in widths.items() if c not in self._shares)
        whole = sum(self._shares.values())
        self._sharing = True
        for column, width in widths.items():
            share = self._shares.get(column)
            self.setColumnWidth(column, width if share is None else max(LEAST, left * share // whole))
        self._sharing = False

    def _resized(self) -> None:
        pulled = QGuiApplication.mouseButtons() != Qt.MouseButton.NoButton and not self._sharing
        self._by_hand = self._by_hand or (pulled and self.underMouse())

    def keyPressEvent(self, event: QKeyEvent) -> None:
        """Enter opens."""
        if event.key() in (Qt.Key.Key_Return, Qt.Key.Key_Enter) and self.currentIndex().isValid():
            self.opened.emit(self.currentIndex().row())
        else:
            super().keyPressEvent(event)


class LinesList(QStackedWidget):
    """The table, or a sentence.

    Signals:
        changed(): other rows are chosen.
        opened(object): key of the row that was double-clicked or entered.
        wanted(): the button beside the sentence.
    """

    changed = Signal()
    opened = Signal(object)
    wanted = Signal()

    def __init__(
        self, model: LinesTable, name: str, *, shares: Mapping[int, int], many: bool = False
    ) -> None:
        super().__init__()
        self.model = model
        self.table = LinesView(shares, self)
        self.sentence = QLabel(self)
        self.button = QPushButton(self)
        self._before: list[object] = []
        self._build(name, many=many)

    def _build(self, name: str, *, many: bool) -> None:
        table = self.table
        table.setModel(self.model)
        table.setAccessibleName(name)
        table.setSelectionBehavior(QAbstractItemView.SelectionBehavior.SelectRows)
        mode = QAbstractItemView.SelectionMode
        table.setSelectionMode(mode.ExtendedSelection if many else mode.SingleSelection)
        table.setShowGrid(False)
        table.setWordWrap(False)
        table.setTabKeyNavigation(False)
        table.setVerticalScrollMode(QAbstractItemView.ScrollMode.ScrollPerPixel)
        table.verticalHeader().hide()
        table.verticalHeader().setDefaultSectionSize(34)
        header = table.horizontalHeader()
        header.setHighlightSections(False)
        header.setDefaultAlignment(Qt.AlignmentFlag.AlignLeft | Qt.AlignmentFlag.AlignVCenter)
        header.setSectionResizeMode(QHeaderView.ResizeMode.Interactive)
        header.setTextElideMode(Qt.TextElideMode.ElideRight)
        header.setSortIndicator(-1, Qt.SortOrder.AscendingOrder)
        table.setSortingEnabled(True)
        table.selectionModel().selectionChanged.connect(lambda *_: self.changed.emit())
        self.model.modelAboutToBeReset.connect(self._remember)
        self.model.modelReset.connect(self._restore)
        table.doubleClicked.connect(lambda index: table.opened.emit(index.row()))
        table.opened.connect(lambda row: self.opened.emit(self.model.line(row).key))
        self.sentence.setProperty("role", "muted")
        self.sentence.setAlignment(Qt.AlignmentFlag.AlignCenter)
        self.sentence.setWordWrap(True)
        self.button.clicked.connect(lambda: self.wanted.emit())
        room, empty = QWidget(self), QWidget(self)
        around = QVBoxLayout(room)
        around.setContentsMargins(4, 4, 4, 4)  # for the focus ring
        around.addWidget(table)
        words = QVBoxLayout(empty)
        words.setContentsMargins(24, 24, 24, 24)
        words.setSpacing(12)
        words.addStretch(1)
        words.addWidget(self.sentence)
        words.addWidget(self.button, 0, Qt.AlignmentFlag.AlignHCenter)
        words.addStretch(2)
        self.addWidget(room)
        self.addWidget(empty)

    def say(self, sentence: str, button: str = "") -> None:
        """Show a sentence instead of the table, with a button if it has words."""
        self.model.show(())
        self.sentence.setText(sentence)
        self.button.setText(button)
        self.button.setVisible(bool(button))
        self.setCurrentIndex(1)

    def show_lines(self, lines: Sequence[Line]) -> None:
        """Show the table; rows that are still there stay chosen, the first is if none was."""
        before = self.keys
        self.model.show(lines)
        self.setCurrentIndex(0)
        self.table.share()
        rows = [row for row in map(self.model.row_of, before) if row >= 0]
        if not self.keys and self.model.rowCount():
            self.choose(rows or [0])

    def _remember(self) -> None:
        row, keys = self.table.currentIndex().row(), self.keys
        current = self.model.line(row).key if row >= 0 else None
        self._before = sorted(keys, key=lambda key: key != current)  # the one in hand first

    def _restore(self) -> None:
        """Sorting, or other lines among them, leave those chosen that are still there."""
        rows = [row for row in map(self.model.row_of, self._before) if row >= 0]
        self._before = []
        if rows:
            self.choose(rows)
        else:
            self.changed.emit()

    def choose(self, rows: Sequence[int]) -> None:
        """Choose *rows*, the first is current."""
        flags = QItemSelectionModel.SelectionFlag
        model = self.table.selectionModel()
        model.setCurrentIndex(self.model.index(rows[0], 0), flags.ClearAndSelect | flags.Rows)
        for row in rows[1:]:
            model.select(self.model.index(row, 0), flags.Select | flags.Rows)

    @property
    def keys(self) -> list[object]:
        """What the chosen rows are about, from top to bottom."""
        rows = sorted(index.row() for index in self.table.selectionModel().selectedRows())
        return [self.model.line(row).key for row in rows]
