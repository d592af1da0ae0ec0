"""Runs one job of the ledger: bounded parallel sending, patience with the network, proof at the end."""

from __future__ import annotations

import time
from collections.abc import Callable, Generator, Iterator
from concurrent.futures import Future
from functools import partial
from typing import Any

from core.errors import (
    BadInput,
    Conflict,
    Denied,
    KnownError,
    NotFound,
    SourceFault,
    StorageFault,
    Unauthenticated,
    Unreachable,
)
from core.upload.backoff import Outage, Pace
from core.upload.board import Board, Kind, Task
from core.upload.control import Control
from core.upload.crew import Crew, Done
from core.upload.destination import Destination
from core.upload.job import UploadJob
from core.upload.nouns import RunState, UploadProgress, UploadReceipt
from core.upload.parcel import Load
from core.upload.payload import Stopped
from core.upload.tally import Tally
from core.upload.tasks import Hands, Opener, Origin

Conclude = Callable[[UploadReceipt], None]
"""Is told what the destination holds. Raises KnownError."""

AT_ONCE = 64
"""At most so many answers are worked off before looking at anything else."""

QUEUED = 5
"""So many tasks a connection are given out, so that none waits for the coordinator."""

PARCELS_QUEUED = 2
"""The same for parcels of several files, which last longer."""

NAP_S = 0.005
"""While enough is given out the coordinator sleeps: woken by every answer, it would slow the senders."""


def run(
    job: UploadJob,
    destination: Destination,
    control: Control | None = None,
    *,
    opener: Opener,
    pace: Pace | None = None,
    conclude: Conclude | None = None,
    origin: Origin | None = None,
) -> Generator[UploadProgress, None, UploadReceipt]:
    """Send what *job* still lacks at *destination*, then ask it what it holds; returns the receipt.

    *conclude* is what else must be done before the job is done; what it raises leaves the job open. *origin*
    is the archive elsewhere that the *opener* fetches from.

    Takes the destination over and closes it. Closing the generator stops the upload; the ledger keeps all.
    Raises Unreachable or StorageFault when patience with the peer ran out; Unauthenticated, Denied, NotFound
    when it wants none of it; Busy when another process runs the job. The job then stays open in the ledger.
    """
    try:
        job.claim()
    except BaseException:
        destination.close()
        raise
    try:
        work = _Run(job, destination, control or Control(), opener, pace or Pace(), origin=origin)
        try:
            receipt = yield from work.go()
            if conclude is not None and not receipt.cancelled:
                conclude(receipt)
        except KnownError:
            job.finish(work.receipt(stopped=True), stopped=True)
            raise
        finally:
            work.close()
        job.finish(receipt)
        return receipt
    finally:
        job.release()


