"""Paints one series: its picture, type, number, count and description."""

from __future__ import annotations

from PySide6.QtCore import QModelIndex, QObject, QPersistentModelIndex, QRect, QRectF, QSize, Qt
from PySide6.QtGui import QColor, QFont, QFontMetrics, QPainter, QPainterPath, QPalette, QPen
from PySide6.QtWidgets import QStyle, QStyledItemDelegate, QStyleOptionViewItem

from ui.models.series_list import SERIES_ROLE, THUMBNAIL_ROLE
from ui.models.study_view import SeriesView
from ui.theme import DARK, tokens
from ui.widgets.thumbnails import Thumbnail

Index = QModelIndex | QPersistentModelIndex
PICTURE = 128
PAD = 8
RADIUS = 6
FILM = QColor("#0B0D10")
ON_FILM = QColor("#E8EBEE")
MUTED_ON_FILM = QColor("#A2ACB8")


class SeriesCard(QStyledItemDelegate):
    """A card of 128 px picture and two lines of text; *strip* paints it for the viewer's narrow column."""

    def __init__(self, parent: QObject | None = None, *, picture: int = PICTURE, dark: bool = False) -> None:
        super().__init__(parent)
        self._picture = picture
        self._dark = dark  # in the viewer, whatever the rest of the program wears
        self.opened: set[str] = set()

    def sizeHint(self, option: QStyleOptionViewItem, index: Index) -> QSize:
        line = QFontMetrics(option.font).height()
        return QSize(self._picture + 2 * PAD, self._picture + 2 * line + 2 * PAD + 8)

    def paint(self, painter: QPainter, option: QStyleOptionViewItem, index: Index) -> None:
        series = index.data(SERIES_ROLE)
        if series is None:
            return
        painter.save()
        try:
            self._paint(painter, option, series, index.data(THUMBNAIL_ROLE))
        finally:  # a painter left unbalanced on an exception takes the process down
            painter.restore()

    def _paint(
        self, painter: QPainter, option: QStyleOptionViewItem, series: SeriesView, thumbnail: Thumbnail | None
    ) -> None:
        painter.setRenderHints(QPainter.RenderHint.Antialiasing | QPainter.RenderHint.SmoothPixmapTransform)
        cell: QRect = option.rect
        state = option.state
        left = cell.left() + (cell.width() - self._picture) // 2
        picture = QRect(left, cell.top() + PAD, self._picture, self._picture)
        self._film(painter, picture, series, thumbnail)
        colours = DARK if self._dark else tokens()
        if state & QStyle.StateFlag.State_Selected:
            _ring(painter, QRectF(picture).adjusted(-3, -3, 3, 3), QColor(colours.primary), 2)
        elif state & QStyle.StateFlag.State_MouseOver:
            _ring(painter, QRectF(picture).adjusted(-2, -2, 2, 2), QColor(colours.field_border), 1)
        self._caption(painter, option, picture, series)

    def _film(self, painter: QPainter, box: QRect, series: SeriesView, thumbnail: Thumbnail | None) -> None:
        path = QPainterPath()
        path.addRoundedRect(QRectF(box), RADIUS, RADIUS)
        painter.setClipPath(path)
        painter.fillRect(box, FILM)
        if thumbnail is not None and thumbnail.image is not None:
            image = thumbnail.image
            size = image.size().scaled(box.size(), Qt.AspectRatioMode.KeepAspectRatio)
            target = QRect(box.topLeft(), size)
            target.moveCenter(box.center())
            painter.drawImage(target, image)
        elif thumbnail is not None:
            self._no_picture(painter, box, series)
        self._marks(painter, box, series)
        painter.setClipping(False)

    def _no_picture(self, painter: QPainter, box: QRect, series: SeriesView) -> None:
        big = QFont(painter.font())
        big.setPointSizeF(big.pointSizeF() * 1.7)
        painter.save()
        painter.setFont(big)
        painter.setPen(MUTED_ON_FILM)
        text = self.tr("Document") if series.document else series.modality or "–"
        painter.setFont(QFont(painter.font().family(), 13 if series.document else 18))
        painter.drawText(box, Qt.AlignmentFlag.AlignCenter, text)
        painter.restore()

    def _marks(self, painter: QPainter, box: QRect, series: SeriesView) -> None:
        small = QFont(painter.font())
        small.setPointSizeF(max(7.0, small.pointSizeF() * 0.85))
        small.setBold(True)
        painter.setFont(small)
        metrics = QFontMetrics(small)
        for text, right in ((series.modality, False), (str(max(series.count, series.frames)), True)):
            if not text:
                continue
            badge = QRectF(0, 0, metrics.horizontalAdvance(text) + 10, metrics.height() + 2)
            badge.moveTop(box.top() + 5)
            if right:
                badge.moveRight(box.right() - 4)
            else:
                badge.moveLeft(box.left() + 5)
            painter.setPen(Qt.PenStyle.NoPen)
            painter.setBrush(QColor(11, 13, 16, 190))
            painter.drawRoundedRect(badge, 4, 4)
            painter.setPen(ON_FILM)
            painter.drawText(badge, Qt.AlignmentFlag.AlignCenter, text)

    def _caption(
        self, painter: QPainter, option: QStyleOptionViewItem, picture: QRect, series: SeriesView
    ) -> None:
        font: QFont = option.font
        palette: QPalette = option.palette
        metrics = QFontMetrics(font)
        width = picture.width() + 6
        line = QRect(picture.left() - 3, picture.bottom() + 6, width, metrics.height())
        painter.setFont(font)
        painter.setPen(palette.color(QPalette.ColorRole.Text))
        mode = Qt.TextElideMode.ElideRight
        painter.drawText(
            line,
            Qt.AlignmentFlag.AlignHCenter,
            metrics.elidedText(series.title or self.tr("Series"), mode, width),
        )
        line.translate(0, metrics.height())
        muted = palette.color(QPalette.ColorRole.Text)
        muted.setAlphaF(0.68)
        painter.setPen(muted)
        shown = "● " if series.uid in self.opened else ""
        text = metrics.elidedText(shown + series.size, mode, width)
        painter.drawText(line, Qt.AlignmentFlag.AlignHCenter, text)


def _ring(painter: QPainter, box: QRectF, colour: QColor, width: float) -> None:
    painter.setBrush(Qt.BrushStyle.NoBrush)
    painter.setPen(QPen(colour, width))
    painter.drawRoundedRect(box, RADIUS + 2, RADIUS + 2)
