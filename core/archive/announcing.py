"""What happened to studies, read off the audit log in its order and put into the outbox; and scans.

A change and its audit row are one transaction, and the log is never rewritten: a cursor over it misses
nothing and takes nothing twice, whenever the process was killed.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

from sqlalchemy import (
    Boolean,
    Column,
    Connection,
    Float,
    Integer,
    MetaData,
    Row,
    String,
    Table,
    and_,
    delete,
    func,
    insert,
    or_,
    select,
    update,
)
from sqlalchemy.dialects.sqlite import insert as sqlite_insert

from core.archive.exam_events import settled_events
from core.archive.nouns import Outcome
from core.archive.schema import studies
from core.audit.log import audit
from core.db.database import Database, Part
from core.outbox.callbacks import Callbacks
from core.outbox.queue import CALLBACK, SCAN, Outbox
from core.outbox.templates import Event, Happening, Request

BATCH = 1000
MOST_WAITING_OF_A_SCAN = 2000
EVENTS = {
    "deleted": Event.STUDY_DELETE,
    "images deleted": Event.STUDY_DELETE,
    "attached": Event.ATTACHMENT,
    "attachment deleted": Event.ATTACHMENT,
    "phi overlaid": Event.PHI,
    "phi restored": Event.PHI,
    "order associated": Event.PHI,
}
"""Actions of the audit log that are told at once."""
ARRIVALS = frozenset(
    {Outcome.STORED.value, Outcome.NEW_VERSION.value, Outcome.CONFLICT.value}
    | {"split", "merged", "cloned", "anonymized", "cropped", "report made", "structures made"}
)
"""Those that are told once the study has settled."""
DIMSE = "dimse"
CALLBACKS_TOLD = 2
SYSTEM = "system"

_tables = MetaData()
cursor = Table(
    "announced",
    _tables,
    Column("id", Integer, primary_key=True),  # 1; a row 2 says that callbacks were told already
    Column("audit_id", Integer, nullable=False),
)
arrivals = Table(
    "announced_arrivals",
    _tables,
    Column("namespace", String, primary_key=True),
    Column("study_uid", String, primary_key=True),
    Column("event", String, nullable=False),
    Column("actor", String, nullable=False),
)
scans = Table(
    "announced_scans",
    _tables,
    Column("id", Integer, primary_key=True),
    Column("from_s", Float, nullable=False),
    Column("to_s", Float, nullable=False),
    Column("namespaces", String, nullable=False),  # JSON, null for all
    Column("method", String, nullable=False),
    Column("url", String, nullable=False),
    Column("body", String, nullable=False),
    Column("after_s", Float, nullable=False),
    Column("after_id", Integer, nullable=False, default=0),
    Column("announced", Integer, nullable=False, default=0),
    Column("finished", Boolean, nullable=False, default=False),
    sqlite_autoincrement=True,
)
ANNOUNCED = Part("announced", _tables, version=1)


@dataclass(frozen=True, slots=True)
class Span:
    """Which studies a scan announces: stored from *from_s* to before *to_s*, of *namespaces* (None: all)."""

    from_s: float
    to_s: float
    namespaces: Sequence[str] | None


class Announcer:
    """Turns the audit log and scans into rows of the outbox; one thread calls `turn`."""

    def __init__(
        self,
        database: Database,
        outbox: Outbox,
        callbacks: Callbacks | None = None,
        *,
        source_id: str = "",
    ) -> None:
        """*source_id* is what the archive calls itself in exam events."""
        self._database = database
        self._outbox = outbox
        self._callbacks = callbacks if callbacks is not None and callbacks.urls else None
        self._source_id = source_id
        database.ensure(ANNOUNCED)
        database.write(self._begin_callbacks).result()

    def set_rule(self, connection: Connection, name: str, request: Request) -> None:
        """Make a rule; the first one hears of what happens from now on."""
        if not self._outbox.rules(connection) and self._callbacks is None:
            _forget_the_past(connection)
        self._outbox.set_rule(connection, name, request)

    def begin_scan(self, connection: Connection, span: Span, request: Request) -> int:
        """Announce the studies of *span* from now on; the number of the scan."""
        row = {
            "from_s": span.from_s,
            "to_s": span.to_s,
            "namespaces": json.dumps(None if span.namespaces is None else list(span.namespaces)),
            "method": request.method,
            "url": request.url,
            "body": request.body,
            "after_s": span.from_s,
        }
        return int(connection.execute(insert(scans).values(row)).lastrowid)

    def request_of(self, connection: Connection, target: str) -> Request | None:
        """The template of a rule or a scan."""
        if target.startswith(CALLBACK):
            return self._callbacks.request(target) if self._callbacks else None
        if not target.startswith(SCAN):
            return self._outbox.rules(connection).get(target)
        row = connection.execute(select(scans).where(scans.c.id == int(target.removeprefix(SCAN)))).first()
        return None if row is None else Request(row.method, row.url, row.body)

    def turn(self) -> bool:
        """Do a batch of what there is; whether there may be more."""
        with self._database.read() as connection:
            targets = list(self._outbox.rules(connection))
            wanted = bool(targets) or self._callbacks is not None
            rows = _news(connection, BATCH) if wanted else []
            arrived = _settled(connection) if wanted else []
            settled = [(row, self._exam_events(connection, row)) for row in arrived]
            running = list(connection.execute(select(scans).where(scans.c.finished.is_(False))))
        if rows:
            self._database.write(lambda connection: self._take(connection, targets, rows)).result()
        if settled:
            self._database.write(lambda connection: self._arrived(connection, targets, settled)).result()
        scanned = [self._database.write(partial(self._scan, scan=scan)).result() for scan in running]
        return bool(rows) or any(scanned)

    def scan_figures(self) -> Mapping[int, tuple[int, bool]]:
        """Of each scan how many studies it has announced, and whether it has finished."""
        query = select(scans.c.id, scans.c.announced, scans.c.finished)
        with self._database.read() as connection:
            return {row.id: (row.announced, row.finished) for row in connection.execute(query)}

    def _take(self, connection: Connection, targets: Sequence[str], rows: Sequence[Row[Any]]) -> None:
        self._outbox.add(connection, targets, list(_told_at_once(rows)))
        latest = {
            (row.namespace, row.study_uid): row for row in rows if row.action in ARRIVALS and _loud(row)
        }
        for (namespace, study_uid), row in latest.items():
            event = Event.HARVEST if json.loads(row.detail).get("via") == DIMSE else Event.UPLOAD
            values = {"event": str(event), "actor": row.actor}
            statement = sqlite_insert(arrivals).values(namespace=namespace, study_uid=study_uid, **values)
            connection.execute(
                statement.on_conflict_do_update(index_elements=["namespace", "study_uid"], set_=values)
            )
        _move_cursor(connection, rows[-1].id)

    def _begin_callbacks(self, connection: Connection) -> None:
        """Those just set hear of what happens from now on; those that were set before missed nothing."""
        told = connection.execute(select(cursor.c.id).where(cursor.c.id == CALLBACKS_TOLD)).first()
        if self._callbacks is None:
            connection.execute(delete(cursor).where(cursor.c.id == CALLBACKS_TOLD))
        elif told is None:
            if not self._outbox.rules(connection):
                _forget_the_past(connection)
            connection.execute(insert(cursor).values(id=CALLBACKS_TOLD, audit_id=0))

    def _exam_events(self, connection: Connection, row: Row[Any]) -> Sequence[str]:
        if self._callbacks is None or row.settled is None:
            return ()
        return settled_events(connection, self._source_id, row.namespace, row.study_uid)

    def _arrived(
        self,
        connection: Connection,
        targets: Sequence[str],
        settled: Sequence[tuple[Row[Any], Sequence[str]]],
    ) -> None:
        for row, events in settled:
            mine = and_(arrivals.c.namespace == row.namespace, arrivals.c.study_uid == row.study_uid)
            gone = connection.execute(delete(arrivals).where(mine)).rowcount
            if gone and row.settled is not None:
                self._outbox.add(connection, targets, [_happening(row, Event(row.event))])
                self._tell(connection, row, events)

    def _tell(self, connection: Connection, row: Row[Any], events: Sequence[str]) -> None:
        for text in events:
            if self._callbacks is not None:
                self._callbacks.tell(connection, text, row.study_uid, row.namespace, SYSTEM)

    def _scan(self, connection: Connection, scan: Row[Any]) -> bool:
        """Announce the next studies of a scan, unless its receiver is far behind."""
        target = f"{SCAN}{scan.id}"
        if self._outbox.waiting_for(connection, target) >= MOST_WAITING_OF_A_SCAN:
            return False
        found = connection.execute(_scanned(scan)).all()
        told = [Happening(Event.NONE, r.namespace, r.study_uid, r.namespace, SYSTEM) for r in found]
        self._outbox.add(connection, [target], told)
        values: dict[str, Any] = {"finished": True}
        if found:
            values = {"after_s": found[-1].created, "after_id": found[-1].id}
        connection.execute(
            update(scans)
            .where(scans.c.id == scan.id)
            .values(announced=scans.c.announced + len(found), **values)
        )
        return bool(found)


def _scanned(scan: Row[Any]) -> Any:
    after = or_(
        studies.c.created > scan.after_s,
        and_(studies.c.created == scan.after_s, studies.c.id > scan.after_id),
    )
    query = select(studies.c.id, studies.c.namespace, studies.c.study_uid, studies.c.created).where(
        studies.c.created >= scan.after_s,
        studies.c.created < scan.to_s,
        after,
        studies.c.trash_id.is_(None),
    )
    chosen = json.loads(scan.namespaces)
    if chosen is not None:
        query = query.where(studies.c.namespace.in_(chosen))
    return query.order_by(studies.c.created, studies.c.id).limit(BATCH)


def _news(connection: Connection, limit: int) -> Sequence[Row[Any]]:
    after = connection.execute(select(cursor.c.audit_id).where(cursor.c.id == 1)).scalar() or 0
    return connection.execute(select(audit).where(audit.c.id > after).order_by(audit.c.id).limit(limit)).all()


def _settled(connection: Connection) -> Sequence[Row[Any]]:
    """Arrivals whose study has been quiet for long enough, or is gone (settled is None)."""
    query = select(arrivals, studies.c.settled).outerjoin(
        studies,
        and_(
            studies.c.namespace == arrivals.c.namespace,
            studies.c.study_uid == arrivals.c.study_uid,
            studies.c.trash_id.is_(None),
        ),
    )
    return connection.execute(query.where(or_(studies.c.settled.is_(True), studies.c.id.is_(None)))).all()


def _told_at_once(rows: Sequence[Row[Any]]) -> Iterator[Happening]:
    for row in rows:
        event = EVENTS.get(row.action)
        if event is not None and _loud(row):
            yield _happening(row, event)


def _loud(row: Row[Any]) -> bool:
    """Whether its caller did not ask that nobody be notified."""
    return not json.loads(row.detail).get("silent")


def _happening(row: Row[Any], event: Event) -> Happening:
    detail = json.loads(row.detail) if event is Event.PHI else {}
    phi_namespace = str(detail.get("phi_namespace", row.namespace))
    return Happening(event, row.namespace, row.study_uid, phi_namespace, row.actor or SYSTEM)


def _forget_the_past(connection: Connection) -> None:
    newest = connection.execute(select(func.coalesce(func.max(audit.c.id), 0))).scalar_one()
    _move_cursor(connection, newest)
    connection.execute(delete(arrivals))


def _move_cursor(connection: Connection, audit_id: int) -> None:
    statement = sqlite_insert(cursor).values(id=1, audit_id=audit_id)
    connection.execute(statement.on_conflict_do_update(index_elements=["id"], set_={"audit_id": audit_id}))
