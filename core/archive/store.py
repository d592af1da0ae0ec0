"""Storing: from arrived bytes to a durable blob and its row, then the answer; never the other way round."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from typing import TypeVar, cast

from sqlalchemy import Connection

from core.archive.arrival import Arrival, NotSaid, OtherStudy, read_arrival
from core.archive.blobs import Blob, LocalBlobs
from core.archive.catalog import Placed, is_current
from core.archive.homes import Placing
from core.archive.incoming import GATHER_BYTES, Incoming, fault_of
from core.archive.nouns import Outcome, Routing, StoreResult
from core.archive.together import Together
from core.audit.log import AuditLog, Event, Note
from core.db.database import Database
from core.db.engine import storage_fault
from core.db.prepared import Lookup
from core.db.writer import Beside, Work
from core.dicom.refs import Header
from core.errors import BadInput, StorageFault

T = TypeVar("T")

NAMESPACE = re.compile(r"[A-Za-z0-9_-][A-Za-z0-9._-]{0,63}")
SYNCING_THREADS = 8
"""So many blobs are flushed to disk at once; more did not store more."""


def check_namespace(name: str) -> str:
    """*name*, if it is one that may be made. Raises BadInput."""
    if not NAMESPACE.fullmatch(name):
        raise BadInput(
            "The namespace has a form that is not allowed.",
            "Use 1 to 64 letters, digits, points, hyphens and underscores, not beginning with a point.",
        )
    return name


@dataclass(frozen=True, slots=True)
class Said:
    """What the sender says an object is, "" = nothing; one that is another is refused."""

    sop_class_uid: str = ""
    sop_uid: str = ""
    study_uid: str = ""

    def check(self, header: Header) -> None:
        """Raises OtherStudy, NotSaid."""
        if self.study_uid not in ("", header.study_instance_uid):
            raise OtherStudy(header)
        if self.sop_uid not in ("", header.sop_instance_uid) or self.sop_class_uid not in (
            "",
            header.sop_class_uid,
        ):
            raise NotSaid(header)


@dataclass(frozen=True, slots=True)
class Sending:
    """Who sends an object, and how it comes."""

    actor: str
    via: str
    routing: Routing
    silent: bool = False
    """Nobody is to be notified."""
    said: Said = Said()


class Store:
    """Keeps objects: a small pool reads and flushes them, the database's writer makes them known."""

    def __init__(
        self, database: Database, blobs: LocalBlobs, audit: AuditLog, changed: Callable[[], None]
    ) -> None:
        self._database = database
        self._blobs = blobs
        self._audit = audit
        self._changed = changed
        self._lookup = Lookup(database.engine)
        self._together = Together(blobs.size)
        self._pool = ThreadPoolExecutor(SYNCING_THREADS, thread_name_prefix="archive-store")

    def object(self, incoming: Incoming, sending: Sending, *, here: bool = False) -> Future[StoreResult]:
        """Read, place, flush, catalog; *incoming* is taken over. With *here* the calling thread does it."""
        future: Future[StoreResult] = Future()
        self._start(incoming, future, lambda: self._object(incoming, sending, future), here=here)
        return future

    def blob(
        self, incoming: Incoming, row: Callable[[Connection, Blob], T], *, refuse: Callable[[], None]
    ) -> Future[T]:
        """Keep bytes that are no DICOM object; *refuse* raises before anything is flushed."""
        future: Future[T] = Future()

        def keep() -> Callable[[], None]:
            refuse()
            [blob] = self._blobs.keep(incoming)

            def write() -> None:
                written = self._database.write(lambda connection: row(connection, blob))
                written.add_done_callback(lambda done: self._answer_blob(done, blob, future))

            return write

        self._start(incoming, future, keep, here=False)
        return future

    def close(self) -> None:
        """Wait for what is being stored; calling it again does nothing."""
        self._pool.shutdown()
        self._lookup.close()

    def _start(
        self, incoming: Incoming, future: Future[T], work: Callable[[], Callable[[], None]], *, here: bool
    ) -> None:
        """Have the pool do *work*, and what that returns when the writer no longer waits for it."""
        incoming.take()

        def run() -> None:
            try:
                try:
                    write = work()
                finally:
                    self._database.announce(-1)
                write()
            except Exception as error:  # whatever it is, the sender must hear of it
                incoming.abort()
                future.set_exception(
                    fault_of(error) if isinstance(error, OSError) else storage_fault(error) or error
                )

        future.set_running_or_notify_cancel()
        self._database.announce(1)
        if here:
            run()
            return
        try:
            self._pool.submit(run)
        except RuntimeError:  # the pool is shut
            self._database.announce(-1)
            incoming.abort()
            future.set_exception(StorageFault("The archive is closing.", "Send it again later."))

    def _object(
        self, incoming: Incoming, sending: Sending, future: Future[StoreResult]
    ) -> Callable[[], None]:
        """Read and place; what is returned flushes it and has it written down, at the same time if small."""
        incoming.seal()
        arrival = read_arrival(incoming.content(), incoming.size, incoming.head)
        sending.said.check(arrival.header)
        result = _result(incoming, arrival)
        if self._is_there(incoming, arrival):
            incoming.abort()
            return lambda: future.set_result(result(Outcome.SAME))
        work = _Keep(self, incoming, arrival, sending, self._blobs.place(incoming))
        flushed: Future[None] = Future()

        def answer(done: Future[Placed]) -> None:
            error = done.exception()
            if error is not None:
                incoming.abort()
                self._forget(work.blob.key)
                future.set_exception(error)
                return
            placed = done.result()
            if placed.needless:
                self._forget(placed.needless)
            self._changed()
            future.set_result(result(placed.outcome))

        def write() -> None:
            large = incoming.size > GATHER_BYTES  # its flush takes too long for all who write to wait for
            if large:
                self._blobs.flush(incoming, work.blob)
            beside = Beside(flushed, self._move_all)
            self._database.write(work, self._keep_all, beside).add_done_callback(answer)
            try:
                if not large:
                    self._blobs.flush(incoming, work.blob)
            except BaseException as error:  # the writer waits for it, whatever it is
                flushed.set_exception(error)
            else:
                flushed.set_result(None)

        return write

    def keep(self, connection: Connection, work: _Keep) -> Placed:
        """Keep one finished object, in the writer's transaction."""
        return self._keep_all(connection, [work])[0]

    def _keep_all(self, connection: Connection, works: Sequence[Work[Placed]]) -> list[Placed]:
        """Write the rows of several."""
        keeps = cast(Sequence[_Keep], works)
        new = [each.placing() for each in keeps]
        placed = self._together.place(connection, new)
        notes = [
            _note(what, became, each.sending)
            for each, what, became in zip(keeps, new, placed, strict=True)
            if became.outcome is not Outcome.SAME
        ]
        self._audit.append(connection, notes)
        return placed

    def _move_all(self, works: Sequence[Work[Placed]]) -> None:
        """Give what has been flushed its place, before the rows are committed. Raises StorageFault."""
        self._blobs.move([(each.incoming, each.blob) for each in cast(Sequence[_Keep], works)])

    def _answer_blob(self, done: Future[T], blob: Blob, future: Future[T]) -> None:
        error = done.exception()
        if error is not None:
            self._forget(blob.key)
            future.set_exception(error)
        else:
            self._changed()
            future.set_result(done.result())

    def _is_there(self, incoming: Incoming, arrival: Arrival) -> bool:
        """Whether these bytes are the current version already; what a reader sees is on disk."""
        found = is_current(self._lookup, incoming.namespace, arrival.header, incoming.version)
        return found is not None and self._blobs.size(found) == incoming.size

    def _forget(self, key: str) -> None:
        """Remove a blob no row refers to; what cannot be removed is an orphan that `check` finds."""
        with suppress(StorageFault):
            self._blobs.remove(key)


