"""One tile of the viewer: a plain widget that paints a picture, its text, and answers the mouse."""

from __future__ import annotations

import time
from collections.abc import Callable

from PySide6.QtCore import QObject, QPoint, QPointF, QRectF, QSizeF, Qt, QTimer, Signal
from PySide6.QtGui import (
    QAccessible,
    QContextMenuEvent,
    QFocusEvent,
    QKeyEvent,
    QMouseEvent,
    QPainter,
    QPaintEvent,
    QWheelEvent,
)
from PySide6.QtWidgets import QPushButton, QSizePolicy, QWidget

from ui.models.people import said
from ui.viewer.camera import Camera
from ui.viewer.canvas import Canvas
from ui.viewer.corners import Density, Looking, corners
from ui.viewer.gestures import Tool
from ui.viewer.mouse import Mouse
from ui.viewer.picture import AS_THE_IMAGE_SAYS, AUTOMATIC, Choice, Frames, Picture
from ui.viewer.player import Player

BUSY_AFTER_MS = 150
REFINE_AFTER_MS = 120


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
        self.player = Player(self, clock)
        self.canvas = Canvas()
        self._mouse = Mouse(self)
        self._late = False
        self._arrivals = _Arrivals(self)
        self._arrivals.arrived.connect(self._arrived, Qt.ConnectionType.QueuedConnection)
        self._arrivals.rearranged.connect(self._rearranged, Qt.ConnectionType.QueuedConnection)
        self._busy_timer = self._timer(BUSY_AFTER_MS, self._is_late)
        self._refine_timer = self._timer(REFINE_AFTER_MS, self._refine)
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
        self.release()
        self.frames, self.series_uid = frames, series_uid
        self.camera, self.choice, self.inverted, self.message = Camera(), AS_THE_IMAGE_SAYS, False, ""
        self.player.load(frames)
        self.go_to(frames.opening if index is None else index)
        frames.on_rearranged(self._arrivals.rearranged.emit)

    def say(self, message: str, *, failed: bool = False) -> None:
        """Show a sentence instead of a picture: what is going on, or why there is none."""
        self.release()
        self.message, self.failed = message, failed
        self.update()

    def release(self) -> None:
        """Let go of the series."""
        self.player.stop()
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

    @property
    def _without_pixels(self) -> bool:
        """Whether the picture only says why there is none; what could not be reached is tried again."""
        return self.picture is not None and self.picture.source is None

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
        self.hurry()
        self.go_to(self.wanted + by)

    def _arrived(self, index: int) -> None:
        if self.frames is None or not (self.waiting or (index == self.wanted and self._without_pixels)):
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
        self.player.painted(picture.index)
        if QAccessible.isActive():
            who = corners(picture, Looking(), Density.LITTLE)
            self.setAccessibleDescription(", ".join((*who.top_left, *who.bottom_right, *who.bottom_left)))
        self.document_button.setVisible(picture.document)
        self._place_button()
        self.update()
        self.changed.emit()

    def _rearranged(self) -> None:
        """The order by geometry is known now: the picture stays, its number changes."""
        if self.frames is None or self.picture is None or self.picture.slot is None:
            return
        self.setToolTip("\n".join(map(said, self.frames.warnings)))
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
        """Use another window; the automatic one is made for the picture that is seen, and then held."""
        if choice == AUTOMATIC and self.frames is not None and self.picture is not None:
            self.frames.level(self.picture)
            self.canvas.forget()
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
        return Looking(
            zoom_percent=100 * scale,
            window=window[:2] if window else None,
            window_name=window[2] if window else "",
            cursor=self._under_cursor(picture),
            inverted=self.inverted,
            fps=self.player.speed,
        )

    def _under_cursor(self, picture: Picture) -> tuple[int, int, str] | None:
        if self._mouse.at is None or self.frames is None:
            return None
        back, possible = self.camera.transform(picture.shape, QSizeF(self.size())).inverted()
        at = back.map(self._mouse.at)
        column, row = int(at.x() // 1), int(at.y() // 1)
        inside = 0 <= column < picture.shape.columns and 0 <= row < picture.shape.rows
        if not possible or not inside:
            return None
        return column, row, self.frames.value_at(picture, column, row)

    def hurry(self) -> None:
        """Large pictures are painted quickly now and finely when things come to rest."""
        self.canvas.hurry = True
        self._refine_timer.start()

    def _touched(self) -> None:
        self.hurry()
        self.update()
        self.changed.emit()

    def _refine(self) -> None:
        self.canvas.hurry = False
        self.update()

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
        """Scroll."""
        self._mouse.wheel(event)
        event.accept()

    def mousePressEvent(self, event: QMouseEvent) -> None:
        """Turn to this tile and begin a drag."""
        self.activated.emit()
        self._mouse.press(event)

    def mouseMoveEvent(self, event: QMouseEvent) -> None:
        """Go on with the drag, or show the value under the pointer."""
        self._mouse.move(event)

    def mouseReleaseEvent(self, event: QMouseEvent) -> None:
        """End the drag."""
        if self._mouse.release(event):
            self.menuWanted.emit(event.globalPosition().toPoint())
        self._refine()

    def mouseDoubleClickEvent(self, event: QMouseEvent) -> None:
        """Enlarge this tile, or go full screen."""
        self._mouse.forget()
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
        self._mouse.at = None
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
