"""The board of a running upload: which studies are open, which tasks wait, and what each answer leads to."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass
from enum import Enum
from typing import Any

from core.errors import KnownError
from core.upload.job import UploadJob
from core.upload.nouns import Item, ItemState, StudyProgress, StudyReceipt
from core.upload.study_run import Phase, Scheme, StudyRun
from core.upload.tally import Tally

MOST_OPEN_STUDIES = 8
LOW_WATER = 64
"""Fewer tasks than this in the queue: the next study is taken up."""


class Kind(Enum):
    """What a task does."""

    ASK = 1
    SEND = 2
    CHECK = 3
    ATTACH = 4
    VERIFY = 5
    PING = 6


@dataclass(slots=True, eq=False)
class Task:
    """One thing to do; *epoch* is the number of outages known of when it was begun."""

    kind: Kind
    study: StudyRun
    item: Item | None = None
    tries: int = 0
    epoch: int = 0
    not_before: float = 0.0

    @property
    def file(self) -> Item:
        """The file it is about."""
        if self.item is None:
            raise TypeError("this task is not about a file")
        return self.item


class Board:
    """Touched by the coordinator alone; knows nothing of threads, time or the network."""

    def __init__(self, job: UploadJob, tally: Tally) -> None:
        self.scheme = Scheme()
        self.ready: deque[Task] = deque()
        self._job = job
        self._tally = tally
        self._order = [study.study_uid for study in job.studies()]
        self._waiting = deque(self._order)
        self._open: dict[str, StudyRun] = {}
        self._parked: list[StudyRun] = []  # done but for files to be tried once more at the end
        self._later: list[Task] = []
        self._receipts: dict[str, StudyReceipt] = {}
        self._finished: dict[str, StudyProgress] = {}
        self._changed: list[Item] = []

    def take_up(self, now: float) -> bool:
        """See that there is enough to do; False when everything is done."""
        while self._waiting and len(self.ready) < LOW_WATER and len(self._open) < MOST_OPEN_STUDIES:
            uid = self._waiting.popleft()
            self._open[uid] = study = self._study(uid)
            self.ready.append(Task(Kind.ASK, study))
        if not self._open and not self._waiting and self._parked:
            self._last_pass()
        if self._later:
            self.ready.extend(task for task in self._later if task.not_before <= now)
            self._later = [task for task in self._later if task.not_before > now]
        return bool(self._open or self._waiting)

    def begin(self, task: Task) -> None:
        """A task is given out."""
        if task.kind is Kind.SEND:
            task.study.sending(task.file)

    # what came back

    def asked(self, task: Task, held: dict[str, str]) -> None:
        """The destination said what it holds of a study."""
        for send, item in task.study.asked(held):
            self._move(Kind.SEND if send else Kind.CHECK, task.study, item)
        self._advance(task.study)

    def checked(self, task: Task, read: Any) -> None:
        """A file was read and compared."""
        task.study.moving -= 1
        if task.study.checked(task.file, read):
            self._tally.moved(-task.file.size)
            self._move(Kind.SEND, task.study, task.file)
        self._advance(task.study)

    def sent(self, task: Task, read: Any) -> str:
        """A file was sent; a reason if that went wrong, and then the task goes on living."""
        reason = task.study.sent(task.file, read)
        if reason:
            self._tally.moved(-task.file.size)
            return reason
        task.study.moving -= 1
        self._advance(task.study)
        return ""

    def attached(self, task: Task) -> None:
        """Attachments are there, or failed."""
        self._job.record_attachments(task.study.attachments)
        self._verify(task.study)

    def verified(self, task: Task, held: dict[str, str]) -> None:
        """The destination said what it holds at the end."""
        study = task.study
        for item in study.verified(held):
            self._tally.moved(-item.size)
            study.aside.append(item)
        self._collect_changed(study)
        del self._open[study.study_uid]
        if study.aside:
            self._parked.append(study)
            return
        study.phase = Phase.DONE
        self._receipts[study.study_uid] = study.receipt()
        self._finished[study.study_uid] = study.progress()

    # what went wrong

    def requeue(self, task: Task) -> None:
        """Try again: questions first, files after those that have not had their turn."""
        if task.item is None:
            self.ready.appendleft(task)
        else:
            self.ready.append(task)

    def put_off(self, task: Task, not_before: float) -> None:
        """Try again, but not yet."""
        task.not_before = not_before
        self._later.append(task)

    def set_aside(self, task: Task, reason: str) -> None:
        """Try the file once more when all else is done; after that it has failed."""
        if task.study.last_pass:
            self.file_failed(task, reason)
            return
        task.study.moving -= 1
        task.study.aside.append(task.file)
        self._advance(task.study)

    def file_failed(self, task: Task, reason: str) -> None:
        """The file will not be sent."""
        task.study.moving -= 1
        task.study.failed(task.file, reason)
        self._advance(task.study)

    def attachments_failed(self, task: Task, error: KnownError) -> None:
        """The attachments of a study will not be sent."""
        for each in task.study.attachments:
            if each.state is not ItemState.VERIFIED:
                each.state, each.reason = ItemState.FAILED, error.message
        self.attached(task)

    # what it looks like

    def changed(self) -> list[Item]:
        """Items that became something else since this was last asked."""
        for study in self._running():
            self._collect_changed(study)
        changed, self._changed = self._changed, []
        return changed

    def progress(self) -> tuple[StudyProgress, ...]:
        """Every study begun: the finished ones, then the others."""
        return (*self._finished.values(), *(study.progress() for study in self._running()))

    def receipts(self) -> tuple[StudyReceipt, ...]:
        """What is known of every study of the job."""
        known = {study.study_uid: study.receipt() for study in self._running()} | self._receipts
        return tuple(known.get(uid) or self._study(uid).receipt() for uid in self._order)

    def _running(self) -> Iterator[StudyRun]:
        yield from self._open.values()
        yield from self._parked

    def _study(self, uid: str) -> StudyRun:
        items, attachments = self._job.items(uid), self._job.attachments(uid)
        return StudyRun(uid, items, attachments, self.scheme, replace=self._job.replace)

    def _collect_changed(self, study: StudyRun) -> None:
        self._changed += [study.items[uid] for uid in study.changed]
        study.changed.clear()

    def _last_pass(self) -> None:
        parked, self._parked = self._parked, []
        for study in parked:
            study.last_pass = True
            study.phase = Phase.MOVE
            self._open[study.study_uid] = study
            again, study.aside = study.aside, []
            for item in again:
                self._move(Kind.SEND, study, item)

    def _move(self, kind: Kind, study: StudyRun, item: Item) -> None:
        study.moving += 1
        self.ready.append(Task(kind, study, item))

    def _advance(self, study: StudyRun) -> None:
        if study.phase is not Phase.MOVE or study.moving:
            return
        for item in study.decide():
            self._move(Kind.SEND, study, item)
        if study.moving:
            return
        if any(each.state is not ItemState.VERIFIED for each in study.attachments):
            study.phase = Phase.ATTACH
            self.ready.appendleft(Task(Kind.ATTACH, study))
        else:
            self._verify(study)

    def _verify(self, study: StudyRun) -> None:
        study.phase = Phase.VERIFY
        self.ready.appendleft(Task(Kind.VERIFY, study))
