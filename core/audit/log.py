"""The audit log: an append-only table, its rows chained by hash and written with the change they tell of."""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum

from sqlalchemy import (
    Column,
    Connection,
    Float,
    Index,
    Integer,
    MetaData,
    String,
    Table,
    column,
    insert,
    select,
    table,
)

from core.db.database import Database, Part
from core.db.prepared import Prepared


class Event(Enum):
    """Audit events by their code and meaning in PS3.15 table A.5 (coding scheme DCM)."""

    APPLICATION_ACTIVITY = ("110100", "Application Activity")
    AUDIT_LOG_USED = ("110101", "Audit Log Used")
    BEGIN_TRANSFERRING = ("110102", "Begin Transferring DICOM Instances")
    INSTANCES_ACCESSED = ("110103", "DICOM Instances Accessed")
    INSTANCES_TRANSFERRED = ("110104", "DICOM Instances Transferred")
    STUDY_DELETED = ("110105", "DICOM Study Deleted")
    EXPORT = ("110106", "Export")
    IMPORT = ("110107", "Import")
    NETWORK_ENTRY = ("110108", "Network Entry")
    ORDER_RECORD = ("110109", "Order Record")
    PATIENT_RECORD = ("110110", "Patient Record")
    PROCEDURE_RECORD = ("110111", "Procedure Record")
    QUERY = ("110112", "Query")
    SECURITY_ALERT = ("110113", "Security Alert")
    USER_AUTHENTICATION = ("110114", "User Authentication")

    @property
    def code(self) -> str:
        """The code value."""
        return self.value[0]

    @property
    def meaning(self) -> str:
        """The code meaning."""
        return self.value[1]


_tables = MetaData()
audit = Table(
    "audit",
    _tables,
    Column("id", Integer, primary_key=True),
    Column("time", Float, nullable=False),  # seconds since 1970, UTC
    Column("event", String, nullable=False),  # code of PS3.15 A.5
    Column("action", String, nullable=False),  # what was done, in our words
    Column("success", Integer, nullable=False),
    Column("actor", String, nullable=False),
    Column("namespace", String, nullable=False),
    Column("study_uid", String, nullable=False),
    Column("detail", String, nullable=False),  # JSON
    Column("chain", String, nullable=False),  # SHA-256 over the row and the chain before it
    sqlite_autoincrement=True,
)
Index("audit_by_study", audit.c.study_uid)
Index("audit_by_time", audit.c.time)

AUDIT = Part(
    "audit",
    _tables,
    version=1,
    extra=(
        "CREATE TRIGGER audit_keeps_rows BEFORE DELETE ON audit "
        "BEGIN SELECT RAISE(ABORT, 'the audit log is append-only'); END",
        "CREATE TRIGGER audit_keeps_text BEFORE UPDATE ON audit "
        "BEGIN SELECT RAISE(ABORT, 'the audit log is append-only'); END",
    ),
)

# SQLite keeps the highest number an AUTOINCREMENT table ever had (https://www.sqlite.org/autoinc.html), with
# the row that had it: rows cut off the end are missed by it.
_numbers = table("sqlite_sequence", column("name"), column("seq"))
_highest = select(_numbers.c.seq).where(_numbers.c.name == audit.name)
_newest = select(audit.c.chain).order_by(audit.c.id.desc()).limit(1)
_LAST = Prepared(select(_highest.scalar_subquery(), _newest.scalar_subquery()))
_INSERT = Prepared(insert(audit), *(column.name for column in audit.c))


@dataclass(frozen=True, slots=True)
class Entry:
    """One row of the log; *detail* holds UIDs, versions and counts, never a patient's name."""

    id: int
    time: float
    event: str
    action: str
    success: bool
    actor: str
    namespace: str
    study_uid: str
    detail: Mapping[str, object] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Note:
    """What is to be written into the log."""

    event: Event
    action: str
    actor: str
    success: bool = True
    namespace: str = ""
    study_uid: str = ""
    detail: Mapping[str, object] | None = None


class AuditLog:
    """The log in one database file."""

    def __init__(self, database: Database) -> None:
        self._database = database
        database.ensure(AUDIT)

    def record(
        self,
        connection: Connection,
        event: Event,
        action: str,
        *,
        actor: str,
        success: bool = True,
        namespace: str = "",
        study_uid: str = "",
        detail: Mapping[str, object] | None = None,
    ) -> None:
        """Append one row in the transaction of *connection*, which must be the writer's."""
        self.append(connection, [Note(event, action, actor, success, namespace, study_uid, detail)])

    def append(self, connection: Connection, notes: Sequence[Note]) -> None:
        """Append a row for each of *notes* in the transaction of *connection*, which must be the writer's."""
        highest, chain = _LAST(connection, {}).fetchone()
        now, rows = time.time(), []
        chain = chain or ""
        for number, note in enumerate(notes, (highest or 0) + 1):
            row = _row(number, now, note)
            row["chain"] = chain = _chain(chain, row)
            rows.append(row)
        _INSERT.many(connection, rows)

    def access(
        self,
        connection: Connection,
        action: str,
        *,
        actor: str,
        success: bool = True,
        detail: Mapping[str, object] | None = None,
    ) -> None:
        """Append a login or a change of accounts: what `core.access` is handed as its recorder."""
        event = Event.USER_AUTHENTICATION if action == "login" else Event.SECURITY_ALERT
        self.record(connection, event, action, actor=actor, success=success, detail=detail)

    def entries(self, *, study_uid: str | None = None, limit: int = 100) -> list[Entry]:
        """The newest rows first, of one study or of all."""
        query = select(audit).order_by(audit.c.id.desc()).limit(limit)
        if study_uid is not None:
            query = query.where(audit.c.study_uid == study_uid)
        with self._database.read() as connection:
            return [
                Entry(
                    r.id,
                    r.time,
                    r.event,
                    r.action,
                    bool(r.success),
                    r.actor,
                    r.namespace,
                    r.study_uid,
                    json.loads(r.detail),
                )
                for r in connection.execute(query)
            ]

    def verify(self) -> Iterator[str]:
        """A sentence for every row that was changed, taken out or put in by another hand."""
        chain, expected = "", 1
        with self._database.read() as connection:
            for row in connection.execute(select(audit).order_by(audit.c.id)).mappings():
                if row["id"] != expected:
                    yield f"Audit rows {expected} to {row['id'] - 1} are missing."
                content = {name: row[name] for name in row if name != "chain"}
                if _chain(chain, content) != row["chain"]:
                    yield f"Audit row {row['id']} is not what was written."
                chain, expected = row["chain"], row["id"] + 1
            highest = connection.execute(_highest).scalar() or 0
            if highest >= expected:
                yield f"Audit rows {expected} to {highest} are missing at the end."


def _row(number: int, now: float, note: Note) -> dict[str, object]:
    return {
        "id": number,
        "time": now,
        "event": note.event.code,
        "action": note.action,
        "success": int(note.success),
        "actor": note.actor,
        "namespace": note.namespace,
        "study_uid": note.study_uid,
        "detail": json.dumps(note.detail or {}, ensure_ascii=False, separators=(",", ":"), sort_keys=True),
    }


def _chain(before: str, row: Mapping[str, object]) -> str:
    text = json.dumps([before, *(row[name] for name in sorted(row))], separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()
