"""Structure sets of radiotherapy (PS3.3 A.19, C.8.8.5 to C.8.8.8) from a description in JSON.

The description is an object of elements by keyword, "ggggeeee" or "(gggg,eeee)"; a value is plain, a list, or
as the DICOM JSON model has it ({"vr", "Value"}, PS3.18 F.2). Patient and study come from the study itself.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, NamedTuple

from core.dicom.editing import fresh_uid
from core.dicom.report import KEPT
from core.dicom.syntaxes import EXPLICIT_LITTLE_UID
from core.errors import BadInput, MissingElement

if TYPE_CHECKING:
    from pydicom.dataelem import DataElement
    from pydicom.dataset import Dataset, FileDataset

RT_STRUCTURE_SET = "1.2.840.10008.5.1.4.1.1.481.3"
DETACHED_STUDY = "1.2.840.10008.3.1.2.3.1"
"""Retired, and what PS3.3 C.8.8.5 still has as the class of a referenced study."""
TAG = re.compile(r"\(?([0-9A-Fa-f]{4}),?([0-9A-Fa-f]{4})\)?")
UID = re.compile(r"(0|[1-9]\d*)(\.(0|[1-9]\d*))+")
GEOMETRIC_TYPES = (
    "POINT",
    "OPEN_PLANAR",
    "OPEN_NONPLANAR",
    "CLOSED_PLANAR",
    "CLOSEDPLANAR_XOR",
)
OF_SERIES = ("SeriesDescription", "SeriesNumber", "InstanceNumber", "OperatorsName", "ApprovalStatus")
"""What may be said beside group 3006."""
TEXTS = ("AE", "AS", "CS", "DA", "DT", "LO", "LT", "PN", "SH", "ST", "TM", "UC", "UR", "UT")
DEEPEST = 8
MOST_ITEMS = 200_000
SERIES_NUMBER = 9002


class Senseless(BadInput):
    """A value that cannot be, or something the study does not have."""


class Reference(NamedTuple):
    """An image of the study: its class and its series."""

    sop_class_uid: str
    series_instance_uid: str


def read_structures(document: object) -> Dataset:
    """The description as a data set, proven as far as it goes by itself. Raises MissingElement, Senseless."""
    if not isinstance(document, dict) or not document:
        raise Senseless("The body must be a JSON object with the elements of a structure set.")
    ds = _Reader().data_set(document, 0)
    _check_regions(ds)
    return ds


def referenced(ds: Dataset) -> list[str]:
    """SOP Instance UIDs of the images that contours lie on, in order, each once."""
    found: dict[str, None] = {}
    for contour in _contours(ds):
        for image in contour.get("ContourImageSequence") or ():
            if uid := str(image.get("ReferencedSOPInstanceUID", "")):
                found.setdefault(uid)
    return list(found)


def become_structures(ds: FileDataset, said: Dataset, images: Mapping[str, Reference]) -> None:
    """Turn an image of a study into the structure set *said*; *images* are those it refers to, by UID."""
    from pydicom.uid import UID as Uid

    kept = {keyword: ds.get(keyword) for keyword in KEPT}
    frame_of_reference = str(ds.get("FrameOfReferenceUID", ""))
    _check_identity(said, kept)
    ds.clear()
    ds.file_meta.TransferSyntaxUID = Uid(EXPLICIT_LITTLE_UID)
    now = datetime.now(UTC)
    ds.SpecificCharacterSet = "ISO_IR 192"
    for keyword, value in kept.items():
        setattr(ds, keyword, value if value is not None else "")
    ds.SOPClassUID, ds.Modality, ds.Manufacturer = Uid(RT_STRUCTURE_SET), "RTSTRUCT", "Filmjacket"
    ds.SOPInstanceUID = said.get("SOPInstanceUID") or fresh_uid()
    ds.SeriesInstanceUID = said.get("SeriesInstanceUID") or fresh_uid()
    ds.SeriesNumber, ds.InstanceNumber, ds.OperatorsName = SERIES_NUMBER, 1, ""
    ds.StructureSetLabel = "Structures"
    ds.StructureSetDate, ds.StructureSetTime = now.strftime("%Y%m%d"), now.strftime("%H%M%S")
    ds.InstanceCreationDate, ds.InstanceCreationTime = ds.StructureSetDate, ds.StructureSetTime
    ds.TimezoneOffsetFromUTC = "+0000"
    if frame_of_reference:
        ds.FrameOfReferenceUID, ds.PositionReferenceIndicator = frame_of_reference, ""
    for element in said:
        if element.tag.group == 0x3006 or element.keyword in OF_SERIES:
            ds[element.tag] = element
    _complete(ds, frame_of_reference, images)


def _check_identity(said: Dataset, kept: Mapping[str, Any]) -> None:
    """What is said of patient and study must be what they are."""
    for keyword in KEPT:
        if keyword in said and str(said.get(keyword)) != str(kept.get(keyword) or ""):
            raise Senseless(f"The {keyword} is not the one of the study.")
    for keyword, only in (("Modality", "RTSTRUCT"), ("SOPClassUID", RT_STRUCTURE_SET)):
        if said.get(keyword, only) != only:
            raise Senseless(f"The {keyword} can only be {only}.")


def _check_regions(ds: Dataset) -> None:
    regions = ds.get("StructureSetROISequence")
    if not regions:
        raise MissingElement("(3006,0020) StructureSetROISequence is missing.")
    numbers = [_required(region, "ROINumber") for region in regions]
    if len(set(numbers)) < len(numbers):
        raise Senseless("Two regions have the same ROINumber.")
    for keyword in ("ROIContourSequence", "RTROIObservationsSequence"):
        for item in ds.get(keyword) or ():
            if _required(item, "ReferencedROINumber") not in numbers:
                raise Senseless(f"An item of {keyword} refers to a region that is not there.")
    for contour in _contours(ds):
        if _required(contour, "ContourGeometricType") not in GEOMETRIC_TYPES:
            raise Senseless(f"The ContourGeometricType must be one of {', '.join(GEOMETRIC_TYPES)}.")
        points = _required(contour, "ContourData")
        numbers_of = points if isinstance(points, Sequence) and not isinstance(points, str) else [points]
        if len(numbers_of) % 3 or not all(math.isfinite(float(number)) for number in numbers_of):
            raise Senseless("ContourData must be three numbers for each point.")
        contour.NumberOfContourPoints = len(numbers_of) // 3


def _complete(ds: Dataset, frame_of_reference: str, images: Mapping[str, Reference]) -> None:
    """Add what PS3.3 requires and follows from the rest."""
    from pydicom.dataset import Dataset

    observations, outlines = (
        list(ds.get(keyword) or ()) for keyword in ("RTROIObservationsSequence", "ROIContourSequence")
    )
    for region in ds.StructureSetROISequence:
        _default(region, "ReferencedFrameOfReferenceUID", frame_of_reference)
        _default(region, "ROIName", "")
        _default(region, "ROIGenerationAlgorithm", "")
        for items in (observations, outlines):  # each region is named in both
            if all(item.ReferencedROINumber != region.ROINumber for item in items):
                items.append(Dataset())
                items[-1].ReferencedROINumber = region.ROINumber
    for number, item in enumerate(observations, 1):
        _default(item, "ObservationNumber", number)
        _default(item, "RTROIInterpretedType", "")
        _default(item, "ROIInterpreter", "")
    ds.RTROIObservationsSequence, ds.ROIContourSequence = observations, outlines
    for contour in _contours(ds):
        for image in contour.get("ContourImageSequence") or ():
            image.ReferencedSOPClassUID = images[str(image.ReferencedSOPInstanceUID)].sop_class_uid
    if frame_of_reference and images and "ReferencedFrameOfReferenceSequence" not in ds:
        ds.ReferencedFrameOfReferenceSequence = [_frame(frame_of_reference, ds.StudyInstanceUID, images)]


def _frame(frame_of_reference: str, study_uid: str, images: Mapping[str, Reference]) -> Dataset:
    """Where the contours lie: frame of reference, study, series, images (C.8.8.5)."""
    from pydicom.dataset import Dataset

    def item(**values: object) -> Dataset:
        made = Dataset()
        for keyword, value in values.items():
            setattr(made, keyword, value)
        return made

    by_series: dict[str, list[Dataset]] = {}
    for uid, image in images.items():
        found = item(ReferencedSOPClassUID=image.sop_class_uid, ReferencedSOPInstanceUID=uid)
        by_series.setdefault(image.series_instance_uid, []).append(found)
    series = [item(SeriesInstanceUID=uid, ContourImageSequence=found) for uid, found in by_series.items()]
    study = item(
        ReferencedSOPClassUID=DETACHED_STUDY,
        ReferencedSOPInstanceUID=study_uid,
        RTReferencedSeriesSequence=series,
    )
    return item(FrameOfReferenceUID=frame_of_reference, RTReferencedStudySequence=[study])


def _contours(ds: Dataset) -> Iterator[Dataset]:
    for region in ds.get("ROIContourSequence") or ():
        yield from region.get("ContourSequence") or ()


def _required(item: Dataset, keyword: str) -> Any:
    value = item.get(keyword)
    if value is None or value == "":
        raise MissingElement(f"{keyword} is missing.")
    return value


def _default(item: Dataset, keyword: str, value: object) -> None:
    if keyword not in item:
        setattr(item, keyword, value)


class _Reader:
    """Turns JSON into elements; counts them, so that nobody can have it make too many."""

    def __init__(self) -> None:
        self._items = 0

    def data_set(self, document: Mapping[str, Any], depth: int) -> Dataset:
        from pydicom.dataset import Dataset

        self._items += 1
        if depth > DEEPEST or self._items > MOST_ITEMS:
            raise Senseless("The description is too deep or has too many items.")
        ds = Dataset()
        for name, value in document.items():
            element = self._element(name, value, depth)
            ds[element.tag] = element
        return ds

    def _element(self, name: str, value: object, depth: int) -> DataElement:
        from pydicom.config import RAISE
        from pydicom.datadict import dictionary_VR
        from pydicom.dataelem import DataElement

        tag = _tag(name)
        try:
            vr = dictionary_VR(tag)
        except KeyError as error:
            raise Senseless(f"{name[:64]} is not an element of PS3.6.") from error
        if isinstance(value, dict) and set(value) <= {"vr", "Value"}:
            value = value.get("Value", [])
        values = value if isinstance(value, list) else [] if value is None else [value]
        if vr == "SQ":
            items = [each for each in values if isinstance(each, dict)]
            if len(items) < len(values):
                raise Senseless(f"{name[:64]} must be a list of objects.")
            return DataElement(tag, vr, [self.data_set(each, depth + 1) for each in items])
        kind = _KINDS.get(vr)
        if kind is None:
            raise Senseless(f"{name[:64]} cannot be said in a description.")
        try:
            made = [kind(each) for each in values]
            return DataElement(tag, vr, made[0] if len(made) == 1 else made or "", validation_mode=RAISE)
        except (ValueError, TypeError, OverflowError) as error:
            raise Senseless(f"The value of {name[:64]} makes no sense.") from error


def _tag(name: str) -> int:
    from pydicom.datadict import tag_for_keyword

    match = TAG.fullmatch(name)
    tag = int(match[1] + match[2], 16) if match else tag_for_keyword(name)
    if tag is None:
        raise Senseless(f"{name[:64]} is not an element of PS3.6.")
    return tag


def _text(value: object) -> str:
    if isinstance(value, dict):  # a person's name in the DICOM JSON model
        value = "=".join(str(value.get(group, "")) for group in ("Alphabetic", "Ideographic", "Phonetic"))
        value = value.rstrip("=")
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        raise ValueError
    text = str(value)
    if "\\" in text or any((ord(c) < 32 and c not in "\n\r\t") or 0xD800 <= ord(c) < 0xE000 for c in text):
        raise ValueError
    return text


def _uid(value: object) -> str:
    text = _text(value)
    if len(text) > 64 or not UID.fullmatch(text):
        raise ValueError
    return text


def _integer(value: object) -> int:
    if isinstance(value, bool) or not isinstance(value, int | str):
        raise ValueError
    number = int(value)
    if not -(1 << 31) <= number < 1 << 31:
        raise ValueError
    return number


def _decimal(value: object) -> str:
    """A number in the sixteen characters of a decimal string (PS3.5 6.2)."""
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        raise ValueError
    number = float(value)
    if not math.isfinite(number):
        raise ValueError
    text = repr(number) if not number.is_integer() or abs(number) >= 1e15 else str(int(number))
    for digits in range(15, 5, -1):
        if len(text) <= 16:
            break
        text = f"{number:.{digits}g}"
    return text


_KINDS: Mapping[str, Callable[[object], object]] = {
    **dict.fromkeys(
        ["AE", "AS", "CS", "DA", "DT", "LO", "LT", "PN", "SH", "ST", "TM", "UC", "UR", "UT"], _text
    ),
    **dict.fromkeys(("IS", "SL", "SS", "UL", "US"), _integer),
    **dict.fromkeys(("DS", "FD", "FL"), _decimal),
    "UI": _uid,
}
