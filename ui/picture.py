"""An icon as a label: sharp on every screen, and in the colours in force whenever it is painted."""

from __future__ import annotations

from PySide6.QtCore import QRect, QSize, Qt
from PySide6.QtGui import QIcon, QPainter, QPaintEvent
from PySide6.QtWidgets import QLabel, QWidget

from ui.icons import icon


class Picture(QLabel):
    """Paints an icon of *side* pixels in its middle; it has no words and is nothing to a screen reader."""

    def __init__(
        self, side: int, parent: QWidget | None = None, *, name: str = "", role: str = "text"
    ) -> None:
        super().__init__(parent)
        self._side = side
        self._icon = QIcon()
        self._shown = ("", "")
        self.setFixedHeight(side)
        self.setMinimumWidth(side)
        if name:
            self.show_icon(name, role)

    def show_icon(self, name: str, role: str = "text") -> None:
        """Show this icon in the colour of *role*."""
        if (name, role) == self._shown:
            return
        self._shown = (name, role)
        self._icon = icon(name, role)
        self.update()

    def sizeHint(self) -> QSize:
        return QSize(self._side, self._side)

    def minimumSizeHint(self) -> QSize:
        return self.sizeHint()

    def paintEvent(self, _event: QPaintEvent) -> None:
        box = QRect(0, 0, self._side, self._side)
        box.moveCenter(self.rect().center())
        with QPainter(self) as painter:
            self._icon.paint(painter, box, Qt.AlignmentFlag.AlignCenter)
