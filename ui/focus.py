"""The focus ring: two pixels of the primary colour around whatever has the keyboard."""

from __future__ import annotations

from PySide6.QtCore import QObject, QRectF
from PySide6.QtGui import QColor, QPainter, QPaintEvent, QPen
from PySide6.QtWidgets import QApplication, QFocusFrame, QWidget

from ui.theme import RADIUS, tokens

WIDTH = 2
GAP = 2


class FocusRing(QFocusFrame):
    """Painted around a widget, never on it, so that it shows on a filled button too."""

    def paintEvent(self, _event: QPaintEvent) -> None:
        widget = self.widget()
        if widget is None:
            return
        # the frame covers the widget and a margin on each side; the ring hugs the widget inside that margin
        inner = QRectF(widget.rect().translated(widget.mapToGlobal(widget.rect().topLeft())))
        inner.moveTopLeft(self.mapFromGlobal(widget.mapToGlobal(widget.rect().topLeft())).toPointF())
        reach = min(inner.left(), inner.top(), GAP + WIDTH) - WIDTH / 2
        ring = inner.adjusted(-reach, -reach, reach, reach)
        with QPainter(self) as painter:
            painter.setRenderHint(QPainter.RenderHint.Antialiasing)
            painter.setPen(QPen(QColor(tokens().primary), WIDTH))
            painter.drawRoundedRect(ring, RADIUS + reach, RADIUS + reach)


class FocusRings(QObject):
    """Puts a ring around the widget that has the keyboard; one ring a window, owned by that window."""

    def __init__(self, app: QApplication) -> None:
        super().__init__(app)
        app.focusChanged.connect(self._moved)

    def _moved(self, old: QWidget | None, now: QWidget | None) -> None:
        for window in {w.window() for w in (old, now) if w is not None}:
            ring = window.findChild(FocusRing)
            if now is not None and now.window() is window and now.property("focusRing") != "own":
                (ring or FocusRing(window)).setWidget(now)
            elif ring is not None:
                ring.setWidget(None)  # type: ignore[arg-type]  # the stubs forget that None takes it away
