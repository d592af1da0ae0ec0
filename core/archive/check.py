"""Proof that catalog, blobs and audit log agree, and repair of what a crash left behind."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from sqlalchemy import Connection, Select, Table, func, or_, select

from core.archive.arrival import read_arrival
from core.archive.blobs import Blob, LocalBlobs
from core.archive.catalog import place
from core.archive.homes import Placing
from core.archive.incoming import fault_of
from core.archive.nouns import Outcome, Report, Routing, Via
from core.archive.remove import recount
from core.archive.schema import attachments, instances, namespaces, phi_sets, series, studies, trash
from core.audit.log import AuditLog, Event
from core.db.database import Database
from core.errors import BadInput

PAGE = 500
"""Rows read at a time: a long-lived snapshot would keep the database's log from being folded in."""

IN_FLIGHT_S = 120
"""A younger blob without a row may be one whose commit is on its way in another process."""


class _Entry(NamedTuple):
    """A blob that a row of *table* refers to."""

    id: int
    key: str
    version: str
    bytes: int
    what: str
    table: Table


class Inspector:
    """Walks every row and every blob once, and can mend what it finds."""

    def __init__(self, database: Database, blobs: LocalBlobs, audit: AuditLog) -> None:
        self._database = database
        self._blobs = blobs
        self._audit = audit

    def check(self, *, repair: bool) -> Report:
        """Prove each blob against its digest. With *repair* nobody else may be using the archive."""
        ownerless = set(self._blobs.keys())
        faults: dict[str, list[str]] = {"missing": [], "damaged": []}
        repaired: list[str] = []
        count = size = 0
        for entry in self._entries():
            count += 1
            ownerless.discard(entry.key)
            state = self._state(entry)
            if state == "whole":
                size += entry.bytes
            elif state == "damaged" and repair:
                self._blobs.set_aside(entry.key)
                repaired.append(f"{entry.what}: damaged bytes moved to lost+found; send the object again.")
            elif self._is_there(entry):
                faults[state].append(f"{entry.what}: its bytes are {_SPOKEN[state]}.")
        orphans = self._orphans(ownerless, repair)
        if repair:
            repaired += [self._adopt(key) for key in orphans]
            repaired += self._database.write(_recount_all).result()
        with self._database.read() as connection:
            catalog = tuple(_catalog_faults(connection))
        return Report(
            objects=count,
            bytes=size,
            missing=tuple(faults["missing"]),
            damaged=tuple(faults["damaged"]),
            orphans=() if repair else tuple(f"Blob {key} belongs to no object." for key in orphans),
            catalog=catalog,
            audit=tuple(self._audit.verify()),
            repaired=tuple(repaired),
        )

    def _entries(self) -> Iterator[_Entry]:
        """Every blob a row refers to, the trash's too, except what is being purged."""
        for table, name, word in ((instances, "sop_uid", "Image"), (attachments, "guid", "Attachment")):
            last = 0
            while rows := self._page(table, name, last):
                for row_id, key, version, size, uid in rows:
                    yield _Entry(row_id, key, version, size, f"{word} {uid}", table)
                last = rows[-1][0]

    def _page(self, table: Table, name: str, after: int) -> list[tuple[int, str, str, int, str]]:
        purging = select(trash.c.study_id).where(trash.c.purging.is_(True))
        query = (
            select(table.c.id, table.c.blob, table.c.version, table.c.bytes, table.c[name])
            .where(table.c.id > after, table.c.study_id.not_in(purging))
            .order_by(table.c.id)
            .limit(PAGE)
        )
        with self._database.read() as connection:
            return [(row[0], row[1], row[2], row[3], row[4]) for row in connection.execute(query)]

    def _state(self, entry: _Entry) -> str:
        if self._blobs.size(entry.key) is None:
            return "missing"
        try:
            return "whole" if self._blobs.digest(entry.key) == entry.version else "damaged"
        except OSError:
            return "damaged"

    def _is_there(self, entry: _Entry) -> bool:
        """Whether the row still stands as it was read: a serving process may have removed it meanwhile."""
        table = entry.table
        query = (
            select(table.c.id)
            .outerjoin(trash, trash.c.study_id == table.c.study_id)
            .where(table.c.id == entry.id, table.c.blob == entry.key, func.coalesce(trash.c.purging, 0) == 0)
        )
        with self._database.read() as connection:
            return connection.execute(query).first() is not None

    def _orphans(self, ownerless: set[str], repair: bool) -> list[str]:
        """Those of *ownerless* that no row has come to claim, sorted."""
        found = []
        for key in sorted(ownerless):
            young = not repair and self._blobs.age_s(key) < IN_FLIGHT_S
            with self._database.read() as connection:
                claimed = any(
                    connection.execute(select(table.c.id).where(table.c.blob == key)).first()
                    for table in (instances, attachments)
                )
            if not claimed and not young and self._blobs.size(key) is not None:
                found.append(key)
        return found

    def _adopt(self, key: str) -> str:
        """Index a blob without a row where its namespace is beyond doubt; else set it aside."""
        size = self._blobs.size(key) or 0
        try:
            arrival = read_arrival(self._blobs.path(key), size)
            digest = self._blobs.digest(key)
        except BadInput:
            self._blobs.remove(key)
            return f"Blob {key}: a remainder that is no image, removed."
        except OSError as error:
            raise fault_of(error) from error
        if not self._blobs.names(key, digest):
            self._blobs.set_aside(key)
            return f"Blob {key}: not proven to be all that was sent, moved to lost+found."
        namespace = self._namespace_of(arrival.header.study_instance_uid)
        if namespace is None:
            self._blobs.set_aside(key)
            return f"Blob {key}: its namespace cannot be told, moved to lost+found."
        blob = Blob(key, digest, size)
        placing = Placing(namespace, arrival, blob, Via.API, Routing())
        if self._database.write(lambda connection: self._index(connection, placing)).result() == key:
            self._blobs.remove(key)
            return f"Blob {key}: a second copy of what is stored, removed."
        return f"Blob {key}: indexed again as image {arrival.header.sop_instance_uid}."

    def _index(self, connection: Connection, placing: Placing) -> str | None:
        placed = place(connection, placing, self._blobs.size)
        if placed.outcome is not Outcome.SAME:
            header = placing.arrival.header
            self._audit.record(
                connection,
                Event.INSTANCES_TRANSFERRED,
                "re-indexed",
                actor="check",
                namespace=placing.namespace,
                study_uid=header.study_instance_uid,
                detail={"sop_uid": header.sop_instance_uid, "version": placing.blob.version},
            )
        return placed.needless

    def _namespace_of(self, study_uid: str) -> str | None:
        holding = select(studies.c.namespace).where(studies.c.study_uid == study_uid).distinct()
        with self._database.read() as connection:
            found = connection.execute(holding).scalars().all()
            found = found or connection.execute(select(namespaces.c.name)).scalars().all()
        return found[0] if len(found) == 1 else None


