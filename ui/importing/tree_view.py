"""The tree of a disc on screen: names in full, one line for a study or series, ⚠ with its sentence."""

from __future__ import annotations

from collections.abc import Sequence

from PySide6.QtCore import QEvent, QModelIndex, QPersistentModelIndex, QRect, QSize, Qt, Signal
from PySide6.QtGui import (
    QColor,
    QCursor,
    QFont,
    QFontMetrics,
    QKeyEvent,
    QPainter,
    QPaintEvent,
    QResizeEvent,
)
from PySide6.QtWidgets import (
    QAbstractItemView,
    QApplication,
    QHeaderView,
    QStyle,
    QStyledItemDelegate,
    QStyleOptionViewItem,
    QTreeView,
    QWidget,
)

from core.dicom.tree import Patient, Study
from ui.icons import icon
from ui.importing.row_painter import RowPainter
from ui.models.people import person_name, said
from ui.models.study_node import Node, identity
from ui.models.study_tree import NODE_ROLE, Column, StudyTree
from ui.theme import tokens
from ui.widgets.banner import breakable

Index = QModelIndex | QPersistentModelIndex
PAD = 6
BESIDE = 52
"""Width of a patient's row that is no text: branch, check box and margins."""
NARROW = 460
"""Below this width the sizes give way, so that dates and titles stay readable."""

OPENED_AT_FIRST = 24
"""So many rows come unfolded, more than a screen full: each new row lays all of them out."""

_LOOKS = frozenset(
    (
        QEvent.Type.StyleChange,
        QEvent.Type.PaletteChange,
        QEvent.Type.FontChange,
        QEvent.Type.LayoutDirectionChange,
    )
)
"""After these a row looks different."""

_WRAP = int(Qt.TextFlag.TextWordWrap | Qt.AlignmentFlag.AlignLeft | Qt.AlignmentFlag.AlignTop)


class CellDelegate(QStyledItemDelegate):
    """One line in a column. Its height is not asked of the model: a layout asks for it once a cell."""

    def __init__(self, view: QTreeView, model: StudyTree) -> None:
        super().__init__(view)
        self._model = model
        self._line = QSize(40, QFontMetrics(view.font()).height() + 2 * PAD)

    def sizeHint(self, _option: QStyleOptionViewItem, _index: Index) -> QSize:
        return self._line


class NameDelegate(CellDelegate):
    """Paints the first column; a patient's name wraps where it must and is never cut."""

    def paint(self, painter: QPainter, option: QStyleOptionViewItem, index: Index) -> None:
        node = self._model.node(index)
        if not isinstance(node.item, Patient):
            super().paint(painter, option, index)
            return
        self.initStyleOption(option, index)
        option.text = ""
        widget: QWidget = option.widget
        style = widget.style() if widget is not None else QApplication.style()
        style.drawControl(QStyle.ControlElement.CE_ItemViewItem, option, painter, widget)
        option.text = "x"
        box = style.subElementRect(QStyle.SubElement.SE_ItemViewItemText, option, widget)
        painter.save()
        painter.setLayoutDirection(option.direction)
        try:
            self._words(painter, box.adjusted(2, 0, -2, 0), option.font, node.item)
        finally:  # a painter left unbalanced on an exception takes the process down
            painter.restore()

    def _words(self, painter: QPainter, box: QRect, font: QFont, patient: Patient) -> None:
        now = tokens()
        name = breakable(person_name(patient.header.patient_name))
        bold, small = _bold(font), _small(font)
        top = box.top() + PAD
        for words, face, colour in (
            (name, bold, now.text),
            (identity(patient), small, now.muted),
            (said(patient.warning), small, now.warn),
        ):
            if not words:
                continue
            left = box.left()
            if words == said(patient.warning):
                side = QFontMetrics(face).height()
                icon("ph.warning-fill", "warn").paint(painter, QRect(left, top, side, side))
                left += side + 4
            room = QRect(left, top, box.right() - left, 1000)
            high = QFontMetrics(face).boundingRect(room, _WRAP, words).height()
            painter.setFont(face)
            painter.setPen(QColor(colour))
            painter.drawText(room, _WRAP, words)
            top += high

    def sizeHint(self, option: QStyleOptionViewItem, index: Index) -> QSize:
        if index.parent().isValid():  # no patient; asked for every row at every layout, so without more ado
            return self._line
        node = index.data(NODE_ROLE)
        font: QFont = option.font
        if not isinstance(node, Node) or not isinstance(node.item, Patient):
            return self._line
        view = self.parent()
        wide = view.viewport().width() - BESIDE if isinstance(view, QTreeView) else 300
        room = QRect(0, 0, max(120, wide), 1000)
        small = QFontMetrics(_small(font))
        high = QFontMetrics(_bold(font)).boundingRect(
            room, _WRAP, breakable(person_name(node.item.header.patient_name))
        )
        total = high.height() + small.boundingRect(room, _WRAP, identity(node.item)).height() + 2 * PAD
        if node.item.warning:
            total += small.boundingRect(
                room.adjusted(small.height() + 4, 0, 0, 0), _WRAP, said(node.item.warning)
            ).height()
        return QSize(200, total)


