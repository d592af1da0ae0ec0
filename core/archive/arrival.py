"""One arrived DICOM object, read and judged: what the catalog will keep of it."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from core.archive.phi import PhiSet, phi_set
from core.dicom.refs import Header
from core.dicom.stored_object import Head, read_object
from core.dicom.tree import folded
from core.errors import BadInput, Conflict, MissingElement

MEDIA_DIRECTORY = "1.2.840.10008.1.3.10"  # Media Storage Directory Storage (PS3.6 A): a DICOMDIR

USABLE_UID = re.compile(r"[0-9A-Za-z][0-9A-Za-z._-]{0,127}")
"""The one leniency for UIDs: what other systems wrote too long or with letters still names an object, as long
as it fits into a URL segment. Nothing of it ever becomes a path."""

NAMES = {
    "study_instance_uid": "Study Instance UID",
    "series_instance_uid": "Series Instance UID",
    "sop_instance_uid": "SOP Instance UID",
}


class CutShort(BadInput):
    """The object ends before its last element does; *header* says which it is."""

    def __init__(self, header: Header) -> None:
        super().__init__("The object ends before its last element does.", "Send the whole file.")
        self.header = header


class OtherStudy(Conflict):
    """The object belongs to another study than its sender says; *header* says to which."""

    def __init__(self, header: Header) -> None:
        super().__init__("The object belongs to another study.", "Send it to the address of its own study.")
        self.header = header


class NotSaid(Conflict):
    """The object has another SOP Class or Instance UID than its sender says; *header* says which."""

    def __init__(self, header: Header) -> None:
        super().__init__("The object is not the one its sender names.", "Send it under its own UIDs.")
        self.header = header


@dataclass(frozen=True, slots=True)
class Arrival:
    """A readable object; *attributes* are decoded elements as "(gggg,eeee)" -> value."""

    header: Header
    attributes: Mapping[str, str]
    phi: PhiSet
    normal: str
    position: float | None


def read_arrival(file: Path | BinaryIO, size: int, head: Head | None = None) -> Arrival:
    """Read an object of *size* bytes; *head*: as its first bytes said. Raises NotDicom, BadInput, OSError."""
    if size == 0:
        raise BadInput("Nothing was sent.", "Send a DICOM object.")
    found = head.read if head is not None and head.whole_bytes == size else read_object(file, size, head)
    header = found.header
    if header.sop_class_uid == MEDIA_DIRECTORY:
        raise BadInput(
            "This is a DICOMDIR, the directory of a disc, not an image.", "Send the images it lists."
        )
    if found.truncated:
        raise CutShort(header)
    for name, spoken in NAMES.items():
        value = getattr(header, name)
        if not value:
            raise MissingElement(f"The object has no {spoken}.", "Send an object that has one.")
        if not USABLE_UID.fullmatch(value):
            raise BadInput(f"The {spoken} of the object is not a UID.", "Send an object with a valid one.")
    normal, position = slice_place(found.attributes)
    return Arrival(header, found.attributes, phi_set(found.attributes), normal, position)


def slice_place(attributes: Mapping[str, str]) -> tuple[str, float | None]:
    """The rounded slice normal and the position along it in mm (PS3.3 C.7.6.2); ("", None) without."""
    try:
        row_x, row_y, row_z, col_x, col_y, col_z = map(float, attributes.get("(0020,0037)", "").split("\\"))
        x, y, z = map(float, attributes.get("(0020,0032)", "").split("\\"))
    except ValueError:
        return "", None
    normal = (
        row_y * col_z - row_z * col_y,
        row_z * col_x - row_x * col_z,
        row_x * col_y - row_y * col_x,
    )
    position = normal[0] * x + normal[1] * y + normal[2] * z
    if not -1e9 < position < 1e9:  # also refuses NaN
        return "", None
    return ",".join(f"{part + 0.0:.2f}" for part in normal).replace("-0.00", "0.00"), position


def study_words(patient_name: str, patient_id: str, accession_number: str) -> set[tuple[str, str]]:
    """(kind, word) pairs a study can be found by: every component group of the name, ID, accession number."""
    found = {("name", word) for group in patient_name.split("=") for word in folded(group).split()}
    found |= {("id", word) for word in _whole_and_parts(patient_id)}
    found |= {("accession", word) for word in _whole_and_parts(accession_number)}
    return found


def key_of(text: str) -> str:
    """A value for comparing without case and accents, spaces and punctuation kept."""
    return " ".join(text.casefold().split())


def _whole_and_parts(text: str) -> set[str]:
    whole = key_of(text)
    return {word for word in (whole, *folded(text).split()) if word}