_SPOKEN = {"missing": "missing", "damaged": "not those that were stored"}


def _recount_all(connection: Connection) -> list[str]:
    ids = [row[0] for row in connection.execute(_miscounted())]
    for study_id in ids:
        recount(connection, study_id)
    return [f"Counted {len(ids)} studies again."] if ids else []


def _catalog_faults(connection: Connection) -> Iterator[str]:
    for (study_id,) in connection.execute(_miscounted()):
        yield f"Study row {study_id}: its counts are not those of its rows."
    stray = (
        select(instances.c.sop_uid)
        .outerjoin(series, series.c.id == instances.c.series_id)
        .outerjoin(phi_sets, phi_sets.c.id == instances.c.phi_set_id)
        .where(
            or_(
                series.c.study_id.is_distinct_from(instances.c.study_id),
                phi_sets.c.study_id.is_distinct_from(instances.c.study_id),
            )
        )
    )
    for (sop_uid,) in connection.execute(stray):
        yield f"Image {sop_uid}: its series or PHI row is not of its study."
    for (answer,) in connection.exec_driver_sql("PRAGMA quick_check(10)"):
        if answer != "ok":
            yield f"The database file: {answer}"


def _miscounted() -> Select[int]:
    images = func.count(instances.c.id).filter(instances.c.current.is_(True))
    size = func.coalesce(func.sum(instances.c.bytes).filter(instances.c.current.is_(True)), 0)
    return (
        select(studies.c.id)
        .outerjoin(instances, instances.c.study_id == studies.c.id)
        .group_by(studies.c.id)
        .having(or_(images != studies.c.images, size != studies.c.bytes))
    )
