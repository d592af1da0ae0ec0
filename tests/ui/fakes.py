"""Made-up services for the window: a scanner over objects in memory, sendings under the test's thumb."""

from __future__ import annotations

import io
from collections.abc import Callable, Generator, Sequence
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any, BinaryIO

from pydicom.dataset import Dataset

from core.dicom.refs import FileRef, Found, Header, Skipped, SkipReason
from core.dicom.tree import Tree
from core.media import samples
from core.net.dicomweb_client import DicomWebClient
from core.net.dimse.node import parse_node
from core.net.dimse.pacs import Pacs
from core.settings import Settings
from core.upload.nouns import RunState, StudyReceipt, UploadProgress, UploadReceipt
from ui.services import ArchiveState, DestinationText, Order, PastJob, Services
from ui.state import WindowState
from ui.tasks import Tasks

ANNA = samples.SamplePatient("Müller^Anna", "12345", "19500301", "F")
ANNA_TOO = samples.SamplePatient("Mueller^A", "12345", "19500103", "F")
YAMADA = samples.SamplePatient("Yamada^Tarou=山田^太郎=やまだ^たろう", "JP-77", "19620814", "M")


def header_of(ds: Dataset) -> Header:
    """What a scan would say of *ds*."""
    return Header(
        str(ds.SOPClassUID),
        str(ds.SOPInstanceUID),
        str(ds.StudyInstanceUID),
        str(ds.SeriesInstanceUID),
        str(ds.file_meta.TransferSyntaxUID),
        patient_name=str(ds.PatientName),
        patient_id=ds.PatientID,
        patient_birth_date=ds.PatientBirthDate,
        patient_sex=ds.PatientSex,
        study_date=ds.StudyDate,
        study_time=ds.StudyTime,
        study_description=ds.StudyDescription,
        accession_number=ds.AccessionNumber,
        institution_name=ds.InstitutionName,
        modality=ds.Modality,
        series_number=int(ds.SeriesNumber),
        series_description=ds.SeriesDescription,
        instance_number=int(ds.InstanceNumber),
        number_of_frames=int(ds.get("NumberOfFrames", 1)),
        rows=int(ds.get("Rows", 0)),
        columns=int(ds.get("Columns", 0)),
    )


def disc() -> dict[FileRef, bytes]:
    """Three patients; two of them share an ID. File contents by place."""
    return dict(_disc())


@cache
def _disc() -> dict[FileRef, bytes]:
    studies = (
        (samples.SampleStudy("a1", ANNA, "20240211", "CT Abdomen", "998877"), 12),
        (samples.SampleStudy("a2", ANNA, "20190702", "MR Knee", "445566"), 4),
        (samples.SampleStudy("b1", ANNA_TOO, "20240210", "CR Thorax", ""), 1),
        (samples.SampleStudy("c1", YAMADA, "20231105", "CT Schädel nativ", "777"), 3),
    )
    files: dict[FileRef, bytes] = {}
    for number, (study, count) in enumerate(studies):
        for n in range(1, count + 1):
            ds = samples.ct_slice(study, instance=n, size=64, SeriesDescription="axial 1.0 soft")
            files[FileRef(f"DICOM/S{number}/IM{n:04}")] = samples.part10(ds)
    cine = samples.ultrasound_cine(studies[0][0])
    files[FileRef("DICOM/S0/US01")] = samples.part10(cine)
    return files


@dataclass
class FakeReceipt:
    """The receipt of a fake scan."""

    files: int = 0
    instances: int = 0
    bytes: int = 0
    listed_but_missing: int = 0
    not_listed: int = 0
    duplicates: int = 0
    damaged: int = 0
    complete: bool = True


@dataclass
class FakeProgress:
    """One step of a fake scan."""

    files_read: int
    files_total: int | None
    patients: int
    seconds_left: float | None
    found: Sequence[Found] = ()
    skipped: Sequence[Skipped] = ()


