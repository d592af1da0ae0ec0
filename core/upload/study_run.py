"""One study of a running upload: what is known of each of its files, and what is to be done next.

ask ──► move (send or check each file) ──► attach ──► verify ──┬──► done
                 ▲                                              │
                 └───────── once more, what failed or is missing┘
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from enum import Enum

from core.dicom.file_names import shown
from core.dicom.ports import Outcome
from core.upload.nouns import (
    AttachmentItem,
    Failure,
    Item,
    ItemState,
    Read,
    StudyProgress,
    StudyReceipt,
)

DIFFERS = "The destination holds another file under the same SOP Instance UID; it was left as it is."
OTHER_BYTES = "The destination stored other bytes than were sent."
NOT_THERE = "The destination took it, but says it does not have it."
THERE = (ItemState.SENT, ItemState.ALREADY_THERE, ItemState.VERIFIED)


class Phase(Enum):
    """What a study is doing; see the picture above."""

    ASK = 1
    MOVE = 2
    ATTACH = 3
    VERIFY = 4
    DONE = 5


class Scheme:
    """Whether the destination's digests are ours: known beforehand, or learnt by comparing."""

    def __init__(self) -> None:
        self.ours: bool | None = None

    def know(self, ours: bool | None) -> None:
        """The destination says so itself; None = it cannot tell."""
        if ours is not None:
            self.ours = ours

    def learn(self, ours: bool) -> None:
        """The first comparison that can tell decides."""
        if self.ours is None:
            self.ours = ours

    @property
    def verified_by(self) -> str:
        """As the receipt says it."""
        return "digest" if self.ours else "uid"


class StudyRun:
    """States of one study's files; knows nothing of threads, retries or the ledger."""

    def __init__(
        self,
        study_uid: str,
        items: list[Item],
        attachments: list[AttachmentItem],
        scheme: Scheme,
        *,
        replace: bool,
    ) -> None:
        self.study_uid = study_uid
        self.items = {item.sop_uid: item for item in items}
        self.attachments = attachments
        self.phase = Phase.ASK
        self.last_pass = False
        self.changed: set[str] = set()  # SOP Instance UIDs the ledger does not know the truth of
        self.aside: list[Item] = []  # to be tried once more when all else is done
        self.moving = 0  # files given out and not back
        self._scheme = scheme
        self._replace = replace
        self._undecided: list[Item] = []  # held under a digest that may not be comparable
        self._held: dict[str, str] = {}
        self._counts = Counter(item.state for item in items)

    # what came back

    def asked(self, held: Mapping[str, str]) -> Iterator[tuple[bool, Item]]:
        """Sort the files by what the destination holds; yields those to send (True) or to compare."""
        self.phase = Phase.MOVE
        self._held = dict(held)
        for item in self.items.values():
            digest = held.get(item.sop_uid)
            if digest is None or (self._replace and not digest):  # whether it differs cannot be asked
                yield True, item
            elif digest and self._scheme.ours is not False:
                item.was_there = True
                yield False, item
            else:
                self._is_there(item)

    def sending(self, item: Item) -> None:
        """A file is on its way."""
        self._set(item, ItemState.SENDING)

    def checked(self, item: Item, read: Read) -> bool:
        """A file that the destination seems to hold was read; True if it must be sent after all."""
        self._was_read(item, read)
        if read.digest == self._held.get(item.sop_uid):
            self._scheme.learn(ours=True)
            self._is_there(item)
            return False
        if self._scheme.ours is None:
            self._undecided.append(item)
            return False
        return self._differs(item)

    def sent(self, item: Item, read: Read) -> str:
        """A file was sent; returns "" if that is well, else why it must be sent again."""
        self._was_read(item, read)
        given = read.sent.digest if read.sent else ""
        if given:
            self._scheme.learn(ours=given == read.digest)
        if self._scheme.ours and given != read.digest:
            return OTHER_BYTES
        if read.sent and read.sent.outcome is Outcome.ALREADY_THERE:
            item.was_there = True
        self._set(item, ItemState.ALREADY_THERE if item.was_there else ItemState.SENT)
        return ""

    def failed(self, item: Item, reason: str) -> None:
        """A file cannot be sent."""
        self._set(item, ItemState.FAILED, reason)

    def decide(self) -> list[Item]:
        """Settle files whose comparison had to wait; returns those to be sent after all."""
        undecided, self._undecided = self._undecided, []
        resend = []
        for item in undecided:
            if self._scheme.ours and self._differs(item):
                resend.append(item)
            elif not self._scheme.ours:
                self._is_there(item)
        return resend

    def to_verify(self) -> list[str]:
        """SOP Instance UIDs to ask the destination for."""
        return [item.sop_uid for item in self.items.values() if item.state in THERE]

    def verified(self, held: Mapping[str, str]) -> list[Item]:
        """Believe the destination about each file; returns those it lacks against its word, to be resent."""
        again = []
        for uid in self.to_verify():
            item = self.items[uid]
            if uid not in held:
                if self.last_pass:
                    self.failed(item, NOT_THERE)
                else:
                    item.was_there = False
                    self._set(item, ItemState.PENDING)
                    again.append(item)
            elif self._scheme.ours and held[uid] != item.digest:
                self.failed(item, DIFFERS)
            else:
                self._set(item, ItemState.VERIFIED)
        return again

    # what it looks like

    def receipt(self) -> StudyReceipt:
        """What is known now."""
        items = self.items.values()
        there = [item for item in items if item.state in THERE]
        failed = [
            Failure(item.sop_uid, shown(str(item.ref)), item.reason)
            for item in items
            if item.state is ItemState.FAILED
        ]
        failed += [
            Failure("", shown(each.path), each.reason)
            for each in self.attachments
            if each.state is ItemState.FAILED
        ]
        return StudyReceipt(
            study_uid=self.study_uid,
            expected=len(items),
            sent=sum(not item.was_there for item in there),
            already_there=sum(item.was_there for item in there),
            verified=sum(item.state is ItemState.VERIFIED for item in items),
            verified_by=self._scheme.verified_by,
            failed=tuple(failed),
            attachments=sum(each.state is ItemState.VERIFIED for each in self.attachments),
            attachments_expected=len(self.attachments),
        )

    def progress(self) -> StudyProgress:
        """How far it is."""
        counts = self._counts
        return StudyProgress(
            study_uid=self.study_uid,
            sent=sum(counts[state] for state in THERE),
            expected=len(self.items),
            verified=counts[ItemState.VERIFIED],
            failed=counts[ItemState.FAILED],
            done=self.phase is Phase.DONE,
        )

    def _was_read(self, item: Item, read: Read) -> None:
        item.digest, item.mtime_ns = read.digest, read.mtime_ns or item.mtime_ns
        self.changed.add(item.sop_uid)

    def _is_there(self, item: Item) -> None:
        item.was_there = True
        self._set(item, ItemState.ALREADY_THERE)

    def _differs(self, item: Item) -> bool:
        item.was_there = False
        if not self._replace:
            self.failed(item, DIFFERS)
        return self._replace

    def _set(self, item: Item, state: ItemState, reason: str = "") -> None:
        self._counts[item.state] -= 1
        self._counts[state] += 1
        item.state, item.reason = state, reason
        self.changed.add(item.sop_uid)
