"""The Import page while its studies are on their way: the card, then the receipt."""

from __future__ import annotations

from PySide6.QtCore import QObject

from ui.importing.page import ImportPage
from ui.messages import Kind, Message, announce
from ui.models.entries import patient_of
from ui.services import Order, Services
from ui.uploads.card import JobCard
from ui.uploads.receipt_bar import ReceiptBar
from ui.uploads.transfers import State, Transfer, Transfers
from ui.uploads.words import whose


class SendingOnImport(QObject):
    """Shows the latest sending of the disc on screen; the Sent page shows them all."""

    def __init__(
        self, page: ImportPage, transfers: Transfers, services: Services, parent: QObject | None = None
    ) -> None:
        super().__init__(parent)
        self._page = page
        self._transfers = transfers
        self._services = services
        self._shown: Transfer | None = None
        self.card: JobCard | None = None
        self.receipt = ReceiptBar(page)
        page.scan.add_below(self.receipt)
        self.receipt.next.connect(page.leave)
        self.receipt.retry.connect(self._retry)
        self.receipt.eject.connect(self._eject)
        self.receipt.saved.connect(self._saved)
        self.receipt.failed.connect(page.messages.show_error)
        transfers.changed.connect(self._changed)
        page.sourceChanged.connect(self._put_away)

    def begin(self, order: Order) -> None:
        """Send *order* and show how far it is; the entry it is for is not in hand any more."""
        self._show(self._transfers.begin(order))
        if order.entry is not None:
            self._page.take_in_hand(None)

    def _show(self, transfer: Transfer) -> None:
        self._put_away()
        self._shown = transfer
        self.card = JobCard(transfer, self._page)
        self._page.scan.add_below(self.card)
        self.card.pause.connect(self._transfers.pause)
        self.card.resume.connect(self._transfers.resume)
        self.card.retry.connect(self._transfers.go_on)
        self.card.cancel.connect(self._page.cancelAsked)
        self.card.forget.connect(lambda _t: self._put_away())

    def _put_away(self) -> None:
        self.receipt.hide()
        self._shown = None
        if self.card is not None:
            self.card.hide()
            self.card.deleteLater()
            self.card = None

    def _changed(self, transfer: Transfer) -> None:
        if transfer is not self._shown or self.card is None:
            return
        word = self.card.state.text()
        self.card.refresh()
        ended = transfer.receipt is not None and transfer.state in (State.DONE, State.FAILED)
        self.card.setVisible(not ended)
        if ended:
            self._show_receipt(transfer)
            announce(self._page, self.receipt.sentence.text(), urgent=transfer.state is State.FAILED)
        else:
            self.receipt.hide()
            if word != self.card.state.text() and self._page.isVisible():
                announce(self._page, f"{whose(transfer)}: {self.card.state.text()}")

    def _show_receipt(self, transfer: Transfer) -> None:
        session = self._page.session
        note = ""
        if session.scan is not None and not session.scan.receipt.complete:
            note = self.tr("The disc itself is not whole; the line below says what could not be taken.")
        entry = transfer.order.entry if transfer.order is not None else None
        if entry is not None:
            words = self.tr("What arrived belongs to the worklist entry of {who}.")
            sentence = words.format(who=patient_of(entry).banner)
            self._page.messages.show_message(Message(Kind.GOOD, sentence))
        self.receipt.show_receipt(transfer, can_eject=self._drive() is not None, note=note)

    def _drive(self) -> object | None:
        return self._page.drive_of(self._page.session.paths)

    def _retry(self) -> None:
        if self._shown is not None:
            self._transfers.go_on(self._shown)

    def _eject(self) -> None:
        drive = self._page.drive_of(self._page.session.paths)
        if drive is not None:
            self._services.tasks.call(
                lambda: self._services.eject(drive),
                done=lambda _none: self._page.leave(),
                failed=self._page.messages.show_error,
            )

    def _saved(self, name: str) -> None:
        self._page.messages.show_message(
            Message(Kind.GOOD, self.tr("The receipt was saved to {file}.").format(file=name))
        )
