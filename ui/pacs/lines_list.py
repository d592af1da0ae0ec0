"""A table of lines, or a sentence and a button in its place."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from PySide6.QtCore import QItemSelectionModel, Qt, Signal
from PySide6.QtGui import QResizeEvent
from PySide6.QtWidgets import QAbstractItemView, QWidget

from ui.models.lines_table import Line, LinesTable
from ui.widgets.tables import RowTable, TableOrSentence

LEAST, MOST = 90, 280
"""Pixels of a column of words, and of one of known length."""
BESIDE = 4
"""Pixels of a cell that are no text."""


class LinesView(RowTable):
    """Columns of known length get that, those of words share the rest, until a person pulls at one."""

    def __init__(self, shares: Mapping[int, int], parent: QWidget | None = None) -> None:
        """*shares*: how much of the rest each column of words gets."""
        super().__init__(parent)
        self._shares = shares

    def resizeEvent(self, event: QResizeEvent) -> None:
        super().resizeEvent(event)
        self.share()

    def share(self) -> None:
        """Give each column its width."""
        model = self.model()
        if model is None or self.by_hand:
            return
        widths = {}
        for column in range(model.columnCount()):
            known = min(self.sizeHintForColumn(column) + BESIDE, MOST)
            widths[column] = max(self.title_width(column), known)
        left = self.viewport().width() - sum(w for c, w in widths.items() if c not in self._shares)
        whole = sum(self._shares.values())
        for column, share in self._shares.items():
            widths[column] = max(LEAST, left * share // whole)
        self.set_widths(widths)


class LinesList(TableOrSentence):
    """The table, or a sentence.

    Signals:
        changed(): other rows are chosen.
        opened(object): key of the row that was double-clicked or entered.
    """

    changed = Signal()
    opened = Signal(object)

    def __init__(
        self, model: LinesTable, name: str, *, shares: Mapping[int, int], many: bool = False
    ) -> None:
        table = LinesView(shares)
        super().__init__(table)
        self.model, self.table = model, table
        self._before: list[object] = []
        table.setModel(model)
        table.setAccessibleName(name)
        if many:
            table.setSelectionMode(QAbstractItemView.SelectionMode.ExtendedSelection)
        table.horizontalHeader().setSortIndicator(-1, Qt.SortOrder.AscendingOrder)
        table.setSortingEnabled(True)
        table.selectionModel().selectionChanged.connect(lambda *_: self.changed.emit())
        table.opened.connect(lambda row: self.opened.emit(self.model.line(row).key))
        model.modelAboutToBeReset.connect(self._remember)
        model.modelReset.connect(self._restore)

    def say(self, sentence: str, button: str = "") -> None:
        """Show a sentence instead of the table, which is then empty."""
        self.model.show(())
        super().say(sentence, button)

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
