"""Sendings as the window begins and steers them (`ui.services`), over the real ledger."""

from __future__ import annotations

import os
from collections.abc import Callable, Generator, Sequence
from contextlib import closing, contextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path

from app.desk import DEFAULT_NAMESPACE, LocalArchive
from app.filing import conclusion
from core.dicom.refs import FileRef
from core.errors import NotFound
from core.scan.scanner import Scan
from core.scan.zip_files import ZipFiles
from core.upload.archived_files import ArchivedFiles, fetch_attachments, sweep
from core.upload.backoff import Pace
from core.upload.control import Control
from core.upload.destination import Destination
from core.upload.destinations import Found, connect, find
from core.upload.job import UploadJob
from core.upload.ledger import Ledger
from core.upload.local_files import LocalFiles
from core.upload.nouns import JobState, UploadProgress, UploadReceipt
from core.upload.picks import ArchivedStudy, Attach, Order, Pick, RemoteArchive
from core.upload.remote_files import RemoteFiles, find_remote
from core.upload.runner import Conclude, run
from core.upload.saved import Destinations
from core.upload.target import TargetKind, parse, place
from core.upload.tasks import Opener, Origin
from ui import services as ports
from ui.models.people import banner_text, study_text

AWAY_S = 15 * 60.0
"""How long a sending waits for another machine that went away: a person sees it and may give up. The archive
here is waited for as long as the command line waits: it comes back under another address."""

NEEDING_FILES = (JobState.OPEN, JobState.FAILED)


@dataclass(frozen=True, slots=True)
class Reading:
    """How the files of a job are opened, and which archive elsewhere they come from, if they do."""

    open: Opener
    origin: Origin | None = None


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
        job, opener = self._job, self._opener
        with nullcontext(Reading(opener)) if opener else self._uploads.reading(job) as files:
            destination = self._uploads.open(job, self.where)
            here = parse(job.destination).kind is TargetKind.ARCHIVE and job.remote is None
            return (
                yield from run(
                    job,
                    destination,
                    self._control,
                    opener=files.open,
                    pace=Pace() if here else Pace(patience_s=AWAY_S),
                    conclude=self._uploads.conclusion(job),
                    origin=files.origin,
                )
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
        if isinstance(scan, ports.Elsewhere):
            return Job(self._begin_remote(scan.name, picks, found), self, order.destination)
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
            origin=study,
        )
        return self._ledger.create(wanted)

    def _begin_remote(self, name: str, picks: Sequence[Pick], found: Found) -> UploadJob:
        """A job from an archive elsewhere: its images stay there until each is sent."""
        wanted = Order(
            sources=(),
            destination=found.spec,
            picks=picks,
            namespace=found.namespace or DEFAULT_NAMESPACE,
            origin=RemoteArchive(name, self._found(name).spec),
        )
        return self._ledger.create(wanted)

    @contextmanager
    def reading(self, job: UploadJob) -> Generator[Reading, None, None]:
        """Opens the job's files from the ledger alone. Raises KnownError."""
        if job.archived is not None:
            with closing(ArchivedFiles(job.archived, *self._archive.door())) as archived:
                yield Reading(archived.open)
        elif job.remote is not None:
            there = find_remote(job.remote, self._saved, os.environ)
            with closing(RemoteFiles(there.target.address, there.access)) as remote:
                yield Reading(remote.open, remote)
        else:
            with closing(ZipFiles()) as zip_files:
                yield Reading(LocalFiles(job, zip_files.open).open)

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
        return connect(found, job.namespace, self._archive.means, job.patient_id)

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
        return next((each.name for each in self._saved.all() if place(each.spec) == place(spec)), spec)


def _locator(scan: Scan) -> Callable[[FileRef], Path | None]:
    def locate(ref: FileRef) -> Path | None:
        return scan.local_path(ref)

    return locate
