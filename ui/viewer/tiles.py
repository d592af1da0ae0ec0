"""The pictures side by side: one, two or four tiles, one of them active."""

from __future__ import annotations

from collections.abc import Callable

from PySide6.QtCore import Qt, Signal
from PySide6.QtWidgets import QGridLayout, QWidget

from ui.viewer.viewport import Viewport

MOST = 4


class Tiles(QWidget):
    """A grid of `Viewport`s. Tiles that are not shown hold no series.

    Signals:
        changed(): something about the active tile changed.
        activated(object): the tile that is active now.
    """

    changed = Signal()
    activated = Signal(object)

    def __init__(self, make: Callable[[], Viewport], parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setObjectName("viewerMiddle")
        self.ports: list[Viewport] = []
        self.alone: Viewport | None = None
        self._make = make
        self._grid = QGridLayout(self)
        self._grid.setContentsMargins(0, 0, 0, 0)
        self._grid.setSpacing(2)
        self.active = self._add()
        self.activate(self.active)

    @property
    def count(self) -> int:
        """How many tiles there are."""
        return len(self.ports)

    def set_count(self, count: int) -> list[Viewport]:
        """Show 1, 2 or 4 tiles; gives back the new, empty ones."""
        self.show_alone(None)
        while len(self.ports) > count:
            last = self.ports[-1] if self.ports[-1] is not self.active else self.ports[-2]
            self._remove(last)
        new = [self._add() for _ in range(count - len(self.ports))]
        self._arrange()
        return new

    def show_alone(self, port: Viewport | None) -> None:
        """Let one tile fill everything, or (None) show all again."""
        self.alone = port
        for each in self.ports:
            each.setVisible(port is None or each is port)

    def activate(self, port: Viewport) -> None:
        """Make this tile the one that tools and keys mean."""
        if port not in self.ports:
            return
        changed = port is not self.active
        self.active = port
        for each in self.ports:
            each.active = each is port and len(self.ports) > 1
            each.update()
        if changed:
            self.activated.emit(port)
            self.changed.emit()

    def next(self, step: int = 1) -> None:
        """Go to the next tile."""
        if self.alone is None:
            place = (self.ports.index(self.active) + step) % len(self.ports)
            self.ports[place].setFocus(Qt.FocusReason.TabFocusReason)
            self.activate(self.ports[place])

    def _add(self) -> Viewport:
        port = self._make()
        port.setParent(self)
        port.activated.connect(lambda: self.activate(port))
        port.nextWanted.connect(self.next)
        port.changed.connect(lambda: self._port_changed(port))
        self.ports.append(port)
        self._grid.addWidget(port, (len(self.ports) - 1) // 2, (len(self.ports) - 1) % 2)
        port.show()
        return port

    def _port_changed(self, port: Viewport) -> None:
        if port is self.active:
            self.changed.emit()

    def _remove(self, port: Viewport) -> None:
        self.ports.remove(port)
        self._grid.removeWidget(port)
        port.release()
        port.hide()
        port.deleteLater()

    def _arrange(self) -> None:
        for port in self.ports:
            self._grid.removeWidget(port)
        for number, port in enumerate(self.ports):
            self._grid.addWidget(port, number // 2, number % 2)
        self.activate(self.active)
        for port in self.ports:
            port.several = len(self.ports) > 1
            port.active = port is self.active and port.several
            port.update()
