"""The window's ports (`ui.services`) over the real ledger, destinations, settings and local archive."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Generator, Sequence
from contextlib import closing, contextmanager, nullcontext
from pathlib import Path

from app.embedded import EmbeddedArchive, State, Wishes
from app.filing import conclusion
from core import settings
from core.dicom.refs import FileRef
from core.errors import NotFound, Unreachable
from core.imaging.recoder import Recoder
from core.media.attached import encapsulate
from core.net.credentials import Access, Credentials, Token
from core.net.dicomweb_client import DicomWebClient
from core.net.dimse.pacs import Pacs
from core.net.dimse.requestor import Peer
from core.net.http import Timeouts
from core.net.own_addresses import addresses
from core.net.v3_client import V3Client
from core.scan.scanner import Scan
from core.scan.zip_files import ZipFiles
from core.settings import Settings
from core.upload.archived_files import ArchivedFiles, fetch_attachments, sweep
from core.upload.backoff import Pace
from core.upload.control import Control
from core.upload.destination import Destination
from core.upload.destinations import Found, Means, connect, find, from_environment
from core.upload.job import UploadJob
from core.upload.ledger import Ledger
from core.upload.local_files import LocalFiles
from core.upload.nouns import JobState, UploadProgress, UploadReceipt
from core.upload.picks import ArchivedStudy, Attach, Order, Pick
from core.upload.runner import Conclude, run
from core.upload.saved import Destinations, SavedDestination
from core.upload.target import TargetKind, parse, parse_node
from core.upload.tasks import Opener
from ui import services as ports
from ui.models.people import banner_text, study_text

DEFAULT_NAMESPACE = "default"
AWAY_S = 15 * 60.0
"""How long a sending waits for another machine that went away: a person sees it and may give up. The archive
here is waited for as long as the command line waits: it comes back under another address."""

LOOKING = Timeouts(connect_s=4.0, answer_s=30.0)
"""How long a person who looks at an archive elsewhere waits for a connection, and for an answer."""

NEEDING_FILES = (JobState.OPEN, JobState.FAILED)
STATES = {
    State.OFF: ports.ArchiveState.OFF,
    State.STARTING: ports.ArchiveState.STARTING,
    State.RUNNING: ports.ArchiveState.RUNNING,
    State.FAILED: ports.ArchiveState.FAILED,
}


class SettingsFile:
    """The settings of one data folder; *on_change* hears of every save."""

    def __init__(self, data: Path) -> None:
        self._data = data
        self._now = settings.load(data)
        self.on_change: Callable[[Settings], None] = lambda found: None

    @property
    def now(self) -> Settings:
        """As they were last read or saved."""
        return self._now

    def save(self, found: Settings) -> None:
        """Keep and write them. Raises StorageFault."""
        settings.save(self._data, found)
        self._now = found
        self.on_change(found)


class LocalArchive:
    """The embedded archive with one client that is signed in; close it at the end."""

    def __init__(self, data: Path, found: Settings) -> None:
        self._ae_title = found.serve.ae_title
        self._archive = EmbeddedArchive(data, _wishes(found))
        self._client: tuple[str, V3Client] | None = None
        self._lock = threading.Lock()
        self._doors: dict[str, str] = {}

    @property
    def state(self) -> ports.ArchiveState:
        """How it stands."""
        return STATES[self._archive.state]

    @property
    def where(self) -> str:
        """`FILMJACKET @ 192.0.2.10:11112`, its DICOM door or else its web door; "" while it does not run."""
        ready = self._archive.ready
        if ready is None:
            return ""
        return self._doors.get(ready.dimse) or f"{self._ae_title} @ {ready.http_url.partition('//')[2]}"

    def start(self) -> None:
        """Start or adopt it. Raises KnownError."""
        dimse = self._archive.start().dimse
        title, _, where = dimse.rpartition("@")
        host, _, port = where.rpartition(":")
        if where:  # looked up here, where it may take its time
            self._doors[dimse] = f"{title} @ {addresses(host.strip('[]'))[0]}:{port}"

    def stop(self) -> None:
        """Stop it, or let it go on if the settings say so."""
        self._archive.stop()
        self._forget_client()

    def client(self) -> V3Client:
        """The shared client; it is ours to close. Raises Unreachable while the archive does not run."""
        ready = self._archive.ready
        if ready is None:
            reason = self._archive.reason or "The local archive is not running."
            raise Unreachable(reason, "Switch it on in the settings.")
        with self._lock:
            if self._client is None or self._client[0] != ready.token:
                self._close_client()
                self._client = (ready.token, V3Client(ready.http_url, Token(ready.token)))
            return self._client[1]

    def door(self) -> tuple[str, Access]:
        """Its address and how to sign in, for an upload; started if it does not run. Raises KnownError."""
        ready = self._archive.start()
        return ready.http_url, Token(ready.token)

    @property
    def means(self) -> Means:
        """What an upload's destination may need."""
        return Means(self.door, encapsulate, Recoder(), self._ae_title)

    def changed(self, found: Settings) -> None:
        """New settings: whether it outlives the window holds at once, ports from the next start."""
        self._ae_title = found.serve.ae_title
        self._archive.wish(_wishes(found))

    def _forget_client(self) -> None:
        with self._lock:
            self._close_client()

    def _close_client(self) -> None:
        if self._client is not None:
            self._client[1].close()
            self._client = None


