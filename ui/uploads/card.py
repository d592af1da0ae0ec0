"""One sending on screen: whose, what, where, a bar, its state in a word, and what can be done."""

from __future__ import annotations

from PySide6.QtCore import Qt, Signal
from PySide6.QtWidgets import QFrame, QHBoxLayout, QLabel, QProgressBar, QPushButton, QVBoxLayout, QWidget

from ui.icons import icon
from ui.messages import MessageBar
from ui.picture import Picture
from ui.uploads.transfers import ENDED, State, Transfer
from ui.uploads.words import STATE_LOOK, moment_text, numbers_text, state_text, what, where, whose
from ui.widgets.banner import ElidedLabel, breakable

_BAR = {
    State.DONE: "good",
    State.FAILED: "bad",
    State.BROKEN: "bad",
    State.PAUSED: "warn",
    State.WAITING: "warn",
}


class JobCard(QFrame):
    """Shows one `Transfer`; it does nothing itself.

    Signals, each with the `Transfer`: `pause`, `resume`, `retry`, `receipt`, `cancel`, `forget`.
    """

    pause = Signal(object)
    resume = Signal(object)
    retry = Signal(object)
    receipt = Signal(object)
    cancel = Signal(object)
    forget = Signal(object)

    def __init__(self, transfer: Transfer, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.transfer = transfer
        self.setProperty("role", "card")
        self._said: State | None = None
        self.who = QLabel(self)
        self.who.setProperty("role", "patient")
        self.who.setWordWrap(True)
        self._state_icon = Picture(18, self)
        self.state = QLabel(self)
        self.about = ElidedLabel(self)
        self.about.setProperty("role", "muted")
        self.bar = QProgressBar(self)
        self.bar.setTextVisible(False)
        self.numbers = QLabel(self)
        self.numbers.setProperty("role", "muted")
        self.trouble = MessageBar(self)
        self.trouble.close_button.hide()
        self.buttons = {
            "pause": QPushButton(icon("ph.pause", before_text=True), self.tr("Pause"), self),
            "resume": QPushButton(icon("ph.play", before_text=True), self.tr("Resume"), self),
            "retry": QPushButton(icon("ph.arrow-clockwise", before_text=True), self.tr("Retry"), self),
            "receipt": QPushButton(icon("ph.receipt", before_text=True), self.tr("Receipt"), self),
            "cancel": QPushButton(icon("ph.x", before_text=True), self.tr("Cancel"), self),
            "forget": QPushButton(icon("ph.x", before_text=True), self.tr("Put away"), self),
        }
        for name, button in self.buttons.items():
            signal = getattr(self, name)
            button.clicked.connect(lambda _on=False, signal=signal: signal.emit(self.transfer))
        self._build()
        self.refresh()

    def _build(self) -> None:
        top = QHBoxLayout()
        top.setSpacing(8)
        top.addWidget(self.who, 1)
        top.addWidget(self._state_icon, 0, Qt.AlignmentFlag.AlignTop)
        top.addWidget(self.state, 0, Qt.AlignmentFlag.AlignTop)
        bottom = QHBoxLayout()
        bottom.setSpacing(8)
        bottom.addWidget(self.numbers, 1)
        for button in self.buttons.values():
            bottom.addWidget(button)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(16, 12, 16, 12)
        layout.setSpacing(8)
        layout.addLayout(top)
        layout.addWidget(self.about)
        layout.addWidget(self.bar)
        layout.addLayout(bottom)
        layout.addWidget(self.trouble)

    def refresh(self) -> None:
        """Show the sending as it is now."""
        transfer = self.transfer
        names = whose(transfer)
        self.who.setText(breakable(names))
        about = f"{what(transfer)} → {where(transfer)}"
        if transfer.ended:
            about = f"{about} · {moment_text(transfer.ended)}"
        self.about.setText(about)
        self.about.setToolTip(about)
        word = state_text(transfer)
        self.state.setText(word)
        self.numbers.setText(numbers_text(transfer))
        self.setAccessibleName(", ".join(part for part in (names, about, word) if part))
        self.bar.setAccessibleName(self.tr("Progress of {what}").format(what=about))
        for name, button in self.buttons.items():
            button.setAccessibleName(f"{button.text()}: {names}")
            button.setVisible(name in self._offers())
        if self._said is not transfer.state:
            self._said = transfer.state
            self._dress()
        self._move_bar()

    def _offers(self) -> set[str]:
        offers = self._offers_now()
        if self.transfer.ended:  # it is the record of what was sent: it stays
            offers -= {"forget"}
        return offers if self.transfer.receipt is not None else offers - {"receipt"}

    def _offers_now(self) -> set[str]:
        match self.transfer.state:
            case State.LEFT:
                return {"retry", "cancel"}
            case State.SENDING | State.WAITING:
                return {"pause", "cancel"}
            case State.PAUSED:
                return {"resume", "cancel"}
            case State.FAILED:
                return {"retry", "receipt", "forget"}
            case State.BROKEN | State.CANCELLED:
                return {"retry", "forget"}
            case State.DONE:
                return {"receipt", "forget"}
        return set()

    def _dress(self) -> None:
        state = self.transfer.state
        name, role = STATE_LOOK[state]
        self._state_icon.show_icon(name, role)
        left = state is State.LEFT
        self.buttons["retry"].setText(self.tr("Go on") if left else self.tr("Retry"))
        self.buttons["retry"].setIcon(icon("ph.play" if left else "ph.arrow-clockwise", before_text=True))
        self.buttons["cancel"].setText(self.tr("Give up") if left else self.tr("Cancel"))
        self.bar.setProperty("state", _BAR.get(state, ""))
        self.bar.style().unpolish(self.bar)
        self.bar.style().polish(self.bar)
        if state is State.BROKEN and self.transfer.error is not None:
            self.trouble.show_error(self.transfer.error)
            self.trouble.close_button.hide()
        else:
            self.trouble.put_away()

    def _move_bar(self) -> None:
        transfer, step = self.transfer, self.transfer.progress
        if transfer.state is State.PREPARING:
            self.bar.setRange(0, 0)
        elif transfer.state is State.DONE:
            self.bar.setRange(0, 1)
            self.bar.setValue(1)
        elif step is not None:
            self.bar.setRange(0, 1000)
            self.bar.setValue(round(1000 * step.share))
        elif transfer.state in ENDED or transfer.state is State.LEFT:
            self.bar.setRange(0, 1)
            self.bar.setValue(0)
        else:
            self.bar.setRange(0, 0)
