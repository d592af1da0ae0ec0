"""The deleted studies as a table: whose, how much, when, by whom, and until when they are kept."""

from __future__ import annotations

from collections.abc import Sequence
from enum import IntEnum
from typing import Any, Protocol

from PySide6.QtCore import QAbstractTableModel, QModelIndex, QObject, QPersistentModelIndex, Qt

from ui.models.archive_table import local_time
from ui.models.people import all_groups, iso_date, person_name, study_text

Index = QModelIndex | QPersistentModelIndex
_ROOT = QModelIndex()


class TrashRow(Protocol):
    """One deleted study; the times are ISO 8601."""

    @property
    def id(self) -> str: ...
    @property
    def patient_name(self) -> str: ...
    @property
    def patient_id(self) -> str: ...
    @property
    def patient_birth_date(self) -> str: ...
    @property
    def patient_sex(self) -> str: ...
    @property
    def study_date(self) -> str: ...
    @property
    def study_description(self) -> str: ...
    @property
    def images(self) -> int: ...
    @property
    def deleted(self) -> str: ...
    @property
    def deleted_by(self) -> str: ...
    @property
    def expires(self) -> str: ...


class TrashColumn(IntEnum):
    """In the order they stand."""

    PATIENT = 0
    ID = 1
    BORN = 2
    STUDY = 3
    IMAGES = 4
    DELETED = 5
    BY = 6
    EXPIRES = 7


class TrashTable(QAbstractTableModel):
    """Newest first, as the archive gives them."""

    def __init__(self, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._rows: list[TrashRow] = []
        self._titles = (
            self.tr("Patient"),
            self.tr("ID"),
            self.tr("Birth date"),
            self.tr("Study"),
            self.tr("Images"),
            self.tr("Deleted"),
            self.tr("By"),
            self.tr("Kept until"),
        )

    def show_rows(self, rows: Sequence[TrashRow]) -> None:
        """Replace everything."""
        self.beginResetModel()
        self._rows = list(rows)
        self.endResetModel()

    def row(self, row: int) -> TrashRow:
        """The study at *row*."""
        return self._rows[row]

    def rowCount(self, parent: Index = _ROOT) -> int:
        return 0 if parent.isValid() else len(self._rows)

    def columnCount(self, parent: Index = _ROOT) -> int:
        return 0 if parent.isValid() else len(self._titles)

    def headerData(
        self, section: int, orientation: Qt.Orientation, role: int = Qt.ItemDataRole.DisplayRole
    ) -> Any:
        if orientation == Qt.Orientation.Horizontal and role == Qt.ItemDataRole.DisplayRole:
            return self._titles[section]
        return self._alignment(section, role) if orientation == Qt.Orientation.Horizontal else None

    def data(self, index: Index, role: int = Qt.ItemDataRole.DisplayRole) -> Any:
        if not index.isValid():
            return None
        row, column = self._rows[index.row()], index.column()
        if role == Qt.ItemDataRole.DisplayRole:
            return (
                person_name(row.patient_name),
                row.patient_id,
                iso_date(row.patient_birth_date),
                study_text(row.study_description, row.study_date),
                str(row.images),
                local_time(row.deleted),
                row.deleted_by,
                local_time(row.expires),
            )[column]
        if role == Qt.ItemDataRole.ToolTipRole and column == TrashColumn.PATIENT:
            return all_groups(row.patient_name)
        if role == Qt.ItemDataRole.ToolTipRole and column == TrashColumn.STUDY:
            return study_text(row.study_description, row.study_date)
        return self._alignment(column, role)

    def _alignment(self, column: int, role: int) -> Any:
        if role == Qt.ItemDataRole.TextAlignmentRole and column == TrashColumn.IMAGES:
            return Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter
        return None
