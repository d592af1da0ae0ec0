"""The upload ledger: every job, file and answer in `client.db`, so that a killed upload can go on.

A row never says more than the destination did: a file is `verified` or `already-there` only once the
destination was asked after it. Rows may lag behind the truth (they are committed in batches); a resumed job
asks the destination before it sends anything.
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable, Collection, Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from sqlalchemy import Connection, Row, delete, func, insert, select, update
from sqlalchemy.dialects.sqlite import insert as upsert

from core.db.database import Database
from core.dicom.file_names import shown
from core.dicom.refs import FileRef
from core.errors import NotFound
from core.upload.job import StudySummary, UploadJob, is_running, study_summary
from core.upload.ledger_schema import LEDGER, attachments, instances, jobs, studies
from core.upload.nouns import ItemState, JobState
from core.upload.picks import ArchivedStudy, Attach, Order, Pick, RemoteArchive

Locate = Callable[[FileRef], Path | None]
"""Where a file of the source lies on this machine, None if that is not known."""

THERE = (ItemState.VERIFIED.value, ItemState.ALREADY_THERE.value)
CONTENT_TYPES = {
    ".pdf": "application/pdf",
    ".jpg": "image/jpeg",
    ".jpeg": "image/jpeg",
    ".png": "image/png",
    ".txt": "text/plain",
    ".xml": "application/xml",
    ".json": "application/json",
}


@dataclass(frozen=True, slots=True)
class JobSummary:
    """One line of the list of jobs; *there* = verified or already there; times are seconds since 1970."""

    id: int
    created: float
    updated: float
    destination: str
    namespace: str
    sources: tuple[str, ...]
    state: JobState
    studies: tuple[StudySummary, ...]
    expected: int
    there: int
    failed: int
    bytes: int
    attachments: int


def _make_private(path: Path) -> None:
    """It names patients, so only this user may read it (0600), whatever folder it lies in."""
    with suppress(OSError):  # the database says what is wrong
        try:
            os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600))
        except FileExistsError:  # never opened here: closing it would take away the database's own locks
            path.chmod(0o600)


class Ledger:
    """All jobs of one data folder; several processes may use it at once. Close it when done."""

    def __init__(self, path: Path) -> None:
        self.folder = path.parent
        _make_private(path)
        self._db = Database.open(path, LEDGER)

    @property
    def database(self) -> Database:
        """The database underneath, for the saved destinations beside the jobs."""
        return self._db

    def close(self) -> None:
        """Finish writing and let go of the file."""
        self._db.close()

    def __enter__(self) -> Ledger:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def create(self, order: Order, locate: Locate = lambda _: None) -> UploadJob:
        """Write down a new job."""
        rows = _instance_rows(order.picks, locate)
        now = time.time()

        def write(connection: Connection) -> int:
            values = {
                "created": now,
                "updated": now,
                "destination": order.destination,
                "namespace": order.namespace,
                "sources": _sources(order.sources, order.origin),
                "state": JobState.OPEN.value,
                "replace": int(order.replace),
                "entry": order.entry,
            }
            key = connection.execute(insert(jobs).values(values)).inserted_primary_key
            job_id = int(key[0]) if key else 0
            _add(connection, job_id, order.picks, rows)
            _attach(connection, job_id, order.attachments)
            return job_id

        return self.open_job(self._db.write(write).result())

    def find_resumable(
        self,
        sources: Sequence[Path],
        destination: str,
        namespace: str,
        study_uids: Collection[str] | None = None,
    ) -> UploadJob | None:
        """The newest job not done of the same sources to the same destination; of these studies, if given."""
        asked = (
            select(jobs.c.id)
            .where(jobs.c.sources == _sources(sources), jobs.c.destination == destination)
            .where(jobs.c.namespace == namespace)
            .where(jobs.c.state.in_([JobState.OPEN.value, JobState.FAILED.value]))
            .order_by(jobs.c.id.desc())
        )
        with self._db.read() as connection:
            found = connection.execute(asked).scalars().all()
        for job_id in found:
            job = self.open_job(job_id)
            if study_uids is None or set(study_uids) == {each.study_uid for each in job.studies()}:
                return job
        return None

    def renew(
        self,
        job: UploadJob,
        picks: Sequence[Pick],
        attaches: Sequence[Attach] = (),
        locate: Locate = lambda _: None,
    ) -> None:
        """Bring *job* up to what its source holds now.

        New files are added, files of other size or time lose their digest, files that are gone stay in the
        ledger and fail when they are to be sent. Attachments the job has already are not added again.
        """
        rows = _instance_rows(picks, locate)
        known = {(each.study_uid, each.path) for each in job.attachments()}
        new = [each for each in attaches if (each.study_uid, str(each.path.absolute())) not in known]

        def write(connection: Connection) -> None:
            _add(connection, job.id, picks, rows)
            _attach(connection, job.id, new)

        self._db.write(write).result()

    def open_job(self, job_id: int) -> UploadJob:
        """The job with this number. Raises NotFound."""
        with self._db.read() as connection:
            row = connection.execute(select(jobs).where(jobs.c.id == job_id)).one_or_none()
        if row is None:
            raise NotFound("upload")
        return UploadJob(self._db, row)

    def jobs(self, limit: int = 200) -> list[JobSummary]:
        """Jobs, the newest first."""
        return self._summaries(tuple(JobState), limit)

    def unfinished(self) -> list[JobSummary]:
        """Jobs that were interrupted or never begun and that no living process runs, the newest first."""
        return self._summaries((JobState.OPEN,), 200)

    def ended(self, limit: int) -> list[JobSummary]:
        """Jobs that came to their end, well or not, the newest first."""
        return self._summaries((JobState.DONE, JobState.FAILED, JobState.CANCELLED), limit)

    def cancel(self, job_id: int) -> None:
        """Give up a job; what was sent stays at the destination."""
        change = update(jobs).where(jobs.c.id == job_id)
        self._db.write(
            lambda c: c.execute(change.values(state=JobState.CANCELLED.value, updated=time.time()))
        ).result()

    def forget(self, job_id: int) -> None:
        """Remove a job from the ledger."""
        self._db.write(lambda c: c.execute(delete(jobs).where(jobs.c.id == job_id))).result()

    def _summaries(self, states: Collection[JobState], limit: int) -> list[JobSummary]:
        asked = select(jobs).order_by(jobs.c.id.desc()).limit(limit)
        asked = asked.where(jobs.c.state.in_([state.value for state in states]))
        idle = JobState.OPEN in states and len(states) == 1
        with self._db.read() as connection:
            rows = connection.execute(asked).all()
            return [
                _summary(connection, row)
                for row in rows
                if not idle or not is_running(row.owner_pid, row.owner_started)
            ]


def _sources(paths: Iterable[Path], origin: ArchivedStudy | RemoteArchive | None = None) -> str:
    found = {str(path.absolute()) for path in paths}
    return json.dumps(sorted(found | {str(origin)} if origin else found))


def _instance_rows(picks: Sequence[Pick], locate: Locate) -> dict[tuple[str, str], dict[str, object]]:
    rows: dict[tuple[str, str], dict[str, object]] = {}
    for pick in picks:
        for ref, header, size in pick.instances:
            key = (header.study_instance_uid, header.sop_instance_uid)
            if key in rows:
                continue
            file = locate(ref)
            rows[key] = {
                "study_uid": header.study_instance_uid,
                "sop_uid": header.sop_instance_uid,
                "series_uid": header.series_instance_uid,
                "sop_class_uid": header.sop_class_uid,
                "transfer_syntax_uid": header.transfer_syntax_uid,
                "path": ref.path,
                "member": ref.member,
                "file": str(file) if file else "",
                "size": size,
                "mtime_ns": _mtime_ns(file),
                "digest": "",
                "state": ItemState.PENDING.value,
                "reason": "",
            }
    return rows


def _mtime_ns(file: Path | None) -> int:
    try:
        return file.stat().st_mtime_ns if file else 0
    except OSError:
        return 0


def _add(
    connection: Connection,
    job_id: int,
    picks: Sequence[Pick],
    rows: dict[tuple[str, str], dict[str, object]],
) -> None:
    for position, pick in enumerate(picks):
        header = pick.header
        values = {
            "job_id": job_id,
            "study_uid": pick.study_uid,
            "position": position,
            "patient_name": header.patient_name,
            "patient_id": header.patient_id,
            "patient_birth_date": header.patient_birth_date,
            "patient_sex": header.patient_sex,
            "study_date": header.study_date,
            "study_description": header.study_description,
            "accession_number": header.accession_number,
        }
        connection.execute(upsert(studies).values(values).on_conflict_do_nothing())
    asked = select(instances.c.study_uid, instances.c.sop_uid, instances.c.size, instances.c.mtime_ns)
    known = {
        (row.study_uid, row.sop_uid): (row.size, row.mtime_ns)
        for row in connection.execute(asked.where(instances.c.job_id == job_id))
    }
    fresh = [
        {"job_id": job_id, **row}
        for key, row in rows.items()
        if key not in known or row["mtime_ns"] == 0 or known[key] != (row["size"], row["mtime_ns"])
    ]
    if fresh:
        connection.execute(insert(instances).prefix_with("OR REPLACE"), fresh)


def _attach(connection: Connection, job_id: int, attaches: Sequence[Attach]) -> None:
    for each in attaches:
        path = each.path.absolute()
        values = {
            "job_id": job_id,
            "study_uid": each.study_uid,
            "path": str(path),
            "name": shown(path.name),
            "content_type": CONTENT_TYPES.get(path.suffix.lower(), "application/octet-stream"),
            "size": path.stat().st_size if path.is_file() else 0,
            "digest": "",
            "remote": "",
            "state": ItemState.PENDING.value,
            "reason": "",
        }
        connection.execute(insert(attachments).values(values))


def _summary(connection: Connection, row: Row[tuple[object, ...]]) -> JobSummary:
    job_id = row.id
    of_job = instances.c.job_id == job_id
    counts = connection.execute(
        select(instances.c.state, func.count(), func.sum(instances.c.size))
        .where(of_job)
        .group_by(instances.c.state)
    ).all()
    named = (
        select(studies).where(studies.c.job_id == job_id).order_by(studies.c.position, studies.c.study_uid)
    )
    return JobSummary(
        id=job_id,
        created=row.created,
        updated=row.updated,
        destination=row.destination,
        namespace=row.namespace,
        sources=tuple(json.loads(row.sources)),
        state=JobState(row.state),
        studies=tuple(study_summary(each) for each in connection.execute(named)),
        expected=sum(count for _, count, _ in counts),
        there=sum(count for state, count, _ in counts if state in THERE),
        failed=sum(count for state, count, _ in counts if state == ItemState.FAILED.value),
        bytes=sum(size or 0 for _, _, size in counts),
        attachments=connection.execute(
            select(func.count()).select_from(attachments).where(attachments.c.job_id == job_id)
        ).scalar_one(),
    )
