"""A way of looking that outlives pictures and window sizes: fit or zoom, pan, quarter turns, mirroring."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

from PySide6.QtCore import QPointF, QSizeF
from PySide6.QtGui import QTransform

from core.imaging.viewport import Viewport as Lens


@dataclass(frozen=True, slots=True)
class Shape:
    """Columns and rows of an image, and the height of one pixel over its width."""

    columns: int
    rows: int
    aspect: float = 1.0


@dataclass(frozen=True, slots=True)
class Camera:
    """Every change gives a new camera. *zoom* is screen pixels for each square image pixel, None fits.

    *pan* is where the image's middle lies, in screen pixels from the middle of the tile. Screen pixels are
    Qt's, independent of the density. Mirroring is left-right and comes before turning.
    """

    zoom: float | None = None
    pan: QPointF = field(default_factory=QPointF)
    turns: int = 0
    mirrored: bool = False

    @property
    def fits(self) -> bool:
        """Whether the image is fitted into the tile."""
        return self.zoom is None

    def lens(self, shape: Shape, tile: QSizeF, density: float = 1.0) -> Lens:
        """This way of looking at one picture in one tile, in dots of a screen of this *density*."""
        return Lens(
            columns=shape.columns,
            rows=shape.rows,
            width=max(1, round(tile.width() * density)),
            height=max(1, round(tile.height() * density)),
            pixel_aspect=shape.aspect,
            zoom=None if self.zoom is None else self.zoom * density,
            pan_x=self.pan.x() * density,
            pan_y=self.pan.y() * density,
            quarter_turns=self.turns,
            flipped=self.mirrored,
        )

    def scale(self, shape: Shape, tile: QSizeF) -> float:
        """Screen pixels for each square image pixel."""
        return self.lens(shape, tile).scale

    def transform(self, shape: Shape, tile: QSizeF) -> QTransform:
        """From image coordinates (0, 0 is the outer corner of the first pixel) to the tile's."""
        return QTransform(*self.lens(shape, tile).matrix())

    def zoomed(self, factor: float, shape: Shape, tile: QSizeF, anchor: QPointF | None = None) -> Camera:
        """Zoom by *factor*; what lies under *anchor* (default: the middle of the tile) stays there."""
        at = QPointF(tile.width() / 2, tile.height() / 2) if anchor is None else anchor
        lens = self.lens(shape, tile).zoomed(factor, at.x(), at.y())
        return replace(self, zoom=lens.zoom, pan=QPointF(lens.pan_x, lens.pan_y))

    def actual_size(self, density: float) -> Camera:
        """One image pixel on one dot of the screen."""
        return replace(self, zoom=1 / density, pan=QPointF())

    def fitted(self) -> Camera:
        """The whole image in the tile; turns and mirroring stay."""
        return replace(self, zoom=None, pan=QPointF())

    def moved(self, by: QPointF) -> Camera:
        """Shift on the screen."""
        return replace(self, pan=self.pan + by)

    def turned(self, quarter_turns: int) -> Camera:
        """Turn clockwise on the screen, around the middle of the tile."""
        pan = QTransform().rotate(90 * quarter_turns).map(self.pan)
        return replace(self, turns=(self.turns + quarter_turns) % 4, pan=pan)

    def flipped(self, *, vertically: bool = False) -> Camera:
        """Mirror left-right (or up-down) as seen on the screen; up-down is that and two quarter turns."""
        turns = (-self.turns + (2 if vertically else 0)) % 4
        pan = QPointF(self.pan.x(), -self.pan.y()) if vertically else QPointF(-self.pan.x(), self.pan.y())
        return replace(self, turns=turns, mirrored=not self.mirrored, pan=pan)
