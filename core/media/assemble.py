"""Objects made of metadata and bulk data (PS3.18 10.5): what is missing is supplied."""

from __future__ import annotations

import io
import struct
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from core.dicom.editing import code
from core.dicom.from_model import Described, put
from core.dicom.maker import file_meta
from core.dicom.recoding import dictionary_vr
from core.dicom.syntaxes import EXPLICIT_LITTLE_UID
from core.errors import BadInput
from core.media.wrap import ENCAPSULATED_PDF, SECONDARY_CAPTURE, fresh_uid

if TYPE_CHECKING:
    from pydicom.dataset import Dataset

PIXELS, DOCUMENT = 0x7FE00010, 0x00420011
CHUNK, FRAGMENT = 1 << 20, 1 << 31
LONGEST = 0xFFFFFFFE
MOST_NESTED_BYTES = 16 << 20
VL_PHOTOGRAPHIC = "1.2.840.10008.5.1.4.1.1.77.1.4"
STILL_LIGHT = {
    "1.2.840.10008.5.1.4.1.1.77.1.1": "ES",
    "1.2.840.10008.5.1.4.1.1.77.1.2": "GM",
    VL_PHOTOGRAPHIC: "XC",
}
"""Endoscopic, microscopic and photographic pictures, and their Modality (PS3.3 A.32)."""
VIDEO_LIGHT = {f"{still}.1": modality for still, modality in STILL_LIGHT.items()}
VISIBLE_LIGHT = {**STILL_LIGHT, **VIDEO_LIGHT}
SINGLE_BITS, GREY_BYTES, GREY_WORDS, TRUE_COLOUR = (
    f"1.2.840.10008.5.1.4.1.1.7.{last}" for last in (1, 2, 3, 4)
)
"""Multi-frame Secondary Capture."""
SEVERAL_CAPTURES = frozenset({SINGLE_BITS, GREY_BYTES, GREY_WORDS, TRUE_COLOUR})
MODALITIES = {ENCAPSULATED_PDF: "DOC", SECONDARY_CAPTURE: "OT", **VISIBLE_LIGHT}
EMPTY = (
    *("StudyDate", "StudyTime", "AccessionNumber", "ReferringPhysicianName", "PatientName", "PatientID"),
    *("PatientBirthDate", "PatientSex", "StudyID", "Manufacturer"),
)
"""Type 2 of the Patient, General Study and General Equipment modules."""
OF_PHOTOGRAPHS = ("AcquisitionContextSequence",)
OF_DOCUMENTS = ("AcquisitionDateTime", "ConceptNameCodeSequence", "DocumentTitle")
SIDES = ("Laterality", "ImageLaterality")
"""Which of a pair it is: nobody but the sender knows whether there is one."""
SEQUENCES = frozenset({"AcquisitionContextSequence", "ConceptNameCodeSequence"})


class Mismatch(BadInput):
    """Bulk data that are not what the metadata say."""


@dataclass(frozen=True, slots=True)
class Content:
    """Bulk data in a file, or *data*; *says* is what they tell by keyword, *lossy* their method.

    *frames* are where each lies in the file, if there are several. Not *colour_is_sure*: the stream does not
    say whether its colours are RGB, and what it is taken for is a guess.
    """

    path: Path
    start: int
    length: int
    syntax: str = EXPLICIT_LITTLE_UID
    sop_class_uid: str = SECONDARY_CAPTURE
    says: Mapping[str, Any] = field(default_factory=dict)
    lossy: str = ""
    data: bytes = b""
    frames: tuple[tuple[int, int], ...] = ()
    colour_is_sure: bool = True

    def pieces(self) -> Iterator[bytes]:
        """The bytes."""
        if self.data:
            yield self.data
            return
        with self.path.open("rb") as stream:
            stream.seek(self.start)
            left = self.length
            while left and (piece := stream.read(min(CHUNK, left))):
                left -= len(piece)
                yield piece


