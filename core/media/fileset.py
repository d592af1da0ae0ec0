"""A DICOM file-set (PS3.10 8): where each object lies on the medium, and the DICOMDIR that lists it."""

from __future__ import annotations

import warnings
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from io import BytesIO
from typing import BinaryIO

from pydicom import dcmread
from pydicom.config import IGNORE
from pydicom.datadict import dictionary_VR
from pydicom.dataelem import DataElement
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.filebase import DicomBytesIO
from pydicom.filewriter import write_dataset, write_file_meta_info
from pydicom.tag import Tag
from pydicom.uid import UID, ExplicitVRLittleEndian, generate_uid

from core.dicom.refs import Header
from core.errors import Unsupported

MEDIA_STORAGE_DIRECTORY = "1.2.840.10008.1.3.10"
STORAGE = "1.2.840.10008.5.1.4.1.1."
IMAGE = "IMAGE"
_NUMBERED = ("InstanceNumber",)
_DATED = ("ContentDate", "ContentTime")
_CONTENT = ("ContentLabel", "ContentDescription", "ContentCreatorName")
_GENERIC = (*_NUMBERED, *_DATED)
KEYS: dict[str, tuple[str, ...]] = {
    IMAGE: _NUMBERED,
    "RT DOSE": (*_NUMBERED, "DoseSummationType"),
    "RT STRUCTURE SET": (*_NUMBERED, "StructureSetLabel", "StructureSetDate", "StructureSetTime"),
    "RT PLAN": (*_NUMBERED, "RTPlanLabel", "RTPlanDate", "RTPlanTime"),
    "RT TREAT RECORD": (*_NUMBERED, "TreatmentDate", "TreatmentTime"),
    "PRESENTATION": (
        *_NUMBERED,
        *_CONTENT,
        "PresentationCreationDate",
        "PresentationCreationTime",
        "ReferencedSeriesSequence",
        "BlendingSequence",
    ),
    "WAVEFORM": _GENERIC,
    "SR DOCUMENT": (
        *_GENERIC,
        "CompletionFlag",
        "VerificationFlag",
        "VerificationDateTime",
        "ConceptNameCodeSequence",
    ),
    "KEY OBJECT DOC": (*_GENERIC, "ConceptNameCodeSequence"),
    "SPECTROSCOPY": (
        *_GENERIC,
        "ImageType",
        "NumberOfFrames",
        "Rows",
        "Columns",
        "DataPointRows",
        "DataPointColumns",
        "ReferencedImageEvidenceSequence",
    ),
    "RAW DATA": _GENERIC,
    "REGISTRATION": (*_GENERIC, *_CONTENT),
    "FIDUCIAL": (*_GENERIC, *_CONTENT),
    "VALUE MAP": (*_GENERIC, *_CONTENT),
    "STEREOMETRIC": _GENERIC,
    "MEASUREMENT": _GENERIC,
    "SURFACE": _GENERIC,
    "SURFACE SCAN": _DATED,
    "TRACT": _GENERIC,
    "ASSESSMENT": (*_NUMBERED, "InstanceCreationDate", "InstanceCreationTime"),
    "ENCAP DOC": (
        *_GENERIC,
        "DocumentTitle",
        "HL7InstanceIdentifier",
        "ConceptNameCodeSequence",
        "MIMETypeOfEncapsulatedDocument",
    ),
}
"""What a record of the lowest level says, by its type (PS3.3 F.5)."""

TYPES = {
    "481.2": "RT DOSE",
    "481.3": "RT STRUCTURE SET",
    "481.4": "RT TREAT RECORD",
    "481.5": "RT PLAN",
    "481.6": "RT TREAT RECORD",
    "481.7": "RT TREAT RECORD",
    "481.8": "RT PLAN",
    "481.9": "RT TREAT RECORD",
    "11": "PRESENTATION",
    "9": "WAVEFORM",
    "88": "SR DOCUMENT",
    "88.59": "KEY OBJECT DOC",
    "4.2": "SPECTROSCOPY",
    "66": "RAW DATA",
    "66.1": "REGISTRATION",
    "66.2": "FIDUCIAL",
    "66.3": "REGISTRATION",
    "66.4": IMAGE,
    "66.5": "SURFACE",
    "66.6": "TRACT",
    "66.7": IMAGE,
    "67": "VALUE MAP",
    "68": "SURFACE SCAN",
    "77.1.5.3": "STEREOMETRIC",
    "78": "MEASUREMENT",
    "78.6": "SR DOCUMENT",
    "79.1": "SR DOCUMENT",
    "80": "MEASUREMENT",
    "90": "ASSESSMENT",
    "104": "ENCAP DOC",
}
"""The type by what comes after the root of the storage SOP classes; all others are images (PS3.3 F.4)."""


CONDITIONAL = frozenset({"HL7InstanceIdentifier", "VerificationDateTime"})
"""Left out where the object does not have them; all others are there, if empty."""


