"""What dragging does: brightness and contrast, zoom, move, scroll."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from PySide6.QtCore import QPointF, Qt

ACCELERATION = 4.0
ZOOM_PER_PIXEL = 1.008
NARROWEST = 0.001


class Tool(StrEnum):
    """What the left button does; the wheel always scrolls."""

    WINDOW = "window"
    SCROLL = "scroll"
    ZOOM = "zoom"
    PAN = "pan"


def tool_of(button: Qt.MouseButton, left: Tool) -> Tool | None:
    """Left as chosen, middle moves, right zooms."""
    return {
        Qt.MouseButton.LeftButton: left,
        Qt.MouseButton.MiddleButton: Tool.PAN,
        Qt.MouseButton.RightButton: Tool.ZOOM,
    }.get(button)


@dataclass(frozen=True, slots=True)
class WindowDrag:
    """Across changes the width, down makes brighter (IHE BIR) or darker, in steps that suit the width.

    *inverse* says that low values are shown bright (MONOCHROME1, or negative, not both).
    """

    center: float
    width: float
    down_is_brighter: bool = True
    inverse: bool = False

    def at(self, moved: QPointF, acceleration: float) -> tuple[float, float]:
        """Centre and width after the pointer *moved* from where the drag began."""
        step = max(self.width, NARROWEST) / 250 * acceleration
        brighter = -1.0 if self.down_is_brighter else 1.0
        if self.inverse:
            brighter = -brighter
        width = max(NARROWEST if self.width < 1 else 1.0, self.width + moved.x() * step)
        return self.center + brighter * moved.y() * step, width


@dataclass(slots=True)
class ScrollDrag:
    """Down goes on through the images; a whole series fits into the height of the tile, or finer."""

    step_pixels: float
    rest: float = 0.0

    @classmethod
    def over(cls, total: int, height: float) -> ScrollDrag:
        """For *total* images in a tile of *height*."""
        return cls(max(2.0, min(12.0, height / max(1, total))))

    def moved(self, pixels: float, acceleration: float) -> int:
        """Whole images for a move of *pixels*."""
        self.rest += pixels * acceleration / self.step_pixels
        whole = int(self.rest)
        self.rest -= whole
        return whole


def zoom_factor(pixels_down: float, acceleration: float) -> float:
    """Dragging up enlarges."""
    return float(ZOOM_PER_PIXEL ** (-pixels_down * acceleration))
