"""Plays the pictures of one tile: a timer that asks the clock which picture is due."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from PySide6.QtCore import QObject, Qt, QTimer

from ui.viewer.cine import Cine
from ui.viewer.picture import Frames

if TYPE_CHECKING:
    from ui.viewer.viewport import Viewport


class Player(QObject):
    """Play, pause, faster, slower. A series of single images plays at the fallback speed."""

    def __init__(self, port: Viewport, clock: Callable[[], float]) -> None:
        super().__init__(port)
        self._port = port
        self._clock = clock
        self.cine: Cine | None = None
        self.playing = False
        self._tick = QTimer(self)
        self._tick.setSingleShot(True)
        self._tick.setTimerType(Qt.TimerType.PreciseTimer)
        self._tick.timeout.connect(self.play_on)

    def load(self, frames: Frames) -> None:
        """Get ready for another series."""
        film = frames.total > 1 and bool(frames.frame_times_ms)
        self.cine = Cine(frames.total, frames.frame_times_ms) if film else None

    def play(self) -> None:
        """Play from the picture that is shown."""
        if self._port.total < 2:
            return
        if self.cine is None:
            self.cine = Cine(self._port.total)
        self.cine.start(self._clock(), self._port.wanted)
        self.playing = True
        self.play_on()
        self._port.changed.emit()

    def stop(self) -> None:
        """Stay on the picture that is shown."""
        if self.playing:
            self.playing = False
            self._tick.stop()
            self._port.update()
            self._port.changed.emit()

    def set_fps(self, fps: float) -> None:
        """Play faster or slower."""
        if self.cine is not None:
            self.cine.set_fps(fps, self._clock())
            self._port.changed.emit()

    def painted(self, index: int) -> None:
        """Take note that a picture was shown."""
        if self.playing and self.cine is not None:
            self.cine.painted(self._clock(), index)

    @property
    def speed(self) -> tuple[float, float] | None:
        """Images a second as wanted and as shown, None while nothing plays."""
        if not self.playing or self.cine is None:
            return None
        return self.cine.fps, self.cine.true_fps(self._clock()) or 0.0

    def play_on(self) -> None:
        """Show what is due now, and come again when the next one is."""
        if self.cine is None or not self.playing:
            return
        now = self._clock()
        index = self.cine.index(now)
        if index != self._port.wanted or self._port.waiting:
            self._port.hurry()
            self._port.go_to(index)
        self._tick.start(max(1, int(self.cine.next_due(now) * 1000)))
