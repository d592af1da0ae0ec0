"""What an archive answers, as typed records: V3 storage and the desktop's own routes."""

from __future__ import annotations

import dataclasses
import functools
import types
import typing
from collections.abc import Hashable, Mapping
from dataclasses import dataclass, field
from typing import Any, Generic, TypeVar

from core.errors import KnownError


@dataclass(frozen=True, slots=True)
class Tag:
    """One element: *tag* as "(gggg,eeee)"."""

    tag: str
    value: str = ""


@dataclass(frozen=True, slots=True)
class StoredAnswer:
    """The answer to one stored image."""

    study_uid: str
    image_uid: str
    image_version: str
    namespace: str = ""


@dataclass(frozen=True, slots=True)
class SchemaImage:
    """One image of a study's schema; *rank* is 1-based."""

    id: str
    version: str
    rank: int = 0
    frame_count: int = 1


@dataclass(frozen=True, slots=True)
class SchemaSeries:
    """One series of a study's schema."""

    id: str = ""
    series_uid: str = ""
    images: tuple[SchemaImage, ...] = ()


@dataclass(frozen=True, slots=True)
class SchemaAttachment:
    """One attachment of a study's schema."""

    id: str
    version: str = ""


@dataclass(frozen=True, slots=True)
class Schema:
    """Everything a study holds, by series."""

    study_uid: str
    namespace: str = ""
    series: tuple[SchemaSeries, ...] = ()
    attachments: tuple[SchemaAttachment, ...] = ()


@dataclass(frozen=True, slots=True)
class AttachmentAnswer:
    """The answer to one stored attachment."""

    attachment_guid: str
    attachment_version: str = ""
    study_uid: str = ""
    source_label: str = ""


@dataclass(frozen=True, slots=True)
class StudyTags:
    """Commonly used elements of a study, and how large it is."""

    tags: tuple[Tag, ...] = ()
    size: int = 0
    image_count: int = 0
    attachment_count: int = 0


@dataclass(frozen=True, slots=True)
class Element:
    """One identifying element of a study."""

    name: str
    tag: str = ""
    value: str = ""


@dataclass(frozen=True, slots=True)
class ArchiveStatus:
    """What an archive says of itself; *settling* = studies still being indexed.

    *images_together*: it takes several images in one request.
    """

    version: str = ""
    ae_title: str = ""
    free_bytes: int = 0
    studies: int = 0
    images: int = 0
    bytes: int = 0
    settling: int = 0
    images_together: bool = False


@dataclass(frozen=True, slots=True)
class StoredPatient:
    """Whom the images of a study name; *differs*: the archive shows somebody else."""

    patient_name: str = ""
    patient_id: str = ""
    patient_birth_date: str = ""
    patient_sex: str = ""
    differs: bool = True


@dataclass(frozen=True, slots=True)
class StudyRow:
    """One line of a list of studies; dates are YYYYMMDD, *received* is ISO 8601."""

    namespace: str
    study_uid: str
    patient_name: str = ""
    patient_id: str = ""
    patient_birth_date: str = ""
    patient_sex: str = ""
    study_date: str = ""
    study_time: str = ""
    study_description: str = ""
    accession_number: str = ""
    modalities: tuple[str, ...] = ()
    series: int = 0
    images: int = 0
    bytes: int = 0
    attachments: int = 0
    received: str = ""
    state: str = ""
    stored_patient: StoredPatient = StoredPatient(differs=False)


@dataclass(frozen=True, slots=True)
class ImageRow:
    """One stored image."""

    image_uid: str
    version: str
    instance_number: int | None = None
    frame_count: int = 1
    rank: int = 0
    bytes: int = 0
    sop_class_uid: str = ""
    transfer_syntax_uid: str = ""


@dataclass(frozen=True, slots=True)
class SeriesRow:
    """One stored series with its images."""

    series_uid: str
    number: int | None = None
    modality: str = ""
    description: str = ""
    images: tuple[ImageRow, ...] = ()


@dataclass(frozen=True, slots=True)
class AttachmentRow:
    """One stored attachment."""

    id: str
    version: str = ""
    name: str = ""
    content_type: str = ""
    bytes: int = 0
    uploaded_by: str = ""
    created: str = ""


@dataclass(frozen=True, slots=True)
class StudyDetail:
    """A study's row, its series with their images, and its attachments."""

    study: StudyRow
    series: tuple[SeriesRow, ...] = ()
    attachments: tuple[AttachmentRow, ...] = ()
    institution_name: str = ""


@dataclass(frozen=True, slots=True)
class TrashEntry:
    """One deleted study that can still be restored; the dates are ISO 8601."""

    id: str
    namespace: str = ""
    study_uid: str = ""
    patient_name: str = ""
    patient_id: str = ""
    patient_birth_date: str = ""
    patient_sex: str = ""
    study_date: str = ""
    study_description: str = ""
    images: int = 0
    deleted: str = ""
    deleted_by: str = ""
    expires: str = ""


Row = TypeVar("Row")


@dataclass(frozen=True, slots=True)
class Page(Generic[Row]):
    """Some rows of *total*."""

    rows: tuple[Row, ...] = field(default_factory=tuple)
    total: int = 0


def read(kind: type[Row], value: object) -> Row:
    """The record *kind* from a JSON object; unknown members are ignored. Raises KnownError."""
    if not isinstance(value, Mapping):
        raise _unexpected(kind)
    found: dict[str, Any] = {}
    for name, hint in _members(typing.cast(Hashable, kind)).items():
        given = value.get(name)
        if given is not None:
            found[name] = _convert(hint, given, kind)
    try:
        return kind(**found)
    except TypeError as error:
        raise _unexpected(kind) from error


def read_all(kind: type[Row], values: object) -> tuple[Row, ...]:
    """The records of a JSON array. Raises KnownError."""
    if not isinstance(values, list):
        raise _unexpected(kind)
    return tuple(read(kind, value) for value in values)


@functools.cache
def _members(kind: Hashable) -> dict[str, Any]:
    return typing.get_type_hints(kind)


def _convert(hint: Any, given: object, kind: type[object]) -> object:
    if typing.get_origin(hint) is tuple:
        item = typing.get_args(hint)[0]
        if not isinstance(given, list):
            raise _unexpected(kind)
        return tuple(_convert(item, each, kind) for each in given)
    if dataclasses.is_dataclass(hint) and isinstance(hint, type):
        return read(hint, given)
    options = typing.get_args(hint) if isinstance(hint, types.UnionType) else (hint,)
    if bool in options and isinstance(given, bool):
        return given
    if int in options and isinstance(given, int) and not isinstance(given, bool):
        return given
    if str in options and isinstance(given, str | int):
        return str(given)
    raise _unexpected(kind)


def _unexpected(kind: type[object]) -> KnownError:
    return KnownError(
        f"The answer is not what was expected of an archive ({kind.__name__}).",
        "Check that the address is that of an archive that speaks V3 storage.",
    )