@dataclass
class FakeScan:
    """What a fake scan found; its files lie in memory."""

    files: dict[FileRef, bytes]
    tree: Tree = field(default_factory=Tree)
    skipped: list[Skipped] = field(default_factory=list)
    receipt: FakeReceipt = field(default_factory=FakeReceipt)
    missing: list[str] = field(default_factory=list)

    def open(self, ref: FileRef) -> BinaryIO:
        """The bytes of one file."""
        return io.BytesIO(self.files[ref])

    def local_path(self, _ref: FileRef) -> Path | None:
        """Nowhere on disk."""
        return None


class FakeScanner:
    """Yields the objects of a disc in helpings of *batch*; *hold* keeps it from ending."""

    def __init__(self, files: dict[FileRef, bytes], batch: int = 5, hold: Any = None) -> None:
        from pydicom import dcmread

        self.result = FakeScan(files)
        self._batch = batch
        self._hold = hold
        self._found = [
            Found(ref, header_of(dcmread(io.BytesIO(data), stop_before_pixels=True)), len(data))
            for ref, data in files.items()
        ]

    def run(self) -> Generator[FakeProgress, None, FakeScan]:
        """Progress with what is new since the last one."""
        junk = [
            Skipped("AUTORUN.INF", SkipReason.NOT_DICOM, "This is not an image."),
            Skipped("DICOMDIR", SkipReason.DICOMDIR, "This is the disc's table of contents."),
        ]
        seen: set[str] = set()
        for start in range(0, len(self._found), self._batch):
            part = self._found[start : start + self._batch]
            seen |= {f.header.patient_name for f in part}
            for found in part:
                self.result.tree.add(found)
            yield FakeProgress(start + len(part), len(self._found), len(seen), 12.0, part)
        while self._hold is not None and not self._hold.is_set():
            self._hold.wait(0.01)
            yield FakeProgress(len(self._found), len(self._found) * 2, len(seen), 12.0)
        self.result.skipped += junk
        total = sum(f.size for f in self._found)
        self.result.receipt = FakeReceipt(len(self._found) + 2, len(self._found), total)
        yield FakeProgress(len(self._found) + 2, len(self._found) + 2, len(seen), 0.0, (), junk)
        return self.result


@dataclass
class FakeArchive:
    """A local archive that is a switch."""

    state: ArchiveState = ArchiveState.OFF
    fault: Exception | None = None
    starts: int = 0

    @property
    def where(self) -> str:
        """Its address while it runs."""
        return "FILMJACKET @ 127.0.0.1:8500" if self.state is ArchiveState.RUNNING else ""

    def start(self) -> None:
        """Switch it on, or fail as told."""
        self.starts += 1
        if self.fault is not None:
            self.state = ArchiveState.FAILED
            raise self.fault
        self.state = ArchiveState.RUNNING

    def stop(self) -> None:
        """Switch it off."""
        self.state = ArchiveState.OFF

    def client(self) -> Any:
        """Nobody answers here."""
        raise NotImplementedError


class FakeJob:
    """A sending that goes at the test's pace: `steps` progress values, then *receipt* or *fault*."""

    def __init__(
        self, order: Order | None = None, *, fault: Exception | None = None, complete: bool = True
    ) -> None:
        self.id = "1"
        self.whose = "MÜLLER, Anna · F · 1950-03-01 (76) · ID 12345"
        self.what = "CT Abdomen 2024-02-11"
        self.where = order.destination if order else "archive"
        self.images = sum(p.images for p in order.picked) if order else 412
        self.sources: Sequence[Path] = (Path("/media/disc"),)
        self.fault, self.complete = fault, complete
        self.paused = self.cancelled = self.forgotten = False
        self.go = None
        self.order = order

    def run(self) -> Generator[UploadProgress, None, UploadReceipt]:
        """Half the images, then the rest once *go* is set."""
        import time

        half = self.images // 2
        yield self._step(half)
        while self.go is not None and not self.go.is_set() and not self.cancelled:
            time.sleep(0.005)
            yield self._step(half)
        if self.fault is not None:
            raise self.fault
        there = half if self.cancelled or not self.complete else self.images
        files = sum(len(f) for f in self.order.attachments.values()) if self.order else 0
        study = StudyReceipt("1.1", self.images, there, 0, there, "digest", (), files, files)
        return UploadReceipt(self.where, (study,), 1.0, cancelled=self.cancelled)

    def _step(self, sent: int) -> UploadProgress:
        state = RunState.PAUSED if self.paused else RunState.SENDING
        total = self.images * 500_000
        return UploadProgress("1.1", sent, self.images, sent * 500_000, total, 24e6, 4.0, state, 0)

    def pause(self) -> None:
        """Hold."""
        self.paused = True

    def resume(self) -> None:
        """Go on."""
        self.paused = False

    def cancel(self) -> None:
        """End early."""
        self.cancelled = True

    def forget(self) -> None:
        """Off the ledger."""
        self.forgotten = True