class Supply:
    """What the objects of one request are given where they say nothing; *study_uid* is the address's."""

    def __init__(self, study_uid: str, now: datetime) -> None:
        self._study_uid = study_uid
        self._now = now
        self._uids: dict[tuple[str, ...], str] = {}
        self._numbers: dict[str, int] = {}

    def adopt(self, ds: Any, study: Mapping[str, Any]) -> None:
        """What the *study* of the address says where *ds* says nothing, unless it names another patient."""
        from pydicom.datadict import tag_for_keyword

        if any(_differ(ds.get(name), study.get(name)) for name in ("PatientID", "PatientName")):
            return
        for keyword, value in study.items():
            tag = tag_for_keyword(keyword)
            if tag is not None and ds.get(keyword) in (None, "") and value not in (None, ""):
                put(ds, tag, dictionary_vr(tag).decode("ascii"), value)

    def complete(self, ds: Any, sop_class_uid: str) -> None:
        """UIDs, dates, numbers and elements of type 2 that *ds* does not have."""
        if not ds.get("SOPClassUID"):
            ds.SOPClassUID = sop_class_uid
        patient = tuple(str(ds.get(name, "")) for name in ("PatientID", "PatientName", "PatientBirthDate"))
        if not ds.get("StudyInstanceUID"):
            ds.StudyInstanceUID = self._study_uid or self._uid("study", *patient)
        if not ds.get("Modality"):
            ds.Modality = MODALITIES.get(str(ds.SOPClassUID), "OT")
        if not ds.get("SeriesInstanceUID"):
            ds.SeriesInstanceUID = self._uid(
                str(ds.StudyInstanceUID), str(ds.SOPClassUID), str(ds.Modality), *patient
            )
        if not ds.get("SOPInstanceUID"):
            ds.SOPInstanceUID = fresh_uid("instance")
        series = str(ds.SeriesInstanceUID)
        self._numbers[series] = self._numbers.get(series, 0) + 1
        default(ds, "SeriesNumber", 999)
        default(ds, "InstanceNumber", self._numbers[series])
        default(ds, "InstanceCreationDate", self._now.strftime("%Y%m%d"))
        default(ds, "InstanceCreationTime", self._now.strftime("%H%M%S"))
        for keyword in EMPTY:
            if keyword not in ds:
                setattr(ds, keyword, "")
        _of_class(ds)

    def _uid(self, *what: str) -> str:
        return self._uids.setdefault(what, fresh_uid("request"))


def _differ(said: Any, known: Any) -> bool:
    return said not in (None, "") and str(said).strip() != str(known or "").strip()


def default(ds: Any, keyword: str, value: Any) -> None:
    if ds.get(keyword) in (None, ""):
        setattr(ds, keyword, value)


def _of_class(ds: Any) -> None:
    """What the modules of the class need (PS3.3 A.8.1, A.32, A.45.1)."""
    kind = str(ds.SOPClassUID)
    if kind == ENCAPSULATED_PDF:
        empty: tuple[str, ...] = OF_DOCUMENTS
        default(ds, "ConversionType", "SD")
        default(ds, "BurnedInAnnotation", "YES")
    elif kind in VISIBLE_LIGHT:
        empty = (*OF_PHOTOGRAPHS, "PatientOrientation")
        default(ds, "ImageType", ["ORIGINAL", "PRIMARY"])
        if kind in VIDEO_LIGHT and not ds.get("AnatomicRegionSequence"):
            ds.AnatomicRegionSequence = [code("261665006", "Unknown", "SCT")]
    elif kind == SECONDARY_CAPTURE or kind in SEVERAL_CAPTURES:
        empty = ("PatientOrientation",)
        default(ds, "ConversionType", "WSD")
        if kind in SEVERAL_CAPTURES:
            _of_several(ds)
    else:
        return
    if not any(keyword in ds for keyword in SIDES):
        ds.Laterality = ""
    for keyword in ("ContentDate", "ContentTime"):
        default(ds, keyword, ds.get(keyword.replace("Content", "InstanceCreation")))
    for keyword in empty:
        if keyword not in ds:
            setattr(ds, keyword, [] if keyword in SEQUENCES else "")


