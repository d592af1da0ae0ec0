"""Paints what lies over a picture: corner text, orientation letters, ruler, busy mark, placeholder."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from PySide6.QtCore import QCoreApplication, QPointF, QRectF, QSizeF, Qt
from PySide6.QtGui import QColor, QFont, QFontMetricsF, QPainter, QPen, QTextLayout, QTextOption

from ui.viewer.camera import Camera
from ui.viewer.corners import Corners
from ui.viewer.picture import Picture

TEXT = QColor("#E8EBEE")
MUTED = QColor("#A2ACB8")
WARN = QColor("#F2B84B")
SHADOW = QColor(0, 0, 0, 210)
VEIL = QColor(11, 13, 16, 170)
MARGIN = 10.0
NICE_MM = (1, 2, 5, 10, 20, 50, 100, 200, 500)


def _tr(text: str) -> str:
    return QCoreApplication.translate("Overlay", text)


@dataclass(frozen=True, slots=True)
class Pen:
    """A painter with the font of the tile; writes light text on a dark shadow, readable on any picture."""

    painter: QPainter
    font: QFont
    tile: QRectF

    @property
    def line(self) -> float:
        """Height of one line."""
        return QFontMetricsF(self.font).height()

    def write(self, box: QRectF, flags: Qt.AlignmentFlag, text: str, colour: QColor = TEXT) -> None:
        """One line in *box*, on a veil that keeps it readable over a bright or busy picture."""
        self.painter.setFont(self.font)
        width = QFontMetricsF(self.font).horizontalAdvance(text) + 8
        veil = QRectF(box.left() - 4, box.top(), width, box.height())
        if flags & Qt.AlignmentFlag.AlignRight:
            veil.moveRight(box.right() + 4)
        elif flags & Qt.AlignmentFlag.AlignHCenter:
            veil.moveCenter(box.center())
        self.painter.fillRect(veil, VEIL)
        self.painter.setPen(SHADOW)
        self.painter.drawText(box.translated(1, 1), flags, text)
        self.painter.setPen(colour)
        self.painter.drawText(box, flags, text)


def wrapped(text: str, font: QFont, width: float) -> list[str]:
    """*text* in lines no wider than *width*; nothing is left out."""
    layout = QTextLayout(text, font)
    layout.setTextOption(QTextOption(Qt.AlignmentFlag.AlignLeft))
    option = layout.textOption()
    option.setWrapMode(QTextOption.WrapMode.WrapAtWordBoundaryOrAnywhere)
    layout.setTextOption(option)
    lines: list[str] = []
    layout.beginLayout()
    while (line := layout.createLine()).isValid():
        line.setLineWidth(max(20.0, width))
        lines.append(text[line.textStart() : line.textStart() + line.textLength()].strip())
    layout.endLayout()
    return lines


def draw_corners(pen: Pen, texts: Corners) -> None:
    """The patient (never cut: wraps) top left, then what there is room for."""
    inner = pen.tile.adjusted(MARGIN, MARGIN, -MARGIN, -MARGIN)
    metrics = QFontMetricsF(pen.font)
    bold = QFont(pen.font)
    bold.setBold(True)
    y, widest = inner.top(), 0.0
    for number, text in enumerate(texts.top_left):
        font = bold if number == 0 else pen.font
        for line in wrapped(text, font, inner.width()):
            Pen(pen.painter, font, pen.tile).write(
                QRectF(inner.left(), y, inner.width(), pen.line), Qt.AlignmentFlag.AlignLeft, line
            )
            widest = max(widest, QFontMetricsF(font).horizontalAdvance(line))
            y += pen.line
    room = inner.width() - widest - 16
    _stack(pen, texts.top_right, QRectF(inner.right() - room, inner.top(), room, inner.height()), top=True)
    left = inner.width() * (0.6 if texts.bottom_right else 1.0)
    below = inner.adjusted(0, y - inner.top(), 0, 0)
    box = QRectF(below.left(), below.top(), left, below.height())
    _stack(pen, texts.bottom_left, box, right=False)
    used = max((metrics.horizontalAdvance(text) for text in texts.bottom_left), default=0.0)
    room = inner.width() - min(used, left) - 16
    _stack(pen, texts.bottom_right, QRectF(below.right() - room, below.top(), room, below.height()))


def _stack(pen: Pen, lines: Sequence[str], box: QRectF, *, top: bool = False, right: bool = True) -> None:
    metrics = QFontMetricsF(pen.font)
    if box.width() < 60:
        return
    fitting = int(box.height() // pen.line)
    shown = lines[:fitting] if top or right else lines[-fitting:]
    y = box.top() if top else box.bottom() - pen.line * len(shown)
    flag = Qt.AlignmentFlag.AlignRight if right else Qt.AlignmentFlag.AlignLeft
    for line in shown if top or not right else reversed(shown):
        text = metrics.elidedText(line, Qt.TextElideMode.ElideRight, box.width())
        pen.write(QRectF(box.left(), y, box.width(), pen.line), flag, text)
        y += pen.line


def edge_letters(picture: Picture, camera: Camera) -> tuple[str, str]:
    """(left edge, top edge) as the picture lies now, empty where the object does not say how it lies."""
    edges = picture.edges.turned(camera.turns, flipped=camera.mirrored)
    return edges.left, edges.top


def draw_letters(pen: Pen, left: str, top: str) -> None:
    """At the middle of the left and the top edge."""
    font = QFont(pen.font)
    font.setBold(True)
    big = Pen(pen.painter, font, pen.tile)
    if left:
        box = QRectF(pen.tile.left() + MARGIN, pen.tile.center().y() - pen.line / 2, 60, pen.line)
        big.write(box, Qt.AlignmentFlag.AlignLeft, left, WARN)
    if top:
        box = QRectF(pen.tile.center().x() - 30, pen.tile.top() + MARGIN, 60, pen.line)
        big.write(box, Qt.AlignmentFlag.AlignHCenter, top, WARN)


def ruler(pixels_per_mm: float, room: float) -> tuple[float, str] | None:
    """Length on the screen and label of the longest round measure that fits into *room*."""
    fitting = [mm for mm in NICE_MM if mm * pixels_per_mm <= room]
    if not fitting or fitting[-1] * pixels_per_mm < 20:
        return None
    mm = fitting[-1]
    label = _tr("{n} cm").format(n=mm // 10) if mm >= 10 else _tr("{n} mm").format(n=mm)
    return mm * pixels_per_mm, label


def draw_ruler(pen: Pen, picture: Picture, camera: Camera) -> None:
    """At the bottom edge, only where the size of a pixel is known; names how it is known."""
    if picture.spacing_mm is None or pen.tile.width() < 260:
        return
    lens = camera.lens(picture.shape, QSizeF(pen.tile.size()))
    found = ruler(lens.scale * lens.stretch[0] / picture.spacing_mm[1], pen.tile.width() / 4)
    if found is None:
        return
    length, label = found
    if picture.spacing_source:
        label = f"{label} ({picture.spacing_source})"
    y = pen.tile.bottom() - MARGIN - 4
    start, end = pen.tile.center().x() - length / 2, pen.tile.center().x() + length / 2
    for colour, width in ((SHADOW, 3.0), (TEXT, 1.4)):
        pen.painter.setPen(QPen(colour, width))
        pen.painter.drawLine(QPointF(start, y), QPointF(end, y))
        for x in (start, end):
            pen.painter.drawLine(QPointF(x, y - 5), QPointF(x, y + 1))
    box = QRectF(pen.tile.center().x() - 150, y - pen.line - 6, 300, pen.line)
    pen.write(box, Qt.AlignmentFlag.AlignHCenter, label)


def draw_busy(pen: Pen) -> None:
    """A small mark: the wanted picture is still on its way."""
    text = _tr("Loading…")
    width = QFontMetricsF(pen.font).horizontalAdvance(text) + 24
    box = QRectF(0, 0, width, pen.line + 8)
    box.moveCenter(QPointF(pen.tile.center().x(), pen.tile.bottom() - 64))
    pen.painter.setPen(Qt.PenStyle.NoPen)
    pen.painter.setBrush(QColor(28, 32, 36, 220))
    pen.painter.drawRoundedRect(box, 6, 6)
    pen.painter.setFont(pen.font)
    pen.painter.setPen(TEXT)
    pen.painter.drawText(box, Qt.AlignmentFlag.AlignCenter, text)


def draw_placeholder(pen: Pen, heading: str, reason: str = "", *, raised: float = 0) -> None:
    """Where there is no picture: a clear sentence, so that an empty tile never looks like an image."""
    middle = pen.tile.adjusted(40, 0, -40, 0)
    title = QFont(pen.font)
    title.setPointSizeF(title.pointSizeF() * 1.35)
    title.setBold(True)
    lines = wrapped(reason, pen.font, min(middle.width(), 460)) if reason else []
    height = QFontMetricsF(title).height() + 8 + pen.line * len(lines)
    y = middle.center().y() - height / 2 - raised
    box = QRectF(middle.left(), y, middle.width(), QFontMetricsF(title).height())
    Pen(pen.painter, title, pen.tile).write(box, Qt.AlignmentFlag.AlignHCenter, heading)
    y = box.bottom() + 8
    for line in lines:
        flag = Qt.AlignmentFlag.AlignHCenter
        pen.write(QRectF(middle.left(), y, middle.width(), pen.line), flag, line, MUTED)
        y += pen.line
