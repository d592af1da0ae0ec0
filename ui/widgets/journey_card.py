"""A study on its way, as a card: whose, what, a bar, how it stands in a word, and what can be done."""

from __future__ import annotations

from collections.abc import Collection

from PySide6.QtCore import Qt, SignalInstance
from PySide6.QtWidgets import QFrame, QHBoxLayout, QLabel, QProgressBar, QPushButton, QVBoxLayout, QWidget

from ui.icons import icon
from ui.picture import Picture
from ui.widgets.banner import ElidedLabel, breakable


class JourneyCard(QFrame):
    """What is on the card; those who make one say what it shows, and lay *trouble* out with the rest."""

    def __init__(self, trouble: QWidget, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setProperty("role", "card")
        self.who = QLabel(self)
        self.who.setProperty("role", "patient")
        self.who.setWordWrap(True)
        self.sign = Picture(18, self)
        self.state = QLabel(self)
        self.about = ElidedLabel(self)
        self.about.setProperty("role", "muted")
        self.bar = QProgressBar(self)
        self.bar.setTextVisible(False)
        self.numbers = QLabel(self)
        self.numbers.setProperty("role", "muted")
        self.buttons: dict[str, QPushButton] = {}
        top, self._bottom = QHBoxLayout(), QHBoxLayout()
        for row in (top, self._bottom):
            row.setSpacing(8)
        top.addWidget(self.who, 1)
        top.addWidget(self.sign, 0, Qt.AlignmentFlag.AlignTop)
        top.addWidget(self.state, 0, Qt.AlignmentFlag.AlignTop)
        self._bottom.addWidget(self.numbers, 1)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(16, 12, 16, 12)
        layout.setSpacing(8)
        layout.addLayout(top)
        layout.addWidget(self.about)
        layout.addWidget(self.bar)
        layout.addLayout(self._bottom)
        layout.addWidget(trouble)

    def offer(self, name: str, sign: str, text: str, signal: SignalInstance) -> None:
        """Have a button called *name*, which emits *signal* with what the card is about."""
        button = QPushButton(icon(sign, before_text=True), text, self)
        button.clicked.connect(lambda _on=False: signal.emit(self.subject()))
        self._bottom.addWidget(button)
        self.buttons[name] = button

    def subject(self) -> object:
        """What the card is about, given with every signal."""
        raise NotImplementedError  # a widget cannot be an abstract class: Qt has a metaclass of its own

    def say(self, names: str, about: str, word: str, offers: Collection[str]) -> None:
        """Show whose, what and how it stands in words, and those buttons that are of use now."""
        self.who.setText(breakable(names))
        self.about.setText(about)
        self.about.setToolTip(about)
        self.state.setText(word)
        self.setAccessibleName(", ".join(part for part in (names, about, word) if part))
        self.bar.setAccessibleName(self.tr("Progress of {what}").format(what=about))
        for name, button in self.buttons.items():
            button.setAccessibleName(f"{button.text()}: {names}")
            button.setVisible(name in offers)

    def dress_bar(self, look: str) -> None:
        """Give the bar the colour of *look*: good, warn, bad, or that of work going on."""
        if self.bar.property("state") != look:
            self.bar.setProperty("state", look)
            self.bar.style().unpolish(self.bar)
            self.bar.style().polish(self.bar)
