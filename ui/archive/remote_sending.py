"""Chosen studies of an archive elsewhere are listed, then handed to the sheet that asks where they go."""

from __future__ import annotations

from collections.abc import Generator, Sequence
from functools import partial
from typing import TYPE_CHECKING

from PySide6.QtCore import QObject, Signal

from core.dicom.tree import Tree
from core.errors import NotFound
from ui.messages import Kind, Message, MessageBar, of_error
from ui.services import LOCAL_ARCHIVE, Elsewhere, Order, Picked, Services
from ui.tasks import Task

if TYPE_CHECKING:
    from core.net.dicomweb_listing import Listing

Step = tuple[int, int]
"""Series listed, of how many (0 while that is not known)."""


class RemoteSending(QObject):
    """Asks an archive what its studies hold, with a count and *Stop*.

    Signals:
        ready(object): an `Order`, to be confirmed.
        busyChanged(bool): it began to ask, or came to an end.
    """

    ready = Signal(object)
    busyChanged = Signal(bool)

    def __init__(self, services: Services, messages: MessageBar, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._services = services
        self._messages = messages
        self._task: Task | None = None

    @property
    def busy(self) -> bool:
        """Whether it is asking."""
        return self._task is not None

    def ask(self, name: str, study_uids: Sequence[str]) -> None:
        """List *study_uids* of the archive saved under *name*; one question at a time."""
        if self.busy or not study_uids:
            return
        self._task = self._services.jobs.run(
            self._work(name, tuple(study_uids)),
            done=self._done,
            failed=partial(self._failed, name, tuple(study_uids)),
            progress=partial(self._progressed, name),
            cancelled=self._ended,
        )
        self._messages.show_message(
            Message(Kind.INFO, self._words(name, (0, 0))), action=self.tr("Stop"), on_action=self.stop
        )
        self._messages.close_button.hide()
        self.busyChanged.emit(True)

    def stop(self) -> None:
        """Ask nothing more."""
        task = self._task
        if task is not None:
            task.cancel()
            self._ended()

    def _work(self, name: str, study_uids: Sequence[str]) -> Generator[Step, None, Order]:
        from core.net.dicomweb_listing import list_images

        listing = yield from list_images(self._services.destinations.remote(name), study_uids)
        return order_of(name, listing)

    def _progressed(self, name: str, step: Step) -> None:
        if self.busy:  # announced once; the count is only seen
            self._messages.text.setText(self._words(name, step))

    def _words(self, name: str, step: Step) -> str:
        done, total = step
        words = self.tr("Asking {archive} what is in these studies…").format(archive=name)
        return f"{words} {self.tr('{n} of {m} series').format(n=done, m=total)}" if total else words

    def _done(self, order: Order) -> None:
        if self.busy:
            self._ended()
            self.ready.emit(order)

    def _failed(self, name: str, study_uids: Sequence[str], error: Exception) -> None:
        if self.busy:
            self._ended()
            self._messages.show_message(
                of_error(error),
                action=self.tr("Try again"),
                on_action=lambda: self.ask(name, study_uids),
            )

    def _ended(self) -> None:
        if self.busy:
            self._task = None
            self._messages.put_away()
            self._messages.close_button.show()
            self.busyChanged.emit(False)


def order_of(name: str, listing: Listing) -> Order:
    """Everything that was listed, at first to the local archive. Raises NotFound."""
    tree = Tree()
    for found in listing.images:
        tree.add(found)
    picked = tuple(Picked(patient, study) for patient, study in tree.studies())
    if not picked:
        raise NotFound("study", "The archive lists no images of this study.")
    return Order(Elsewhere(name, listing.missing), picked, {}, LOCAL_ARCHIVE)
