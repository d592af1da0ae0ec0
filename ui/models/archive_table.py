"""The studies of an archive as a table that grows page by page while it is scrolled."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any, Protocol

from PySide6.QtCore import QAbstractTableModel, QModelIndex, QObject, QPersistentModelIndex, Qt, Signal

from ui.models.people import all_groups, images_text, iso_date, person_name, size_text

Index = QModelIndex | QPersistentModelIndex
_ROOT = QModelIndex()
PAGE = 100  # rows asked for at once


class StudyRowLike(Protocol):
    """What the archive says of one study in a list."""

    @property
    def namespace(self) -> str: ...
    @property
    def study_uid(self) -> str: ...
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
    def accession_number(self) -> str: ...
    @property
    def modalities(self) -> Sequence[str]: ...
    @property
    def images(self) -> int: ...
    @property
    def bytes(self) -> int: ...
    @property
    def received(self) -> str: ...
    @property
    def state(self) -> str: ...


class Column:
    """Where each thing stands."""

    PATIENT, ID, BORN, DATE, STUDY, MODALITY, IMAGES, RECEIVED, STATE = range(9)


ORDERS = {Column.PATIENT: "patient_name", Column.DATE: "study_date", Column.RECEIVED: "received"}


class ArchiveTable(QAbstractTableModel):
    """Rows by page; asks for the next page when the view nears the end.

    Signals:
        pageWanted(int): offset of the first row that is needed.
        orderChanged(str): how the archive must sort; all rows were dropped.
    """

    pageWanted = Signal(int)
    orderChanged = Signal(str)

    def __init__(self, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._rows: list[StudyRowLike] = []
        self._asked = 0
        self.total = 0
        self.order = "-received"
        self._titles = {
            Column.PATIENT: self.tr("Patient"),
            Column.ID: self.tr("ID"),
            Column.BORN: self.tr("Birth date"),
            Column.DATE: self.tr("Study date"),
            Column.STUDY: self.tr("Description"),
            Column.MODALITY: self.tr("Type"),
            Column.IMAGES: self.tr("Images"),
            Column.RECEIVED: self.tr("Received"),
            Column.STATE: self.tr("State"),
        }
        self._states = {
            "receiving": self.tr("Arriving"),
            "settled": self.tr("Stored"),
            "conflict": self.tr("Conflict"),
        }

    @property
    def states(self) -> Sequence[str]:
        """Every word of the last column."""
        return list(self._states.values())

    def row(self, row: int) -> StudyRowLike:
        """The study at *row*."""
        return self._rows[row]

    def row_of(self, namespace: str, study_uid: str) -> int:
        """Where a study stands, -1 if it is not among the rows read so far."""
        for number, row in enumerate(self._rows):
            if row.study_uid == study_uid and row.namespace == namespace:
                return number
        return -1

    def show_first(self, rows: Sequence[StudyRowLike], total: int) -> None:
        """Replace everything by the first page of a search; the same rows again change nothing."""
        if list(rows) == self._rows and total == self.total:
            return
        self.beginResetModel()
        self._rows = list(rows)
        self._asked, self.total = len(self._rows), total
        self.endResetModel()

    def append(self, offset: int, rows: Sequence[StudyRowLike], total: int) -> None:
        """Add a page; one that does not continue the rows (the search changed meanwhile) is left out."""
        if offset != len(self._rows) or not rows:
            self._asked = len(self._rows)
            self.total = len(self._rows) if offset == len(self._rows) else self.total
            return
        self.beginInsertRows(_ROOT, offset, offset + len(rows) - 1)
        self._rows.extend(rows)
        self._asked, self.total = len(self._rows), total
        self.endInsertRows()

    def page_failed(self) -> None:
        """The page that was asked for will not come; it may be asked for again."""
        self._asked = len(self._rows)

    def remove(self, row: int) -> None:
        """Drop one row, for instance after its study was deleted."""
        self.beginRemoveRows(_ROOT, row, row)
        del self._rows[row]
        self._asked, self.total = len(self._rows), max(0, self.total - 1)
        self.endRemoveRows()

    def canFetchMore(self, parent: Index) -> bool:
        return not parent.isValid() and self._asked == len(self._rows) < self.total

    def fetchMore(self, parent: Index) -> None:
        if self.canFetchMore(parent):
            self._asked += PAGE
            self.pageWanted.emit(len(self._rows))

    def sort(self, column: int, order: Qt.SortOrder = Qt.SortOrder.AscendingOrder) -> None:
        if column not in ORDERS:
            return
        wanted = ("-" if order == Qt.SortOrder.DescendingOrder else "") + ORDERS[column]
        if wanted != self.order:
            self.order = wanted
            self.orderChanged.emit(wanted)

    def rowCount(self, parent: Index = _ROOT) -> int:
        return 0 if parent.isValid() else len(self._rows)

    def columnCount(self, parent: Index = _ROOT) -> int:
        return 0 if parent.isValid() else len(self._titles)

    def headerData(
        self, section: int, orientation: Qt.Orientation, role: int = Qt.ItemDataRole.DisplayRole
    ) -> Any:
        if orientation != Qt.Orientation.Horizontal:
            return None
        if role == Qt.ItemDataRole.DisplayRole:
            return self._titles[section]
        if role == Qt.ItemDataRole.TextAlignmentRole and section == Column.IMAGES:
            return Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter
        return None

    def data(self, index: Index, role: int = Qt.ItemDataRole.DisplayRole) -> Any:
        if not index.isValid():
            return None
        row, column = self._rows[index.row()], index.column()
        if role == Qt.ItemDataRole.DisplayRole:
            return self._text(row, column)
        if role == Qt.ItemDataRole.ToolTipRole:
            return self._hint(row, column)
        if role == Qt.ItemDataRole.TextAlignmentRole and column == Column.IMAGES:
            return Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter
        return None

    def _text(self, row: StudyRowLike, column: int) -> str:
        match column:
            case Column.PATIENT:
                return person_name(row.patient_name)
            case Column.ID:
                return row.patient_id
            case Column.BORN:
                return iso_date(row.patient_birth_date)
            case Column.DATE:
                return iso_date(row.study_date)
            case Column.STUDY:
                return row.study_description
            case Column.MODALITY:
                return ", ".join(row.modalities)
            case Column.IMAGES:
                return str(row.images)
            case Column.RECEIVED:
                return local_time(row.received)[: len("2024-02-11")]
            case _:
                return self._states.get(row.state, row.state)

    def _hint(self, row: StudyRowLike, column: int) -> str | None:
        if column == Column.PATIENT:
            return all_groups(row.patient_name)
        if column == Column.IMAGES:
            return f"{images_text(row.images)} · {size_text(row.bytes)}"
        if column == Column.RECEIVED:
            return local_time(row.received)
        if column == Column.STATE:
            return {
                "receiving": self.tr("Images of this study are still coming in."),
                "settled": self.tr("No image has come in for a while."),
                "conflict": self.tr("Some images do not fit this study. Nothing was replaced."),
            }.get(row.state)
        return self._text(row, column) or None


def local_time(iso: str) -> str:
    """`2024-02-11 10:15` in local time of an ISO instant; what is none stays as it is."""
    try:
        return datetime.fromisoformat(iso).astimezone().strftime("%Y-%m-%d %H:%M")
    except ValueError:
        return iso
