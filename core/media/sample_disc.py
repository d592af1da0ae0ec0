"""The sample disc: four made-up patients, a DICOMDIR that is not quite right, junk, and a damaged file."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from pydicom import dcmread
from pydicom.dataset import Dataset
from pydicom.fileset import FileSet
from pydicom.uid import UID, MRImageStorage

from core.media import phantom, samples
from core.media.samples import SamplePatient, SampleStudy

SIZE = 256
AXIAL, CORONAL = 80, 24

ANNA = SampleStudy(
    seed="anna ct",
    patient=SamplePatient("Müller^Anna", "12345", "19500301", "F"),
    date="20240211",
    description="CT Abdomen",
    accession_number="998877",
)
TAROU = SampleStudy(
    seed="tarou us",
    patient=SamplePatient("Yamada^Tarou=山田^太郎=やまだ^たろう", "JP-0815", "19620817", "M"),
    date="20231105",
    description="US Kidney",
    accession_number="554411",
)
LIKE_ANNA = SampleStudy(
    seed="like anna mr",
    patient=SamplePatient("Mueller^A", "12345", "19500103", "F"),
    date="20190702",
    description="MR Abdomen",
    accession_number="100200",
)
JOERG = SampleStudy(
    seed="joerg ct",
    patient=SamplePatient("Weiß^Jörg^^Dr.", "W-77", "19881224", "M"),
    date="20240301",
    description="CT Control",
    accession_number="998878",
)

JUNK = {
    "AUTORUN.INF": b"[autorun]\r\nopen=VIEWER\\START.EXE\r\nlabel=SAMPLE DISC\r\n",
    "README.TXT": b"This disc was made up. No person on it exists.\r\n",
    "VIEWER/START.EXE": b"MZ" + bytes(510),
    "VIEWER/HELP.HTM": b"<html><body>How to look at images</body></html>\r\n",
    "IHE_PDI/INDEX.HTM": b"<html><body>Images of a made-up person</body></html>\r\n",
}


@dataclass(frozen=True, slots=True)
class SampleDisc:
    """A disc that was built and what a scan must find on it; paths are relative to *root*, with slashes."""

    root: Path
    main: SampleStudy
    studies: tuple[SampleStudy, ...]
    instances: dict[str, int]
    junk: tuple[str, ...]
    damaged: str
    duplicate: str
    missing: str
    not_listed: tuple[str, ...]

    @property
    def files(self) -> int:
        """How many files lie on the disc: images, doubles and damage, junk, and the DICOMDIR."""
        return sum(self.instances.values()) + len(self.junk) + 3


def build(folder: Path) -> SampleDisc:
    """Write the disc into *folder*, which must be empty or absent; the same bytes every time."""
    listed = {study.uid: list(objects) for study, objects in _listed()}
    _write_fileset([ds for objects in listed.values() for ds in objects], folder)
    for name, content in JUNK.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    unlisted = [f"Später dazu/Schicht {n}.dcm" for n in (1, 2, 3)]
    for n, name in enumerate(unlisted, 1):
        samples.write(_axial(JOERG, n, 3), folder / name)
    series = sorted(p for p in folder.glob("PT*/ST*/SE*") if _study_of(p) == LIKE_ANNA.uid)[0]
    damaged, missing, original = sorted(series.iterdir())[-3:]
    damaged.write_bytes(damaged.read_bytes()[:-4096])
    missing.unlink()
    duplicate = folder / "COPIES" / "IM 1 (copy).dcm"
    duplicate.parent.mkdir()
    shutil.copyfile(original, duplicate)
    instances = {uid: len(objects) for uid, objects in listed.items()}
    instances[LIKE_ANNA.uid] -= 2
    instances[JOERG.uid] = len(unlisted)

    def name_of(path: Path) -> str:
        return path.relative_to(folder).as_posix()

    return SampleDisc(
        root=folder,
        main=ANNA,
        studies=(ANNA, TAROU, LIKE_ANNA, JOERG),
        instances=instances,
        junk=tuple(sorted(JUNK)),
        damaged=name_of(damaged),
        duplicate=name_of(duplicate),
        missing=name_of(missing),
        not_listed=tuple(unlisted),
    )


def report_pdf() -> bytes:
    """The paper that belongs to the main study, to be attached when it is sent."""
    return samples.pdf_report(
        [
            "Sample Clinic - radiology report",
            "Patient: Müller, Anna   born 1950-03-01   ID 12345",
            "Study: CT Abdomen, 2024-02-11, accession 998877",
            "Findings: a made-up liver, two made-up kidneys, nothing to worry about.",
        ]
    )


def _listed() -> Iterator[tuple[SampleStudy, Iterator[Dataset]]]:
    yield ANNA, _anna()
    yield TAROU, iter([samples.ultrasound_cine(TAROU, size=192), samples.colour_photo(TAROU, size=192)])
    yield LIKE_ANNA, (_mr(LIKE_ANNA, n, 12) for n in range(1, 13))


def _anna() -> Iterator[Dataset]:
    yield from (_axial(ANNA, n, AXIAL) for n in range(1, AXIAL + 1))
    yield from (_coronal(ANNA, n, CORONAL) for n in range(1, CORONAL + 1))
    yield samples.encapsulated_pdf(ANNA, report_pdf(), series=5)


def _axial(study: SampleStudy, n: int, count: int) -> Dataset:
    height = 1 - 2 * (n - 0.5) / count
    return _ct(study, 2, n, phantom.axial(SIZE, height), plane="axial 5.0", corner=[-200, -200, height * 200])


def _coronal(study: SampleStudy, n: int, count: int) -> Dataset:
    depth = 0.6 * (2 * (n - 0.5) / count - 1)
    ds = _ct(study, 3, n, phantom.coronal(SIZE, depth), plane="coronal 10.0", corner=[-200, depth * 200, 200])
    ds.ImageOrientationPatient = [1, 0, 0, 0, 0, -1]
    return ds


def _ct(
    study: SampleStudy, series: int, n: int, hu: phantom.Volume, *, plane: str, corner: list[float]
) -> Dataset:
    ds = samples.ct_slice(study, series=series, instance=n, size=16)
    name, thickness = plane.split()
    ds.SeriesDescription = f"{plane} soft"
    ds.SliceThickness = thickness
    if name != "axial":
        ds.ImageType = ["DERIVED", "PRIMARY", "MPR"]
    ds.ImagePositionPatient = [round(c, 3) for c in corner]
    ds.PixelSpacing = [400 / SIZE, 400 / SIZE]
    noise = np.random.default_rng([series, n]).normal(0, 10, hu.shape)
    ds.RescaleIntercept = -1024
    return samples.with_pixels(ds, (hu + noise + 1024).clip(0).astype(np.int16), bits_stored=16)


def _mr(study: SampleStudy, n: int, count: int) -> Dataset:
    """Water bright, fat brighter, bone and air dark: enough like an MR to tell it from the CT."""
    hu = phantom.axial(SIZE, 0.6 - 1.2 * n / count).astype(np.float64)
    signal = np.interp(hu, [-1000, -300, -100, -60, 20, 60, 160, 330], [10, 20, 900, 700, 500, 320, 260, 40])
    noise = np.random.default_rng([9, n]).normal(0, 14, hu.shape)
    ds = samples.dataset(study, series=1, instance=n, modality="MR", sop_class=MRImageStorage)
    ds.SeriesDescription = "T1 axial"
    ds.ImageType = ["ORIGINAL", "PRIMARY", "OTHER"]
    ds.ScanningSequence, ds.SequenceVariant, ds.ScanOptions, ds.MRAcquisitionType = "SE", "NONE", "", "2D"
    ds.RepetitionTime, ds.EchoTime, ds.EchoTrainLength = 500, 12, 1
    ds.PatientPosition, ds.PositionReferenceIndicator = "HFS", ""
    ds.FrameOfReferenceUID = samples.uid(study.seed, "frame of reference")
    ds.SliceThickness = 8
    ds.ImagePositionPatient = [-200, -200, -8 * n]
    ds.ImageOrientationPatient = [1, 0, 0, 0, 1, 0]
    ds.PixelSpacing = [400 / SIZE, 400 / SIZE]
    ds.WindowCenter, ds.WindowWidth = 450, 1000
    return samples.with_pixels(ds, (signal + noise).clip(0, 4095).astype(np.uint16), bits_stored=12)


def _write_fileset(objects: list[Dataset], folder: Path) -> None:
    """Write *objects* in DICOMDIR folders (PS3.10 section 8) with a DICOMDIR that lists them all."""
    fileset = FileSet()
    fileset.ID = "SAMPLE DISC"
    fileset.UID = UID(samples.uid("sample disc"))
    for ds in objects:
        fileset.add(ds)
    staging = fileset._stage["t"]  # write() replaces this folder and leaves its removal to chance
    fileset.write(folder)
    staging.cleanup()
    fileset._stage["t"].cleanup()


def _study_of(series: Path) -> str:
    first = next(iter(sorted(series.iterdir())))
    return str(dcmread(first, specific_tags=["StudyInstanceUID"], stop_before_pixels=True).StudyInstanceUID)