def record_type(sop_class_uid: str) -> str:
    """The Directory Record Type of an object."""
    parts = sop_class_uid.removeprefix(STORAGE).split(".") if sop_class_uid.startswith(STORAGE) else []
    for count in range(len(parts), 0, -1):
        found = TYPES.get(".".join(parts[:count]))
        if found is not None:
            return found
    return IMAGE


def keys_of(header: Header, stream: BinaryIO) -> Dataset:
    """What the record of an object says beyond its file; *stream* is read where the header does not tell."""
    keys = Dataset()
    kind = record_type(header.sop_class_uid)
    if kind != IMAGE:
        ds = _read(stream, kind)
        for keyword in KEYS[kind]:
            if keyword in ds:
                keys[keyword] = ds[keyword]
            elif not keyword.endswith("Sequence") and keyword not in CONDITIONAL:
                _set(keys, keyword, None)
    _set(keys, "InstanceNumber", header.instance_number)
    return keys


def _read(stream: BinaryIO, kind: str) -> Dataset:
    stream.seek(0)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # odd values are copied as they are
            ds = dcmread(stream, stop_before_pixels=True, specific_tags=list(KEYS[kind]))
            ds.decode()
            write_dataset(_plain(), ds)
    except OSError:
        raise
    except Exception as error:  # what a damaged header provokes
        raise Unsupported("The object's header makes no sense.") from error
    return ds


def _plain() -> DicomBytesIO:
    out = DicomBytesIO()
    out.is_little_endian, out.is_implicit_VR = True, False
    return out


@dataclass(slots=True)
class _Record:
    kind: str
    keys: Dataset
    file_id: str = ""
    header: Header | None = None
    below: dict[str, _Record] = field(default_factory=dict)
    at: int = 0


class FileSet:
    """The objects of one medium, added in the order they are written; *flat* puts them into one folder."""

    def __init__(self, label: str, *, flat: bool = False) -> None:
        self._label = label
        self._flat = flat
        self._root = _Record("", Dataset())
        self._placed = 0
        self._folders: dict[tuple[str, ...], str] = {}
        self._counts: dict[str, int] = {}

    def place(self, header: Header) -> str:
        """Where the next object goes: its File ID with "/" between the components (PS3.10 8.2)."""
        self._placed += 1
        if self._flat:
            return f"DICOM/IM{self._placed:06}"
        path = "DICOM"
        key: tuple[str, ...] = ()
        for prefix, part in zip(("PT", "ST", "SE"), _path_of(header), strict=True):
            key = (*key, part)
            path = f"{path}/{self._folder(path, prefix, key)}"
        return f"{path}/IM{self._count(path):06}"

    def add(self, file_id: str, header: Header, keys: Dataset) -> None:
        """List an object that was written."""
        patient, study, series = _path_of(header)
        level = self._root
        for name, kind, key in (
            (patient, "PATIENT", self._patient),
            (study, "STUDY", _study),
            (series, "SERIES", _series),
        ):
            if name not in level.below:
                level.below[name] = _Record(kind, key(header))
            level = level.below[name]
        if keys.InstanceNumber is None:
            _set(keys, "InstanceNumber", len(level.below) + 1)
        kind = record_type(header.sop_class_uid)
        level.below[header.sop_instance_uid] = _Record(kind, keys, file_id.replace("/", "\\"), header)

    def dicomdir(self) -> bytes:
        """The DICOMDIR of what was added."""
        head, body = _opening(self._label), BytesIO()
        start = len(head) + _BEFORE_RECORDS
        records = list(_in_order(self._root.below.values()))
        for record in records:
            record.at = start + body.tell()
            body.write(_encoded(record))
        content = bytearray(body.getvalue())
        self._link(self._root.below.values(), content, start)
        top = list(self._root.below.values())
        first, last = (top[0].at, top[-1].at) if top else (0, 0)
        return head + _element(0x1200, b"UL", first.to_bytes(4, "little")) + _rest(last, bytes(content))

    def _link(self, siblings: Iterable[_Record], content: bytearray, start: int) -> None:
        """Set the offsets of the next record and of the first one below."""
        these = list(siblings)
        for n, record in enumerate(these):
            at = record.at - start
            below = next(iter(record.below.values()), None)
            _put(content, at + _NEXT_AT, these[n + 1].at if n + 1 < len(these) else 0)
            _put(content, at + _LOWER_AT, below.at if below else 0)
            self._link(record.below.values(), content, start)

    def _patient(self, header: Header) -> Dataset:
        keys = Dataset()
        _set(keys, "PatientName", header.patient_name)
        _set(
            keys, "PatientID", header.patient_id or f"UNKNOWN{len(self._root.below) + 1:04}"
        )  # must not be empty
        return keys

    def _folder(self, path: str, prefix: str, key: tuple[str, ...]) -> str:
        if key not in self._folders:
            self._folders[key] = f"{prefix}{self._count(path):06}"
        return self._folders[key]

    def _count(self, path: str) -> int:
        self._counts[path] = self._counts.get(path, 0) + 1
        return self._counts[path]


