"""One sending on screen: whose, what, where, a bar, its state in a word, and what can be done."""

from __future__ import annotations

from PySide6.QtCore import Signal
from PySide6.QtWidgets import QWidget

from ui.icons import icon
from ui.messages import MessageBar
from ui.uploads.transfers import ENDED, State, Transfer
from ui.uploads.words import STATE_LOOK, moment_text, numbers_text, state_text, what, where, whose
from ui.widgets.journey_card import JourneyCard

_BAR = {
    State.DONE: "good",
    State.FAILED: "bad",
    State.BROKEN: "bad",
    State.PAUSED: "warn",
    State.WAITING: "warn",
}


class JobCard(JourneyCard):
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
        trouble = MessageBar()
        super().__init__(trouble, parent)
        self.transfer, self.trouble = transfer, trouble
        self._said: State | None = None
        trouble.close_button.hide()
        for name, sign, text, signal in (
            ("pause", "ph.pause", self.tr("Pause"), self.pause),
            ("resume", "ph.play", self.tr("Resume"), self.resume),
            ("retry", "ph.arrow-clockwise", self.tr("Retry"), self.retry),
            ("receipt", "ph.receipt", self.tr("Receipt"), self.receipt),
            ("cancel", "ph.x", self.tr("Cancel"), self.cancel),
            ("forget", "ph.x", self.tr("Put away"), self.forget),
        ):
            self.offer(name, sign, text, signal)
        self.refresh()

    def subject(self) -> Transfer:
        """The `Transfer`."""
        return self.transfer

    def refresh(self) -> None:
        """Show the sending as it is now."""
        transfer = self.transfer
        about = f"{what(transfer)} → {where(transfer)}"
        if transfer.ended:
            about = f"{about} · {moment_text(transfer.ended)}"
        if self._said is not transfer.state:
            self._said = transfer.state
            self._dress()
        self.say(whose(transfer), about, state_text(transfer), self._offers())
        self.numbers.setText(numbers_text(transfer))
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
        self.sign.show_icon(name, role)
        left = state is State.LEFT
        self.buttons["retry"].setText(self.tr("Go on") if left else self.tr("Retry"))
        self.buttons["retry"].setIcon(icon("ph.play" if left else "ph.arrow-clockwise", before_text=True))
        self.buttons["cancel"].setText(self.tr("Give up") if left else self.tr("Cancel"))
        self.dress_bar(_BAR.get(state, ""))
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