class DiscTree(QTreeView):
    """Patients, studies and series with check boxes; Space ticks, Enter or a double click opens.

    Signals: `opened(object)` with the `Node` to look at.
    """

    opened = Signal(object)

    def __init__(self, model: StudyTree, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._model = model
        self._rows = RowPainter(self, model)  # first: what follows may change the style
        self.setModel(model)
        self.setItemDelegate(CellDelegate(self, model))
        self.setItemDelegateForColumn(Column.NAME, NameDelegate(self, model))
        self.setAccessibleName(self.tr("Patients, studies and series"))
        self.setSelectionBehavior(QAbstractItemView.SelectionBehavior.SelectRows)
        self.setSelectionMode(QAbstractItemView.SelectionMode.SingleSelection)
        self.setExpandsOnDoubleClick(False)
        self.setEditTriggers(QAbstractItemView.EditTrigger.NoEditTriggers)
        self.setVerticalScrollMode(QAbstractItemView.ScrollMode.ScrollPerPixel)
        self.setIndentation(18)
        header = self.header()
        header.setStretchLastSection(False)
        header.setSectionsMovable(False)
        header.setMinimumSectionSize(40)
        header.setSectionResizeMode(Column.NAME, QHeaderView.ResizeMode.Stretch)
        metrics = QFontMetrics(self.font())
        for column, widest in ((Column.TYPE, "CT, DOC"), (Column.IMAGES, "20,000"), (Column.SIZE, "999 MB")):
            header.setSectionResizeMode(column, QHeaderView.ResizeMode.Fixed)
            title = str(model.headerData(column, Qt.Orientation.Horizontal))
            wide = max(metrics.horizontalAdvance(widest), metrics.horizontalAdvance(title) + 12)
            self.setColumnWidth(column, wide + 16)
        self._selected: Node | None = None
        self._hovered: Node | None = None
        self._unfolded = 0
        self._new_patients: list[QPersistentModelIndex] = []
        model.rowsInserted.connect(self._inserted)
        model.placed.connect(self._span)
        self.activated.connect(self._activated)

    def _inserted(self, parent: QModelIndex, first: int, last: int) -> None:
        if not parent.isValid():
            rows = range(first, last + 1)
            self._new_patients += [QPersistentModelIndex(self._model.index(row, 0)) for row in rows]
        if not parent.isValid() and self._model.rowCount() == 1:
            self._unfolded = 0
        if self._unfolded < OPENED_AT_FIRST:
            self._unfolded += last - first + 1
            node = self._model.node(parent)
            if isinstance(node.item, Patient | Study) and not self.isExpanded(parent):
                self.expand(parent)
        if not self.currentIndex().isValid():
            self.setCurrentIndex(self._model.index(0, 0))

    def _span(self) -> None:
        """A patient's name takes the whole row. Not at once: for each row Qt would lay out all of them."""
        patients, self._new_patients = self._new_patients, []
        for index in patients:
            if index.isValid():
                self.setFirstColumnSpanned(index.row(), QModelIndex(), True)

    def changeEvent(self, event: QEvent) -> None:
        if event.type() in _LOOKS:
            self._rows.forget()
        super().changeEvent(event)

    def dataChanged(self, first: Index, last: Index, roles: Sequence[int] = ()) -> None:
        """Counts and ticks leave the rows as high as they are; Qt would measure each of them again."""
        if roles:
            QAbstractItemView.dataChanged(self, first, last, roles)
        else:
            super().dataChanged(first, last, roles)

    def paintEvent(self, event: QPaintEvent) -> None:
        chosen = self.selectionModel().selectedRows()
        self._selected = self._model.node(chosen[0]) if chosen else None
        self._hovered = None
        if self.viewport().underMouse():
            under = self.indexAt(self.viewport().mapFromGlobal(QCursor.pos()))
            self._hovered = self._model.node(under) if under.isValid() else None
        self._rows.begin()
        super().paintEvent(event)

    def drawRow(self, painter: QPainter, option: QStyleOptionViewItem, index: Index) -> None:
        node = self._model.node(index)
        if isinstance(node.item, Patient):
            super().drawRow(painter, option, index)
        else:
            self._rows.paint(painter, option, index, node is self._selected, node is self._hovered)

    def resizeEvent(self, event: QResizeEvent) -> None:
        narrow = self.width() < NARROW
        if narrow != self.isColumnHidden(Column.SIZE):
            self.setColumnHidden(Column.SIZE, narrow)
        super().resizeEvent(event)
        self.scheduleDelayedItemsLayout()  # how many lines a name needs depends on the width

    def keyPressEvent(self, event: QKeyEvent) -> None:
        index = self.currentIndex().siblingAtColumn(Column.NAME)
        if event.key() == Qt.Key.Key_Space and index.isValid():
            ticked = Qt.CheckState(index.data(Qt.ItemDataRole.CheckStateRole)) is Qt.CheckState.Checked
            self._model.tick(self._model.node(index), not ticked)
            return
        super().keyPressEvent(event)

    def _activated(self, index: QModelIndex) -> None:
        self.opened.emit(self._model.node(index))


def _bold(font: QFont) -> QFont:
    made = QFont(font)
    made.setWeight(QFont.Weight.DemiBold)
    return made


def _small(font: QFont) -> QFont:
    made = QFont(font)
    made.setPointSizeF(font.pointSizeF() - 1)
    return made
