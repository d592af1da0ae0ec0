"""The mouse on one tile: the wheel scrolls, buttons drag with their tools, a right click asks for a menu."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from PySide6.QtCore import QPointF, Qt
from PySide6.QtGui import QMouseEvent, QWheelEvent

from ui.viewer.gestures import ACCELERATION, ScrollDrag, Tool, WindowDrag, tool_of, zoom_factor
from ui.viewer.picture import Choice

if TYPE_CHECKING:
    from ui.viewer.viewport import Viewport

WHEEL_NOTCH = 120
STILL = 3  # pixels a hand moves without meaning it


@dataclass(slots=True)
class _Drag:
    """A drag in progress."""

    tool: Tool
    start: QPointF
    last: QPointF
    window: WindowDrag | None = None
    scroll: ScrollDrag | None = None
    moved: bool = False


class Mouse:
    """Turns mouse events into what the tile does; *at* is where the pointer is, None outside."""

    def __init__(self, port: Viewport) -> None:
        self._port = port
        self._drag: _Drag | None = None
        self._wheel_rest = 0
        self.at: QPointF | None = None

    def wheel(self, event: QWheelEvent) -> None:
        """A notch is one image; Ctrl makes it ten."""
        self._wheel_rest += event.angleDelta().y() or event.angleDelta().x()
        notches = int(self._wheel_rest / WHEEL_NOTCH)
        if notches:
            self._wheel_rest -= notches * WHEEL_NOTCH
            self._port.player.stop()
            fast = event.modifiers() & Qt.KeyboardModifier.ControlModifier
            self._port.step(-notches * (10 if fast else 1))

    def press(self, event: QMouseEvent) -> None:
        """Begin a drag."""
        tool = tool_of(event.button(), self._port.tool)
        if tool is None or self._port.picture is None or self._drag is not None:
            return
        at = event.position()
        self._drag = _Drag(tool, at, at)
        if tool is Tool.SCROLL:
            self._drag.scroll = ScrollDrag.over(self._port.total, self._port.height())
        elif tool is Tool.WINDOW:
            self._drag.window = self._window_drag()

    def _window_drag(self) -> WindowDrag | None:
        port = self._port
        picture, frames = port.picture, port.frames
        if picture is None or picture.source is None or frames is None:
            return None
        window = frames.window(picture, port.choice)
        if window is None:
            return None
        return WindowDrag(window[0], window[1], port.down_is_brighter, picture.inverse != port.inverted)

    def move(self, event: QMouseEvent) -> None:
        """Go on with the drag, or follow the pointer."""
        at = self.at = event.position()
        drag = self._drag
        if drag is None:
            self._port.update()
            return
        if not drag.moved and (at - drag.start).manhattanLength() < STILL:
            return
        drag.moved = True
        by, drag.last = at - drag.last, at
        fast = ACCELERATION if event.modifiers() & Qt.KeyboardModifier.ControlModifier else 1.0
        self._carry_out(drag, at, by, fast)

    def _carry_out(self, drag: _Drag, at: QPointF, by: QPointF, fast: float) -> None:
        port = self._port
        match drag.tool:
            case Tool.PAN:
                port.set_camera(port.camera.moved(by * fast))
            case Tool.ZOOM:
                port.zoom_by(zoom_factor(by.y(), fast), drag.start)
            case Tool.SCROLL if drag.scroll is not None:
                port.player.stop()
                port.step(drag.scroll.moved(by.y(), fast))
            case Tool.WINDOW if drag.window is not None:
                center, width = drag.window.at(at - drag.start, fast)
                port.set_choice(Choice(center=center, width=width))
            case _:
                pass

    def release(self, event: QMouseEvent) -> bool:
        """End the drag; True if it was a right click that did not move, which asks for the menu."""
        drag, self._drag = self._drag, None
        return event.button() == Qt.MouseButton.RightButton and (drag is None or not drag.moved)

    def forget(self) -> None:
        """No drag goes on."""
        self._drag = None
