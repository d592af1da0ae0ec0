"""One job of the upload ledger: its items, what becomes of them, and which process runs it."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Iterable, Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, Row, bindparam, func, select, update

from core.db.database import Database
from core.dicom.refs import FileRef, Header
from core.errors import Busy
from core.upload.ledger_schema import attachments, instances, jobs, studies
from core.upload.nouns import AttachmentItem, Item, ItemState, JobState, UploadReceipt
from core.upload.picks import ArchivedStudy, RemoteArchive


@dataclass(frozen=True, slots=True)
class StudySummary:
    """Whose and what: one study of a job."""

    study_uid: str
    patient_name: str
    patient_id: str
    patient_birth_date: str
    patient_sex: str
    study_date: str
    study_description: str
    accession_number: str


class UploadJob:
    """What the ledger holds of one job. The process that runs it claims it first and releases it after."""

    def __init__(self, db: Database, row: Row[tuple[Any, ...]]) -> None:
        self._db = db
        self.id: int = row.id
        self.destination: str = row.destination
        self.namespace: str = row.namespace
        sources: list[str] = json.loads(row.sources)
        self.archived = ArchivedStudy.parse(sources[0]) if sources else None
        self.remote = RemoteArchive.parse(sources[0]) if sources else None
        on_disk = not self.archived and not self.remote
        self.sources: tuple[Path, ...] = tuple(Path(each) for each in sources) if on_disk else ()
        self.replace: bool = bool(row.replace)
        self.entry: str = row.entry
        self.state = JobState(row.state)

    def studies(self) -> list[StudySummary]:
        """Its studies in the order they are sent."""
        asked = select(studies).where(studies.c.job_id == self.id)
        with self._db.read() as connection:
            found = connection.execute(asked.order_by(studies.c.position, studies.c.study_uid))
            return [study_summary(row) for row in found]

    def patient_id(self, study_uid: str) -> str:
        """Whose the study is, "" if it has no ID or is none of the job."""
        asked = select(studies.c.patient_id).where(studies.c.job_id == self.id)
        with self._db.read() as connection:
            found = connection.execute(asked.where(studies.c.study_uid == study_uid)).scalar_one_or_none()
        return str(found or "")

    def size(self) -> tuple[int, int]:
        """Number of instances and of their bytes."""
        asked = select(func.count(), func.coalesce(func.sum(instances.c.size), 0))
        with self._db.read() as connection:
            count, size = connection.execute(asked.where(instances.c.job_id == self.id)).one()
        return int(count), int(size)

    def items(self, study_uid: str) -> list[Item]:
        """The instances of one study as the ledger knows them."""
        asked = select(instances).where(instances.c.job_id == self.id, instances.c.study_uid == study_uid)
        with self._db.read() as connection:
            return [_item(row) for row in connection.execute(asked)]

    def files(self) -> dict[FileRef, Path]:
        """Where the files lay on this machine when the job was written down, as far as that was known."""
        asked = select(instances.c.path, instances.c.member, instances.c.file)
        with self._db.read() as connection:
            rows = connection.execute(asked.where(instances.c.job_id == self.id, instances.c.file != ""))
            return {FileRef(row.path, row.member): Path(row.file) for row in rows}

    def attachments(self, study_uid: str | None = None) -> list[AttachmentItem]:
        """The files to attach, of all studies or of one."""
        asked = select(attachments).where(attachments.c.job_id == self.id).order_by(attachments.c.id)
        if study_uid is not None:
            asked = asked.where(attachments.c.study_uid == study_uid)
        with self._db.read() as connection:
            return [_attachment(row) for row in connection.execute(asked)]

    def record(self, items: Iterable[Item]) -> Future[None]:
        """Write down what became of *items*, in one transaction."""
        rows = [
            {
                "the_study": item.header.study_instance_uid,
                "the_sop": item.sop_uid,
                "digest": item.digest,
                "mtime_ns": item.mtime_ns,
                "state": item.state.value,
                "reason": item.reason,
            }
            for item in items
        ]
        change = update(instances).where(
            instances.c.job_id == self.id,
            instances.c.study_uid == bindparam("the_study"),
            instances.c.sop_uid == bindparam("the_sop"),
        )

        def write(connection: Connection) -> None:
            if rows:
                connection.execute(change, rows)
            connection.execute(update(jobs).where(jobs.c.id == self.id).values(updated=time.time()))

        return self._db.write(write)

    def record_attachments(self, items: Sequence[AttachmentItem]) -> None:
        """Write down what became of attachments, and wait until that is durable."""

        def write(connection: Connection) -> None:
            for item in items:
                values = {
                    "digest": item.digest,
                    "remote": item.remote,
                    "size": item.size,
                    "state": item.state.value,
                    "reason": item.reason,
                }
                connection.execute(update(attachments).where(attachments.c.id == item.id).values(values))

        self._db.write(write).result()

    def finish(self, receipt: UploadReceipt, *, stopped: bool = False) -> None:
        """Keep the receipt of a run; one that was *stopped* by an error, or by a person, leaves it open."""
        if stopped:
            self.state = JobState.OPEN
        elif receipt.complete:
            self.state = JobState.DONE
        elif not receipt.cancelled:
            self.state = JobState.FAILED
        values = {"state": self.state.value, "receipt": json.dumps(receipt.to_json()), "updated": time.time()}
        self._db.write(lambda c: c.execute(update(jobs).where(jobs.c.id == self.id).values(values))).result()

    def last_receipt(self) -> dict[str, Any] | None:
        """The document of the last run's receipt, None if it never came to its end."""
        with self._db.read() as connection:
            text = connection.execute(select(jobs.c.receipt).where(jobs.c.id == self.id)).scalar_one()
        return json.loads(text) if text else None

    def claim(self) -> None:
        """Run the job in this process. Raises Busy when a living one does already."""
        pid, started = os.getpid(), _started(os.getpid())

        def write(connection: Connection) -> None:
            asked = select(jobs.c.owner_pid, jobs.c.owner_started).where(jobs.c.id == self.id)
            row = connection.execute(asked).one()
            if is_running(row.owner_pid, row.owner_started):
                raise Busy(
                    f"This upload is already running, in the process {row.owner_pid}.",
                    "Wait for it, or stop it first.",
                )
            values = {"owner_pid": pid, "owner_started": started, "state": JobState.OPEN.value}
            connection.execute(update(jobs).where(jobs.c.id == self.id).values(values))

        self._db.write(write).result()
        self.state = JobState.OPEN

    def release(self) -> None:
        """No longer run by this process."""
        change = update(jobs).where(jobs.c.id == self.id).values(owner_pid=0, owner_started=0.0)
        self._db.write(lambda c: c.execute(change)).result()


