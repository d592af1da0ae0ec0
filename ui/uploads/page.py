"""The Sent page: a card for each sending, those the last run left on top."""

from __future__ import annotations

from PySide6.QtCore import Qt, Signal
from PySide6.QtWidgets import QLabel, QScrollArea, QStackedWidget, QVBoxLayout, QWidget

from ui.dialogs.receipt import ReceiptDialog
from ui.messages import MessageBar, announce
from ui.picture import Picture
from ui.uploads.card import JobCard
from ui.uploads.transfers import State, Transfer, Transfers
from ui.uploads.words import state_text, whose


class SentPage(QWidget):
    """Shows what `Transfers` holds.

    Signals: `cancelAsked(object)` with the `Transfer` whose sending is to be given up.
    """

    cancelAsked = Signal(object)

    def __init__(self, transfers: Transfers, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._transfers = transfers
        self.cards: dict[str, JobCard] = {}
        self.messages = MessageBar(self)
        self._left_title = self._heading(self.tr("Not finished last time"))
        self._left = QVBoxLayout()
        self._now_title = self._heading(self.tr("This time"))
        self._now = QVBoxLayout()
        self._past_title = self._heading(self.tr("Earlier"))
        self._past = QVBoxLayout()
        self._pages = QStackedWidget(self)
        self._build()
        transfers.added.connect(self._added)
        transfers.changed.connect(self._changed)
        transfers.removed.connect(self._removed)
        for transfer in reversed(transfers.all):
            self._added(transfer)
        self._arrange()
        transfers.remember()

    def _heading(self, text: str) -> QLabel:
        label = QLabel(text, self)
        label.setProperty("role", "heading")
        return label

    def _build(self) -> None:
        title = QLabel(self.tr("Sent"), self)
        title.setProperty("role", "title")
        content = QWidget(self)
        column = QVBoxLayout(content)
        column.setContentsMargins(24, 0, 24, 24)
        column.setSpacing(12)
        for heading, cards in (
            (self._left_title, self._left),
            (self._now_title, self._now),
            (self._past_title, self._past),
        ):
            cards.setSpacing(12)
            column.addWidget(heading)
            column.addLayout(cards)
        column.addStretch(1)
        scroll = QScrollArea(self)
        scroll.setWidgetResizable(True)
        scroll.setWidget(content)
        scroll.setFocusPolicy(Qt.FocusPolicy.NoFocus)
        scroll.setAccessibleName(self.tr("Sendings"))
        self._pages.addWidget(self._nothing())
        self._pages.addWidget(scroll)
        head = QVBoxLayout()
        head.setContentsMargins(24, 16, 24, 12)
        head.setSpacing(12)
        head.addWidget(title)
        head.addWidget(self.messages)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(0)
        layout.addLayout(head)
        layout.addWidget(self._pages, 1)

    def _nothing(self) -> QWidget:
        page = QWidget(self)
        picture = Picture(56, page, name="ph.paper-plane-tilt", role="muted")
        words = QLabel(
            self.tr("Nothing was sent yet. Studies you send show up here with their receipt."), page
        )
        words.setProperty("role", "muted")
        words.setWordWrap(True)
        words.setAlignment(Qt.AlignmentFlag.AlignCenter)
        layout = QVBoxLayout(page)
        layout.setSpacing(12)
        layout.addStretch(1)
        layout.addWidget(picture)
        layout.addWidget(words)
        layout.addStretch(2)
        return page

    def _added(self, transfer: Transfer) -> None:
        card = JobCard(transfer, self)
        board = self._transfers
        card.pause.connect(board.pause)
        card.resume.connect(board.resume)
        card.retry.connect(board.go_on)
        card.forget.connect(board.forget)
        card.cancel.connect(self.cancelAsked)
        card.receipt.connect(self.show_receipt)
        self.cards[transfer.id] = card
        self._place(card)
        self._arrange()

    def _place(self, card: JobCard) -> None:
        if card.transfer.ended:
            self._past.addWidget(card)
        else:
            layout = self._left if card.transfer.state is State.LEFT else self._now
            layout.insertWidget(0, card)

    def _changed(self, transfer: Transfer) -> None:
        card = self.cards.get(transfer.id)
        if card is None:
            return
        word = card.state.text()
        for before, stays in (
            (self._left, transfer.state is State.LEFT),
            (self._past, transfer.ended > 0),
        ):
            if not stays and before.indexOf(card) >= 0:
                before.removeWidget(card)
                self._place(card)
                self._arrange()
        card.refresh()
        if word != card.state.text() and self.isVisible():
            announce(self, f"{whose(transfer)}: {state_text(transfer)}")

    def _removed(self, transfer: Transfer) -> None:
        card = self.cards.pop(transfer.id, None)
        if card is not None:
            card.hide()
            for layout in (self._left, self._now, self._past):
                layout.removeWidget(card)
            card.deleteLater()
        self._arrange()

    def _arrange(self) -> None:
        self._left_title.setVisible(self._left.count() > 0)
        others = self._left.count() + self._past.count() > 0
        self._now_title.setVisible(self._now.count() > 0 and others)
        self._past_title.setVisible(self._past.count() > 0)
        self._pages.setCurrentIndex(1 if self.cards else 0)

    def show_receipt(self, transfer: Transfer) -> None:
        """Show the receipt of one sending in full."""
        dialog = ReceiptDialog(transfer, self)
        dialog.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        dialog.open()
