"""Pictures, documents and videos as DICOM objects of a study: Secondary Capture, PDF, Video Photographic."""

from __future__ import annotations

import hashlib
import io
import struct
import uuid
import warnings
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

from core.dicom.maker import file_meta
from core.dicom.syntaxes import EXPLICIT_LITTLE_UID
from core.media.movie import Movie

if TYPE_CHECKING:
    from pydicom.dataset import Dataset

SECONDARY_CAPTURE = "1.2.840.10008.5.1.4.1.1.7"
ENCAPSULATED_PDF = "1.2.840.10008.5.1.4.1.1.104.1"
VIDEO_PHOTOGRAPHIC = "1.2.840.10008.5.1.4.1.1.77.1.4.1"
CHUNK = 1 << 20
MM_AN_INCH = 25.4
EMPTY = (
    "StudyDate",
    "StudyTime",
    "AccessionNumber",
    "ReferringPhysicianName",
    "PatientName",
    "PatientID",
    "PatientBirthDate",
    "PatientSex",
    "StudyID",
)
"""Type 2 of the Patient and General Study modules: there, if need be empty."""
COMMON = (
    *EMPTY,
    "StudyDescription",
    "IssuerOfPatientID",
    "PatientAge",
    "PatientSize",
    "PatientWeight",
    "StudyInstanceUID",
)
"""Elements of those modules that another object of the study is asked for."""


@dataclass(frozen=True, slots=True)
class Place:
    """Where a new object belongs: its study's elements by keyword; *uid* makes UIDs from what they name."""

    study: Mapping[str, Any]
    uid: Callable[[str], str]
    series: str
    created: datetime
    title: str = ""
    number: int = 1

    def at(self, number: int) -> Place:
        """The place of another instance of the series."""
        return replace(self, number=number)


def fresh_uid(name: str) -> str:
    """A UID nobody has (PS3.5 B.2)."""
    return f"2.25.{uuid.uuid4().int}"


def steady_uids(*seed: str) -> Callable[[str], str]:
    """UIDs that depend on nothing but *seed* and what they name: the same again make the same object."""

    def uid(name: str) -> str:
        digest = hashlib.sha256("\0".join((*seed, name)).encode()).digest()[:16]
        return f"2.25.{uuid.UUID(bytes=digest, version=5).int}"

    return uid


def study_of(path: Path) -> dict[str, Any]:
    """What an object says of its patient and study. Raises OSError."""
    from pydicom import dcmread

    tags = [*COMMON, "SpecificCharacterSet"]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # they name the odd value
        ds = dcmread(path, stop_before_pixels=True, force=True, specific_tags=tags)
        return {keyword: ds.get(keyword) for keyword in COMMON if keyword in ds}


def capture(place: Place, head: Mapping[str, Any], frame: bytes) -> bytes:
    """A Secondary Capture Image of one compressed *frame* that *head* describes (PS3.3 A.8.1)."""
    from pydicom.encaps import encapsulate

    ds = _object(place, SECONDARY_CAPTURE, "OT", head["syntax"])
    ds.ConversionType = "WSD"
    ds.BurnedInAnnotation = "YES"
    ds.PatientOrientation = ""
    ds.ImageType = ["DERIVED", "SECONDARY"]
    if head["dpi"]:
        ds.NominalScannedPixelSpacing = [f"{MM_AN_INCH / head['dpi']:.6g}"] * 2
    ds.Rows, ds.Columns, ds.SamplesPerPixel = head["rows"], head["columns"], head["samples"]
    ds.PhotometricInterpretation = head["photometric"]
    if head["samples"] > 1:
        ds.PlanarConfiguration = 0
    _bits(ds, head["bits"])
    if head["lossy"]:
        plain = head["rows"] * head["columns"] * head["samples"] * head["bits"] // 8
        _lossy(ds, "ISO_10918_1", plain / max(1, len(frame)))
    ds.PixelData = encapsulate([frame])
    ds["PixelData"].VR, ds["PixelData"].is_undefined_length = "OB", True
    return _written(ds)


