"""The series of one study as a list model whose pictures come when they are looked at."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from PySide6.QtCore import QAbstractListModel, QModelIndex, QObject, QPersistentModelIndex, Qt

from ui.models.study_view import SeriesView
from ui.widgets.thumbnails import Thumbnails

Index = QModelIndex | QPersistentModelIndex
_ROOT = QModelIndex()
SERIES_ROLE = Qt.ItemDataRole.UserRole + 1  # the SeriesView
THUMBNAIL_ROLE = Qt.ItemDataRole.UserRole + 2  # Thumbnail, or None while it is made


class SeriesList(QAbstractListModel):
    """Grows in place while a disc is read; nothing jumps."""

    def __init__(self, thumbnails: Thumbnails, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._thumbnails = thumbnails
        self._rows: list[SeriesView] = []
        thumbnails.ready.connect(self._ready)

    def show_series(self, series: Sequence[SeriesView]) -> None:
        """Show these; rows that stay keep their place and selection."""
        old, new = [s.uid for s in self._rows], [s.uid for s in series]
        if old and new[: len(old)] == old:
            self._rows[:] = series[: len(old)]
            self.dataChanged.emit(self.index(0), self.index(len(old) - 1))
            if len(new) > len(old):
                self.beginInsertRows(_ROOT, len(old), len(new) - 1)
                self._rows.extend(series[len(old) :])
                self.endInsertRows()
            return
        self._thumbnails.forget()
        self.beginResetModel()
        self._rows = list(series)
        self.endResetModel()

    def series(self, row: int) -> SeriesView:
        """The series at *row*."""
        return self._rows[row]

    def row_of(self, uid: str) -> int:
        """Where a series stands, -1 if it does not."""
        return next((n for n, s in enumerate(self._rows) if s.uid == uid), -1)

    def rowCount(self, parent: Index = _ROOT) -> int:
        return 0 if parent.isValid() else len(self._rows)

    def data(self, index: Index, role: int = Qt.ItemDataRole.DisplayRole) -> Any:
        if not index.isValid() or index.row() >= len(self._rows):
            return None
        series = self._rows[index.row()]
        match role:
            case Qt.ItemDataRole.DisplayRole:
                return series.title
            case Qt.ItemDataRole.ToolTipRole | Qt.ItemDataRole.AccessibleTextRole:
                parts = (series.modality, series.title, series.size)
                return " · ".join(part for part in parts if part)
            case _ if role == SERIES_ROLE:
                return series
            case _ if role == THUMBNAIL_ROLE:
                return self._thumbnails.get(series)
        return None

    def _ready(self, uid: str) -> None:
        row = self.row_of(uid)
        if row >= 0:
            self.dataChanged.emit(self.index(row), self.index(row), [THUMBNAIL_ROLE])
