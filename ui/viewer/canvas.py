"""Turns a picture into what is on the screen: window, scale, draw; quick while dragging, fine at rest."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from PySide6.QtCore import QCoreApplication, QRectF, QSize, QSizeF, Qt
from PySide6.QtGui import QColor, QFont, QImage, QPainter, QPen

from core.imaging.viewport import Viewport as Lens
from ui.viewer.corners import corners
from ui.viewer.overlay import (
    MARGIN,
    Pen,
    draw_busy,
    draw_corners,
    draw_letters,
    draw_placeholder,
    draw_ruler,
    edge_letters,
)
from ui.viewer.picture import Choice, Frames, Picture, Pixels

if TYPE_CHECKING:
    from ui.viewer.viewport import Viewport

BACKGROUND = QColor("#0B0D10")
ACTIVE = QColor("#6CB1FF")
LARGE = 1_500_000  # pixels: above this, dragging draws without smoothing
SHARP_FROM = 10.0  # dots per image pixel from which single pixels are shown as they are


def as_image(pixels: Pixels) -> QImage:
    """A copy of grey or RGB pixels in the screen's own format, which is the fastest to draw."""
    data = np.ascontiguousarray(pixels)
    rows, columns = data.shape[:2]
    if data.ndim == 3:
        image = QImage(data.data, columns, rows, columns * 3, QImage.Format.Format_RGB888)
    else:
        image = QImage(data.data, columns, rows, columns, QImage.Format.Format_Grayscale8)
    return image.convertToFormat(QImage.Format.Format_RGB32)


def no_picture() -> str:
    """Heading of a tile without a picture."""
    return QCoreApplication.translate("Canvas", "No picture")


def a_document() -> str:
    """Heading of a tile that holds a document."""
    return QCoreApplication.translate("Canvas", "This is a document, not a picture")


class Canvas:
    """Keeps the last windowed picture and its last reduced copy; *hurry* while something is being dragged."""

    def __init__(self) -> None:
        self.hurry = False
        self._key: object = None
        self._image: QImage | None = None
        self._reduced_key: object = None
        self._reduced: QImage | None = None

    def forget(self) -> None:
        """Let go of the pixels."""
        self._key = self._reduced_key = self._image = self._reduced = None

    def paint(self, painter: QPainter, port: Viewport) -> None:
        """Everything in the tile, with a painter that is already open."""
        tile = port.tile
        painter.fillRect(tile, BACKGROUND)
        pen = Pen(painter, _font_for(port), tile)
        picture = port.picture
        if picture is None or port.frames is None:
            if port.message:
                heading, reason = (no_picture(), port.message) if port.failed else (port.message, "")
                draw_placeholder(pen, heading, reason)
            elif port.late:
                draw_busy(pen)
        else:
            if picture.source is not None:
                self._draw(painter, port, picture, port.frames)
            else:
                heading = a_document() if picture.document else no_picture()
                draw_placeholder(pen, heading, picture.reason, raised=28 if picture.document else 0)
            self._annotate(pen, port, picture)
        self._edge(painter, port)

    def _annotate(self, pen: Pen, port: Viewport, picture: Picture) -> None:
        lines = int((pen.tile.height() - 2 * MARGIN) // pen.line)
        texts = corners(picture, port.looking(), port.density, lines)
        draw_corners(pen, texts)
        if picture.source is not None and port.density != 2:
            draw_letters(pen, *edge_letters(picture, port.camera))
            draw_ruler(pen, picture, port.camera)
        if port.late:
            draw_busy(pen)

    def _edge(self, painter: QPainter, port: Viewport) -> None:
        if port.active or port.ringed:
            painter.setBrush(Qt.BrushStyle.NoBrush)
            width = 2 if port.ringed else 1
            painter.setPen(QPen(ACTIVE, width))
            inset = width / 2
            painter.drawRect(port.tile.adjusted(inset, inset, -inset, -inset))

    def _draw(self, painter: QPainter, port: Viewport, picture: Picture, frames: Frames) -> None:
        shape, tile = picture.shape, QSizeF(port.size())
        lens = port.camera.lens(shape, tile, port.devicePixelRatioF())
        painter.save()
        painter.setTransform(port.camera.transform(shape, tile), True)
        box = QRectF(0, 0, shape.columns, shape.rows)
        hint = QPainter.RenderHint.SmoothPixmapTransform
        if self.hurry and shape.columns * shape.rows > LARGE:
            self._draw_patch(painter, port, picture, frames, lens)
        elif lens.scale < 0.75:
            image = self._windowed(frames, picture, port.choice, port.inverted)
            across, down = lens.stretch
            size = QSizeF(shape.columns * across, shape.rows * down) * lens.scale
            painter.setRenderHint(hint, True)
            painter.drawImage(box, self._reduce(image, size))
        else:
            painter.setRenderHint(hint, lens.scale < SHARP_FROM)
            painter.drawImage(box, self._windowed(frames, picture, port.choice, port.inverted))
        painter.restore()

    def _draw_patch(
        self, painter: QPainter, port: Viewport, picture: Picture, frames: Frames, lens: Lens
    ) -> None:
        patch = lens.patch()
        if patch is None:
            return
        image = as_image(frames.seen(picture, port.choice, patch))
        if port.inverted:
            image.invertPixels()
        painter.drawImage(QRectF(*patch.rectangle()), image)

    def _windowed(self, frames: Frames, picture: Picture, choice: Choice, inverted: bool) -> QImage:
        key = (picture.key, choice, inverted)
        if key != self._key or self._image is None:
            image = as_image(frames.grey(picture, choice))
            if inverted:
                image.invertPixels()
            self._key, self._image = key, image
        return self._image

    def _reduce(self, image: QImage, size: QSizeF) -> QImage:
        wanted = QSize(max(1, round(size.width())), max(1, round(size.height())))
        key = (self._key, wanted.width(), wanted.height())
        if key != self._reduced_key or self._reduced is None:
            # Averages over the area, where plain drawing would pick single pixels and flicker.
            ignore, smooth = Qt.AspectRatioMode.IgnoreAspectRatio, Qt.TransformationMode.SmoothTransformation
            self._reduced_key, self._reduced = key, image.scaled(wanted, ignore, smooth)
        return self._reduced


def _font_for(port: Viewport) -> QFont:
    font = QFont(port.font())
    small = port.width() < 420 or port.height() < 320
    font.setPointSizeF(8.5 if small else 10.0)
    return font