def _of_several(ds: Any) -> None:
    """What Multi-frame Secondary Capture needs beside (PS3.3 A.8.2 to A.8.5)."""
    default(ds, "BurnedInAnnotation", "YES")
    if str(ds.SOPClassUID) in {GREY_BYTES, GREY_WORDS}:
        default(ds, "PresentationLUTShape", "IDENTITY")
        default(ds, "RescaleIntercept", "0")
        default(ds, "RescaleSlope", "1")
        default(ds, "RescaleType", "US")


def pieces(made: Described, contents: Mapping[int, Content]) -> Iterator[bytes]:
    """The object as a file, piece by piece. Raises BadInput for values that cannot be written."""
    syntax = contents[PIXELS].syntax if PIXELS in contents else EXPLICIT_LITTLE_UID
    before = 0
    for tag in sorted(contents):
        vr, _ = made.bulk.get(tag, ("OB", ""))  # what stood in the metadata themselves has none
        yield _run(made.ds, before, tag, "" if before else syntax)
        if tag == PIXELS and contents[tag].syntax != EXPLICIT_LITTLE_UID:
            yield from _encapsulated(contents[tag])
        else:
            wide = tag == PIXELS and made.ds.BitsAllocated > 8
            yield from _native(tag, "OW" if wide else "OB" if tag == PIXELS else vr, contents[tag])
        before = tag + 1
    yield _run(made.ds, before, 0x1_0000_0000, "" if before else syntax)


def _run(ds: Dataset, start: int, end: int, syntax: str) -> bytes:
    """The elements of *ds* from *start* to before *end*; with *syntax* the file meta elements before them."""
    from pydicom import dcmwrite
    from pydicom.dataset import Dataset
    from pydicom.filebase import DicomBytesIO
    from pydicom.filewriter import write_dataset

    part = Dataset({tag: ds[tag] for tag in ds.keys() if start <= tag < end})  # noqa: SIM118 # gives tags
    try:
        if not syntax:
            out = DicomBytesIO()
            out.is_implicit_VR, out.is_little_endian = False, True
            write_dataset(out, part, "utf8")
            return out.getvalue()
        part.file_meta = file_meta(ds, syntax)
        file = io.BytesIO()
        dcmwrite(file, part, enforce_file_format=True)
        return file.getvalue()
    except Exception as error:  # whatever a value provokes in a writer that is not ours
        raise BadInput("The metadata have a value that cannot be written.") from error


def _native(tag: int, vr: str, content: Content) -> Iterator[bytes]:
    size = content.length + content.length % 2
    if size > LONGEST:
        raise Mismatch("A value is longer than an element can be.")
    yield struct.pack("<HH2s2xI", tag >> 16, tag & 0xFFFF, vr.encode("ascii"), size)
    yield from content.pieces()
    yield b"\0" * (content.length % 2)


def _encapsulated(content: Content) -> Iterator[bytes]:
    """Frames, each in a fragment of its own, or one video, in as few as it needs (PS3.5 A.4)."""
    yield struct.pack("<HH2s2xI", 0x7FE0, 0x0010, b"OB", 0xFFFFFFFF)
    yield struct.pack("<HHI", 0xFFFE, 0xE000, 0)
    for start, length in content.frames or ((content.start, content.length),):
        yield from _fragments(replace(content, start=start, length=length))
    yield struct.pack("<HHI", 0xFFFE, 0xE0DD, 0)


def _fragments(content: Content) -> Iterator[bytes]:
    left, room = content.length, 0
    for piece in content.pieces():
        at = 0
        while at < len(piece):
            if not room:
                room = min(left, FRAGMENT)
                yield struct.pack("<HHI", 0xFFFE, 0xE000, room + room % 2)
            some = piece[at : at + room]
            at, room, left = at + len(some), room - len(some), left - len(some)
            yield some
    yield b"\0" * (content.length % 2)