class _Run:
    """The coordinator: gives tasks to threads, tells a lost network from a bad file, keeps the ledger."""

    def __init__(
        self,
        job: UploadJob,
        destination: Destination,
        control: Control,
        opener: Opener,
        pace: Pace,
        *,
        origin: Origin | None,
    ) -> None:
        self._job = job
        self._destination = destination
        self._control = control
        self._pace = pace
        self._origin = origin
        self._begun = time.monotonic()
        self._expected, total = job.size()
        self._tally = Tally(total)
        self._board = Board(job, self._tally)
        self._hands = Hands(destination, opener, self._tally, self._must_stop)
        self._crew = Crew(pace.connections, "upload")
        self._ending = False
        self._in_flight = 0
        self._outage: Outage | None = None
        self._epoch = 0
        self._load = Load()
        self._writing: Future[None] | None = None

    def go(self) -> Generator[UploadProgress, None, UploadReceipt]:
        """Until everything is done, given up or cancelled."""
        yielded = flushed = -1e9
        while not self._control.cancelled and self._board.take_up(now := time.monotonic()):
            self._give_up_if_hopeless(now)
            self._submit(now)
            self._collect()
            if now - flushed >= self._pace.flush_every_s:
                flushed = now
                self._flush()
            if now - yielded >= self._pace.progress_every_s:
                yielded = now
                yield self._progress(now)
        receipt = self.receipt(stopped=self._control.cancelled)
        yield self._progress(time.monotonic(), receipt)
        return receipt

    def receipt(self, *, stopped: bool) -> UploadReceipt:
        """What is known now; *stopped* before the end."""
        seconds = time.monotonic() - self._begun
        return UploadReceipt(self._destination.name, self._board.receipts(), seconds, stopped)

    def close(self) -> None:
        """Stop the threads and write down what is known."""
        self._ending = True
        self._destination.close()
        if self._origin is not None:
            self._origin.cut()
        self._crew.close()
        self._flush()
        if self._writing is not None:
            self._writing.result()

    def _submit(self, now: float) -> None:
        if self._control.paused:
            self._tally.rest()
            return
        limit = self._pace.connections * QUEUED
        if self._outage is not None:
            self._tally.rest()
            if self._in_flight or now < self._outage.retry_at or not self._board.ready:
                return
            if not self._outage.trial:
                self._start(Task(Kind.PING, self._board.ready[0].study))
                return
            limit = 1
        while self._board.ready and self._in_flight < limit:
            task = self._board.ready.popleft()
            if self._outage is None and self._is_small(task):
                limit = self._pace.connections * PARCELS_QUEUED
                self._start_together([task, *self._companions(task)])
            else:
                self._start(task)

    def _start(self, task: Task) -> None:
        self._begin(task)
        self._in_flight += 1
        self._crew.submit(task, partial(self._do, task))

    def _start_together(self, tasks: list[Task]) -> None:
        for task in tasks:
            self._begin(task)
        self._in_flight += 1
        self._crew.submit(tuple(tasks), partial(self._do_together, tasks))

    def _begin(self, task: Task) -> None:
        task.epoch = self._epoch
        self._board.begin(task)

    def _is_small(self, task: Task) -> bool:
        """Whether a file may travel with others; of unknown size, or after a failure, it goes alone."""
        fresh = task.kind is Kind.SEND and not task.tries and not task.study.last_pass
        return fresh and 0 < task.file.size <= self._destination.small_bytes

    def _companions(self, first: Task) -> Iterator[Task]:
        """The files behind *first* that fit into its parcel."""
        ready, size = self._board.ready, first.file.size
        for _ in range(self._load.files - 1):
            if not ready or not self._is_small(ready[0]):
                return
            size += ready[0].file.size
            if size > self._load.bytes:
                return
            yield ready.popleft()

    def _do(self, task: Task) -> Any:
        """In one of the threads."""
        if task.item is not None and self._control.paused:
            raise Stopped  # given out before the pause, not begun
        match task.kind:
            case Kind.SEND:
                return self._hands.send(task.file)
            case Kind.CHECK:
                return self._hands.check(task.file)
            case Kind.ATTACH:
                return self._hands.attach(task.study.study_uid, task.study.attachments)
            case Kind.PING:
                return self._both_answer()
            case Kind.ASK:
                held = self._destination.held(task.study.study_uid, list(task.study.items))
                return held, self._destination.gives_digest
            case Kind.VERIFY:
                uids = task.study.to_verify()
                return self._destination.held(task.study.study_uid, uids) if uids else {}

    def _both_answer(self) -> None:
        """Whichever was away, files can move again. Raises Unreachable."""
        self._destination.reachable()
        if self._origin is not None:
            self._origin.reachable()

    def _do_together(self, tasks: list[Task]) -> tuple[list[Any], float]:
        """In one of the threads: what became of each, and the seconds it took."""
        if self._control.paused:
            raise Stopped
        begun = time.monotonic()
        results = self._hands.send_together([task.file for task in tasks])
        return results, time.monotonic() - begun

    def _collect(self) -> None:
        if self._in_flight > self._pace.connections * 2:
            time.sleep(NAP_S)
        done = self._crew.next(min(0.05, self._pace.progress_every_s))
        for _ in range(AT_ONCE):
            if done is None:
                return
            self._in_flight -= 1
            if isinstance(done.key, tuple):
                self._together_done(done.key, done)
            elif done.error is None:
                self._succeeded(done.key, done.result)
            else:
                self._failed(done.key, done.error)
            done = self._crew.next(0)

    def _together_done(self, tasks: tuple[Task, ...], done: Done) -> None:
        if done.error is not None:
            self._together_failed(tasks, done.error)
            return
        results, seconds = done.result
        self._load.took(len(tasks), sum(task.file.size for task in tasks), seconds)
        for task, result in zip(tasks, results, strict=True):
            if isinstance(result, Exception):
                self._failed(task, result)
            else:
                self._succeeded(task, result)

    def _together_failed(self, tasks: tuple[Task, ...], error: Exception) -> None:
        """Whose fault it was shows when each file is sent by itself."""
        self._load.refused()
        of_all = isinstance(error, Stopped | Unreachable | StorageFault | Unauthenticated | Denied)
        for task in tasks:
            if of_all or not isinstance(error, KnownError):
                self._failed(task, error)
            else:
                task.tries += 1
                self._board.requeue(task)

    def _succeeded(self, task: Task, result: Any) -> None:
        if task.kind not in (Kind.CHECK, Kind.PING):  # neither proves that the peer takes files
            self._outage = None
        match task.kind:
            case Kind.PING:
                if self._outage is not None:
                    self._outage.trial = True
            case Kind.ASK:
                held, ours = result
                self._board.scheme.know(ours)
                self._board.asked(task, held)
            case Kind.CHECK:
                self._board.checked(task, result)
            case Kind.SEND:
                if reason := self._board.sent(task, result):
                    self._again_or_aside(task, reason)
            case Kind.ATTACH:
                self._board.attached(task)
            case Kind.VERIFY:
                self._board.verified(task, result)

    def _failed(self, task: Task, error: Exception) -> None:
        if isinstance(error, Stopped):
            if not self._must_stop():
                self._board.requeue(task)
            return
        if isinstance(error, Unreachable | StorageFault):
            self._lost(task, error)
        elif task.kind is Kind.ATTACH and isinstance(error, Denied | NotFound | BadInput | Conflict):
            self._board.attachments_failed(task, error)
        elif task.item is None or not isinstance(error, KnownError):
            self._question_failed(task, error)
        elif isinstance(error, Unauthenticated | Denied | NotFound):
            raise error
        elif isinstance(error, SourceFault) and not error.lasting:
            self._board.set_aside(task, error.message)
        elif isinstance(error, BadInput | Conflict | SourceFault):
            self._board.file_failed(task, error.message)
        else:
            self._again_or_aside(task, error.message)

    def _question_failed(self, task: Task, error: Exception) -> None:
        """Not about a file: a fault of the peer may pass, all else ends the run."""
        task.tries += 1
        passing = type(error) is KnownError and task.kind is not Kind.PING
        if passing and task.tries < self._pace.attempts:
            self._board.put_off(task, time.monotonic() + self._pace.delay_s(task.tries))
        elif passing and task.kind is Kind.ATTACH and isinstance(error, KnownError):
            self._board.attachments_failed(task, error)
        else:
            raise error

    def _lost(self, task: Task, error: KnownError) -> None:
        """The peer is away or refuses all work: try again later, and tell that apart from one bad file."""
        outage, now = self._outage, time.monotonic()
        answered = outage is None or outage.trial
        if outage is None:
            outage = self._outage = Outage(error, now)
        if task.epoch == self._epoch:
            self._epoch += 1
            outage.again(error, now, self._pace)
        if task.kind is Kind.PING:
            return
        task.tries += answered
        if task.item is not None and task.tries >= self._pace.attempts:
            self._board.set_aside(task, error.message)
        else:
            self._board.requeue(task)

    def _again_or_aside(self, task: Task, reason: str) -> None:
        task.tries += 1
        if task.tries < self._pace.attempts:
            self._board.put_off(task, time.monotonic() + self._pace.delay_s(task.tries))
        else:
            self._board.set_aside(task, reason)

    def _give_up_if_hopeless(self, now: float) -> None:
        outage = self._outage
        if outage and not self._in_flight and not self._control.paused and outage.hopeless(now, self._pace):
            raise outage.error

    def _must_stop(self) -> bool:
        return self._ending or self._control.cancelled

    def _flush(self) -> None:
        changed = self._board.changed()
        if changed:
            if self._writing is not None and self._writing.done():
                self._writing.result()  # a full disk is heard of here
            self._writing = self._job.record(changed)

    def _progress(self, now: float, receipt: UploadReceipt | None = None) -> UploadProgress:
        studies = self._board.progress()
        sent, failed = sum(each.sent for each in studies), sum(each.failed for each in studies)
        rate, left = self._tally.sample(now, self._expected - sent - failed)
        in_hand = [each.study_uid for each in studies if not each.done] or [s.study_uid for s in studies[-1:]]
        return UploadProgress(
            study_uid=in_hand[0] if in_hand else "",
            sent=sent,
            expected=self._expected,
            bytes_sent=self._tally.bytes,
            bytes_total=0 if self._tally.found else self._tally.total,
            rate=rate,
            seconds_left=left,
            state=self._state(receipt),
            failed=failed,
            verified=sum(each.verified for each in studies),
            note=self._outage.error.message if self._outage else "",
            studies=studies,
        )

    def _state(self, receipt: UploadReceipt | None) -> RunState:
        if receipt is not None:
            return RunState.DONE if receipt.complete else RunState.FAILED
        if self._control.paused:
            return RunState.PAUSED
        return RunState.WAITING if self._outage is not None else RunState.SENDING
