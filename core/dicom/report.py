"""A report that came as an HL7 v2 message, as a Basic Text SR (PS3.3 A.35.1, PS3.16 TID 2000 in plain)."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import TYPE_CHECKING, NamedTuple

from core.dicom.editing import code, fresh_uid
from core.dicom.syntaxes import EXPLICIT_LITTLE_UID
from core.errors import BadInput

if TYPE_CHECKING:
    from pydicom.dataset import Dataset, FileDataset

BASIC_TEXT_SR = "1.2.840.10008.5.1.4.1.1.88.11"
KEPT = (
    "PatientName",
    "PatientID",
    "PatientBirthDate",
    "PatientSex",
    "StudyInstanceUID",
    "StudyDate",
    "StudyTime",
    "StudyID",
    "StudyDescription",
    "AccessionNumber",
    "ReferringPhysicianName",
)
TEXT_TYPES = frozenset(("TX", "FT", "ST", "CE", "CWE", "NM", "DT", "TM", "TS", "SN"))
ESCAPES = {"F": "|", "S": "^", "T": "&", "R": "~", "E": "\\", ".br": "\n", ".sp": "\n"}
"""HL7 v2 chapter 2, use of escape sequences in text fields."""
SERIES_NUMBER = 9001


class Paragraph(NamedTuple):
    """An observation: what it is called, and its text."""

    heading: str
    text: str


def read_report(message: bytes) -> list[Paragraph]:
    """The observations (OBX) of an HL7 v2 message. Raises BadInput."""
    try:
        text = message.decode("utf-8-sig")
    except UnicodeDecodeError:
        text = message.decode("latin-1")
    segments = [line.split("|") for line in re.split(r"[\r\n]+", text.strip("\x0b\x1c\r\n ")) if line]
    if not segments or segments[0][0] != "MSH":
        raise BadInput("This is no HL7 message: it does not begin with MSH.")
    found: list[Paragraph] = []
    for fields in segments:
        if fields[0] != "OBX" or len(fields) < 6 or fields[2] not in TEXT_TYPES:
            continue
        names = fields[3].split("^")
        heading = _plain(names[1] if len(names) > 1 and names[1] else names[0])
        value = "\n".join(_plain(_words(fields[2], each)) for each in fields[5].split("~"))
        if found and found[-1].heading == heading:
            found[-1] = Paragraph(heading, f"{found[-1].text}\n{value}")
        elif value.strip():
            found.append(Paragraph(heading, value))
    if not found:
        raise BadInput("The HL7 message has no observation (OBX) with text.")
    return found


def become_report(ds: FileDataset, paragraphs: list[Paragraph]) -> None:
    """Turn an object of a study into a report of that study that says *paragraphs*."""
    from pydicom.uid import UID

    kept = {keyword: ds.get(keyword) for keyword in KEPT}
    ds.clear()
    ds.file_meta.TransferSyntaxUID = UID(EXPLICIT_LITTLE_UID)
    now = datetime.now(UTC)
    ds.SpecificCharacterSet = "ISO_IR 192"
    for keyword, value in kept.items():
        setattr(ds, keyword, value if value is not None else "")
    ds.SOPClassUID, ds.SOPInstanceUID, ds.SeriesInstanceUID = UID(BASIC_TEXT_SR), fresh_uid(), fresh_uid()
    ds.Modality, ds.SeriesNumber, ds.InstanceNumber = "SR", SERIES_NUMBER, 1
    ds.SeriesDescription, ds.Manufacturer = "Report", "Filmjacket"
    ds.ContentDate, ds.ContentTime = now.strftime("%Y%m%d"), now.strftime("%H%M%S")
    ds.InstanceCreationDate, ds.InstanceCreationTime = ds.ContentDate, ds.ContentTime
    ds.TimezoneOffsetFromUTC = "+0000"
    ds.ReferencedPerformedProcedureStepSequence, ds.PerformedProcedureCodeSequence = [], []
    ds.CompletionFlag, ds.VerificationFlag = "COMPLETE", "UNVERIFIED"
    ds.ValueType, ds.ContinuityOfContent = "CONTAINER", "SEPARATE"
    ds.ConceptNameCodeSequence = [code("11528-7", "Radiology Report", "LN")]
    ds.ContentSequence = [_item(each) for each in paragraphs]


def _item(paragraph: Paragraph) -> Dataset:
    from pydicom.dataset import Dataset

    item = Dataset()
    item.RelationshipType, item.ValueType = "CONTAINS", "TEXT"
    item.ConceptNameCodeSequence = [code("121106", "Comment")]
    heading = f"{paragraph.heading}: " if paragraph.heading else ""
    item.TextValue = heading + paragraph.text
    return item


def _words(kind: str, value: str) -> str:
    """What a coded value says in words."""
    parts = value.split("^")
    return parts[1] if kind in ("CE", "CWE") and len(parts) > 1 and parts[1] else value


def _plain(text: str) -> str:
    plain = re.sub(r"\\(\.\w+|[FSTRE])[^\\]*\\", lambda found: ESCAPES.get(found[1], " "), text)
    return "".join(c if c.isprintable() or c == "\n" else " " for c in plain).strip()
