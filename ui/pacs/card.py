"""One study on its way from a PACS: whose, what, where from, a bar, how it ended, and what can be done."""

from __future__ import annotations

from typing import TYPE_CHECKING

from PySide6.QtCore import Qt, Signal
from PySide6.QtWidgets import QFrame, QHBoxLayout, QLabel, QProgressBar, QPushButton, QVBoxLayout, QWidget

from ui.icons import icon
from ui.models.people import banner_text, said, study_text
from ui.picture import Picture
from ui.widgets.banner import ElidedLabel, breakable

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


class RetrievalCard(QFrame):
    """Shows one `Retrieval`; it does nothing itself.

    Signals, each with the `Retrieval`: `stop`, `retry`, `open`, `reveal` (in the archive), `forget`.
    """

    stop = Signal(object)
    retry = Signal(object)
    open = Signal(object)
    reveal = Signal(object)
    forget = Signal(object)

    def __init__(self, one: Retrieval, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.one = one
        self.setProperty("role", "card")
        self.who = QLabel(self)
        self.who.setProperty("role", "patient")
        self.who.setWordWrap(True)
        self._sign = Picture(18, self)
        self.state = QLabel(self)
        self.about = ElidedLabel(self)
        self.about.setProperty("role", "muted")
        self.bar = QProgressBar(self)
        self.bar.setTextVisible(False)
        self.numbers = QLabel(self)
        self.numbers.setProperty("role", "muted")
        self.trouble = QLabel(self)
        self.trouble.setWordWrap(True)
        self.trouble.setTextInteractionFlags(Qt.TextInteractionFlag.TextSelectableByMouse)
        self.words = {
            "waiting": self.tr("Waiting"),
            "running": self.tr("Retrieving"),
            "done": self.tr("In the archive"),
            "partial": self.tr("Not complete"),
            "failed": self.tr("Failed"),
            "stopped": self.tr("Stopped"),
        }
        self.buttons = {
            "stop": QPushButton(icon("ph.x", before_text=True), self.tr("Stop"), self),
            "retry": QPushButton(icon("ph.arrow-clockwise", before_text=True), self.tr("Retry"), self),
            "open": QPushButton(icon("ph.eye", before_text=True), self.tr("Open"), self),
            "reveal": QPushButton(icon("ph.archive", before_text=True), self.tr("Show in Archive"), self),
            "forget": QPushButton(icon("ph.x", before_text=True), self.tr("Put away"), self),
        }
        for name, button in self.buttons.items():
            signal = getattr(self, name)
            button.clicked.connect(lambda _on=False, signal=signal: signal.emit(self.one))
        self._build()
        self.show_one(one)

    def _build(self) -> None:
        top, bottom = QHBoxLayout(), QHBoxLayout()
        for row in (top, bottom):
            row.setSpacing(8)
        top.addWidget(self.who, 1)
        top.addWidget(self._sign, 0, Qt.AlignmentFlag.AlignTop)
        top.addWidget(self.state, 0, Qt.AlignmentFlag.AlignTop)
        bottom.addWidget(self.numbers, 1)
        for button in self.buttons.values():
            bottom.addWidget(button)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(16, 10, 16, 10)
        layout.setSpacing(6)
        layout.addLayout(top)
        layout.addWidget(self.about)
        layout.addWidget(self.bar)
        layout.addWidget(self.trouble)
        layout.addLayout(bottom)

    def show_one(self, one: Retrieval) -> None:
        """Show it as it is now."""
        self.one = one
        names = banner_text(one.patient_name, one.patient_sex, one.patient_birth_date, one.patient_id)
        self.who.setText(breakable(names))
        about = self.tr("{what} · from {node}").format(
            what=study_text(one.study_description, one.study_date), node=one.node
        )
        self.about.setText(about)
        self.about.setToolTip(about)
        word = self.words.get(one.state, one.state)
        sign, role, bar = LOOK.get(one.state, LOOK["failed"])
        self.state.setText(word)
        self._sign.show_icon(sign, role)
        self.numbers.setText(self._counted())
        self.numbers.setToolTip(self.tr("By {method}").format(method=one.method) if one.method else "")
        self.bar.setRange(0, one.total or (0 if one.under_way else 1))
        self.bar.setValue(one.here)
        if self.bar.property("state") != bar:
            self.bar.setProperty("state", bar)
            self.bar.style().unpolish(self.bar)
            self.bar.style().polish(self.bar)
        self.trouble.setText(" ".join(part for part in (said(one.why), said(one.remedy)) if part))
        self.trouble.setVisible(bool(one.why))
        self.setAccessibleName(", ".join((names, about, word)))
        self.bar.setAccessibleName(self.tr("Progress of {what}").format(what=about))
        offers = self._offers()
        for name, button in self.buttons.items():
            button.setAccessibleName(f"{button.text()}: {names}")
            button.setVisible(name in offers)

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
