"""One tile of the viewer: a plain widget that paints a picture, its text, and answers the mouse."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, replace

from PySide6.QtCore import QObject, QPoint, QPointF, QRectF, QSizeF, Qt, QTimer, Signal
from PySide6.QtGui import (
    QContextMenuEvent,
    QFocusEvent,
    QKeyEvent,
    QMouseEvent,
    QPainter,
    QPaintEvent,
    QWheelEvent,
)
from PySide6.QtWidgets import QPushButton, QSizePolicy, QWidget

from ui.viewer.camera import Camera
from ui.viewer.canvas import Canvas
from ui.viewer.cine import Cine
from ui.viewer.corners import Density, Looking
from ui.viewer.gestures import ACCELERATION, ScrollDrag, Tool, WindowDrag, tool_of, zoom_factor
from ui.viewer.picture import AS_THE_IMAGE_SAYS, Choice, Frames, Picture

BUSY_AFTER_MS = 150
REFINE_AFTER_MS = 120
WHEEL_NOTCH = 120


@dataclass(slots=True)
class _Drag:
    """A drag in progress."""

    tool: Tool
    start: QPointF
    last: QPointF
    window: WindowDrag | None = None
    scroll: ScrollDrag | None = None
    moved: bool = False


class _Arrivals(QObject):
    """Carries "picture n is decoded" from any thread to the Qt thread."""

    arrived = Signal(int)
    rearranged = Signal()


class Viewport(QWidget):
    """Shows one series. What is written always belongs to the picture that is painted.

    Signals:
        changed(): anything a tool bar shows changed.
        activated(): the person turned to this tile.
        menuWanted(QPoint): the context menu at this global place.
        documentWanted(): open the document this object holds.
        enlarged(): double click.
        nextWanted(int): Tab, to the next (1) or previous (-1) tile.
    """

    changed = Signal()
    activated = Signal()
    menuWanted = Signal(QPoint)
    documentWanted = Signal()
    enlarged = Signal()
    nextWanted = Signal(int)

    def __init__(self, parent: QWidget | None = None, *, clock: Callable[[], float] = time.monotonic) -> None:
        super().__init__(parent)
        self.frames: Frames | None = None
        self.series_uid = ""
        self.picture: Picture | None = None
        self.wanted = 0
        self.camera = Camera()
        self.choice = AS_THE_IMAGE_SAYS
        self.inverted = False
        self.density = Density.ALL
        self.tool = Tool.WINDOW
        self.active = False
        self.several = False
        self.down_is_brighter = True
        self.message = ""
        self.failed = False
        self.ringed = False
        self.cine: Cine | None = None
        self.playing = False
        self.canvas = Canvas()
        self._clock = clock
        self._cursor: QPointF | None = None
        self._drag: _Drag | None = None
        self._wheel_rest = 0
        self._late = False
        self._arrivals = _Arrivals(self)
        self._arrivals.arrived.connect(self._arrived, Qt.ConnectionType.QueuedConnection)
        self._arrivals.rearranged.connect(self._rearranged, Qt.ConnectionType.QueuedConnection)
        self._busy_timer = self._timer(BUSY_AFTER_MS, self._is_late)
        self._refine_timer = self._timer(REFINE_AFTER_MS, self._refine)
        self._tick = self._timer(1, self._play_on)
        self._tick.setTimerType(Qt.TimerType.PreciseTimer)
        self.document_button = QPushButton(self.tr("Open document"), self)
        self.document_button.clicked.connect(lambda: self.documentWanted.emit())
        self.document_button.hide()
        self.setMouseTracking(True)
        self.setAttribute(Qt.WidgetAttribute.WA_OpaquePaintEvent)
        self.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Expanding)
        self.setMinimumSize(160, 120)
        self.setAccessibleName(self.tr("Picture"))
        self.setProperty("focusRing", "own")

    def _timer(self, interval_ms: int, call: Callable[[], None]) -> QTimer:
        timer = QTimer(self)
        timer.setSingleShot(True)
        timer.setInterval(interval_ms)
        timer.timeout.connect(call)
        return timer

    # What is shown

    def show_frames(self, frames: Frames, series_uid: str, *, index: int | None = None) -> None:
        """Show another series from its opening picture, fitted and windowed as it says."""
        self.stop()
        self.release()
        self.frames, self.series_uid = frames, series_uid
        self.camera, self.choice, self.inverted, self.message = Camera(), AS_THE_IMAGE_SAYS, False, ""
        film = frames.total > 1 and bool(frames.frame_times_ms)
        self.cine = Cine(frames.total, frames.frame_times_ms) if film else None
        self.go_to(frames.opening if index is None else index)
        frames.on_rearranged(self._arrivals.rearranged.emit)

    def say(self, message: str, *, failed: bool = False) -> None:
        """Show a sentence instead of a picture: what is going on, or why there is none."""
        self.release()
        self.message, self.failed = message, failed
        self.update()

    def release(self) -> None:
        """Let go of the series."""
        self.stop()
        if self.frames is not None:
            self.frames.close()
        self.frames, self.picture, self.series_uid, self._late = None, None, "", False
        self._busy_timer.stop()
        self.canvas.forget()
        self.document_button.hide()
        self.update()

    @property
    def total(self) -> int:
        """How many pictures the series has."""
        return self.frames.total if self.frames is not None else 0

    @property
    def waiting(self) -> bool:
        """Whether the wanted picture is not there yet."""
        return self.frames is not None and (self.picture is None or self.picture.index != self.wanted)

    def go_to(self, index: int) -> None:
        """Show picture *index* as soon as it is decoded; until then the one before stays with its text."""
        if self.frames is None:
            return
        self.wanted = max(0, min(self.frames.total - 1, index))
        ready = self.frames.ready(self.wanted)
        self.frames.want(self.wanted, self._arrivals.arrived.emit)
        if ready is not None:
            self._show(ready)
        elif not self._busy_timer.isActive() and not self._late:
            self._busy_timer.start()

    def step(self, by: int) -> None:
        """Go on or back, stopping at the ends."""
        self.go_to(self.wanted + by)

    def _arrived(self, index: int) -> None:
        if self.frames is None or not self.waiting:
            return
        nearer = self.picture is None or abs(index - self.wanted) < abs(self.picture.index - self.wanted)
        if index == self.wanted or nearer:
            ready = self.frames.ready(index)
            if ready is not None:
                self._show(ready)

    def _show(self, picture: Picture) -> None:
        self.picture = picture
        if not self.waiting:
            self._busy_timer.stop()
            self._late = False
        if self.playing and self.cine is not None:
            self.cine.painted(self._clock(), picture.index)
        self.document_button.setVisible(picture.document)
        self._place_button()
        self.update()
        self.changed.emit()

    def _rearranged(self) -> None:
        """The order by geometry is known now: the picture stays, its number changes."""
        if self.frames is None or self.picture is None or self.picture.slot is None:
            return
        self.setToolTip("\n".join(self.frames.warnings))
        settled = not self.waiting
        now = self.frames.index_of(self.picture)
        ready = self.frames.ready(now)
        if settled:
            self.wanted = now
        if ready is not None:
            self._show(ready)
        self.changed.emit()

    def _is_late(self) -> None:
        if self.waiting:
            self._late = True
            self.update()

    # Looking

    def set_camera(self, camera: Camera) -> None:
        """Look in another way."""
        self.camera = camera
        self._touched()

    def set_choice(self, choice: Choice) -> None:
        """Use another window."""
        self.choice = choice
        self._touched()

    def set_inverted(self, inverted: bool) -> None:
        """Show bright as dark."""
        self.inverted = inverted
        self._touched()

    def set_density(self, density: Density) -> None:
        """Write more or less on the picture."""
        self.density = density
        self._touched()

    def reset(self) -> None:
        """Back to how the series opened, on the same picture."""
        self.inverted = False
        self.choice = AS_THE_IMAGE_SAYS
        self.set_camera(Camera())

    def zoom_by(self, factor: float, anchor: QPointF | None = None) -> None:
        """Enlarge or shrink around *anchor* (default: the middle)."""
        if self.picture is not None:
            self.set_camera(self.camera.zoomed(factor, self.picture.shape, QSizeF(self.size()), anchor))

    def actual_size(self) -> None:
        """One image pixel on one dot of the screen."""
        self.set_camera(self.camera.actual_size(self.devicePixelRatioF()))

    def looking(self) -> Looking:
        """What the corners say of how it is looked at."""
        picture = self.picture
        if picture is None or picture.source is None or self.frames is None:
            return Looking()
        window = self.frames.window(picture, self.choice)
        scale = self.camera.scale(picture.shape, QSizeF(self.size())) * self.devicePixelRatioF()
        speed = None
        if self.playing and self.cine is not None:
            speed = (self.cine.fps, self.cine.true_fps(self._clock()) or 0.0)
        return Looking(
            zoom_percent=100 * scale,
            window=window[:2] if window else None,
            window_name=window[2] if window else "",
            cursor=self._under_cursor(picture),
            inverted=self.inverted,
            fps=speed,
        )

    def _under_cursor(self, picture: Picture) -> tuple[int, int, str] | None:
        if self._cursor is None or self.frames is None:
            return None
        back, possible = self.camera.transform(picture.shape, QSizeF(self.size())).inverted()
        at = back.map(self._cursor)
        column, row = int(at.x() // 1), int(at.y() // 1)
        inside = 0 <= column < picture.shape.columns and 0 <= row < picture.shape.rows
        if not possible or not inside:
            return None
        return column, row, self.frames.value_at(picture, column, row)

    def _touched(self) -> None:
        self.canvas.hurry = True
        self._refine_timer.start()
        self.update()
        self.changed.emit()

    def _refine(self) -> None:
        self.canvas.hurry = False
        self.update()

    # Cine

    def play(self) -> None:
        """Play from the picture that is shown; a series of single images plays at the fallback speed."""
        if self.frames is None or self.frames.total < 2:
            return
        if self.cine is None:
            self.cine = Cine(self.frames.total)
        self.cine.start(self._clock(), self.wanted)
        self.playing = True
        self._play_on()
        self.changed.emit()

    def stop(self) -> None:
        """Stop playing."""
        if self.playing:
            self.playing = False
            self._tick.stop()
            self.update()
            self.changed.emit()

    def set_fps(self, fps: float) -> None:
        """Play faster or slower."""
        if self.cine is not None:
            self.cine.set_fps(fps, self._clock())
            self.changed.emit()

    def _play_on(self) -> None:
        if self.cine is None or not self.playing:
            return
        now = self._clock()
        index = self.cine.index(now)
        if index != self.wanted or self.waiting:
            self.go_to(index)
        self._tick.start(max(1, int(self.cine.next_due(now) * 1000)))

    # Painting

    def paintEvent(self, _event: QPaintEvent) -> None:
        """Paint the picture and all that lies over it."""
        # The with statement ends the painter on an exception too: one left open crashes the process.
        with QPainter(self) as painter:
            self.canvas.paint(painter, self)

    @property
    def late(self) -> bool:
        """Whether the wanted picture lets us wait long enough to say so."""
        return self._late

    # Input

    def wheelEvent(self, event: QWheelEvent) -> None:
        """A notch is one image; Ctrl makes it ten."""
        self._wheel_rest += event.angleDelta().y() or event.angleDelta().x()
        notches = int(self._wheel_rest / WHEEL_NOTCH)
        if notches:
            self._wheel_rest -= notches * WHEEL_NOTCH
            self.stop()
            self.step(-notches * (10 if event.modifiers() & Qt.KeyboardModifier.ControlModifier else 1))
        event.accept()

    def mousePressEvent(self, event: QMouseEvent) -> None:
        """Begin a drag."""
        self.activated.emit()
        tool = tool_of(event.button(), self.tool)
        if tool is None or self.picture is None or self._drag is not None:
            return
        at = event.position()
        self._drag = _Drag(tool, at, at)
        if tool is Tool.SCROLL:
            self._drag.scroll = ScrollDrag.over(self.total, self.height())
        self._begin_window_drag()

    def _begin_window_drag(self) -> None:
        drag, picture = self._drag, self.picture
        if drag is None or drag.tool is not Tool.WINDOW or picture is None or self.frames is None:
            return
        window = self.frames.window(picture, self.choice) if picture.source is not None else None
        if window is not None:
            shown_inverse = picture.inverse != self.inverted
            drag.window = WindowDrag(window[0], window[1], self.down_is_brighter, shown_inverse)

    def mouseMoveEvent(self, event: QMouseEvent) -> None:
        """Go on with the drag, or follow the pointer."""
        at = self._cursor = event.position()
        drag = self._drag
        if drag is None:
            self.update()
            return
        if not drag.moved and (at - drag.start).manhattanLength() < 3:
            return
        drag.moved = True
        by, drag.last = at - drag.last, at
        fast = ACCELERATION if event.modifiers() & Qt.KeyboardModifier.ControlModifier else 1.0
        match drag.tool:
            case Tool.PAN:
                self.set_camera(self.camera.moved(by * fast))
            case Tool.ZOOM:
                self.zoom_by(zoom_factor(by.y(), fast), drag.start)
            case Tool.SCROLL if drag.scroll is not None:
                self.stop()
                self.step(drag.scroll.moved(by.y(), fast))
            case Tool.WINDOW if drag.window is not None:
                center, width = drag.window.at(at - drag.start, fast)
                self.set_choice(Choice(center=center, width=width))
            case _:
                pass

    def mouseReleaseEvent(self, event: QMouseEvent) -> None:
        """End the drag; a right click that did not move asks for the menu."""
        drag, self._drag = self._drag, None
        if event.button() == Qt.MouseButton.RightButton and (drag is None or not drag.moved):
            self.menuWanted.emit(event.globalPosition().toPoint())
        self._refine()

    def mouseDoubleClickEvent(self, event: QMouseEvent) -> None:
        """Enlarge this tile, or go full screen."""
        self._drag = None
        if event.button() == Qt.MouseButton.LeftButton:
            self.enlarged.emit()

    def contextMenuEvent(self, event: QContextMenuEvent) -> None:
        """The menu key; the right button asks by itself, since it also zooms."""
        if event.reason() != QContextMenuEvent.Reason.Mouse:
            self.menuWanted.emit(event.globalPos())
        event.accept()

    def keyPressEvent(self, event: QKeyEvent) -> None:
        """Tab goes to the next tile; all other keys are the window's."""
        if event.key() in (Qt.Key.Key_Tab, Qt.Key.Key_Backtab):
            self.nextWanted.emit(1 if event.key() == Qt.Key.Key_Tab else -1)
        else:
            event.ignore()

    def focusNextPrevChild(self, forward: bool) -> bool:
        """With several tiles Tab stays among them, and comes as a key."""
        return False if self.several else super().focusNextPrevChild(forward)

    def focusInEvent(self, event: QFocusEvent) -> None:
        """The tile with the focus is the active one."""
        super().focusInEvent(event)
        keyboard = (Qt.FocusReason.TabFocusReason, Qt.FocusReason.BacktabFocusReason)
        self.ringed = event.reason() in keyboard
        self.activated.emit()

    def focusOutEvent(self, event: QFocusEvent) -> None:
        """No focus, no ring."""
        super().focusOutEvent(event)
        self.ringed = False
        self.update()

    def leaveEvent(self, event: object) -> None:
        """No pointer, no pixel value."""
        self._cursor = None
        self.update()

    def resizeEvent(self, event: object) -> None:
        """Keep the button in the middle."""
        self._place_button()

    def _place_button(self) -> None:
        self.document_button.adjustSize()
        middle = self.rect().center()
        self.document_button.move(middle.x() - self.document_button.width() // 2, middle.y() + 44)

    @property
    def tile(self) -> QRectF:
        """The whole of it."""
        return QRectF(self.rect())

    def turned(self, quarter_turns: int) -> None:
        """Turn clockwise."""
        self.set_camera(self.camera.turned(quarter_turns))

    def look_like(self, other: Viewport) -> None:
        """Take over window and geometry of another tile of the same series."""
        self.camera, self.choice, self.inverted = replace(other.camera), other.choice, other.inverted
        self._touched()
