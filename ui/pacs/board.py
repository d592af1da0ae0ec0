"""Retrievals of the archive as the page shows them, and what a person wants of them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import TYPE_CHECKING

from PySide6.QtCore import QObject, QTimer, Signal

from ui.services import Services

if TYPE_CHECKING:
    from core.net.pacs_client import PacsClient, PacsNode, Retrieval
    from core.net.records import StudyRow

LOOK_EVERY_MS = 500
IDLE = 10
"""So many looks are left out while nothing is under way."""


class RetrievalBoard(QObject):
    """Signals: `changed()`: look at `all`; `ended(object)`: one that is over; `failed(object)`: an error."""

    changed = Signal()
    ended = Signal(object)
    failed = Signal(object)

    def __init__(self, services: Services, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._services = services
        self._asking = False
        self._skipped = 0
        self.all: Sequence[Retrieval] = ()
        self._timer = QTimer(self)
        self._timer.setInterval(LOOK_EVERY_MS)
        self._timer.timeout.connect(self._tick)

    def watch(self, on: bool) -> None:
        """Look now and then, or not."""
        if on:
            self._timer.start()
            self.look()
        else:
            self._timer.stop()

    def look(self) -> None:
        """Ask the archive, unless it still thinks about the last question."""
        if not self._asking:
            self._asking = True
            self._services.tasks.call(partial(self._ask, _all), done=self._show, failed=self._not_there)

    def retrieve(self, node: PacsNode, rows: Sequence[StudyRow]) -> None:
        """Have the archive fetch studies."""
        self._do(lambda client: client.retrieve(node, rows))

    def stop(self, one: Retrieval) -> None:
        """End one soon."""
        self._do(lambda client: client.stop(one.id))

    def retry(self, one: Retrieval) -> None:
        """Fetch what is still missing of one."""
        self._do(lambda client: client.retry(one.id))

    def forget(self, one: Retrieval) -> None:
        """Take one off the list."""
        self._do(lambda client: client.forget(one.id))

    def _do(self, act: Callable[[PacsClient], object]) -> None:
        self._services.tasks.call(
            partial(self._ask, act), done=lambda _none: self.look(), failed=self.failed.emit
        )

    def _ask(self, act: Callable[[PacsClient], object]) -> object:
        from core.net.pacs_client import PacsClient

        return act(PacsClient(self._services.archive.client()))

    def _tick(self) -> None:
        self._skipped += 1
        if self._skipped >= IDLE or any(each.under_way for each in self.all):
            self.look()

    def _show(self, found: object) -> None:
        self._asking, self._skipped = False, 0
        new: Sequence[Retrieval] = found if isinstance(found, tuple) else ()
        before = {each.id for each in self.all if each.under_way}
        if new != self.all:
            self.all = new
            self.changed.emit()
        for each in new:
            if each.id in before and not each.under_way:
                self.ended.emit(each)

    def _not_there(self, _error: Exception) -> None:
        """The archive is not there: what was known stays; whoever acts hears of it."""
        self._asking = False
        self._skipped = 0


def _all(client: PacsClient) -> object:
    return client.retrievals()
