"""Every sending of this run, and those the last run left: behind the Sent page and the status bar."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from functools import partial
from typing import TYPE_CHECKING

from PySide6.QtCore import QObject, Signal

from core.errors import Unreachable
from ui.services import Job, Order, PastJob, Services, Uploads
from ui.tasks import Task, Tasks

if TYPE_CHECKING:
    from core.upload.nouns import UploadProgress, UploadReceipt


class State(StrEnum):
    """Where one sending stands, as the card says it in a word."""

    LEFT = "left"  # unfinished, of the last run
    PREPARING = "preparing"
    SENDING = "sending"
    PAUSED = "paused"
    WAITING = "waiting"
    FAILED = "failed"  # ran to its end, something is missing
    BROKEN = "broken"  # ended by an error
    CANCELLED = "cancelled"
    DONE = "done"


REMEMBERED = 40
"""So many sendings of earlier runs are shown."""

ENDED = frozenset({State.FAILED, State.BROKEN, State.CANCELLED, State.DONE})
RUNNING = frozenset({State.PREPARING, State.SENDING, State.PAUSED, State.WAITING})


@dataclass(slots=True, eq=False)
class Transfer:
    """One sending. *job* is None while it is being written into the ledger.

    *ended* is not 0 where it came to its end in an earlier run: seconds since 1970.
    """

    id: str
    state: State
    order: Order | None = None
    job: Job | None = None
    progress: UploadProgress | None = None
    receipt: UploadReceipt | None = None
    error: Exception | None = None
    task: Task | None = None
    ended: float = 0.0

    @property
    def running(self) -> bool:
        """Whether it is under way, paused or waiting."""
        return self.state in RUNNING


class Transfers(QObject):
    """Begins, holds and goes on with sendings.

    Signals:
        added(object), changed(object), removed(object): a `Transfer`.
        ended(object): a `Transfer` that has just come to its end, well or not.
    """

    added = Signal(object)
    changed = Signal(object)
    removed = Signal(object)
    ended = Signal(object)

    def __init__(self, uploads: Uploads, jobs: Tasks, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._uploads = uploads
        self._jobs = jobs
        self._ids = itertools.count(1)
        self.all: list[Transfer] = []

    @classmethod
    def of(cls, services: Services, parent: QObject | None = None) -> Transfers:
        """The sendings of these services."""
        return cls(services.uploads, services.jobs, parent)

    def look_back(self, then: Callable[[list[Transfer]], object] | None = None) -> None:
        """Ask the ledger for what the last run left; *then* gets what was found."""

        def found(jobs: list[Job]) -> None:
            left = [self._add(Transfer(self._next_id(), State.LEFT, job=job)) for job in jobs]
            if then is not None:
                then(left)

        self._jobs.call(lambda: list(self._uploads.unfinished()), done=found, failed=lambda _error: None)

    def remember(self) -> None:
        """Ask the ledger for what earlier runs sent, and hold it behind everything else."""

        def found(past: Sequence[PastJob]) -> None:
            known = {t.job.id for t in self.all if t.job is not None}
            for each in past:
                if each.job.id not in known:
                    transfer = _past(self._next_id(), each)
                    self.all.append(transfer)
                    self.added.emit(transfer)

        self._jobs.call(lambda: self._uploads.ended(REMEMBERED), done=found, failed=lambda _error: None)

    def begin(self, order: Order) -> Transfer:
        """Write *order* into the ledger and start sending."""
        transfer = self._add(Transfer(self._next_id(), State.PREPARING, order=order))
        self._jobs.call(
            lambda: self._uploads.begin(order),
            done=partial(self._written, transfer),
            failed=partial(self._broke, transfer),
        )
        return transfer

    def go_on(self, transfer: Transfer) -> None:
        """Send what is not there yet: of a job that was left, failed or lost its network."""
        if transfer.running:
            return
        if transfer.job is None and transfer.order is not None:  # not even written down: from the start
            self.all.remove(transfer)
            self.removed.emit(transfer)
            self.begin(transfer.order)
        elif transfer.job is not None:
            self._run(transfer, transfer.job)

    def pause(self, transfer: Transfer) -> None:
        """Hold after the files under way."""
        if transfer.job is not None and transfer.state in (State.SENDING, State.WAITING):
            transfer.job.pause()
            self._set(transfer, State.PAUSED)

    def resume(self, transfer: Transfer) -> None:
        """Go on after a pause."""
        if transfer.job is not None and transfer.state is State.PAUSED:
            transfer.job.resume()
            self._set(transfer, State.SENDING)

    def cancel(self, transfer: Transfer) -> None:
        """Give it up; what was sent stays at the destination."""
        if transfer.job is not None and transfer.running:
            transfer.job.cancel()
        elif transfer.job is not None and transfer.state is State.LEFT:
            self._jobs.call(transfer.job.forget, done=lambda _: None, failed=lambda _: None)
            self.forget(transfer)

    def forget(self, transfer: Transfer) -> None:
        """Take its card away."""
        if transfer in self.all and not transfer.running:
            self.all.remove(transfer)
            self.removed.emit(transfer)

    @property
    def busy(self) -> list[Transfer]:
        """Those under way."""
        return [t for t in self.all if t.running]

    def rate(self) -> float:
        """Bytes a second of all of them together."""
        return sum(t.progress.rate for t in self.all if t.state is State.SENDING and t.progress is not None)

    def _next_id(self) -> str:
        return f"transfer-{next(self._ids)}"

    def _add(self, transfer: Transfer) -> Transfer:
        self.all.insert(0, transfer)
        self.added.emit(transfer)
        return transfer

    def _set(self, transfer: Transfer, state: State) -> None:
        transfer.state = state
        self.changed.emit(transfer)
        if state in ENDED:
            self.ended.emit(transfer)

    def _written(self, transfer: Transfer, job: Job) -> None:
        transfer.job = job
        self._run(transfer, job)

    def _run(self, transfer: Transfer, job: Job) -> None:
        transfer.error = transfer.receipt = None
        transfer.progress = None
        transfer.ended = 0.0
        self._set(transfer, State.SENDING)
        transfer.task = self._jobs.run(
            job.run(),
            done=partial(self._finished, transfer),
            failed=partial(self._broke, transfer),
            progress=partial(self._progressed, transfer),
            cancelled=lambda: self._set(transfer, State.CANCELLED),
        )

    def _progressed(self, transfer: Transfer, step: UploadProgress) -> None:
        transfer.progress = step
        word = {"paused": State.PAUSED, "waiting-for-network": State.WAITING}.get(step.state, State.SENDING)
        if transfer.running:
            self._set(transfer, word)

    def _finished(self, transfer: Transfer, receipt: UploadReceipt) -> None:
        transfer.receipt = receipt
        if receipt.cancelled:
            self._set(transfer, State.CANCELLED)
        else:
            self._set(transfer, State.DONE if receipt.complete else State.FAILED)

    def _broke(self, transfer: Transfer, error: Exception) -> None:
        transfer.error = error
        self._set(transfer, State.BROKEN)


def _past(new_id: str, each: PastJob) -> Transfer:
    if each.cancelled:
        state = State.CANCELLED
    else:
        state = State.DONE if each.receipt is not None and each.receipt.complete else State.FAILED
    return Transfer(new_id, state, job=each.job, receipt=each.receipt, ended=each.ended)


def lost_network(transfer: Transfer) -> bool:
    """Whether it ended because the destination could not be reached."""
    return isinstance(transfer.error, Unreachable)
