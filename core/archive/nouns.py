"""What the archive takes and gives: filters, rows, details, results; all frozen."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from pathlib import Path
from typing import BinaryIO, Generic, NamedTuple, TypeVar

T = TypeVar("T")

CURRENT = "*"
"""The version that stands for the current one."""


class Via(StrEnum):
    """By which door something came in; settles whether it counts as UPLOAD or HARVEST."""

    API = "api"
    DESKTOP = "desktop"
    DIMSE = "dimse"


class Outcome(StrEnum):
    """What became of a stored object."""

    STORED = "stored"
    """Its identity was not there before."""
    SAME = "same"
    """The same bytes are the current version already; nothing was written."""
    NEW_VERSION = "new-version"
    """Other bytes under the same identity: now the current version, the earlier one is kept."""
    CONFLICT = "conflict"
    """Its UID belongs to another study or series, or its Patient ID differs from the study's: kept apart."""


class State(StrEnum):
    """How a study stands."""

    RECEIVING = "receiving"
    SETTLED = "settled"
    CONFLICT = "conflict"


@dataclass(frozen=True, slots=True)
class Routing:
    """AE titles that travelled with a store, "" if none."""

    source_ae_title: str = ""
    destination_ae_title: str = ""


@dataclass(frozen=True, slots=True)
class By:
    """Who asks for a change, and the *reason* they give; *silent*: nobody is to be notified of it."""

    actor: str
    silent: bool = False
    reason: str = ""

    def detail(self, **said: object) -> dict[str, object]:
        """What the audit log is told beside the actor."""
        said |= {"reason": self.reason} if self.reason else {}
        return {**said, "silent": True} if self.silent else said


@dataclass(frozen=True, slots=True)
class StudyFilter:
    """Which studies to list; empty fields match all, *namespaces* None means every namespace.

    *text* is split into words; each must begin a word of name, patient ID or accession number. *patient_name*
    is matched the same way against names only; *patient_id* and *accession_number* match from their start.
    None of these minds case or accents. Dates are YYYYMMDD and inclusive.
    """

    text: str = ""
    patient_name: str = ""
    patient_id: str = ""
    accession_number: str = ""
    date_from: str = ""
    date_to: str = ""
    modalities: tuple[str, ...] = ()
    namespaces: tuple[str, ...] | None = None


@dataclass(frozen=True, slots=True)
class Page(Generic[T]):
    """Some rows of a list, and how many there are in all."""

    rows: tuple[T, ...]
    total: int


@dataclass(frozen=True, slots=True)
class StoredPatient:
    """Whom the images of a study name, where an overlay says somebody else."""

    patient_name: str
    patient_id: str
    patient_birth_date: str
    patient_sex: str


@dataclass(frozen=True, slots=True)
class StudyRow:
    """One line of a study list; *images* counts current instances, *bytes* their size, *received* is UTC.

    *stored_patient*: whom the images name, where that is somebody else than is shown.
    """

    namespace: str
    study_uid: str
    patient_name: str
    patient_id: str
    patient_birth_date: str
    patient_sex: str
    study_date: str
    study_time: str
    study_description: str
    accession_number: str
    modalities: tuple[str, ...]
    series: int
    images: int
    bytes: int
    attachments: int
    received: datetime
    state: State
    stored_patient: StoredPatient | None = None


class ImageRow(NamedTuple):
    """One image of a series; *rank* is 1-based within it. *conflict*: kept, but its identity is in doubt.

    A tuple and not a dataclass: one schema has thousands.
    """

    sop_instance_uid: str
    version: str
    rank: int
    frame_count: int
    instance_number: int | None
    bytes: int
    sop_class_uid: str
    transfer_syntax_uid: str
    conflict: bool = False


@dataclass(frozen=True, slots=True)
class SeriesRow:
    """One series; *id* is its stable 1-based number within the study as V3 shows it, in order of arrival."""

    id: str
    series_uid: str
    number: int | None
    modality: str
    description: str
    images: tuple[ImageRow, ...]


@dataclass(frozen=True, slots=True)
class Attachment:
    """One version of an attachment; *name* and *content_type* as they were sent, *created* is UTC."""

    guid: str
    version: str
    name: str
    content_type: str
    bytes: int
    uploaded_by: str
    created: datetime


@dataclass(frozen=True, slots=True)
class StudySchema:
    """Series, images and attachments of one study (V3 "schema"), one image per SOP Instance UID."""

    namespace: str
    study_uid: str
    series: tuple[SeriesRow, ...]
    attachments: tuple[Attachment, ...]


@dataclass(frozen=True, slots=True)
class StudyDetail:
    """A study as the desktop shows it: row, every series with every image (conflicts too), attachments."""

    row: StudyRow
    series: tuple[SeriesRow, ...]
    attachments: tuple[Attachment, ...]


@dataclass(frozen=True, slots=True)
class StudyTags:
    """PHI and attributes of a study as "(gggg,eeee)" -> value, with its size in bytes and counts."""

    namespace: str
    study_uid: str
    tags: Mapping[str, str]
    size: int
    image_count: int
    attachment_count: int


@dataclass(frozen=True, slots=True)
class StoredImage:
    """One stored DICOM object; its bytes are read through `open` or *path* and never change."""

    namespace: str
    study_uid: str
    series_uid: str
    sop_instance_uid: str
    version: str
    bytes: int
    sop_class_uid: str
    transfer_syntax_uid: str
    frame_count: int
    rows: int
    columns: int
    modality: str
    path: Path
    content_type: str = "application/dicom"

    def open(self) -> BinaryIO:
        """Its bytes for reading; the caller closes it. Raises OSError."""
        return self.path.open("rb")


@dataclass(frozen=True, slots=True)
class StoredAttachment:
    """One stored attachment; its bytes are read through `open` or *path* and never change."""

    attachment: Attachment
    path: Path

    def open(self) -> BinaryIO:
        """Its bytes for reading; the caller closes it. Raises OSError."""
        return self.path.open("rb")


@dataclass(frozen=True, slots=True)
class StoreResult:
    """What became of one object; *attributes* are its decoded elements as "(gggg,eeee)" -> value."""

    namespace: str
    study_uid: str
    series_uid: str
    sop_uid: str
    version: str
    outcome: Outcome
    attributes: Mapping[str, str] = field(default_factory=dict)
    sop_class_uid: str = ""


@dataclass(frozen=True, slots=True)
class TrashEntry:
    """A deleted study that can still be restored; *expires* None means it is about to be removed."""

    id: int
    namespace: str
    study_uid: str
    patient_name: str
    patient_id: str
    patient_birth_date: str
    patient_sex: str
    study_date: str
    study_description: str
    images: int
    bytes: int
    deleted: datetime
    deleted_by: str
    expires: datetime | None


@dataclass(frozen=True, slots=True)
class Status:
    """The archive in figures; *settling* is how many studies the background pass has yet to do."""

    studies: int
    images: int
    bytes: int
    free_bytes: int
    settling: int


@dataclass(frozen=True, slots=True)
class Report:
    """What `check` found; *repaired* says what it mended, a sentence each."""

    objects: int
    bytes: int
    missing: tuple[str, ...] = ()
    damaged: tuple[str, ...] = ()
    orphans: tuple[str, ...] = ()
    catalog: tuple[str, ...] = ()
    audit: tuple[str, ...] = ()
    repaired: tuple[str, ...] = ()

    @property
    def ok(self) -> bool:
        """Whether catalog, blobs and audit log agree."""
        return not (self.missing or self.damaged or self.orphans or self.catalog or self.audit)
