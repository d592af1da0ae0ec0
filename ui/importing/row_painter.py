"""Paints a study or series of the tree of a disc in one call.

Qt asks a model written in Python some dozens of times for one row, and a window full of rows several times a
second while a disc is read. Here the row is put together from what its node knows; branch and check box are
Qt's own, painted once and kept.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from PySide6.QtCore import QPoint, QRect, QSize, QSizeF, Qt
from PySide6.QtGui import QColor, QFontMetrics, QPainter, QPen, QPixmap
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


@dataclass(frozen=True, slots=True)
class _Places:
    """Where the parts of a row of one kind lie, relative to the top of the row; alike for all such rows."""

    branch: QRect
    cell: QRect
    texts: tuple[tuple[int, QRect, int], ...]
    """Column, box and alignment flags of every column that is shown."""


class RowPainter:
    """What the rows of one view need to be painted. `begin` before each painting of the view's window;
    `forget` when the style or the colours change."""

    def __init__(self, view: QTreeView, model: StudyTree) -> None:
        self._view = view
        self._model = model
        self._pixmaps: dict[tuple[object, ...], QPixmap] = {}
        self._boxes: dict[tuple[int, int, int], QRect] = {}
        self._cut: dict[tuple[str, int], str] = {}
        self._places: dict[tuple[bool, int], _Places] = {}
        self._ratio = 1.0
        self._pen = QPen()

    def forget(self) -> None:
        """Paint branch and check box anew, and ask again where the text goes."""
        self._pixmaps.clear()
        self._boxes.clear()
        self._cut.clear()

    def begin(self) -> None:
        """Columns may have moved since the window was painted last; until it is done they stay."""
        self._places.clear()
        self._ratio = self._view.devicePixelRatioF()
        self._pen = QPen(QColor(tokens().text))

    def paint(
        self,
        painter: QPainter,
        option: QStyleOptionViewItem,
        index: Index,
        selected: bool,
        hovered: bool,
    ) -> None:
        """Paint the row of *index*, which fills `option.rect`."""
        row, node = option.rect, self._model.node(index)
        if selected or hovered:
            now = tokens()
            painter.fillRect(row, QColor(now.selection if selected else now.hover))
        leaf, high, top = isinstance(node.item, Series), row.height(), row.top()
        places = self._places.get((leaf, high))
        if places is None:
            places = self._places[leaf, high] = self._placed(option, leaf, high)
        painter.setPen(self._pen)
        painter.setFont(option.font)
        painter.setLayoutDirection(self._view.layoutDirection())
        painter.translate(0, top)
        try:
            if not leaf:  # a series has nothing to unfold, and there are no lines between the rows
                self._branch(painter, places.branch, index, selected)
            self._tick_box(painter, option, places.cell, node)
            for column, box, flags in places.texts:
                text = cell(node, column)
                if column == _NAME:
                    text = self._shortened(text, box.width(), option)
                painter.drawText(box, flags, text)
        finally:
            painter.translate(0, -top)

    def _placed(self, option: QStyleOptionViewItem, leaf: bool, high: int) -> _Places:
        view = self._view
        side = view.layoutDirection()
        texts, beside, name = [], QRect(), QRect()
        for column in _COLUMNS:
            wide = view.columnWidth(column)
            if not wide:  # hidden
                continue
            box = QRect(view.columnViewportPosition(column), 0, wide, high)
            if column == _NAME:
                branch = view.indentation() * (3 if leaf else 2)
                beside = QStyle.visualRect(side, box, QRect(box.left(), 0, branch, high))
                box = name = QStyle.visualRect(side, box, box.adjusted(branch, 0, 0, 0))
            text = self._text_box(option, column, box.size()).translated(box.topLeft())
            texts.append((column, text, _LINE | int(QStyle.visualAlignment(side, ALIGNMENTS[column]))))
        return _Places(beside, name, tuple(texts))

    def _branch(self, painter: QPainter, box: QRect, index: Index, selected: bool) -> None:
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
        ratio = self._ratio
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

    def _shortened(self, text: str, wide: int, option: QStyleOptionViewItem) -> str:
        cut = self._cut.get((text, wide))
        if cut is None:
            if len(self._cut) >= _KEPT:
                self._cut.clear()
            metrics = QFontMetrics(option.font)
            cut = self._cut[text, wide] = metrics.elidedText(text, Qt.TextElideMode.ElideRight, wide)
        return cut
