"""How image pixels come to lie on the screen: fit, zoom, pan, quarter turns, mirroring, pixel shape."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

from PySide6.QtCore import QPointF, QSizeF
from PySide6.QtGui import QTransform

SMALLEST, LARGEST = 0.02, 64.0  # screen pixels per image pixel


@dataclass(frozen=True, slots=True)
class Shape:
    """Columns and rows of an image and the shape of one pixel (row spacing / column spacing, 1 = square)."""

    columns: int
    rows: int
    aspect: float = 1.0

    @property
    def stretch(self) -> tuple[float, float]:
        """By how much a pixel is drawn wider and taller, so that the shorter side stays 1."""
        if not 0.01 < self.aspect < 100:
            return 1.0, 1.0
        return (1.0, self.aspect) if self.aspect >= 1 else (1 / self.aspect, 1.0)

    @property
    def size(self) -> QSizeF:
        """Width and height at zoom 1."""
        across, down = self.stretch
        return QSizeF(self.columns * across, self.rows * down)


@dataclass(frozen=True, slots=True)
class Camera:
    """A way of looking. *zoom* 0 means: fit into the tile. Every change gives a new camera.

    *pan* is where the image's middle lies, in screen pixels from the middle of the tile. Mirroring is
    left-right and comes before turning; upside down is mirroring and two quarter turns.
    """

    zoom: float = 0.0
    pan: QPointF = field(default_factory=QPointF)
    turns: int = 0
    mirrored: bool = False

    @property
    def fits(self) -> bool:
        """Whether the image is fitted into the tile."""
        return self.zoom == 0

    def scale(self, shape: Shape, tile: QSizeF) -> float:
        """Screen pixels per (shorter side of an) image pixel."""
        if self.zoom:
            return self.zoom
        size = shape.size if self.turns % 2 == 0 else shape.size.transposed()
        if size.isEmpty() or tile.isEmpty():
            return 1.0
        return min(tile.width() / size.width(), tile.height() / size.height())

    def transform(self, shape: Shape, tile: QSizeF) -> QTransform:
        """From image coordinates (0, 0 is the outer corner of the first pixel) to the tile's."""
        zoom = self.scale(shape, tile)
        across, down = shape.stretch
        matrix = QTransform()
        matrix.translate(tile.width() / 2 + self.pan.x(), tile.height() / 2 + self.pan.y())
        matrix.rotate(90 * self.turns)
        matrix.scale(-zoom * across if self.mirrored else zoom * across, zoom * down)
        matrix.translate(-shape.columns / 2, -shape.rows / 2)
        return matrix

    def zoomed(self, factor: float, shape: Shape, tile: QSizeF, anchor: QPointF | None = None) -> Camera:
        """Zoom by *factor*; what lies under *anchor* (default: the middle of the tile) stays there."""
        old = self.scale(shape, tile)
        new = min(LARGEST, max(SMALLEST, old * factor))
        middle = QPointF(tile.width() / 2, tile.height() / 2)
        held = (middle if anchor is None else anchor) - middle
        return replace(self, zoom=new, pan=held + (self.pan - held) * (new / old))

    def actual_size(self, dots_per_pixel: float) -> Camera:
        """One image pixel on one dot of the screen."""
        return replace(self, zoom=1 / dots_per_pixel, pan=QPointF())

    def fitted(self) -> Camera:
        """The whole image in the tile; turns and mirroring stay."""
        return replace(self, zoom=0.0, pan=QPointF())

    def moved(self, by: QPointF) -> Camera:
        """Shift on the screen."""
        return replace(self, pan=self.pan + by)

    def turned(self, quarter_turns: int) -> Camera:
        """Turn clockwise on the screen."""
        matrix = QTransform().rotate(90 * quarter_turns)
        return replace(self, turns=(self.turns + quarter_turns) % 4, pan=matrix.map(self.pan))

    def flipped(self, *, vertically: bool = False) -> Camera:
        """Mirror left-right (or up-down) as seen on the screen."""
        # Mirroring happens before turning: seen on a screen turned by a quarter it is the other axis.
        turns = (-self.turns + (2 if vertically else 0)) % 4
        pan = QPointF(self.pan.x(), -self.pan.y()) if vertically else QPointF(-self.pan.x(), self.pan.y())
        return replace(self, turns=turns, mirrored=not self.mirrored, pan=pan)

    def image_direction(self, screen_x: float, screen_y: float) -> tuple[float, float]:
        """Along the image's columns and rows: the direction that points (x, y) on the screen."""
        matrix = QTransform().rotate(90 * self.turns).scale(-1 if self.mirrored else 1, 1)
        back = matrix.inverted()[0].map(QPointF(screen_x, screen_y))
        return back.x(), back.y()
