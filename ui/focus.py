"""The focus ring: two pixels of the primary colour around whatever has the keyboard."""

from __future__ import annotations

from PySide6.QtCore import QEvent, QObject, QPoint, QRect, QRectF, Qt
from PySide6.QtGui import QColor, QPainter, QPaintEvent, QPen
from PySide6.QtWidgets import QAbstractScrollArea, QApplication, QWidget
from shiboken6 import isValid

from ui.theme import RADIUS, tokens

WIDTH = 2
GAP = 2
REACH = WIDTH + GAP
_MOVES = frozenset(
    {
        QEvent.Type.Move,
        QEvent.Type.Resize,
        QEvent.Type.Show,
        QEvent.Type.Hide,
        QEvent.Type.ParentChange,
        QEvent.Type.LayoutRequest,
    }
)


class FocusRing(QWidget):
    """Lies over its window and paints around a widget, not on it: it shows on a filled button too."""

    def __init__(self, window: QWidget) -> None:
        super().__init__(window)
        self._window = window
        self.setAttribute(Qt.WidgetAttribute.WA_TransparentForMouseEvents)
        self.setAttribute(Qt.WidgetAttribute.WA_NoSystemBackground)
        self.setFocusPolicy(Qt.FocusPolicy.NoFocus)
        self._followed: list[QWidget] = []
        self._on: QWidget | None = None
        self._drawn = QRect()
        self.hide()

    @property
    def on(self) -> QWidget | None:
        """The widget it surrounds."""
        return self._on

    def surround(self, widget: QWidget | None) -> None:
        """Go around *widget*, or away."""
        for each in self._followed:
            if isValid(each):
                each.removeEventFilter(self)
        self._followed = []
        self._on = widget
        step = widget
        while step is not None:
            step.installEventFilter(self)
            self._followed.append(step)
            step = None if step.isWindow() else step.parentWidget()
        if widget is not None:
            widget.destroyed.connect(self._gone)
        self._follow()

    def _gone(self) -> None:
        self._followed = []
        self._on = None
        self.hide()

    def eventFilter(self, _watched: QObject, event: QEvent) -> bool:
        if event.type() in _MOVES and self._on is not None:
            self._follow()
        return False

    def _follow(self) -> None:
        visible = self._visible()
        if visible.isEmpty():
            self.hide()
            return
        self.raise_()
        place = self._place()
        if (visible, place) == (self.geometry(), self._drawn) and self.isVisible():
            return  # painting it anew would paint all that lies below it, too
        self._drawn = place
        self.setGeometry(visible)
        self.show()
        self.update()

    def _place(self) -> QRect:
        """Where the surrounded widget lies, in the window's coordinates."""
        if self._on is None:
            return QRect()
        return QRect(self._on.mapTo(self._window, QPoint(0, 0)), self._on.size())

    def _visible(self) -> QRect:
        """The part of the ring's place that no scroll area cuts off, in the window's coordinates."""
        widget = self._on
        if widget is None or not widget.isVisible():
            return QRect()
        window = self._window
        place = self._place().adjusted(-REACH, -REACH, REACH, REACH)
        above = widget.parentWidget()
        while above is not None and above is not window:
            if isinstance(above.parentWidget(), QAbstractScrollArea):
                place &= QRect(above.mapTo(window, QPoint(0, 0)), above.size())
            above = above.parentWidget()
        return place & window.rect()

    def _colour(self) -> str:
        """Of the theme, or what a window (or the one it belongs to) has as its property `ringColour`."""
        step: QWidget | None = self._window
        while step is not None:
            own = step.property("ringColour")
            if isinstance(own, str):
                return own
            step = step.parentWidget()
        return tokens().primary

    def paintEvent(self, _event: QPaintEvent) -> None:
        if self._on is None:
            return
        place = self._place().translated(-self.pos())
        reach = GAP + WIDTH / 2
        ring = QRectF(place).adjusted(-reach, -reach, reach, reach)
        edge = QRectF(self.rect()).adjusted(1, 1, -1, -1)
        with QPainter(self) as painter:
            painter.setRenderHint(QPainter.RenderHint.Antialiasing)
            painter.setPen(QPen(QColor(self._colour()), WIDTH))
            painter.drawRoundedRect(ring & edge, RADIUS + reach, RADIUS + reach)


class FocusRings(QObject):
    """Puts a ring around the widget that has the keyboard; one ring a window, owned by that window.

    A widget with the property `focusRing` = "own" paints its own.
    """

    def __init__(self, app: QApplication) -> None:
        super().__init__(app)
        self._shown: FocusRing | None = None
        app.focusChanged.connect(self._moved)

    def _moved(self) -> None:
        # Without arguments: the widget that lost the focus may be half destroyed, and looking at it aborts.
        now = QApplication.focusWidget()
        ring = self._ring_of(now)
        last = self._shown
        if last is not None and last is not ring and isValid(last):
            last.surround(None)
        self._shown = ring
        if ring is not None:
            ring.surround(now)

    def _ring_of(self, widget: QWidget | None) -> FocusRing | None:
        if widget is None or widget.property("focusRing") == "own":
            return None
        window = widget.window()
        return window.findChild(FocusRing) or FocusRing(window)
