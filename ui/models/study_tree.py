"""Patients, studies and series as a tree with check boxes: an adapter between `core.dicom.tree` and Qt.

Rows are inserted where they belong by their own sort key and never move again, so whatever is selected,
ticked or scrolled to stays put while a scan is running.
"""

from __future__ import annotations

from bisect import bisect_left
from collections import deque
from collections.abc import Iterable, Sequence
from enum import IntEnum
from time import perf_counter
from typing import Any

from PySide6.QtCore import (
    QAbstractItemModel,
    QLocale,
    QModelIndex,
    QObject,
    QPersistentModelIndex,
    Qt,
    QTimer,
    Signal,
)

from core.dicom.refs import Found
from core.dicom.tree import Patient, Series, Study, Tree, folded, patient_key
from ui.models.people import size_text
from ui.models.study_node import Node, child_of, latest_first, spoken, tip, type_text
from ui.services import Picked

Index = QModelIndex | QPersistentModelIndex
NODE_ROLE = Qt.ItemDataRole.UserRole
_DISPLAY = int(Qt.ItemDataRole.DisplayRole)
_CHECK = int(Qt.ItemDataRole.CheckStateRole)
_ALIGNMENT = int(Qt.ItemDataRole.TextAlignmentRole)
_SPOKEN = int(Qt.ItemDataRole.AccessibleTextRole)
_COUNTED = [Qt.ItemDataRole.DisplayRole, Qt.ItemDataRole.CheckStateRole, Qt.ItemDataRole.AccessibleTextRole]
"""What another count changes of a row."""
_ROLES = frozenset((_DISPLAY, _CHECK, _ALIGNMENT, _SPOKEN, int(Qt.ItemDataRole.ToolTipRole), int(NODE_ROLE)))
ALIGNMENTS = (
    *(Qt.AlignmentFlag.AlignVCenter | Qt.AlignmentFlag.AlignLeft,) * 2,
    *(Qt.AlignmentFlag.AlignVCenter | Qt.AlignmentFlag.AlignRight,) * 2,
)
SLICE_S = 0.004
"""How long one helping of found files may hold the Qt thread."""
TELL_EVERY_S = 0.1
"""Counts that changed are told to the views this often, or when all is in: each time they paint anew."""


class Column(IntEnum):
    """Columns of the tree."""

    NAME = 0
    TYPE = 1
    IMAGES = 2
    SIZE = 3


# What follows is looked up a thousand times for one painted window: made once.
_NAME, _COLUMNS = int(Column.NAME), len(Column)
_INDEXES = (QModelIndex, QPersistentModelIndex)
_PLAIN = Qt.ItemFlag.ItemIsEnabled | Qt.ItemFlag.ItemIsSelectable
_FLAGS = {
    (name, leaf): _PLAIN
    | (Qt.ItemFlag.ItemIsUserCheckable if name else Qt.ItemFlag(0))
    | (Qt.ItemFlag.ItemNeverHasChildren if leaf else Qt.ItemFlag(0))
    for name in (False, True)
    for leaf in (False, True)
}
"""By whether it is the first column, and whether the row is a series."""


