"""Made-up DICOM objects: the sample disc of the demo and the factories of the tests."""

from __future__ import annotations

import io
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.filebase import DicomBytesIO
from pydicom.filewriter import dcmwrite
from pydicom.tag import Tag
from pydicom.uid import (
    UID,
    CTImageStorage,
    EncapsulatedPDFStorage,
    ExplicitVRLittleEndian,
    SecondaryCaptureImageStorage,
    UltrasoundMultiFrameImageStorage,
    generate_uid,
)

UID_ROOT = "1.2.826.0.1.3680043.10.1590."  # reserved for made-up objects, never for what a clinic creates


@dataclass(frozen=True, slots=True)
class SamplePatient:
    """Who a made-up study belongs to; *name* is a PN value in DICOM form."""

    name: str = "Probe^Paula"
    patient_id: str = "SAMPLE-1"
    birth_date: str = "19700101"
    sex: str = "F"


@dataclass(frozen=True, slots=True)
class SampleStudy:
    """One made-up study; *seed* makes its UIDs, so the same seed is the same study."""

    seed: str = "study"
    patient: SamplePatient = field(default_factory=SamplePatient)
    date: str = "20240211"
    description: str = "CT Abdomen"
    accession_number: str = "A1001"

    @property
    def uid(self) -> str:
        """Study Instance UID."""
        return uid(self.seed)


def uid(*seed: object) -> str:
    """A valid UID that depends on nothing but *seed*."""
    return str(generate_uid(UID_ROOT, entropy_srcs=[repr(part) for part in seed]))


def dataset(
    study: SampleStudy,
    *,
    series: int = 1,
    instance: int = 1,
    modality: str = "CT",
    sop_class: str = CTImageStorage,
    transfer_syntax: str = ExplicitVRLittleEndian,
    **elements: Any,
) -> Dataset:
    """Patient, study, series and SOP Common modules of one instance; *elements* set further keywords."""
    ds = Dataset()
    ds.file_meta = FileMetaDataset()
    ds.file_meta.TransferSyntaxUID = UID(transfer_syntax)
    ds.file_meta.MediaStorageSOPClassUID = ds.SOPClassUID = UID(sop_class)
    ds.SpecificCharacterSet = "ISO_IR 192"
    ds.SOPInstanceUID = UID(uid(study.seed, series, instance))
    ds.file_meta.MediaStorageSOPInstanceUID = ds.SOPInstanceUID
    ds.StudyDate = ds.SeriesDate = ds.ContentDate = study.date
    ds.StudyTime = ds.ContentTime = "101500"
    ds.AccessionNumber = study.accession_number
    ds.Modality = modality
    ds.Manufacturer = "Filmjacket samples"
    ds.InstitutionName = "Sample Clinic"
    ds.ReferringPhysicianName = "Referrer^Rita"
    ds.StudyDescription = study.description
    ds.SeriesDescription = f"{modality} series {series}"
    ds.BodyPartExamined = "ABDOMEN"
    ds.PatientName = study.patient.name
    ds.PatientID = study.patient.patient_id
    ds.PatientBirthDate = study.patient.birth_date
    ds.PatientSex = study.patient.sex
    ds.StudyInstanceUID = study.uid
    ds.SeriesInstanceUID = uid(study.seed, series)
    ds.StudyID = "1"
    ds.SeriesNumber = series
    ds.InstanceNumber = instance
    for keyword, value in elements.items():
        setattr(ds, keyword, value)
    return ds


def with_pixels(ds: Dataset, pixels: np.ndarray[Any, Any], *, bits_stored: int | None = None) -> Dataset:
    """Add the Image Pixel module for (frames,) rows, columns(, 3) of an unsigned or signed integer dtype."""
    colour = pixels.ndim >= 3 and pixels.shape[-1] == 3
    shape = pixels.shape[:-1] if colour else pixels.shape
    ds.SamplesPerPixel = 3 if colour else 1
    ds.PhotometricInterpretation = "RGB" if colour else "MONOCHROME2"
    if colour:
        ds.PlanarConfiguration = 0
    ds.Rows, ds.Columns = shape[-2:]
    if len(shape) == 3:
        ds.NumberOfFrames = shape[0]
    ds.BitsAllocated = pixels.dtype.itemsize * 8
    ds.BitsStored = bits_stored or ds.BitsAllocated
    ds.HighBit = ds.BitsStored - 1
    ds.PixelRepresentation = int(pixels.dtype.kind == "i")
    raw = pixels.astype(pixels.dtype.newbyteorder("<")).tobytes()
    ds.PixelData = raw + b"\0" * (len(raw) % 2)
    ds["PixelData"].VR = "OB" if ds.BitsAllocated == 8 else "OW"
    return ds