def _wishes(found: Settings) -> Wishes:
    return Wishes(
        port=found.desktop.port,
        internal_port=found.desktop.internal_port,
        dimse_port=found.desktop.dimse_port,
        ae_title=found.serve.ae_title,
        keep_running=found.desktop.keep_running,
    )


class Job:
    """One job of the ledger as the window steers it; *opener* None reads from where the files lay."""

    def __init__(self, job: UploadJob, uploads: Uploads, where: str, opener: Opener | None = None) -> None:
        self._job = job
        self._uploads = uploads
        self._opener = opener
        self._control = Control()
        self._studies = job.studies()
        self.id = str(job.id)
        self.where = where
        self.images = job.size()[0]
        self.sources: Sequence[Path] = job.sources

    @property
    def whose(self) -> str:
        """The patients, one a line."""
        lines = (
            banner_text(s.patient_name, s.patient_sex, s.patient_birth_date, s.patient_id)
            for s in self._studies
        )
        return "\n".join(dict.fromkeys(lines))

    @property
    def what(self) -> str:
        """The studies, one a line."""
        return "\n".join(study_text(s.study_description, s.study_date) for s in self._studies)

    def run(self) -> Generator[UploadProgress, None, UploadReceipt]:
        """Send what is not there yet, then ask the destination."""
        if self._control.cancelled:  # an earlier run was given up; this one starts afresh
            self._control = Control()
        with nullcontext(self._opener) if self._opener else self._uploads.reading(self._job) as opener:
            destination = self._uploads.open(self._job, self.where)
            here = parse(self._job.destination).kind is TargetKind.ARCHIVE
            pace = Pace() if here else Pace(patience_s=AWAY_S)
            job, conclude = self._job, self._uploads.conclusion(self._job)
            return (
                yield from run(job, destination, self._control, opener=opener, pace=pace, conclude=conclude)
            )

    def pause(self) -> None:
        """Send nothing more for now."""
        self._control.pause()

    def resume(self) -> None:
        """Go on."""
        self._control.resume()

    def cancel(self) -> None:
        """Stop; the ledger keeps what was done."""
        self._control.cancel()

    def forget(self) -> None:
        """Take it off the ledger."""
        self._uploads.forget(self._job)


class Uploads:
    """Jobs of one ledger."""

    def __init__(self, ledger: Ledger, archive: LocalArchive) -> None:
        self._ledger = ledger
        self._saved = Destinations(ledger.database)
        self._archive = archive
        self._outgoing = ledger.folder / "outgoing"

    def begin(self, order: ports.Order) -> Job:
        """Write a new job. Raises KnownError."""
        found = self._found(order.destination)
        scan = order.scan
        picks = [Pick.of(each.study, each.series_uids) for each in order.picked]
        if isinstance(scan, ports.Archived):
            study = ArchivedStudy(scan.namespace, scan.study_uid)
            return Job(self._begin_archived(study, picks, found), self, order.destination)
        attaches = [Attach(uid, path) for uid, paths in order.attachments.items() for path in paths]
        wanted = Order(
            sources=[source.path for source in scan.sources],
            destination=found.spec,
            picks=picks,
            attachments=attaches,
            namespace=found.namespace or DEFAULT_NAMESPACE,
            entry=order.entry.uid if order.entry is not None else "",
        )
        job = self._ledger.create(wanted, _locator(scan))
        return Job(job, self, order.destination, scan.open)

    def _begin_archived(self, study: ArchivedStudy, picks: Sequence[Pick], found: Found) -> UploadJob:
        """A job from the local archive: its attachments are copied, its images stay there until sent."""
        paths = fetch_attachments(self._archive.client(), study, self._outgoing)
        wanted = Order(
            sources=(),
            destination=found.spec,
            picks=picks,
            attachments=[Attach(study.study_uid, path) for path in paths],
            namespace=found.namespace or DEFAULT_NAMESPACE,
            archived=study,
        )
        return self._ledger.create(wanted)

    @contextmanager
    def reading(self, job: UploadJob) -> Generator[Opener, None, None]:
        """Opens the job's files from the ledger alone. Raises KnownError."""
        if job.archived is not None:
            with closing(ArchivedFiles(job.archived, *self._archive.door())) as archived:
                yield archived.open
        else:
            with closing(ZipFiles()) as zip_files:
                yield LocalFiles(job, zip_files.open).open

    def unfinished(self) -> Sequence[Job]:
        """What an earlier run left, newest first."""
        self._sweep()
        jobs = (self._ledger.open_job(summary.id) for summary in self._ledger.unfinished())
        return [Job(job, self, self._name_of(job.destination)) for job in jobs]

    def ended(self, limit: int) -> Sequence[ports.PastJob]:
        """What came to its end, newest first."""
        found = []
        for summary in self._ledger.ended(limit):
            job = self._ledger.open_job(summary.id)
            said = job.last_receipt()
            found.append(
                ports.PastJob(
                    Job(job, self, self._name_of(job.destination)),
                    summary.updated,
                    cancelled=summary.state is JobState.CANCELLED,
                    receipt=UploadReceipt.from_json(said) if said else None,
                )
            )
        return found

    def open(self, job: UploadJob, where: str) -> Destination:
        """The destination of *job*. Raises KnownError."""
        try:
            found = self._found(where)
        except NotFound:  # it was renamed or removed since: its address is in the ledger
            found = self._found(job.destination)
        return connect(found, job.namespace, self._archive.means)

    def forget(self, job: UploadJob) -> None:
        """Take it off the ledger; what was sent stays."""
        self._ledger.forget(job.id)

    def conclusion(self, job: UploadJob) -> Conclude | None:
        """What must be done when a job's studies are there."""
        return conclusion(job, self._archive.client)

    def _sweep(self) -> None:
        """Copies of attachments that went, or that nobody wants any more."""
        jobs = (self._ledger.open_job(each.id) for each in self._ledger.jobs() if each.state in NEEDING_FILES)
        sweep(self._outgoing, [Path(item.path) for job in jobs for item in job.attachments()])

    def _found(self, name: str) -> Found:
        return find(name, self._saved, os.environ)

    def _name_of(self, spec: str) -> str:
        return next((each.name for each in self._saved.all() if each.spec == spec), spec)


