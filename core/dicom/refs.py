"""Light, hashable names of things: an instance, a file in a source, and what a scan says of each file."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import NamedTuple


class Header(NamedTuple):
    """What a study tree needs of one instance (PS3.3 C.7). Text is decoded by its character set, never None.

    A tuple and not a dataclass: tens of thousands of them cross a process border during a scan.
    Person names keep their component groups ("Yamada^Tarou=山田^太郎"); dates stay as written (YYYYMMDD).
    """

    sop_class_uid: str
    sop_instance_uid: str
    study_instance_uid: str
    series_instance_uid: str
    transfer_syntax_uid: str
    patient_name: str = ""
    patient_id: str = ""
    issuer_of_patient_id: str = ""
    patient_birth_date: str = ""
    patient_sex: str = ""
    study_date: str = ""
    study_time: str = ""
    study_id: str = ""
    study_description: str = ""
    accession_number: str = ""
    referring_physician_name: str = ""
    institution_name: str = ""
    modality: str = ""
    series_number: int | None = None
    series_description: str = ""
    body_part_examined: str = ""
    instance_number: int | None = None
    number_of_frames: int = 1
    rows: int = 0
    columns: int = 0


class FileRef(NamedTuple):
    """Where a file lies in its source: a path relative to its root, and the member if inside a ZIP.

    *path* is shown to people and used to open; *member* is the ZIP entry's name, "" for a plain file.
    """

    path: str
    member: str = ""

    def __str__(self) -> str:
        return f"{self.path}!/{self.member}" if self.member else self.path


class Found(NamedTuple):
    """One instance found in a source; *size* is its file's size in bytes."""

    ref: FileRef
    header: Header
    size: int


class SkipReason(StrEnum):
    """Why a file was not taken; the closed list of the contract."""

    NOT_DICOM = "not-dicom"
    DICOMDIR = "dicomdir"
    TRUNCATED = "truncated"
    NO_UID = "no-uid"
    UNREADABLE = "unreadable"
    DUPLICATE = "duplicate"
    CONFLICT = "conflict"
    ENCRYPTED = "encrypted"
    TOO_DEEP = "too-deep"


class Skipped(NamedTuple):
    """One file that was not taken; *detail* is a sentence a clerk understands."""

    path: str
    reason: SkipReason
    detail: str


@dataclass(frozen=True, slots=True)
class InstanceRef:
    """The identity of an instance within a namespace (PS3.3 C.12.1)."""

    study_instance_uid: str
    series_instance_uid: str
    sop_instance_uid: str