def ct_slice(
    study: SampleStudy, *, series: int = 1, instance: int = 1, size: int = 128, **elements: Any
) -> Dataset:
    """An axial CT slice: a body-like ellipse with two dark lungs and a bright spine, in Hounsfield units."""
    y, x = np.mgrid[-1 : 1 : size * 1j, -1 : 1 : size * 1j]
    hu = np.full((size, size), -1000, np.int16)
    hu[(x / 0.9) ** 2 + (y / 0.65) ** 2 < 1] = 40
    shrink = 0.35 - 0.004 * (instance % 40)
    for side in (-0.4, 0.4):
        hu[((x - side) / shrink) ** 2 + ((y + 0.1) / 0.4) ** 2 < 1] = -800
    hu[x**2 + ((y - 0.42) / 0.9) ** 2 < 0.012] = 700
    noise = np.random.default_rng(instance).integers(-12, 12, (size, size), dtype=np.int16)
    ds = dataset(study, series=series, instance=instance)
    ds.ImageType = ["ORIGINAL", "PRIMARY", "AXIAL"]
    ds.PatientPosition, ds.KVP, ds.AcquisitionNumber = "HFS", 120, 1
    ds.FrameOfReferenceUID = uid(study.seed, "frame of reference")
    ds.PositionReferenceIndicator = ""
    ds.ImagePositionPatient = [-200, -200, -2.5 * instance]
    ds.ImageOrientationPatient = [1, 0, 0, 0, 1, 0]
    ds.PixelSpacing = [400 / size, 400 / size]
    ds.SliceThickness = 2.5
    ds.RescaleIntercept, ds.RescaleSlope, ds.RescaleType = -1024, 1, "HU"
    ds.WindowCenter, ds.WindowWidth = 40, 400
    with_pixels(ds, (hu + noise + 1024).astype(np.int16), bits_stored=16)
    for keyword, value in elements.items():
        setattr(ds, keyword, value)
    return ds


def ultrasound_cine(study: SampleStudy, *, series: int = 2, frames: int = 12, size: int = 96) -> Dataset:
    """A multi-frame grey ultrasound loop: a disc that moves from left to right."""
    y, x = np.mgrid[0:size, 0:size]
    loop = np.zeros((frames, size, size), np.uint8)
    for n in range(frames):
        centre = size * (n + 1) / (frames + 1)
        loop[n][(x - centre) ** 2 + (y - size / 2) ** 2 < (size / 6) ** 2] = 200
    ds = dataset(study, series=series, modality="US", sop_class=UltrasoundMultiFrameImageStorage)
    ds.ImageType = ["ORIGINAL", "PRIMARY"]
    ds.PatientOrientation = ""
    ds.FrameTime = "50"
    ds.FrameIncrementPointer = Tag("FrameTime")
    return with_pixels(ds, loop)


def colour_photo(study: SampleStudy, *, series: int = 3, size: int = 96) -> Dataset:
    """A Secondary Capture in RGB: three soft gradients."""
    ramp = np.linspace(0, 255, size, dtype=np.uint8)
    rgb = np.stack(np.broadcast_arrays(ramp[:, None], ramp[None, :], ramp[::-1, None]), axis=-1)
    ds = dataset(study, series=series, modality="OT", sop_class=SecondaryCaptureImageStorage)
    ds.ConversionType = "WSD"
    ds.PatientOrientation = ""
    return with_pixels(ds, np.ascontiguousarray(rgb))


def encapsulated_pdf(study: SampleStudy, pdf: bytes, *, series: int = 4, title: str = "Report") -> Dataset:
    """A PDF inside a DICOM object (PS3.3 A.45.1)."""
    ds = dataset(study, series=series, modality="DOC", sop_class=EncapsulatedPDFStorage)
    ds.ConversionType = "WSD"
    ds.AcquisitionDateTime = ""
    ds.ConceptNameCodeSequence = []
    ds.DocumentTitle = title
    ds.BurnedInAnnotation = "NO"
    ds.MIMETypeOfEncapsulatedDocument = "application/pdf"
    ds.EncapsulatedDocument = pdf + b"\0" * (len(pdf) % 2)
    return ds


def pdf_report(lines: Sequence[str]) -> bytes:
    """A one-page PDF that says *lines* (Latin-1)."""
    text = " ".join(f"({line.translate({40: 91, 41: 93, 92: 47})}) Tj 0 -18 Td" for line in lines)
    stream = f"BT /F1 12 Tf 72 760 Td {text} ET".encode("latin-1", "replace")
    objects = [
        b"<< /Type /Catalog /Pages 2 0 R >>",
        b"<< /Type /Pages /Kids [3 0 R] /Count 1 >>",
        b"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 595 842] /Contents 4 0 R "
        b"/Resources << /Font << /F1 5 0 R >> >> >>",
        b"<< /Length %d >>\nstream\n%s\nendstream" % (len(stream), stream),
        b"<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica >>",
    ]
    out = io.BytesIO(b"%PDF-1.4\n")
    out.seek(0, io.SEEK_END)
    offsets = []
    for number, body in enumerate(objects, 1):
        offsets.append(out.tell())
        out.write(b"%d 0 obj\n%s\nendobj\n" % (number, body))
    start = out.tell()
    out.write(b"xref\n0 %d\n0000000000 65535 f \n" % (len(objects) + 1))
    out.writelines(b"%010d 00000 n \n" % offset for offset in offsets)
    out.write(b"trailer\n<< /Size %d /Root 1 0 R >>\nstartxref\n%d\n%%%%EOF\n" % (len(objects) + 1, start))
    return out.getvalue()


def part10(ds: Dataset) -> bytes:
    """The dataset as a DICOM file (PS3.10 section 7), in the syntax its file meta names."""
    out = DicomBytesIO()
    dcmwrite(out, ds, enforce_file_format=True)
    return out.getvalue()


def write(ds: Dataset, path: Path) -> Path:
    """Write the dataset as a DICOM file; parent folders are made."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(part10(ds))
    return path


def write_ct_series(
    study: SampleStudy, folder: Path, count: int, *, series: int = 1, size: int = 128
) -> list[Path]:
    """*count* CT slices as IM000001, IM000002, ... in *folder*."""
    return [
        write(ct_slice(study, series=series, instance=n, size=size), folder / f"IM{n:06}")
        for n in range(1, count + 1)
    ]
