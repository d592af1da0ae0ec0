"""Records of studies as V3's services know them: a UUID for each, also for one that is still to come.

A study that was announced keeps the UUID it was given then; that of any other is made of its row and its UID.
"""

from __future__ import annotations

import hashlib
import json
import time
import uuid
from collections.abc import Mapping
from concurrent.futures import Future
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import (
    Column,
    ColumnElement,
    Connection,
    Float,
    Index,
    MetaData,
    Row,
    String,
    Table,
    and_,
    delete,
    insert,
    select,
    update,
)

from core.archive.phi import overlaid
from core.archive.schema import averages, series, studies
from core.archive.store import check_namespace
from core.archive.studies import average_of, overlay_of
from core.audit.log import audit
from core.db.database import Database, Part
from core.errors import Conflict, NotFound

KEPT_S = 7 * 86_400.0
"""A study that was announced and does not come is forgotten after a week."""

_tables = MetaData()
records = Table(
    "study_records",
    _tables,
    Column("uuid", String, primary_key=True),
    Column("namespace", String, nullable=False),
    Column("study_uid", String, nullable=False),
    Column("phi_namespace", String, nullable=False),
    Column("said", String, nullable=False),  # JSON: fields by name, as they were announced
    Column("actor", String, nullable=False),
    Column("created", Float, nullable=False),  # seconds since 1970, UTC
)
Index("study_records_by_uid", records.c.namespace, records.c.study_uid, unique=True)
RECORDS = Part("study_records", _tables, version=1)

FIELDS = {
    "accession_number": "(0008,0050)",
    "modality": "(0008,0060)",
    "patient_address": "(0010,1040)",
    "patient_age": "(0010,1010)",
    "patient_birth_date": "(0010,0030)",
    "patient_name": "(0010,0010)",
    "patient_sex": "(0010,0040)",
    "patient_size": "(0010,1020)",
    "patient_weight": "(0010,1030)",
    "patientid": "(0010,0020)",
    "referring_physician": "(0008,0090)",
    "study_date": "(0008,0020)",
    "study_description": "(0008,1030)",
    "study_time": "(0008,0030)",
}
"""Fields of a record that are elements of the study."""


@dataclass(frozen=True, slots=True)
class Record:
    """One study: *values* are the FIELDS, *phantom*: it is announced or still arriving. Times: seconds."""

    uuid: str
    namespace: str
    study_uid: str
    phi_namespace: str
    phantom: bool
    created: float
    updated: float
    source: str = ""
    source_ae_title: str = ""
    destination_ae_title: str = ""
    images: int = 0
    attachments: int = 0
    bytes: int = 0
    values: Mapping[str, str] = field(default_factory=dict)


class Exists(Conflict):
    """The study that was to be announced is there already, as *record*."""

    def __init__(self, record: Record) -> None:
        super().__init__("The study exists already.")
        self.record = record


@dataclass(frozen=True, slots=True)
class Announced:
    """A study that is to come: where it belongs, and what is said of it by field."""

    namespace: str
    study_uid: str
    phi_namespace: str
    said: Mapping[str, str]


class StudyRecords:
    """The records over one catalog."""

    def __init__(self, database: Database) -> None:
        database.ensure(RECORDS)
        self._database = database

    def announce(self, study: Announced, actor: str) -> Future[Record]:
        """A record for a study that is to come; again, if it has not. Raises Exists, BadInput."""
        check_namespace(study.namespace)
        check_namespace(study.phi_namespace)

        def work(connection: Connection) -> Record:
            now = time.time()
            found = record_at(connection, study.namespace, study.study_uid, study.phi_namespace)
            if found is not None and found.images + found.attachments:
                raise Exists(found)
            said = {
                "said": json.dumps(dict(study.said), ensure_ascii=False),
                "phi_namespace": study.phi_namespace,
            }
            if found is not None:
                connection.execute(update(records).where(records.c.uuid == found.uuid).values(said))
                return _record_of(connection, _announced(connection, study.namespace, study.study_uid))
            connection.execute(delete(records).where(_forgotten(now)))
            mine = _mine(study.namespace, study.study_uid)
            connection.execute(delete(records).where(mine))  # of one that was deleted since
            row = {"namespace": study.namespace, "study_uid": study.study_uid, "actor": actor, "created": now}
            connection.execute(insert(records).values(uuid=str(uuid.uuid4()), **row, **said))
            return _record_of(connection, _announced(connection, study.namespace, study.study_uid))

        return self._database.write(work)

    def find(self, namespace: str, study_uid: str, phi_namespace: str = "") -> Record:
        """The record of a study, seen by *phi_namespace*. Raises NotFound("study")."""
        with self._database.read() as connection:
            found = record_at(connection, namespace, study_uid, phi_namespace)
        if found is None:
            raise NotFound("study")
        return found

    def by_uuid(self, name: str, phi_namespace: str = "") -> Record:
        """The same by its UUID. Raises NotFound("study")."""
        with self._database.read() as connection:
            place = place_of(connection, name)
            found = record_at(connection, *place, phi_namespace) if place else None
        if found is None or found.uuid != name.lower():
            raise NotFound("study")
        return found

    def withdraw(self, record: Record) -> Future[None]:
        """Forget what was announced."""
        mine = _mine(record.namespace, record.study_uid)

        def work(connection: Connection) -> None:
            connection.execute(delete(records).where(mine))

        return self._database.write(work)


