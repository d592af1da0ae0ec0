"""The identifying elements of a study as a table: name, tag, value, characters as written."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from PySide6.QtCore import (
    QAbstractTableModel,
    QModelIndex,
    QObject,
    QPersistentModelIndex,
    QSortFilterProxyModel,
    Qt,
)

from ui.models.study_view import ElementLike

Index = QModelIndex | QPersistentModelIndex
_ROOT = QModelIndex()


class DetailsTable(QAbstractTableModel):
    """Read-only rows over a sequence of elements."""

    def __init__(self, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._rows: Sequence[ElementLike] = ()
        self._titles = (self.tr("Name"), self.tr("Tag"), self.tr("Value"), self.tr("As written"))

    def show_elements(self, elements: Sequence[ElementLike]) -> None:
        """Replace everything."""
        self.beginResetModel()
        self._rows = tuple(elements)
        self.endResetModel()

    def rowCount(self, parent: Index = _ROOT) -> int:
        return 0 if parent.isValid() else len(self._rows)

    def columnCount(self, parent: Index = _ROOT) -> int:
        return 0 if parent.isValid() else len(self._titles)

    def data(self, index: Index, role: int = Qt.ItemDataRole.DisplayRole) -> Any:
        if not index.isValid():
            return None
        if role in (Qt.ItemDataRole.DisplayRole, Qt.ItemDataRole.ToolTipRole):
            element = self._rows[index.row()]
            return (element.name, element.tag, element.value, element.raw)[index.column()] or None
        return None

    def headerData(
        self, section: int, orientation: Qt.Orientation, role: int = Qt.ItemDataRole.DisplayRole
    ) -> Any:
        if role == Qt.ItemDataRole.DisplayRole and orientation == Qt.Orientation.Horizontal:
            return self._titles[section]
        return None


class DetailsFilter(QSortFilterProxyModel):
    """Keeps the rows that contain the searched text in any column."""

    def __init__(self, table: DetailsTable, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self.setSourceModel(table)
        self.setFilterKeyColumn(-1)
        self.setFilterCaseSensitivity(Qt.CaseSensitivity.CaseInsensitive)

    def as_text(self, rows: Sequence[int]) -> str:
        """The given rows as tab-separated lines, for the clipboard."""
        lines = []
        for row in rows:
            cells = [self.index(row, column).data() or "" for column in range(self.columnCount())]
            lines.append("\t".join(cells).rstrip("\t"))
        return "\n".join(lines)
