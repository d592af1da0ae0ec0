"""How a picture lies in a view: pixel shape, flip, quarter turns, zoom and pan, and which part is seen.

Image coordinates are continuous: the pixel in column c and row r covers c..c+1 and r..r+1. View
coordinates are device pixels from the top left. A picture is first stretched so that its pixels are
square, then flipped left to right, turned clockwise, scaled, and put with its centre at the view's
centre plus the pan.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from core.imaging.codecs import Array
from core.imaging.image import Frame
from core.imaging.render import window_pixels, window_to_u8
from core.imaging.voi import Voi, default_voi

LEAST_ZOOM, MOST_ZOOM = 0.02, 64.0
TURNS = ((1, 0, 0, 1), (0, -1, 1, 0), (-1, 0, 0, -1), (0, 1, -1, 0))  # (x', y') = (ax + by, cx + dy)


@dataclass(frozen=True, slots=True)
class Patch:
    """The part of a picture that is seen, thinned to what the screen can show.

    Columns left..right and rows top..bottom, every *step_x*-th and *step_y*-th pixel of them.
    """

    left: int
    top: int
    right: int
    bottom: int
    step_x: int
    step_y: int

    def of(self, pixels: Array) -> Array:
        """A view of those pixels."""
        return pixels[self.top : self.bottom : self.step_y, self.left : self.right : self.step_x]

    def rectangle(self) -> tuple[float, float, float, float]:
        """(x, y, width, height) in image coordinates that the thinned pixels cover."""
        across = -(-(self.right - self.left) // self.step_x)
        down = -(-(self.bottom - self.top) // self.step_y)
        return self.left, self.top, across * self.step_x, down * self.step_y


@dataclass(frozen=True, slots=True)
class Viewport:
    """One picture in one view. *zoom* is device pixels for each square pixel; None fits the view."""

    columns: int
    rows: int
    width: int
    height: int
    pixel_aspect: float = 1.0
    zoom: float | None = None
    pan_x: float = 0.0
    pan_y: float = 0.0
    quarter_turns: int = 0
    flipped: bool = False

    @property
    def stretch(self) -> tuple[float, float]:
        """Factors that make pixels square without losing any: never below 1."""
        return (1.0, self.pixel_aspect) if self.pixel_aspect >= 1 else (1 / self.pixel_aspect, 1.0)

    @property
    def fit_zoom(self) -> float:
        """The zoom at which the whole picture just fits."""
        sx, sy = self.stretch
        across, down = self.columns * sx, self.rows * sy
        if self.quarter_turns % 2:
            across, down = down, across
        return max(1e-6, min(self.width / max(across, 1), self.height / max(down, 1)))

    @property
    def scale(self) -> float:
        """The zoom in force."""
        return self.fit_zoom if self.zoom is None else self.zoom

    def matrix(self) -> tuple[float, float, float, float, float, float]:
        """(m11, m12, m21, m22, dx, dy): view x = m11 x + m21 y + dx, view y = m12 x + m22 y + dy."""
        a, b, c, d = TURNS[self.quarter_turns % 4]
        sx, sy = (s * self.scale for s in self.stretch)
        mirror = -sx if self.flipped else sx
        m11, m21, m12, m22 = a * mirror, b * sy, c * mirror, d * sy
        x, y = self.columns / 2, self.rows / 2
        dx = self.width / 2 + self.pan_x - m11 * x - m21 * y
        dy = self.height / 2 + self.pan_y - m12 * x - m22 * y
        return m11, m12, m21, m22, dx, dy

    def to_view(self, x: float, y: float) -> tuple[float, float]:
        """Where a point of the picture is seen."""
        m11, m12, m21, m22, dx, dy = self.matrix()
        return m11 * x + m21 * y + dx, m12 * x + m22 * y + dy

    def to_image(self, view_x: float, view_y: float) -> tuple[float, float]:
        """The point of the picture under a point of the view; may lie outside the picture."""
        m11, m12, m21, m22, dx, dy = self.matrix()
        determinant = m11 * m22 - m12 * m21
        x, y = view_x - dx, view_y - dy
        return (m22 * x - m21 * y) / determinant, (m11 * y - m12 * x) / determinant

    def patch(self) -> Patch | None:
        """What is seen, thinned to at least one sample for each device pixel; None if nothing is."""
        corners = [self.to_image(x, y) for x in (0, self.width) for y in (0, self.height)]
        left, right = _span([x for x, _ in corners], self.columns)
        top, bottom = _span([y for _, y in corners], self.rows)
        if left >= right or top >= bottom:
            return None
        sx, sy = self.stretch
        step_x, step_y = (max(1, int(1 / (self.scale * s) + 1e-9)) for s in (sx, sy))
        return Patch(left - left % step_x, top - top % step_y, right, bottom, step_x, step_y)

    def zoomed(self, factor: float, view_x: float, view_y: float) -> Viewport:
        """Zoomed by *factor*; the point of the picture under (view_x, view_y) stays there."""
        zoom = min(MOST_ZOOM, max(min(LEAST_ZOOM, self.fit_zoom), self.scale * factor))
        moved = replace(self, zoom=zoom)
        x, y = moved.to_view(*self.to_image(view_x, view_y))
        return replace(moved, pan_x=self.pan_x + view_x - x, pan_y=self.pan_y + view_y - y)

    def panned(self, dx: float, dy: float) -> Viewport:
        """Moved by device pixels."""
        return replace(self, pan_x=self.pan_x + dx, pan_y=self.pan_y + dy)

    def turned(self, quarter_turns: int = 1) -> Viewport:
        """Turned clockwise."""
        return replace(self, quarter_turns=(self.quarter_turns + quarter_turns) % 4)

    def mirrored(self) -> Viewport:
        """Flipped left to right as seen now."""
        turns = -self.quarter_turns % 4
        return replace(self, flipped=not self.flipped, quarter_turns=turns)

    def fitted(self) -> Viewport:
        """Whole picture, centred; turns and flip stay."""
        return replace(self, zoom=None, pan_x=0.0, pan_y=0.0)

    def resized(self, width: int, height: int) -> Viewport:
        """For a view of another size."""
        return replace(self, width=width, height=height)


def window_patch(
    frame: Frame, voi: Voi | None, patch: Patch, out: Array | None = None, *, invert: bool = False
) -> Array:
    """The seen pixels as uint8, (h, w) or (h, w, 3), contiguous; *out* is reused where it fits."""
    if frame.is_colour or frame.tint is not None:
        return np.ascontiguousarray(patch.of(window_to_u8(frame, voi, invert=invert)))
    block = patch.of(frame.pixels)
    if out is None or out.shape != block.shape or out.dtype != np.uint8:
        out = np.empty(block.shape, np.uint8)
    window_pixels(block, frame.grey, voi or default_voi(frame.pixels, frame.grey), out, invert=invert)
    return out


def _span(values: list[float], limit: int) -> tuple[int, int]:
    low, high = min(values), max(values)
    return max(0, int(np.floor(low))), min(limit, int(np.ceil(high)))
