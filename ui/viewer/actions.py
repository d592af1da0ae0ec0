"""What each command of the viewer does to the active tile or the window."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from ui.viewer.commands import Do
from ui.viewer.gestures import Tool
from ui.viewer.keys_dialog import KeysDialog
from ui.viewer.presets import choice_for

if TYPE_CHECKING:
    from ui.viewer.viewport import Viewport
    from ui.viewer.window import ViewerWindow

ZOOM_STEP = 1.25
SPEED_STEP = 1.25


class Actions:
    """A table from command to deed; the tests walk it against the table of keys."""

    def __init__(self, window: ViewerWindow) -> None:
        self._window = window
        self.table: dict[Do, Callable[[Viewport], object]] = {
            Do.NEXT_IMAGE: lambda port: self._step(port, 1),
            Do.PREVIOUS_IMAGE: lambda port: self._step(port, -1),
            Do.TEN_ON: lambda port: self._step(port, 10),
            Do.TEN_BACK: lambda port: self._step(port, -10),
            Do.FIRST_IMAGE: lambda port: self._go_to(port, 0),
            Do.LAST_IMAGE: lambda port: self._go_to(port, port.total - 1),
            Do.NEXT_SERIES: lambda _port: window.step_series(1),
            Do.PREVIOUS_SERIES: lambda _port: window.step_series(-1),
            Do.NEXT_VIEWPORT: lambda _port: window.tiles.next(),
            Do.TOOL_WINDOW: lambda _port: self._tool(Tool.WINDOW),
            Do.TOOL_SCROLL: lambda _port: self._tool(Tool.SCROLL),
            Do.TOOL_ZOOM: lambda _port: self._tool(Tool.ZOOM),
            Do.TOOL_PAN: lambda _port: self._tool(Tool.PAN),
            Do.ZOOM_IN: lambda port: port.zoom_by(ZOOM_STEP),
            Do.ZOOM_OUT: lambda port: port.zoom_by(1 / ZOOM_STEP),
            Do.FIT: lambda port: port.set_camera(port.camera.fitted()),
            Do.ACTUAL_SIZE: lambda port: port.actual_size(),
            Do.ROTATE: lambda port: port.turned(1),
            Do.ROTATE_BACK: lambda port: port.turned(-1),
            Do.FLIP: lambda port: port.set_camera(port.camera.flipped()),
            Do.FLIP_UP_DOWN: lambda port: port.set_camera(port.camera.flipped(vertically=True)),
            Do.INVERT: lambda port: port.set_inverted(not port.inverted),
            Do.CINE: lambda port: port.player.stop() if port.player.playing else port.player.play(),
            Do.FASTER: lambda port: self._speed(port, SPEED_STEP),
            Do.SLOWER: lambda port: self._speed(port, 1 / SPEED_STEP),
            Do.ANNOTATIONS: lambda _port: window.set_density(window.density.following),
            Do.RESET: self._reset,
            Do.FULL_SCREEN: lambda _port: window.set_full_screen(not window.isFullScreen()),
            Do.LAYOUT_1: lambda _port: window.set_layout(1),
            Do.LAYOUT_2: lambda _port: window.set_layout(2),
            Do.LAYOUT_4: lambda _port: window.set_layout(4),
            Do.NEXT_REGION: lambda _port: window.next_region(),
            Do.KEYS: lambda _port: KeysDialog(window).open(),
            Do.CLOSE: lambda _port: window.close(),
        }

    def run(self, command: Do) -> None:
        """Do it; number keys pick a window."""
        port = self._window.active
        deed = self.table.get(command)
        if deed is not None:
            deed(port)
            return
        choice = choice_for(command, port.picture)
        if choice is not None:
            port.set_choice(choice)

    def _step(self, port: Viewport, by: int) -> None:
        port.player.stop()
        port.step(by)

    def _go_to(self, port: Viewport, index: int) -> None:
        port.player.stop()
        port.go_to(index)

    def _tool(self, tool: Tool) -> None:
        for port in self._window.tiles.ports:
            port.tool = tool

    def _speed(self, port: Viewport, factor: float) -> None:
        if port.player.cine is not None:
            port.player.set_fps(port.player.cine.fps * factor)

    def _reset(self, port: Viewport) -> None:
        if self._window.isFullScreen():
            self._window.set_full_screen(False)
        else:
            port.reset()