@dataclass
class FakeUploads:
    """Hands out fake jobs; *left* are those of the last run."""

    left: list[FakeJob] = field(default_factory=list)
    past: list[PastJob] = field(default_factory=list)
    begun: list[FakeJob] = field(default_factory=list)
    make: Any = FakeJob

    def begin(self, order: Order) -> FakeJob:
        """A new job."""
        job: FakeJob = self.make(order)
        self.begun.append(job)
        return job

    def unfinished(self) -> Sequence[FakeJob]:
        """What the last run left."""
        return list(self.left)

    def ended(self, limit: int) -> Sequence[PastJob]:
        """What earlier runs sent."""
        return self.past[:limit]


@dataclass
class FakeDestinations:
    """Saved destinations in memory."""

    saved: dict[str, DestinationText] = field(default_factory=dict)
    secrets: dict[str, str] = field(default_factory=dict)
    clients: dict[str, DicomWebClient] = field(default_factory=dict)
    fault: Exception | None = None

    def all(self) -> Sequence[DestinationText]:
        """By name."""
        return [self.saved[name] for name in sorted(self.saved)]

    def save(self, destination: DestinationText, secret: str | None) -> None:
        """Keep it."""
        if self.fault is not None:
            raise self.fault
        self.saved[destination.name] = destination
        if secret:
            self.secrets[destination.name] = secret

    def remove(self, name: str) -> None:
        """Forget it."""
        self.saved.pop(name, None)

    def remotes(self) -> Sequence[str]:
        """Those of DICOMweb."""
        return [each.name for each in self.all() if each.spec.startswith("stow:")]

    def remote(self, name: str) -> DicomWebClient:
        """One that is really there, or not; kept in `clients`."""
        if name not in self.clients:
            self.clients[name] = DicomWebClient(self.saved[name].spec.removeprefix("stow:"))
        return self.clients[name]

    def hang_up(self) -> None:
        """Close the clients."""
        for client in self.clients.values():
            client.close()

    def nodes(self) -> Sequence[str]:
        """Those of DICOM."""
        return [each.name for each in self.all() if each.spec.startswith("dimse:")]

    def pacs(self, name: str, stopped: Callable[[], bool]) -> Pacs:
        """One that is really there, or not."""
        return Pacs(parse_node(self.saved[name].spec.removeprefix("dimse:")).peer("TESTS"), stopped)

    def test(self, destination: DestinationText, _secret: str | None) -> str:
        """It answers, or fails as told."""
        if self.fault is not None:
            raise self.fault
        return f"{destination.name} answered."


@dataclass
class FakeSettings:
    """Settings in memory."""

    now: Settings = field(default_factory=Settings)
    saves: int = 0

    def save(self, settings: Settings) -> None:
        """Keep them."""
        self.now = settings
        self.saves += 1


@dataclass(frozen=True)
class FakeDrive:
    """A drive with a disc in it."""

    path: Path
    label: str
    kind: str = "optical"
    device: str = "/dev/sr0"


def services(tmp_path: Path, tasks: Tasks, jobs: Tasks, **changes: Any) -> Services:
    """Services of which *changes* replaces some."""
    files = disc()
    parts: dict[str, Any] = {
        "data": tmp_path,
        "version": "0.1.0",
        "tasks": tasks,
        "jobs": jobs,
        "state": WindowState(tmp_path / "window.ini"),
        "settings": FakeSettings(),
        "archive": FakeArchive(),
        "scanner": lambda _paths: FakeScanner(files),
        "uploads": FakeUploads(),
        "destinations": FakeDestinations(),
        "drives": lambda: [],
        "eject": lambda _drive: None,
    }
    return Services(**(parts | changes))