def _locator(scan: Scan) -> Callable[[FileRef], Path | None]:
    def locate(ref: FileRef) -> Path | None:
        return scan.local_path(ref)

    return locate


class SavedDestinations:
    """The saved destinations as the settings page shows them."""

    def __init__(self, ledger: Ledger, archive: LocalArchive) -> None:
        self._saved = Destinations(ledger.database)
        self._archive = archive
        self._clients: dict[Found, DicomWebClient] = {}
        self._lock = threading.Lock()

    def all(self) -> Sequence[ports.DestinationText]:
        """By name."""
        return [
            ports.DestinationText(each.name, each.spec, each.login, has_secret=bool(each.login))
            for each in self._saved.all()
        ]

    def save(self, destination: ports.DestinationText, secret: str | None) -> None:
        """Add or replace by name. Raises KnownError."""
        self._saved.save(SavedDestination(destination.name, destination.spec, destination.login), secret)

    def remove(self, name: str) -> None:
        """Forget it. Raises NotFound."""
        self._saved.remove(name)

    def remotes(self) -> Sequence[str]:
        """Names of the DICOMweb archives."""
        return [each.name for each in self._saved.all() if parse(each.spec).kind is TargetKind.STOW]

    def remote(self, name: str) -> DicomWebClient:
        """The client of one of them, kept until `close`; another one when its login was changed."""
        found = find(name, self._saved, os.environ)
        with self._lock:
            if found not in self._clients:
                self._clients[found] = DicomWebClient(found.target.address, found.access, LOOKING)
            return self._clients[found]

    def nodes(self) -> Sequence[str]:
        """Names of the DICOM nodes."""
        return [each.name for each in self._saved.all() if parse(each.spec).kind is TargetKind.DIMSE]

    def pacs(self, name: str, stopped: Callable[[], bool]) -> Pacs:
        """One of them. Raises NotFound."""
        called, host, port = parse_node(parse(self._saved.find(name).spec).address)
        return Pacs(Peer(called, host.strip("[]"), port, self._archive.means.ae_title), stopped)

    def hang_up(self) -> None:
        """Cut what is under way with the archives; from then on their clients say so at once."""
        with self._lock:
            for client in self._clients.values():
                client.close()

    def test(self, destination: ports.DestinationText, secret: str | None) -> str:
        """Call it and say what answered. Raises KnownError."""
        target = parse(destination.spec)
        local = target.kind is TargetKind.ARCHIVE
        found = Found(destination.name, target, None if local else self._access(destination, secret))
        with closing(connect(found, DEFAULT_NAMESPACE, self._archive.means)) as opened:
            return opened.test()

    def _access(self, destination: ports.DestinationText, secret: str | None) -> Access:
        if not destination.login:
            return from_environment(os.environ)  # as a sending to it would
        if secret is None:
            secret = self._saved.password(
                SavedDestination(destination.name, str(parse(destination.spec)), destination.login)
            )
        return Credentials(destination.login, secret or "")
