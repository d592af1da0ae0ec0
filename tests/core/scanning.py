"""What the tests of the scanner share: running a scan to its end, and looking at its result."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Mapping
from pathlib import Path

from pydicom import Dataset, dcmread
from pydicom.dataset import FileMetaDataset
from pydicom.uid import ExplicitVRLittleEndian, MediaStorageDirectoryStorage

from core.media.samples import SampleStudy, ct_slice, part10, uid, write_ct_series
from core.scan.scanner import Scan, Scanner, ScanProgress


def scanned(*paths: Path, workers: int | None = None) -> Scan:
    """The finished scan of some paths."""
    scanner = Scanner(paths, workers)
    for progress in scanner.run():
        assert isinstance(progress, ScanProgress)
    return scanner.result


def reasons(scan: Scan) -> Mapping[str, str]:
    """Path to reason of everything skipped."""
    assert len({skipped.path for skipped in scan.skipped}) == len(scan.skipped)
    assert all(skipped.detail.endswith((".", "?")) for skipped in scan.skipped)
    return {skipped.path: skipped.reason.value for skipped in scan.skipped}


def taken(scan: Scan) -> list[str]:
    """Where every instance lies, sorted."""
    return sorted(str(ref) for ref in scan.tree.refs())


def write_disc(study: SampleStudy, root: Path, count: int) -> Path:
    """A disc of some slices with a DICOMDIR (PS3.3 F.3) that names them."""
    write_ct_series(study, root / "CT", count, size=16)
    (root / "DICOMDIR").write_bytes(dicomdir(root))
    return root


def dicomdir(root: Path) -> bytes:
    """The DICOMDIR of the files below *root*."""
    ds = Dataset()
    ds.file_meta = FileMetaDataset()
    ds.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    ds.file_meta.MediaStorageSOPClassUID = MediaStorageDirectoryStorage
    ds.file_meta.MediaStorageSOPInstanceUID = uid("directory")
    ds.FileSetID = "SAMPLE"
    ds.FileSetConsistencyFlag = 0
    ds.DirectoryRecordSequence = [_record("PATIENT", PatientName="Probe^Paula")]
    for path in sorted(path for path in root.rglob("*") if path.is_file()):
        image = dcmread(path, stop_before_pixels=True)
        ds.DirectoryRecordSequence.append(
            _record(
                "IMAGE",
                ReferencedFileID=list(path.relative_to(root).parts),
                ReferencedSOPInstanceUIDInFile=image.SOPInstanceUID,
            )
        )
    return part10(ds)


def _record(kind: str, **elements: object) -> Dataset:
    record = Dataset()
    record.OffsetOfTheNextDirectoryRecord = 0
    record.RecordInUseFlag = 0xFFFF
    record.OffsetOfReferencedLowerLevelDirectoryEntity = 0
    record.DirectoryRecordType = kind
    for keyword, value in elements.items():
        setattr(record, keyword, value)
    return record


def packed(members: dict[str, bytes], method: int = zipfile.ZIP_DEFLATED) -> bytes:
    """A ZIP file."""
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", method) as archive:
        for name, data in members.items():
            archive.writestr(name, data)
    return out.getvalue()


def slices(study: SampleStudy, count: int, series: int = 1) -> dict[str, bytes]:
    """Some files of one series, by name."""
    return {
        f"S{series}/IM{n}": part10(ct_slice(study, series=series, instance=n, size=16))
        for n in range(1, count + 1)
    }
