"""One study on its way from a PACS: whose, what, where from, a bar, how it ended, and what can be done."""

from __future__ import annotations

from typing import TYPE_CHECKING

from PySide6.QtCore import Qt, Signal
from PySide6.QtWidgets import QLabel, QWidget

from ui.models.people import banner_text, said, study_text
from ui.widgets.journey_card import JourneyCard

if TYPE_CHECKING:
    from core.net.pacs_client import Retrieval

LOOK = {
    "waiting": ("ph.clock", "muted", ""),
    "running": ("ph.download-simple", "primary", ""),
    "done": ("ph.check-circle-fill", "good", "good"),
    "partial": ("ph.warning-fill", "warn", "warn"),
    "failed": ("ph.warning-octagon-fill", "bad", "bad"),
    "stopped": ("ph.x", "muted", "warn"),
}


class RetrievalCard(JourneyCard):
    """Shows one `Retrieval`; it does nothing itself.

    Signals, each with the `Retrieval`: `stop`, `retry`, `open`, `reveal` (in the archive), `forget`.
    """

    stop = Signal(object)
    retry = Signal(object)
    open = Signal(object)
    reveal = Signal(object)
    forget = Signal(object)

    def __init__(self, one: Retrieval, parent: QWidget | None = None) -> None:
        trouble = QLabel()
        super().__init__(trouble, parent)
        self.one, self.trouble = one, trouble
        trouble.setWordWrap(True)
        trouble.setTextInteractionFlags(Qt.TextInteractionFlag.TextSelectableByMouse)
        self.words = {
            "waiting": self.tr("Waiting"),
            "running": self.tr("Retrieving"),
            "done": self.tr("In the archive"),
            "partial": self.tr("Not complete"),
            "failed": self.tr("Failed"),
            "stopped": self.tr("Stopped"),
        }
        for name, sign, text, signal in (
            ("stop", "ph.x", self.tr("Stop"), self.stop),
            ("retry", "ph.arrow-clockwise", self.tr("Retry"), self.retry),
            ("open", "ph.eye", self.tr("Open"), self.open),
            ("reveal", "ph.archive", self.tr("Show in Archive"), self.reveal),
            ("forget", "ph.x", self.tr("Put away"), self.forget),
        ):
            self.offer(name, sign, text, signal)
        self.show_one(one)

    def subject(self) -> Retrieval:
        """The `Retrieval`."""
        return self.one

    def show_one(self, one: Retrieval) -> None:
        """Show it as it is now."""
        self.one = one
        about = self.tr("{what} · from {node}").format(
            what=study_text(one.study_description, one.study_date), node=one.node
        )
        self.say(
            banner_text(one.patient_name, one.patient_sex, one.patient_birth_date, one.patient_id),
            about,
            self.words.get(one.state, one.state),
            self._offers(),
        )
        sign, role, bar = LOOK.get(one.state, LOOK["failed"])
        self.sign.show_icon(sign, role)
        self.numbers.setText(self._counted())
        self.numbers.setToolTip(self.tr("By {method}").format(method=one.method) if one.method else "")
        self.bar.setRange(0, one.total or (0 if one.under_way else 1))
        self.bar.setValue(one.here)
        self.dress_bar(bar)
        self.trouble.setText(" ".join(part for part in (said(one.why), said(one.remedy)) if part))
        self.trouble.setVisible(bool(one.why))

    def _counted(self) -> str:
        one = self.one
        if not one.total:
            words = [self.tr("{n} images").format(n=one.here)] if one.here else []
        else:
            words = [self.tr("{n} of {m} images").format(n=one.here, m=one.total)]
        if one.failed:
            words.append(self.tr("{n} refused by the archive").format(n=one.failed))
        if one.apart:
            words.append(self.tr("{n} kept apart: they do not fit the study").format(n=one.apart))
        return " · ".join(words)

    def _offers(self) -> set[str]:
        if self.one.under_way:
            return {"stop"}
        offers = {"forget"} if self.one.state == "done" else {"forget", "retry"}
        return offers | {"open", "reveal"} if self.one.here else offers
