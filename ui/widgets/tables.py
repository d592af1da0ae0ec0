"""What the tables of rows have in common, and what stands in their place when there is nothing to show."""

from __future__ import annotations

from collections.abc import Mapping

from PySide6.QtCore import Qt, Signal
from PySide6.QtGui import QFont, QFontMetrics, QGuiApplication, QKeyEvent
from PySide6.QtWidgets import (
    QAbstractItemView,
    QHeaderView,
    QLabel,
    QPushButton,
    QStackedWidget,
    QTableView,
    QVBoxLayout,
    QWidget,
)

from ui.picture import Picture

ROW = 34
"""Height of a row in pixels."""
BESIDE_TITLE = 18
"""Pixels of a column's title that are no text."""


class RowTable(QTableView):
    """Whole rows are chosen; Tab leaves the table.

    Signals: `opened(int)` row that was double-clicked or entered; `deleteWanted()` on Delete.
    """

    opened = Signal(int)
    deleteWanted = Signal()

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.by_hand = self._fitting = False
        self.setSelectionBehavior(QAbstractItemView.SelectionBehavior.SelectRows)
        self.setSelectionMode(QAbstractItemView.SelectionMode.SingleSelection)
        self.setShowGrid(False)
        self.setWordWrap(False)
        self.setTabKeyNavigation(False)
        self.setVerticalScrollMode(QAbstractItemView.ScrollMode.ScrollPerPixel)
        self.setHorizontalScrollMode(QAbstractItemView.ScrollMode.ScrollPerPixel)
        self.setTextElideMode(Qt.TextElideMode.ElideRight)
        self.verticalHeader().hide()
        self.verticalHeader().setDefaultSectionSize(ROW)
        header = self.horizontalHeader()
        header.setHighlightSections(False)
        header.setDefaultAlignment(Qt.AlignmentFlag.AlignLeft | Qt.AlignmentFlag.AlignVCenter)
        header.setSectionResizeMode(QHeaderView.ResizeMode.Interactive)
        header.setTextElideMode(Qt.TextElideMode.ElideRight)
        header.sectionResized.connect(lambda *_: self._resized())
        self.doubleClicked.connect(lambda index: self.opened.emit(index.row()))

    def title_width(self, column: int) -> int:
        """Pixels that the title of *column* needs."""
        bold = QFont(self.horizontalHeader().font())
        bold.setWeight(QFont.Weight.DemiBold)
        words = str(self.model().headerData(column, Qt.Orientation.Horizontal))
        return QFontMetrics(bold).horizontalAdvance(words) + BESIDE_TITLE

    def set_widths(self, widths: Mapping[int, int]) -> None:
        """Give each column its width in pixels, unless a person has pulled at one: `by_hand`."""
        if self.by_hand:
            return
        self._fitting = True
        for column, width in widths.items():
            self.setColumnWidth(column, width)
        self._fitting = False

    def _resized(self) -> None:
        pulled = QGuiApplication.mouseButtons() != Qt.MouseButton.NoButton and not self._fitting
        self.by_hand = self.by_hand or (pulled and self.underMouse())

    def keyPressEvent(self, event: QKeyEvent) -> None:
        """Enter opens, Delete asks."""
        if event.key() in (Qt.Key.Key_Return, Qt.Key.Key_Enter) and self.currentIndex().isValid():
            self.opened.emit(self.currentIndex().row())
        elif event.key() == Qt.Key.Key_Delete:
            self.deleteWanted.emit()
        else:
            super().keyPressEvent(event)


class TableOrSentence(QStackedWidget):
    """A table, or a picture, a sentence and a button. Signals: `pressed()` the button."""

    pressed = Signal()

    def __init__(self, table: QTableView, parent: QWidget | None = None, *, sign: str = "") -> None:
        """*sign* names the picture, if there is one."""
        super().__init__(parent)
        self.sentence = QLabel(self)
        self.sentence.setProperty("role", "muted")
        self.sentence.setAlignment(Qt.AlignmentFlag.AlignCenter)
        self.sentence.setWordWrap(True)
        self.button = QPushButton(self)
        self.button.clicked.connect(lambda: self.pressed.emit())
        room, empty = QWidget(self), QWidget(self)
        around = QVBoxLayout(room)
        around.setContentsMargins(4, 4, 4, 4)  # for the focus ring
        around.addWidget(table)
        layout = QVBoxLayout(empty)
        layout.setContentsMargins(24, 24, 24, 24)
        layout.setSpacing(12)
        layout.addStretch(1)
        if sign:
            layout.addWidget(Picture(72, empty, name=sign, role="muted"))
        layout.addWidget(self.sentence)
        layout.addWidget(self.button, 0, Qt.AlignmentFlag.AlignHCenter)
        layout.addStretch(2)
        self.addWidget(room)
        self.addWidget(empty)

    def say(self, sentence: str, button: str = "") -> None:
        """Show a sentence, and a button if *button* names it, instead of the table."""
        self.sentence.setText(sentence)
        self.button.setText(button)
        self.button.setVisible(bool(button))
        self.setCurrentIndex(1)

    def show_table(self) -> None:
        """Show the table."""
        self.setCurrentIndex(0)
