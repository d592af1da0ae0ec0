"""Paints a study or series of the tree of a disc in one call.

Qt asks a model written in Python some dozens of times for one row, and a window full of rows several times a
second while a disc is read. Here the row is put together from what its node knows; branch and check box are
Qt's own, painted once and kept.
"""

from __future__ import annotations

from collections.abc import Callable

from PySide6.QtCore import QPoint, QRect, QSize, QSizeF, Qt
from PySide6.QtGui import QColor, QFontMetrics, QPainter, QPixmap
from PySide6.QtWidgets import QStyle, QStyleOptionViewItem, QTreeView

from core.dicom.tree import Series
from ui.models.study_node import Node
from ui.models.study_tree import ALIGNMENTS, Column, Index, StudyTree, cell
from ui.theme import tokens

_FEATURE = QStyleOptionViewItem.ViewItemFeature
_STATES = {
    Qt.CheckState.Unchecked: QStyle.StateFlag.State_Off,
    Qt.CheckState.PartiallyChecked: QStyle.StateFlag.State_NoChange,
    Qt.CheckState.Checked: QStyle.StateFlag.State_On,
}
_COLUMNS = tuple(int(column) for column in Column)
_NAME = int(Column.NAME)
_LINE = int(Qt.TextFlag.TextSingleLine)
_TICK_ROOM = 36
"""Width of the strip that the check box lies in."""
_KEPT = 2000
"""So many shortened titles are remembered."""


class RowPainter:
    """What the rows of one view need to be painted. `forget` it when the style or the colours change."""

    def __init__(self, view: QTreeView, model: StudyTree) -> None:
        self._view = view
        self._model = model
        self._pixmaps: dict[tuple[object, ...], QPixmap] = {}
        self._boxes: dict[tuple[int, int, int], QRect] = {}
        self._cut: dict[tuple[str, int], str] = {}

    def forget(self) -> None:
        """Paint branch and check box anew, and ask again where the text goes."""
        self._pixmaps.clear()
        self._boxes.clear()
        self._cut.clear()

    def paint(
        self,
        painter: QPainter,
        option: QStyleOptionViewItem,
        index: Index,
        selected: bool,
        hovered: bool,
    ) -> None:
        """Paint the row of *index*, which fills `option.rect`."""
        view, row, node = self._view, option.rect, self._model.node(index)
        now = tokens()
        if selected or hovered:
            painter.fillRect(row, QColor(now.selection if selected else now.hover))
        painter.setPen(QColor(now.text))
        painter.setFont(option.font)
        painter.setLayoutDirection(view.layoutDirection())
        top, high = row.top(), row.height()
        for column in _COLUMNS:
            wide = view.columnWidth(column)
            if not wide:  # hidden
                continue
            cell_box = QRect(view.columnViewportPosition(column), top, wide, high)
            if column == _NAME:
                branch = view.indentation() * (3 if isinstance(node.item, Series) else 2)
                beside = QRect(cell_box.left(), top, branch, high)
                inside = cell_box.adjusted(branch, 0, 0, 0)
                side = view.layoutDirection()
                self._branch(painter, QStyle.visualRect(side, cell_box, beside), index, node, selected)
                cell_box = QStyle.visualRect(side, cell_box, inside)
                self._tick_box(painter, option, cell_box, node)
            text = self._text_box(option, column, cell_box.size()).translated(cell_box.topLeft())
            self._text(painter, option, text, cell(node, column), column)

    def _branch(self, painter: QPainter, box: QRect, index: Index, node: Node, selected: bool) -> None:
        if isinstance(node.item, Series):
            return  # nothing to unfold, and no lines between the rows
        key = ("branch", box.width(), box.height(), self._view.isExpanded(index), selected)
        self._put(painter, box, key, lambda onto, area: self._view.drawBranches(onto, area, index))

    def _tick_box(self, painter: QPainter, option: QStyleOptionViewItem, box: QRect, node: Node) -> None:
        state = node.check_state()
        mirrored = self._view.layoutDirection() is Qt.LayoutDirection.RightToLeft
        strip = QRect(box.left(), box.top(), min(_TICK_ROOM, box.width()), box.height())
        strip = QStyle.visualRect(self._view.layoutDirection(), box, strip)

        def draw(onto: QPainter, _area: QRect) -> None:
            asked = self._template(option, _NAME, box.size())
            asked.features |= _FEATURE.HasCheckIndicator
            style = self._view.style()
            asked.rect = style.subElementRect(
                QStyle.SubElement.SE_ItemViewItemCheckIndicator, asked, self._view
            )
            asked.state = (asked.state & ~QStyle.StateFlag.State_HasFocus) | _STATES[state]
            onto.translate(box.left() - strip.left(), 0)
            style.drawPrimitive(
                QStyle.PrimitiveElement.PE_IndicatorItemViewItemCheck, asked, onto, self._view
            )

        self._put(painter, strip, ("tick", strip.width(), strip.height(), state, mirrored), draw)

    def _put(
        self,
        painter: QPainter,
        box: QRect,
        key: tuple[object, ...],
        draw: Callable[[QPainter, QRect], None],
    ) -> None:
        """Paint what is kept under *key*, or have it drawn once."""
        ratio = self._view.devicePixelRatioF()
        kept = self._pixmaps.get((ratio, *key))
        if kept is None:
            kept = QPixmap((QSizeF(box.size()) * ratio).toSize())
            kept.setDevicePixelRatio(ratio)
            kept.fill(Qt.GlobalColor.transparent)
            onto = QPainter(kept)
            try:
                draw(onto, QRect(QPoint(0, 0), box.size()))
            finally:  # a painter left open on an exception takes the process down
                onto.end()
            self._pixmaps[ratio, *key] = kept
        painter.drawPixmap(box.topLeft(), kept)

    def _template(self, option: QStyleOptionViewItem, column: int, size: QSize) -> QStyleOptionViewItem:
        asked = QStyleOptionViewItem(option)
        asked.rect = QRect(QPoint(0, 0), size)
        asked.text = "x"
        asked.features = _FEATURE.HasDisplay
        asked.displayAlignment = ALIGNMENTS[column]
        return asked

    def _text_box(self, option: QStyleOptionViewItem, column: int, size: QSize) -> QRect:
        key = (column, size.width(), size.height())
        box = self._boxes.get(key)
        if box is None:
            asked = self._template(option, column, size)
            if column == _NAME:
                asked.features |= _FEATURE.HasCheckIndicator
            style = self._view.style()
            margin = style.pixelMetric(QStyle.PixelMetric.PM_FocusFrameHMargin, asked, self._view) + 1
            box = style.subElementRect(QStyle.SubElement.SE_ItemViewItemText, asked, self._view)
            box = self._boxes[key] = box.adjusted(margin, 0, -margin, 0)
        return box

    def _text(
        self, painter: QPainter, option: QStyleOptionViewItem, box: QRect, text: str, column: int
    ) -> None:
        if column == _NAME:
            key = (text, box.width())
            cut = self._cut.get(key)
            if cut is None:
                if len(self._cut) >= _KEPT:
                    self._cut.clear()
                metrics = QFontMetrics(option.font)
                cut = self._cut[key] = metrics.elidedText(text, Qt.TextElideMode.ElideRight, box.width())
            text = cut
        painter.drawText(
            box, _LINE | int(QStyle.visualAlignment(self._view.layoutDirection(), ALIGNMENTS[column])), text
        )