class StudyTree(QAbstractItemModel):
    """The tree of one scan.

    Signals:
        ticksChanged(): what is ticked, or how much that is, changed.
        placed(): a helping of it is.
        fed(): everything that was handed to `feed` is in the tree.
    """

    ticksChanged = Signal()
    placed = Signal()
    fed = Signal()

    def __init__(self, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._timer = QTimer(self)
        self._timer.setInterval(0)
        self._timer.timeout.connect(self._helping)
        self._waiting: deque[Sequence[Found]] = deque()
        self._offset = 0
        self._told = 0.0
        self._start_over()

    def _start_over(self) -> None:
        self.tree = Tree()
        self._root = Node(None, (), None)
        self._nodes: dict[tuple[str, ...], Node] = {}
        self._patients: dict[tuple[str, str, str, str], Node] = {}
        self._warned: dict[int, str] = {}
        self._touched: dict[Node, None] = {}
        self._grown = False
        self._above: dict[Node, QModelIndex] = {}  # of rows that were asked for as parents, while none move

    def clear(self) -> None:
        """Forget everything."""
        self.beginResetModel()
        self._waiting.clear()
        self._offset = 0
        self._timer.stop()
        self._start_over()
        self.endResetModel()
        self.ticksChanged.emit()

    def feed(self, found: Sequence[Found]) -> None:
        """Take what a scan found; it goes in by small helpings so that the window stays awake."""
        if found:
            self._waiting.append(found)
            if not self._timer.isActive():
                self._timer.start()

    @property
    def settled(self) -> bool:
        """Whether all that was fed is in the tree, and told."""
        return not self._timer.isActive()

    def _helping(self) -> None:
        """One turn's work: pause after new rows, tell counts, place what was found, or say that all is in."""
        now = perf_counter()
        if self._grown:  # the views lay out and paint new rows now; what comes next waits for its own turn
            self._grown = False
        elif self._touched and (now - self._told >= TELL_EVERY_S or not self._waiting):
            self._told = now
            self._tell_touched()
        elif self._waiting:
            rows = len(self._nodes)
            self._place_until(now + SLICE_S)
            self._grown = len(self._nodes) > rows
            self.placed.emit()
        else:
            self._timer.stop()
            self._tell_warnings()
            self.fed.emit()

    def _place_until(self, until: float) -> None:
        touched = self._touched
        while self._waiting and perf_counter() < until:
            batch = self._waiting[0]
            rows = len(self._nodes)
            for found in batch[self._offset : self._offset + 64]:
                self._place(found, touched)
                self._offset += 1
                if len(self._nodes) > rows:  # a new row costs as much as a thousand counted ones
                    break
            if self._offset >= len(batch):
                self._waiting.popleft()
                self._offset = 0

    def _tell_touched(self) -> None:
        touched, self._touched = self._touched, {}
        self._tell(touched)

    def _place(self, found: Found, touched: dict[Node, None]) -> None:
        header = found.header
        key = (
            header.patient_id,
            header.issuer_of_patient_id,
            header.patient_name,
            header.patient_birth_date,
            header.study_instance_uid,
            header.series_instance_uid,
        )
        node = self._nodes.get(key)
        if node is None:
            node = self._nodes[key] = self._node_of(self.tree.add(found), found)
        else:
            series = node.item
            if isinstance(series, Series):
                series.instances.append(found)
                series.bytes += found.size
        for above in node.up():
            above.images += 1
            above.size += found.size
            touched[above] = None

    def _node_of(self, series: Series, found: Found) -> Node:
        patient, study = self._owner(found)
        patient_node = self._patients.get(patient.key)
        if patient_node is None:
            key = (folded(patient.header.patient_name), *patient.key)
            patient_node = self._patients[patient.key] = self._insert(self._root, patient, key)
        study_key = (
            latest_first(study.header.study_date),
            study.header.study_time,
            study.study_instance_uid,
        )
        study_node = child_of(patient_node, study_key) or self._insert(patient_node, study, study_key)
        number = series.header.series_number
        series_key = (number is None, number or 0, series.series_instance_uid)
        return child_of(study_node, series_key) or self._insert(study_node, series, series_key)

    def _owner(self, found: Found) -> tuple[Patient, Study]:
        patient = self.tree.patients[patient_key(found.header)]
        return patient, patient.studies[found.header.study_instance_uid]

    def _insert(self, parent: Node, item: Patient | Study | Series, key: tuple[Any, ...]) -> Node:
        node = Node(item, key, parent)
        row = bisect_left(parent.keys, key)
        whole = parent.parent is not None and parent.leaves > 0 and parent.ticked == parent.leaves
        self.beginInsertRows(self.index_of(parent), row, row)
        self._above.clear()
        parent.keys.insert(row, key)
        parent.children.insert(row, node)
        self.endInsertRows()
        if isinstance(item, Series):
            for above in node.up():
                above.leaves += 1
                above.ticked += int(whole)  # a new series of a study that is ticked as a whole joins in
        return node

    def _tell(self, touched: Iterable[Node]) -> None:
        """Say which rows changed, one signal for those below one row: a view does the same for either."""
        ends: dict[Node, tuple[Node, Node]] = {}
        ticked = False
        for node in touched:
            ticked = ticked or bool(node.ticked)
            if (parent := node.parent) is not None:
                first, last = ends.get(parent, (node, node))
                ends[parent] = (
                    node if node.key < first.key else first,
                    node if node.key > last.key else last,
                )
        for first, last in ends.values():
            self.dataChanged.emit(self.index_of(first), self.index_of(last, Column.SIZE), _COUNTED)
        if ticked:
            self.ticksChanged.emit()

    def _tell_warnings(self) -> None:
        for node in self._root.children:
            warning = node.item.warning if isinstance(node.item, Patient) else ""
            if warning and self._warned.get(id(node)) != warning:
                self._warned[id(node)] = warning
                first = self.index_of(node)
                self.dataChanged.emit(first, first)

    def index_of(self, node: Node, column: int = 0) -> QModelIndex:
        """The index of a row, of its first column unless another is named."""
        return QModelIndex() if node.parent is None else self.createIndex(node.row(), column, node)

    def sibling(self, row: int, column: int, index: Index) -> QModelIndex:
        """Another cell of the same row without the way over its parent, which is what Qt would go."""
        if row == index.row() and 0 <= column < _COLUMNS:
            return self.createIndex(row, column, self.node(index))
        return super().sibling(row, column, index)

    def node(self, index: Index) -> Node:
        """The row behind *index*; the invisible root for an invalid one."""
        found = index.internalPointer()
        return found if isinstance(found, Node) else self._root

    def index(self, row: int, column: int, parent: Index = QModelIndex()) -> QModelIndex:  # noqa: B008
        above = self.node(parent)
        inside = 0 <= row < len(above.children) and 0 <= column < _COLUMNS
        if not inside or (parent.isValid() and parent.column() != 0):
            return QModelIndex()
        return self.createIndex(row, column, above.children[row])

    def parent(self, index: Index = QModelIndex()) -> Any:  # noqa: B008
        if not isinstance(index, _INDEXES) or not index.isValid():
            return QModelIndex()
        above = self.node(index).parent
        if above is None or above.parent is None:
            return QModelIndex()
        found = self._above.get(above)
        if found is None:
            found = self._above[above] = self.index_of(above)
        return found

    def rowCount(self, parent: Index = QModelIndex()) -> int:  # noqa: B008
        return len(self.node(parent).children) if not parent.isValid() or parent.column() == 0 else 0

    def columnCount(self, parent: Index = QModelIndex()) -> int:  # noqa: B008
        return _COLUMNS

    def flags(self, index: Index) -> Qt.ItemFlag:
        if not index.isValid():
            return Qt.ItemFlag.NoItemFlags
        return _FLAGS[index.column() == _NAME, isinstance(self.node(index).item, Series)]

    def headerData(
        self, section: int, orientation: Qt.Orientation, role: int = Qt.ItemDataRole.DisplayRole
    ) -> Any:
        if orientation is not Qt.Orientation.Horizontal or not 0 <= section < len(Column):
            return None
        if role == Qt.ItemDataRole.TextAlignmentRole:
            return ALIGNMENTS[section]
        if role == Qt.ItemDataRole.DisplayRole:
            titles = (self.tr("Patients and studies"), self.tr("Type"), self.tr("Images"), self.tr("Size"))
            return titles[section]
        return None

    def data(self, index: Index, role: int = Qt.ItemDataRole.DisplayRole) -> Any:
        if role not in _ROLES or not index.isValid():  # a view asks for a dozen roles; most stop here
            return None
        node = self.node(index)
        if role == NODE_ROLE:
            return node
        column = index.column()
        if role == _DISPLAY:
            return cell(node, column)
        if role == _CHECK:
            return node.check_state() if column == _NAME else None
        if role == _ALIGNMENT:
            return ALIGNMENTS[column]
        if role == _SPOKEN:
            return spoken(node) if column == _NAME else None
        return tip(node)

    def setData(self, index: Index, value: Any, role: int = Qt.ItemDataRole.EditRole) -> bool:
        if role != Qt.ItemDataRole.CheckStateRole or not index.isValid() or index.column() != Column.NAME:
            return False
        self.tick(self.node(index), Qt.CheckState(value) is Qt.CheckState.Checked)
        return True

    def tick(self, node: Node, on: bool) -> None:
        """Tick or untick everything at and below *node*."""
        touched: dict[Node, None] = {}
        for leaf in node.series():
            change = int(on) - leaf.ticked
            if change:
                for above in leaf.up():
                    above.ticked += change
                    touched[above] = None
        for changed in touched:
            index = self.index_of(changed)
            self.dataChanged.emit(index, index, [Qt.ItemDataRole.CheckStateRole])
        self.ticksChanged.emit()

    def tick_all(self, on: bool) -> None:
        """Tick or untick everything."""
        self.tick(self._root, on)

    def picked(self) -> list[Picked]:
        """The studies that are ticked, in the order shown."""
        result = []
        for patient in self._root.children:
            for study in patient.children:
                if study.ticked and isinstance(patient.item, Patient) and isinstance(study.item, Study):
                    series = frozenset(
                        s.item.series_instance_uid
                        for s in study.children
                        if s.ticked and isinstance(s.item, Series)
                    )
                    whole = study.ticked == study.leaves
                    result.append(Picked(patient.item, study.item, None if whole else series))
        return result


def cell(node: Node, column: int) -> str:
    """What one column says of a row."""
    if column == _NAME:
        return node.title
    if column == Column.TYPE:
        return type_text(node)
    return QLocale().toString(node.images) if column == Column.IMAGES else size_text(node.size)