def _set(keys: Dataset, keyword: str, value: object) -> None:
    """Set a value as it is: odd ones were so before, and nobody is to read them in a log."""
    tag = Tag(keyword)
    keys[tag] = DataElement(tag, dictionary_VR(tag), value, validation_mode=IGNORE)


def _path_of(header: Header) -> tuple[str, str, str]:
    patient = f"{header.patient_id}\0{header.issuer_of_patient_id}\0{header.patient_name}"
    return patient, header.study_instance_uid, header.series_instance_uid


def _study(header: Header) -> Dataset:
    keys = Dataset()
    _set(keys, "StudyDate", _digits(header.study_date, 8) or "19000101")  # these must not be empty
    _set(keys, "StudyTime", header.study_time if _digits(header.study_time[:6], 6) else "000000")
    _set(keys, "StudyDescription", header.study_description)
    _set(keys, "StudyInstanceUID", header.study_instance_uid)
    _set(keys, "StudyID", header.study_id or "1")
    _set(keys, "AccessionNumber", header.accession_number)
    return keys


def _series(header: Header) -> Dataset:
    keys = Dataset()
    _set(keys, "Modality", header.modality or "OT")
    _set(keys, "SeriesDescription", header.series_description)
    _set(keys, "SeriesInstanceUID", header.series_instance_uid)
    _set(keys, "SeriesNumber", header.series_number or 0)
    return keys


def _digits(value: str, count: int) -> str:
    return value if len(value) == count and value.isascii() and value.isdigit() else ""


def _in_order(records: Iterable[_Record]) -> Iterator[_Record]:
    for record in records:
        yield record
        yield from _in_order(record.below.values())


_NEXT_AT, _LOWER_AT = 16, 38  # of the values, from where a record starts
_BEFORE_RECORDS = 12 + 12 + 10 + 12  # two offsets, the flag, the head of the sequence


def _element(number: int, vr: bytes, value: bytes) -> bytes:
    """An element of group 4 in Explicit VR Little Endian with a short VR."""
    return b"\x04\0" + number.to_bytes(2, "little") + vr + len(value).to_bytes(2, "little") + value


def _put(content: bytearray, at: int, value: int) -> None:
    content[at : at + 4] = value.to_bytes(4, "little")


def _opening(label: str) -> bytes:
    meta = FileMetaDataset()
    meta.FileMetaInformationVersion = b"\0\1"
    meta.MediaStorageSOPClassUID = UID(MEDIA_STORAGE_DIRECTORY)
    meta.MediaStorageSOPInstanceUID = generate_uid(prefix=None)
    meta.TransferSyntaxUID = ExplicitVRLittleEndian
    meta.ImplementationClassUID = UID("2.25.113059749145936325402354257176981405696")
    meta.ImplementationVersionName = "FILMJACKET"
    out = DicomBytesIO()
    out.write(b"\0" * 128 + b"DICM")
    write_file_meta_info(out, meta)
    name = label.encode("ascii")
    return out.getvalue() + _element(0x1130, b"CS", name + b" " * (len(name) % 2))


def _rest(last: int, records: bytes) -> bytes:
    return (
        _element(0x1202, b"UL", last.to_bytes(4, "little"))
        + _element(0x1212, b"US", b"\0\0")
        + b"\x04\0\x20\x12SQ\0\0"
        + len(records).to_bytes(4, "little")
        + records
    )


def _encoded(record: _Record) -> bytes:
    """One item of the Directory Record Sequence; its offsets are filled in later."""
    kind = record.kind.encode("ascii")
    head = (
        _element(0x1400, b"UL", b"\0" * 4)
        + _element(0x1410, b"US", b"\xff\xff")
        + _element(0x1420, b"UL", b"\0" * 4)
        + _element(0x1430, b"CS", kind + b" " * (len(kind) % 2))
    )
    ds = record.keys
    ds.SpecificCharacterSet = "ISO_IR 192"
    if record.header is not None:
        head += _element(0x1500, b"CS", _even(record.file_id, b" "))
        head += _element(0x1510, b"UI", _even(record.header.sop_class_uid, b"\0"))
        head += _element(0x1511, b"UI", _even(record.header.sop_instance_uid, b"\0"))
        head += _element(0x1512, b"UI", _even(record.header.transfer_syntax_uid, b"\0"))
    out = _plain()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # odd values are copied as they are
        write_dataset(out, ds)
    body = head + out.getvalue()
    return b"\xfe\xff\x00\xe0" + len(body).to_bytes(4, "little") + body


def _even(text: str, padding: bytes) -> bytes:
    value = text.encode("ascii", "replace")
    return value + padding * (len(value) % 2)
