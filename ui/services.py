"""What the window is given to work with: ports onto core, handed in by `app`, and made up in tests."""

from __future__ import annotations

from collections.abc import Callable, Generator, Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from core.dicom.tree import Patient, Study
from core.settings import Settings
from ui.state import WindowState
from ui.tasks import Tasks

if TYPE_CHECKING:
    from core.net.dicomweb_client import DicomWebClient
    from core.net.dimse.pacs import Pacs
    from core.net.records import StoredPatient
    from core.net.v3_client import V3Client
    from core.net.worklist_client import EntryRow
    from core.scan.drives import Drive
    from core.scan.scanner import Scan, ScanProgress
    from core.upload.nouns import UploadProgress, UploadReceipt

LOCAL_ARCHIVE = "archive"
"""The destination that is always there: the archive in the data folder."""


class ArchiveState(StrEnum):
    """Of the archive in the data folder, as the status bar says it."""

    OFF = "off"
    STARTING = "starting"
    RUNNING = "running"
    FAILED = "failed"


class LocalArchive(Protocol):
    """The archive in the data folder; `start` and `stop` take their time and belong on a worker."""

    @property
    def state(self) -> ArchiveState: ...
    @property
    def where(self) -> str:
        """`FILMJACKET @ 127.0.0.1:8500`, "" while it does not run."""

    def start(self) -> None:
        """Start it, or adopt the one that was kept running. Raises KnownError."""

    def stop(self) -> None:
        """Stop it, or let it go on if the settings say so; never raises."""

    def client(self) -> V3Client:
        """A client that is signed in. Raises Unreachable while it does not run."""


class Scanning(Protocol):
    """One scan: *result* fills while `run` is driven by a worker."""

    @property
    def result(self) -> Scan: ...
    def run(self) -> Generator[ScanProgress, None, Scan]: ...


@dataclass(frozen=True, slots=True)
class Picked:
    """One study that was ticked: of whom, and which of its series (all if None)."""

    patient: Patient
    study: Study
    series_uids: frozenset[str] | None = None

    @property
    def images(self) -> int:
        """How many images were ticked."""
        return sum(len(s.instances) for s in self._series())

    @property
    def bytes(self) -> int:
        """Size of the ticked files."""
        return sum(s.bytes for s in self._series())

    def _series(self) -> list[SeriesOf]:
        chosen = self.series_uids
        return [s for uid, s in self.study.series.items() if chosen is None or uid in chosen]


class SeriesOf(Protocol):
    """The part of a series that is counted."""

    @property
    def instances(self) -> Sequence[object]: ...
    @property
    def bytes(self) -> int: ...


@dataclass(frozen=True, slots=True)
class Archived:
    """A study of the local archive, in place of a scan. All its attachments go with it.

    *stored*: whom its files name, where the archive shows somebody else; they are sent as they are.
    """

    namespace: str
    study_uid: str
    stored: StoredPatient | None = None


@dataclass(frozen=True, slots=True)
class Elsewhere:
    """Studies of the DICOMweb archive saved under *name*, in place of a scan; sizes of files are not known.

    *missing*: images it counts but does not list, so that they cannot be asked for.
    """

    name: str
    missing: int = 0


@dataclass(frozen=True, slots=True)
class Order:
    """What · whose · where of one sending; *attachments* by Study Instance UID, names only if *archived*.

    *entry*: the worklist entry the studies are to belong to, in the local archive.
    """

    scan: Scan | Archived | Elsewhere
    picked: tuple[Picked, ...]
    attachments: dict[str, tuple[Path, ...]]
    destination: str
    entry: EntryRow | None = None

    @property
    def archived(self) -> bool:
        """Whether it comes from the local archive."""
        return isinstance(self.scan, Archived)

    @property
    def from_disc(self) -> bool:
        """Whether somebody waits for a disc or folder."""
        return not isinstance(self.scan, Archived | Elsewhere)


class Job(Protocol):
    """One sending, begun or found unfinished in the ledger."""

    @property
    def id(self) -> str: ...
    @property
    def whose(self) -> str:
        """`MÜLLER, Anna · F · 1950-03-01 · ID 12345`, one a line."""

    @property
    def what(self) -> str:
        """`CT Abdomen, 2024-02-11`, one study a line."""

    @property
    def where(self) -> str:
        """Name of the destination."""

    @property
    def images(self) -> int: ...
    @property
    def sources(self) -> Sequence[Path]:
        """The disc or folders it reads from; none if it reads from the local archive."""

    def run(self) -> Generator[UploadProgress, None, UploadReceipt]:
        """Send what is not there yet, then ask the destination; one run at a time."""

    def pause(self) -> None: ...
    def resume(self) -> None: ...
    def cancel(self) -> None: ...
    def forget(self) -> None:
        """Take an unfinished job off the ledger; what was sent stays where it is."""


@dataclass(frozen=True, slots=True)
class PastJob:
    """A sending that came to its end in an earlier run; *ended* is in seconds since 1970."""

    job: Job
    ended: float
    cancelled: bool = False
    receipt: UploadReceipt | None = None


class Uploads(Protocol):
    """Where sendings begin, and where the last run left them."""

    def begin(self, order: Order) -> Job:
        """Write the job into the ledger; quick. Raises KnownError."""

    def unfinished(self) -> Sequence[Job]:
        """Jobs an earlier run left, newest first."""

    def ended(self, limit: int) -> Sequence[PastJob]:
        """Jobs that came to their end, well or not, newest first."""


@dataclass(frozen=True, slots=True)
class DestinationText:
    """A saved destination as people see it; the secret never leaves the keyring."""

    name: str
    spec: str
    login: str = ""
    has_secret: bool = False


class Destinations(Protocol):
    """The saved destinations."""

    def all(self) -> Sequence[DestinationText]: ...
    def save(self, destination: DestinationText, secret: str | None) -> None:
        """Add or replace by name; *secret* None keeps the one there is. Raises KnownError."""

    def remove(self, name: str) -> None: ...
    def remotes(self) -> Sequence[str]:
        """Names of those that can be searched and looked at: DICOMweb archives."""

    def remote(self, name: str) -> DicomWebClient:
        """A client of one of those, ours to close. Slow. Raises KnownError."""

    def hang_up(self) -> None:
        """Cut what is under way with remote archives, for good: the window closes."""

    def nodes(self) -> Sequence[str]:
        """Names of those that can be searched and fetched from over DICOM: a PACS."""

    def pacs(self, name: str, stopped: Callable[[], bool]) -> Pacs:
        """One of those, to be asked; *stopped* gives a question up. Raises KnownError."""

    def test(self, destination: DestinationText, secret: str | None) -> str:
        """Call it and say what answered, in a sentence. Slow. Raises KnownError."""


class SettingsStore(Protocol):
    """The settings of the data folder."""

    @property
    def now(self) -> Settings: ...
    def save(self, settings: Settings) -> None:
        """Keep and write them. Raises KnownError."""


@dataclass(frozen=True, slots=True)
class Services:
    """Everything the window needs. *tasks* is for short work, *jobs* for scans and sendings."""

    data: Path
    version: str
    tasks: Tasks
    jobs: Tasks
    state: WindowState
    settings: SettingsStore
    archive: LocalArchive
    scanner: Callable[[Sequence[Path]], Scanning]
    uploads: Uploads
    destinations: Destinations
    drives: Callable[[], Sequence[Drive]]
    eject: Callable[[Drive], None]
