"""The left rail: one button a page, icon and word."""

from __future__ import annotations

from PySide6.QtCore import QSize, Qt, Signal
from PySide6.QtGui import QKeySequence, QShortcut
from PySide6.QtWidgets import QButtonGroup, QFrame, QSizePolicy, QToolButton, QVBoxLayout, QWidget

from ui.icons import icon
from ui.picture import Picture

WIDTH = 96


class Rail(QFrame):
    """Import, Archive, Sent, Worklist, PACS; Settings at the foot.

    Signals: `chosen(int)` with the number of the page.
    """

    chosen = Signal(int)

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setProperty("role", "rail")
        self.setFixedWidth(WIDTH)
        self.setAccessibleName(self.tr("Pages"))
        self._group = QButtonGroup(self)
        self._group.setExclusive(True)
        self._layout = QVBoxLayout(self)
        self._layout.setContentsMargins(8, 12, 8, 12)
        self._layout.setSpacing(4)
        mark = Picture(36, self, name="filmjacket")
        self._layout.addWidget(mark)
        self._layout.addSpacing(12)
        pages = (
            ("disc", self.tr("Import"), "Ctrl+1"),
            ("ph.archive", self.tr("Archive"), "Ctrl+2"),
            ("ph.paper-plane-tilt", self.tr("Sent"), "Ctrl+3"),
            ("ph.clipboard-text", self.tr("Worklist"), "Ctrl+4"),
            ("ph.share-network", self.tr("PACS"), "Ctrl+5"),
            ("ph.gear-six", self.tr("Settings"), "Ctrl+,"),
        )
        self._words = [word for _picture, word, _keys in pages]
        for number, (picture, word, keys) in enumerate(pages):
            if number == len(pages) - 1:
                self._layout.addStretch(1)
            self._layout.addWidget(self._button(number, picture, word, keys))
        self._group.idClicked.connect(self.chosen)

    def _button(self, number: int, picture: str, word: str, keys: str) -> QToolButton:
        button = QToolButton(self)
        button.setProperty("role", "rail")
        button.setCheckable(True)
        button.setIcon(icon(picture))
        button.setIconSize(QSize(24, 24))
        button.setText(word)
        button.setToolTip(f"{word} ({keys})")
        button.setToolButtonStyle(Qt.ToolButtonStyle.ToolButtonTextUnderIcon)
        button.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)
        button.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
        self._group.addButton(button, number)
        shortcut = QShortcut(QKeySequence(keys), self)
        shortcut.activated.connect(lambda: self.chosen.emit(number))
        return button

    def mark(self, number: int) -> None:
        """Show that this page is the one on screen."""
        for each in self._group.buttons():  # Tab comes to the page that is shown; arrows go to the others
            shown = self._group.id(each) == number
            each.setFocusPolicy(Qt.FocusPolicy.StrongFocus if shown else Qt.FocusPolicy.ClickFocus)
        self._group.button(number).setChecked(True)
        if any(button.hasFocus() for button in self._group.buttons()):
            self.take_focus(number)

    def count(self, number: int, many: int) -> None:
        """Write a count beside a page's word (what is being sent)."""
        word = self._words[number]
        self._group.button(number).setText(f"{word} {many}" if many else word)

    def take_focus(self, number: int) -> None:
        """The page has nothing to take the keyboard: its button keeps it."""
        self._group.button(number).setFocus()