def record_at(
    connection: Connection, namespace: str, study_uid: str, phi_namespace: str = ""
) -> Record | None:
    """The record of a study that is there or announced, None if it is neither."""
    study = connection.execute(select(studies).where(_living(namespace, study_uid))).first()
    announced = _announced(connection, namespace, study_uid)
    if study is None:
        if announced is None or _is_over(connection, announced):
            return None
        return _record_of(connection, announced)
    return of_study(connection, study, announced, phi_namespace)


def of_study(
    connection: Connection, study: Row[Any], announced: Row[Any] | None, phi_namespace: str = ""
) -> Record:
    """The record of a row of the catalog."""
    shared = phi_namespace or (announced.phi_namespace if announced is not None else study.namespace)
    tags = overlaid(average_of(connection, study), overlay_of(connection, study, shared))
    values = {name: tags.get(tag, "") for name, tag in FIELDS.items()}
    kinds = (
        select(series.c.modality).where(series.c.study_id == study.id).distinct().order_by(series.c.modality)
    )
    values["modality"] = ",".join(kind for kind in connection.execute(kinds).scalars() if kind)
    return Record(
        uuid=announced.uuid if announced is not None else made_uuid(study),
        namespace=study.namespace,
        study_uid=study.study_uid,
        phi_namespace=shared,
        phantom=not study.settled and not _has_settled(connection, study.id),
        created=study.created if announced is None else min(announced.created, study.created),
        updated=study.changed,
        source="harvest" if study.via == "dimse" else "upload",
        source_ae_title=study.source_ae_title,
        destination_ae_title=study.destination_ae_title,
        images=study.images,
        attachments=study.attachments,
        bytes=study.bytes,
        values=values,
    )


def made_uuid(study: Row[Any]) -> str:
    """The UUID (version 8, RFC 9562) of a study that was not announced: its row's number and a digest.

    The digest of namespace and UID keeps a number that was given anew from naming another patient's study.
    """
    number = study.id << 80 | 8 << 76 | 0b10 << 62
    return str(uuid.UUID(int=number | _check_bits(study.namespace, study.study_uid)))


def place_of(connection: Connection, name: str) -> tuple[str, str] | None:
    """Namespace and Study Instance UID of a record's UUID."""
    try:
        value = uuid.UUID(name)
    except ValueError:
        return None
    announced = connection.execute(select(records).where(records.c.uuid == str(value))).first()
    if announced is not None:
        return announced.namespace, announced.study_uid
    if value.version != 8:
        return None
    row = connection.execute(select(studies).where(studies.c.id == value.int >> 80)).first()
    if row is None or made_uuid(row) != str(value):
        return None
    return row.namespace, row.study_uid


def _check_bits(namespace: str, study_uid: str) -> int:
    digest = int.from_bytes(hashlib.sha256(f"{namespace}\0{study_uid}".encode()).digest()[:8])
    return (digest >> 52) << 64 | digest & (1 << 52) - 1


def _record_of(connection: Connection, announced: Row[Any] | None) -> Record:
    if announced is None:
        raise RuntimeError("a record that was just written is not there")
    said = json.loads(announced.said)
    return Record(
        uuid=announced.uuid,
        namespace=announced.namespace,
        study_uid=announced.study_uid,
        phi_namespace=announced.phi_namespace,
        phantom=True,
        created=announced.created,
        updated=announced.created,
        source="upload",
        values={name: str(said.get(name, "")) for name in FIELDS},
    )


def _mine(namespace: str, study_uid: str) -> ColumnElement[bool]:
    return and_(records.c.namespace == namespace, records.c.study_uid == study_uid)


def _living(namespace: str, study_uid: str) -> ColumnElement[bool]:
    return and_(
        studies.c.namespace == namespace, studies.c.study_uid == study_uid, studies.c.trash_id.is_(None)
    )


def _announced(connection: Connection, namespace: str, study_uid: str) -> Row[Any] | None:
    return connection.execute(select(records).where(_mine(namespace, study_uid))).first()


def _has_settled(connection: Connection, study_id: int) -> bool:
    query = select(averages.c.study_id).where(averages.c.study_id == study_id)
    return connection.execute(query).first() is not None


def _is_over(connection: Connection, announced: Row[Any]) -> bool:
    """Whether the study did not come in time, or came and was deleted."""
    if announced.created < time.time() - KEPT_S:
        return True
    return (
        connection.execute(select(audit.c.id).where(_deleted_since(announced)).limit(1)).first() is not None
    )


def _deleted_since(announced: Row[Any]) -> ColumnElement[bool]:
    return and_(
        audit.c.study_uid == announced.study_uid,
        audit.c.namespace == announced.namespace,
        audit.c.action == "deleted",
        audit.c.time > announced.created,
    )


def _forgotten(now: float) -> ColumnElement[bool]:
    """Announcements nothing came of."""
    came = select(studies.c.id).where(
        studies.c.namespace == records.c.namespace, studies.c.study_uid == records.c.study_uid
    )
    return and_(records.c.created < now - KEPT_S, ~came.exists())
