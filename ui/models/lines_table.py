"""A table of plain lines that is shown anew now and then: what stays the same stays where it is."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from PySide6.QtCore import QAbstractTableModel, QModelIndex, QObject, QPersistentModelIndex, Qt

Index = QModelIndex | QPersistentModelIndex
_ROOT = QModelIndex()


@dataclass(frozen=True, slots=True)
class Line:
    """One row: *key* is what it is about, *cells* its words, *hint* what more there is to say."""

    key: object
    cells: tuple[str, ...]
    hint: str = ""


class LinesTable(QAbstractTableModel):
    """Rows of words under *titles*; columns in *numbers* stand to the right."""

    def __init__(
        self, titles: Sequence[str], parent: QObject | None = None, *, numbers: Sequence[int] = ()
    ) -> None:
        super().__init__(parent)
        self._titles = tuple(titles)
        self._numbers = frozenset(numbers)
        self._lines: list[Line] = []
        self._order: tuple[int, Qt.SortOrder] | None = None

    def sort(self, column: int, order: Qt.SortOrder = Qt.SortOrder.AscendingOrder) -> None:
        """By the words of *column*, or what number they are."""
        self._order = (column, order) if column >= 0 else None
        lines = self._sorted(self._lines)
        if lines != self._lines:
            self.beginResetModel()
            self._lines = lines
            self.endResetModel()

    def _sorted(self, lines: Sequence[Line]) -> list[Line]:
        if self._order is None:
            return list(lines)
        column, order = self._order

        def key(line: Line) -> tuple[int, str]:
            words = line.cells[column]
            return (int(words) if words.isdecimal() else 0, words.casefold())

        return sorted(lines, key=key, reverse=order == Qt.SortOrder.DescendingOrder)

    def show(self, lines: Sequence[Line]) -> None:
        """Show *lines*; where only words changed, rows stay what they are, chosen or not."""
        new = self._sorted(lines)
        if [each.key for each in new] == [each.key for each in self._lines]:
            for row, (before, now) in enumerate(zip(self._lines, new, strict=True)):
                if before != now:
                    self._lines[row] = now
                    self.dataChanged.emit(self.index(row, 0), self.index(row, len(self._titles) - 1))
            return
        self.beginResetModel()
        self._lines = new
        self.endResetModel()

    def line(self, row: int) -> Line:
        """The line at *row*."""
        return self._lines[row]

    def row_of(self, key: object) -> int:
        """Where it stands, -1 if it does not."""
        return next((row for row, line in enumerate(self._lines) if line.key == key), -1)

    def rowCount(self, parent: Index = _ROOT) -> int:
        return 0 if parent.isValid() else len(self._lines)

    def columnCount(self, parent: Index = _ROOT) -> int:
        return 0 if parent.isValid() else len(self._titles)

    def headerData(
        self, section: int, orientation: Qt.Orientation, role: int = Qt.ItemDataRole.DisplayRole
    ) -> Any:
        if orientation != Qt.Orientation.Horizontal:
            return None
        if role == Qt.ItemDataRole.DisplayRole:
            return self._titles[section]
        return self._side(section, role)

    def data(self, index: Index, role: int = Qt.ItemDataRole.DisplayRole) -> Any:
        if not index.isValid():
            return None
        line = self._lines[index.row()]
        if role == Qt.ItemDataRole.DisplayRole:
            return line.cells[index.column()]
        if role == Qt.ItemDataRole.ToolTipRole:
            return line.hint or line.cells[index.column()] or None
        return self._side(index.column(), role)

    def _side(self, column: int, role: int) -> Any:
        if role == Qt.ItemDataRole.TextAlignmentRole and column in self._numbers:
            return Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter
        return None