def study_summary(row: Row[tuple[Any, ...]]) -> StudySummary:
    """A row of the ledger's studies."""
    return StudySummary(
        study_uid=row.study_uid,
        patient_name=row.patient_name,
        patient_id=row.patient_id,
        patient_birth_date=row.patient_birth_date,
        patient_sex=row.patient_sex,
        study_date=row.study_date,
        study_description=row.study_description,
        accession_number=row.accession_number,
    )


def is_running(owner_pid: int, owner_started: float) -> bool:
    """Whether the process that claimed a job still lives; a new one under the same number is another."""
    return bool(owner_pid) and _started(owner_pid) == owner_started


def _started(pid: int) -> float:
    """When the process began, 0.0 if there is none."""
    import psutil

    try:
        return float(psutil.Process(pid).create_time())
    except psutil.Error:
        return 0.0


def _item(row: Row[tuple[Any, ...]]) -> Item:
    header = Header(
        sop_class_uid=row.sop_class_uid,
        sop_instance_uid=row.sop_uid,
        study_instance_uid=row.study_uid,
        series_instance_uid=row.series_uid,
        transfer_syntax_uid=row.transfer_syntax_uid,
    )
    return Item(header, FileRef(row.path, row.member), row.size, row.mtime_ns, row.digest)


def _attachment(row: Row[tuple[Any, ...]]) -> AttachmentItem:
    return AttachmentItem(
        id=row.id,
        study_uid=row.study_uid,
        path=row.path,
        name=row.name,
        content_type=row.content_type,
        size=row.size,
        digest=row.digest,
        remote=row.remote,
        state=ItemState(row.state),
        reason=row.reason,
    )