class _Keep:
    """The writer's part of one store."""

    __slots__ = ("_store", "arrival", "blob", "incoming", "sending")

    def __init__(
        self, store: Store, incoming: Incoming, arrival: Arrival, sending: Sending, blob: Blob
    ) -> None:
        self._store = store
        self.incoming = incoming
        self.arrival = arrival
        self.sending = sending
        self.blob = blob

    def __call__(self, connection: Connection) -> Placed:
        return self._store.keep(connection, self)

    def placing(self) -> Placing:
        """What the catalog is to know."""
        sending = self.sending
        return Placing(self.incoming.namespace, self.arrival, self.blob, sending.via, sending.routing)


def _note(placing: Placing, placed: Placed, sending: Sending) -> Note:
    header = placing.arrival.header
    detail: dict[str, object] = {
        "series_uid": header.series_instance_uid,
        "sop_uid": header.sop_instance_uid,
        "version": placing.blob.version,
        "via": placing.via,
    }
    if placed.earlier_version:
        detail["earlier_version"] = placed.earlier_version
    if placed.reason:
        detail["reason"] = placed.reason
    if sending.silent:
        detail["silent"] = True
    return Note(
        Event.INSTANCES_TRANSFERRED,
        placed.outcome.value,
        sending.actor,
        namespace=placing.namespace,
        study_uid=header.study_instance_uid,
        detail=detail,
    )


def _result(incoming: Incoming, arrival: Arrival) -> Callable[[Outcome], StoreResult]:
    header = arrival.header
    return lambda outcome: StoreResult(
        incoming.namespace,
        header.study_instance_uid,
        header.series_instance_uid,
        header.sop_instance_uid,
        incoming.version,
        outcome,
        arrival.attributes,
        header.sop_class_uid,
    )
