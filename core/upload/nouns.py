"""Nouns of an upload: states, items on their way, progress, and the receipt at the end."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from core.dicom.ports import Sent
from core.dicom.refs import FileRef, Header


class ItemState(StrEnum):
    """What is known of one file; `verified` and `already-there` are only said after the destination did."""

    PENDING = "pending"
    SENDING = "sending"
    SENT = "sent"
    ALREADY_THERE = "already-there"
    VERIFIED = "verified"
    FAILED = "failed"


class JobState(StrEnum):
    """Where a job stands in the ledger."""

    OPEN = "open"  # not begun, under way, or interrupted
    FAILED = "failed"  # ran to its end, and something could not be sent or verified
    DONE = "done"  # everything sent and verified
    CANCELLED = "cancelled"  # given up by a person


class RunState(StrEnum):
    """What a running upload is doing."""

    SENDING = "sending"
    PAUSED = "paused"
    WAITING = "waiting-for-network"
    FAILED = "failed"
    DONE = "done-and-checked"


@dataclass(slots=True)
class Item:
    """One instance of a job; *mtime_ns* 0 = not known, *digest* "" = not read yet.

    *size* 0: it lies in an archive elsewhere, whose list says neither its size nor all of its header.
    """

    header: Header
    ref: FileRef
    size: int
    mtime_ns: int = 0
    digest: str = ""
    state: ItemState = ItemState.PENDING
    reason: str = ""
    was_there: bool = False

    @property
    def sop_uid(self) -> str:
        """SOP Instance UID."""
        return self.header.sop_instance_uid


@dataclass(frozen=True, slots=True)
class Read:
    """What reading one file gave: its digest, its time, and the destination's answer if it was sent."""

    digest: str
    mtime_ns: int
    sent: Sent | None = None


@dataclass(slots=True)
class AttachmentItem:
    """One file to attach to a study; *remote* is the digest the destination gave for it."""

    id: int
    study_uid: str
    path: str
    name: str
    content_type: str
    size: int = 0
    digest: str = ""
    remote: str = ""
    state: ItemState = ItemState.PENDING
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Failure:
    """Something that is not at the destination, and why; *sop_uid* "" for an attachment."""

    sop_uid: str
    path: str
    reason: str


@dataclass(frozen=True, slots=True)
class StudyReceipt:
    """What became of one study in this run. *expected* = *sent* + *already_there* when nothing failed."""

    study_uid: str
    expected: int
    sent: int
    already_there: int
    verified: int
    verified_by: str  # "digest" or "uid"
    failed: tuple[Failure, ...] = ()
    attachments: int = 0  # there at the end
    attachments_expected: int = 0

    @property
    def complete(self) -> bool:
        """True if the destination said of each instance and attachment that it has it."""
        whole = self.verified == self.expected and self.attachments == self.attachments_expected
        return whole and not self.failed


@dataclass(frozen=True, slots=True)
class UploadReceipt:
    """What the destination said it holds when the upload was over."""

    destination: str
    studies: tuple[StudyReceipt, ...]
    seconds: float
    cancelled: bool = False

    @property
    def complete(self) -> bool:
        """True if there was something to send and the destination has all of it."""
        return bool(self.studies) and all(study.complete for study in self.studies)

    @property
    def safe_to_eject(self) -> bool:
        """True if every byte of the studies was hashed here and the destination gave the same digests."""
        return self.complete and all(study.verified_by == "digest" for study in self.studies)

    def to_json(self) -> dict[str, Any]:
        """The document of `upload --json`."""
        return {
            "destination": self.destination,
            "studies": [
                {
                    "study_uid": study.study_uid,
                    "expected": study.expected,
                    "sent": study.sent,
                    "already_there": study.already_there,
                    "verified": study.verified,
                    "verified_by": study.verified_by,
                    "failed": [
                        {"sop_uid": each.sop_uid, "path": each.path, "reason": each.reason}
                        for each in study.failed
                    ],
                    "attachments": study.attachments,
                }
                for study in self.studies
            ],
            "complete": self.complete,
            "seconds": round(self.seconds, 3),
        }

    @classmethod
    def from_json(cls, document: Mapping[str, Any]) -> UploadReceipt:
        """The receipt of an earlier run; an attachment that is not there stands among the failures."""
        studies = []
        for each in document["studies"]:
            failed = tuple(Failure(**failure) for failure in each["failed"])
            wanted = each["attachments"] + sum(not failure.sop_uid for failure in failed)
            studies.append(StudyReceipt(**{**each, "failed": failed}, attachments_expected=wanted))
        return cls(document["destination"], tuple(studies), document["seconds"])


@dataclass(frozen=True, slots=True)
class StudyProgress:
    """How far one study is; *sent* counts what is at the destination, already there included."""

    study_uid: str
    sent: int
    expected: int
    verified: int
    failed: int
    done: bool


@dataclass(frozen=True, slots=True)
class UploadProgress:
    """How far the whole job is; *study_uid* is the study in hand, *studies* tells of each one begun.

    *sent* counts instances at the destination, already there included; *rate* is in bytes a second,
    *bytes_total* 0 and *seconds_left* None while they are not known; *note* is a sentence when something is
    being waited for.
    """

    study_uid: str
    sent: int
    expected: int
    bytes_sent: int
    bytes_total: int
    rate: float
    seconds_left: float | None
    state: RunState
    failed: int
    verified: int = 0
    note: str = ""
    studies: tuple[StudyProgress, ...] = field(default_factory=tuple)

    @property
    def share(self) -> float:
        """How much is done, 0 to 1: of the bytes, or of the images where sizes are not known."""
        done, all_of_it = self.bytes_sent, self.bytes_total
        if not all_of_it:
            done, all_of_it = self.sent, self.expected
        return min(1.0, done / max(1, all_of_it))