def document(place: Place, pdf: BinaryIO, size: int) -> Iterator[bytes]:
    """An Encapsulated PDF in pieces (PS3.3 A.45.1); *pdf* is read as they are asked for."""
    ds = _object(place, ENCAPSULATED_PDF, "DOC", EXPLICIT_LITTLE_UID)
    ds.ConversionType = "WSD"
    ds.BurnedInAnnotation = "YES"
    ds.AcquisitionDateTime = ""
    ds.ConceptNameCodeSequence = []
    ds.DocumentTitle = place.title[:64]
    yield _written(ds)
    yield struct.pack("<HH2s2xI", 0x0042, 0x0011, b"OB", size + size % 2)
    yield from _copied(pdf)
    yield b"\0" * (size % 2)
    yield struct.pack("<HH2sH16s", 0x0042, 0x0012, b"LO", 16, b"application/pdf ")
    yield struct.pack("<HH2sHI", 0x0042, 0x0015, b"UL", 4, size)


def video(place: Place, movie: Movie, stream: BinaryIO, size: int) -> Iterator[bytes]:
    """A Video Photographic Image in pieces (PS3.3 A.32.7); *stream* is read as they are asked for."""
    ds = _object(place, VIDEO_PHOTOGRAPHIC, "XC", movie.transfer_syntax_uid)
    ds.ImageType = ["ORIGINAL", "PRIMARY"]
    ds.AcquisitionContextSequence = []
    ds.PatientOrientation = ""
    ds.Rows, ds.Columns, ds.SamplesPerPixel = movie.rows, movie.columns, 3
    ds.PhotometricInterpretation, ds.PlanarConfiguration = "YBR_PARTIAL_420", 0
    _bits(ds, 8)
    ds.NumberOfFrames = movie.frames
    ds.FrameTime = f"{1000 * movie.seconds / movie.frames:.6g}"
    ds.CineRate = max(1, round(movie.frames / movie.seconds))
    ds.FrameIncrementPointer = 0x00181063
    _lossy(ds, movie.method, movie.rows * movie.columns * 1.5 * movie.frames / max(1, size))
    yield _written(ds)
    yield struct.pack("<HH2s2xI", 0x7FE0, 0x0010, b"OB", 0xFFFFFFFF)
    yield struct.pack("<HHIHHI", 0xFFFE, 0xE000, 0, 0xFFFE, 0xE000, size + size % 2)
    yield from _copied(stream)
    yield b"\0" * (size % 2)
    yield struct.pack("<HHI", 0xFFFE, 0xE0DD, 0)


def _object(place: Place, sop_class_uid: str, modality: str, syntax: str) -> Dataset:
    from pydicom.dataset import Dataset
    from pydicom.uid import UID

    ds = Dataset()
    ds.SpecificCharacterSet = "ISO_IR 192"
    for keyword in COMMON:
        if keyword in place.study or keyword in EMPTY:
            setattr(ds, keyword, place.study.get(keyword) or "")
    if not ds.get("StudyInstanceUID"):
        ds.StudyInstanceUID = UID(place.uid("study"))
    ds.SOPClassUID = UID(sop_class_uid)
    ds.SeriesInstanceUID = UID(place.uid(f"series {place.series}"))
    ds.SOPInstanceUID = UID(place.uid(f"series {place.series} instance {place.number}"))
    ds.Modality, ds.SeriesNumber, ds.InstanceNumber = modality, 999, place.number
    ds.SeriesDescription = place.title[:64]
    ds.Manufacturer = "Filmjacket"
    ds.InstanceCreationDate = ds.ContentDate = place.created.strftime("%Y%m%d")
    ds.InstanceCreationTime = ds.ContentTime = place.created.strftime("%H%M%S")
    for keyword, value in place.study.items():
        if keyword not in COMMON:
            setattr(ds, keyword, value)
    ds.file_meta = file_meta(ds, syntax)
    return ds


def _bits(ds: Dataset, bits: int) -> None:
    ds.BitsAllocated, ds.BitsStored, ds.HighBit, ds.PixelRepresentation = bits, bits, bits - 1, 0


def _lossy(ds: Dataset, method: str, ratio: float) -> None:
    ds.LossyImageCompression, ds.LossyImageCompressionMethod = "01", method
    ds.LossyImageCompressionRatio = f"{ratio:.4g}"


def _written(ds: Dataset) -> bytes:
    from pydicom import dcmwrite

    out = io.BytesIO()
    dcmwrite(out, ds, enforce_file_format=True)
    return out.getvalue()


def _copied(stream: BinaryIO) -> Iterator[bytes]:
    stream.seek(0)
    while chunk := stream.read(CHUNK):
        yield chunk
