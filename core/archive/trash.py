"""The trash bin: deleting, restoring, purging as durable changes with their audit rows, and the sweeper."""

from __future__ import annotations

import time
from collections.abc import Callable
from concurrent.futures import Future
from contextlib import closing, suppress
from pathlib import Path

from sqlalchemy import Connection

from core.archive import remove
from core.archive.blobs import LocalBlobs
from core.archive.lock import FolderLock
from core.archive.nouns import By, StudyRow, TrashEntry
from core.archive.overlays import OVERLAYS
from core.archive.search import study_rows
from core.audit.log import AuditLog, Event
from core.db.database import Database
from core.documents import DOCUMENTS
from core.errors import Busy, StorageFault


class Trash:
    """Deleted studies of one archive, kept for *days*; *sweep_soon* asks the background to call `sweep`."""

    def __init__(
        self,
        database: Database,
        blobs: LocalBlobs,
        audit: AuditLog,
        *,
        days: float,
        removal_lock: Path,
        sweep_soon: Callable[[], None],
    ) -> None:
        self._database = database
        self._blobs = blobs
        self._audit = audit
        self._days = days
        self._removal_lock = removal_lock
        self._sweep_soon = sweep_soon
        for part in (OVERLAYS, DOCUMENTS):
            database.ensure(part)  # what is laid over a study, and the orders it came from, go with it

    def delete(self, namespace: str, study_uid: str, by: By) -> Future[TrashEntry]:
        """Take a study out of every query."""

        def work(connection: Connection) -> TrashEntry:
            entry = remove.delete_study(connection, namespace, study_uid, actor=by.actor, days=self._days)
            self._record(connection, "deleted", entry, by)
            return entry

        future = self._database.write(work)
        if not self._days:
            future.add_done_callback(lambda _: self._sweep_soon())
        return future

    def entries(self) -> tuple[TrashEntry, ...]:
        """What can be restored, newest first."""
        with self._database.read() as connection:
            return remove.entries(connection)

    def restore(self, entry_id: int, actor: str) -> Future[StudyRow]:
        """Bring a study back."""

        def work(connection: Connection) -> tuple[StudyRow, tuple[str, ...]]:
            entry = remove.entry(connection, entry_id)
            restored = remove.restore(connection, entry_id)
            self._record(connection, "restored", entry, By(actor))
            return study_rows(connection, [restored.study])[0], restored.needless

        answer: Future[StudyRow] = Future()

        def done(written: Future[tuple[StudyRow, tuple[str, ...]]]) -> None:
            error = written.exception()
            if error is not None:
                answer.set_exception(error)
                return
            row, needless = written.result()
            for key in needless:
                with suppress(StorageFault):  # an orphan at worst, which check --repair removes
                    self._blobs.remove(key)
            self._sweep_soon()
            answer.set_result(row)

        answer.set_running_or_notify_cancel()
        self._database.write(work).add_done_callback(done)
        return answer

    def purge(self, entry_id: int, actor: str) -> Future[None]:
        """From when the Future resolves it cannot be restored; its bytes go in the background."""

        def work(connection: Connection) -> None:
            entry = remove.entry(connection, entry_id)
            remove.begin_purge(connection, entry_id)
            self._record(connection, "purged", entry, By(actor))

        future = self._database.write(work)
        future.add_done_callback(lambda _: self._sweep_soon())
        return future

    def sweep(self) -> None:
        """Remove what is due, blobs before rows; does nothing while a backup is copying."""
        with self._database.read() as connection:
            due = remove.due(connection, time.time())
        if not due:
            return
        with suppress(Busy), closing(FolderLock(self._removal_lock)):
            for entry_id in due:
                self._sweep_one(entry_id)

    def _sweep_one(self, entry_id: int) -> None:
        if not self._database.write(lambda connection: remove.mark_purging(connection, entry_id)).result():
            return  # restored meanwhile
        with self._database.read() as connection:
            keys = remove.blobs_of(connection, entry_id)
        for key in keys:
            self._blobs.remove(key)
        self._database.write(lambda connection: remove.finish_purge(connection, entry_id)).result()

    def _record(self, connection: Connection, action: str, entry: TrashEntry, by: By) -> None:
        self._audit.record(
            connection,
            Event.STUDY_DELETED,
            action,
            actor=by.actor,
            namespace=entry.namespace,
            study_uid=entry.study_uid,
            detail=by.detail(images=entry.images, trash_id=entry.id),
        )
