"""The identity rules: where an arrived object belongs in the catalog and what it does to what is there."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

from sqlalchemy import (
    Connection,
    Insert,
    and_,
    bindparam,
    delete,
    func,
    insert,
    select,
    update,
)
from sqlalchemy.dialects.sqlite import insert as sqlite_insert

from core.archive.arrival import Arrival, key_of, study_words
from core.archive.blobs import Blob
from core.archive.nouns import Outcome, Routing
from core.archive.schema import instances, namespaces, phi_sets, series, studies, words
from core.dicom.refs import Header
from core.dicom.tree import folded

_HOME = (
    select(
        studies.c.id,
        studies.c.patient_id,
        series.c.id.label("series_id"),
        phi_sets.c.id.label("phi_set_id"),
    )
    .outerjoin(
        series, and_(series.c.study_id == studies.c.id, series.c.series_uid == bindparam("series_uid"))
    )
    .outerjoin(phi_sets, and_(phi_sets.c.study_id == studies.c.id, phi_sets.c.digest == bindparam("digest")))
    .where(
        studies.c.namespace == bindparam("namespace"),
        studies.c.study_uid == bindparam("study_uid"),
        studies.c.trash_id.is_(None),
    )
)
_SAME_UID = (
    select(
        instances.c.id,
        instances.c.study_id,
        instances.c.series_id,
        instances.c.version,
        instances.c.current,
        instances.c.conflict,
        instances.c.bytes,
        instances.c.blob,
    )
    .join(studies, studies.c.id == instances.c.study_id)
    .where(
        instances.c.sop_uid == bindparam("sop_uid"),
        studies.c.namespace == bindparam("namespace"),
        studies.c.trash_id.is_(None),
    )
)
_CURRENT = (
    select(instances.c.blob)
    .join(series, series.c.id == instances.c.series_id)
    .join(studies, studies.c.id == instances.c.study_id)
    .where(
        instances.c.sop_uid == bindparam("sop_uid"),
        instances.c.version == bindparam("version"),
        instances.c.current.is_(True),
        series.c.series_uid == bindparam("series_uid"),
        studies.c.study_uid == bindparam("study_uid"),
        studies.c.namespace == bindparam("namespace"),
        studies.c.trash_id.is_(None),
    )
)
_INSERT_INSTANCE = insert(instances)
_COUNT = (
    update(studies)
    .where(studies.c.id == bindparam("study_id"))
    .values(
        images=studies.c.images + bindparam("more_images"),
        bytes=studies.c.bytes + bindparam("more_bytes"),
        series=studies.c.series + bindparam("more_series"),
        conflicts=studies.c.conflicts + bindparam("more_conflicts"),
        changed=bindparam("now"),
        revision=studies.c.revision + 1,
        settled=False,
    )
)


@dataclass(frozen=True, slots=True)
class Placing:
    """What is to be placed: the object, its blob, and how it came."""

    namespace: str
    arrival: Arrival
    blob: Blob
    via: str
    routing: Routing


@dataclass(frozen=True, slots=True)
class Placed:
    """What became of it; *needless* is a blob no row refers to, which the caller removes after the commit."""

    outcome: Outcome
    needless: str | None = None
    earlier_version: str = ""
    reason: str = ""


def place(connection: Connection, new: Placing, blob_size: Callable[[str], int | None]) -> Placed:
    """Put one object into the catalog, in the writer's transaction."""
    now = time.time()
    home = _home(connection, new, now)
    header = new.arrival.header
    found = connection.execute(
        _SAME_UID, {"sop_uid": header.sop_instance_uid, "namespace": new.namespace}
    ).all()
    known = [_Known(*row) for row in found]
    mine = [row for row in known if row.series_id == home.series_id]
    current = next((row for row in mine if row.current), None)
    same = next((row for row in mine if row.version == new.blob.version), None)
    if same is not None:
        return _again(connection, new, current, same, blob_size)
    conflict = _conflict(home, header, current, bool(known))
    earlier_stays = bool(conflict and current and not current.conflict)
    if not earlier_stays:
        _retire(connection, current)
    connection.execute(_INSERT_INSTANCE, _instance_row(new, home, conflict, not earlier_stays, now))
    size = 0 if earlier_stays else new.blob.bytes - (current.bytes if current else 0)
    _count(connection, home, _Change(0 if current else 1, size, int(bool(conflict)), now))
    if conflict:
        return Placed(Outcome.CONFLICT, None, current.version if current else "", conflict)
    return Placed(Outcome.NEW_VERSION, None, current.version) if current else Placed(Outcome.STORED)


def add_namespace(connection: Connection, name: str) -> None:
    """Make a namespace known, if it is not."""
    statement = sqlite_insert(namespaces).values(name=name, created=time.time())
    connection.execute(statement.on_conflict_do_nothing())


def write_words(connection: Connection, study_id: int, name: str, patient_id: str, accession: str) -> None:
    """The words a study is found by, replacing those it had."""
    connection.execute(delete(words).where(words.c.study_id == study_id))
    found = study_words(name, patient_id, accession)
    if found:
        connection.execute(
            insert(words), [{"kind": kind, "word": word, "study_id": study_id} for kind, word in found]
        )


@dataclass(slots=True)
class _Home:
    """The rows an object belongs under; *new_series* says that the series was made for it."""

    study_id: int
    patient_id: str
    series_id: int
    phi_set_id: int
    new_series: bool = False


class _Known(NamedTuple):
    """A version that is there under the same SOP Instance UID, in the columns of _SAME_UID."""

    id: int
    study_id: int
    series_id: int
    version: str
    current: bool
    conflict: str
    bytes: int
    blob: str


class _Change(NamedTuple):
    """What a placing adds to the counts of its study."""

    images: int
    bytes: int
    conflicts: int
    now: float


def _home(connection: Connection, new: Placing, now: float) -> _Home:
    header = new.arrival.header
    row = connection.execute(
        _HOME,
        {
            "namespace": new.namespace,
            "study_uid": header.study_instance_uid,
            "series_uid": header.series_instance_uid,
            "digest": new.arrival.phi.digest,
        },
    ).first()
    if row is None:
        study_id, patient_id = _new_study(connection, new, now), header.patient_id.strip()
    else:
        study_id, patient_id = row.id, row.patient_id
    series_id = row.series_id if row else None
    new_series = series_id is None
    if series_id is None:
        series_id = _new_series(connection, study_id, header)
    phi_set_id = row.phi_set_id if row else None
    if phi_set_id is None:
        phi = {"study_id": study_id, "digest": new.arrival.phi.digest, "tags": new.arrival.phi.tags}
        phi_set_id = _new_id(connection, insert(phi_sets).values(phi))
    if not patient_id and header.patient_id.strip():
        patient_id = header.patient_id.strip()
        _name_patient(connection, study_id, header)
    return _Home(study_id, patient_id, series_id, phi_set_id, new_series)


def _new_study(connection: Connection, new: Placing, now: float) -> int:
    add_namespace(connection, new.namespace)
    header = new.arrival.header
    study_id = _new_id(
        connection,
        insert(studies).values(
            namespace=new.namespace,
            study_uid=header.study_instance_uid,
            patient_name=header.patient_name,
            patient_id=header.patient_id.strip(),
            patient_birth_date=header.patient_birth_date,
            patient_sex=header.patient_sex,
            study_date=header.study_date,
            study_time=header.study_time,
            study_description=header.study_description,
            accession_number=header.accession_number,
            name_key=folded(header.patient_name),
            patient_id_key=key_of(header.patient_id),
            accession_key=key_of(header.accession_number),
            via=new.via,
            source_ae_title=new.routing.source_ae_title,
            destination_ae_title=new.routing.destination_ae_title,
            created=now,
            changed=now,
        ),
    )
    write_words(connection, study_id, header.patient_name, header.patient_id, header.accession_number)
    return study_id


def _new_series(connection: Connection, study_id: int, header: Header) -> int:
    ordinal = connection.execute(
        select(func.coalesce(func.max(series.c.ordinal), 0) + 1).where(series.c.study_id == study_id)
    ).scalar_one()
    return _new_id(
        connection,
        insert(series).values(
            study_id=study_id,
            series_uid=header.series_instance_uid,
            ordinal=ordinal,
            number=header.series_number,
            modality=header.modality,
            description=header.series_description,
        ),
    )


def _name_patient(connection: Connection, study_id: int, header: Header) -> None:
    """The first images had no Patient ID: the first that has one gives it to the study."""
    patient_id = header.patient_id.strip()
    connection.execute(
        update(studies)
        .where(studies.c.id == study_id)
        .values(patient_id=patient_id, patient_id_key=key_of(patient_id))
    )
    found = [{"kind": k, "word": w, "study_id": study_id} for k, w in study_words("", patient_id, "")]
    connection.execute(sqlite_insert(words).on_conflict_do_nothing(), found)


def _other_patient(home: _Home, header: Header) -> bool:
    """An absent Patient ID says nothing and so differs from none."""
    patient_id = header.patient_id.strip()
    return bool(patient_id and home.patient_id) and patient_id != home.patient_id


def _conflict(home: _Home, header: Header, current: _Known | None, known: bool) -> str:
    """Why an object's identity is in doubt: the UID of another place, another patient, or "" if it is not."""
    if _other_patient(home, header):
        return "patient"
    if current is not None:
        return "uid" if current.conflict == "uid" else ""
    return "uid" if known else ""


def _again(
    connection: Connection,
    new: Placing,
    current: _Known | None,
    same: _Known,
    blob_size: Callable[[str], int | None],
) -> Placed:
    """These bytes are kept already; if they were superseded they become the current version again."""
    needless = _mended(connection, new.blob, same, blob_size)
    if same.current or (same.conflict and current is not None and not current.conflict):
        return Placed(Outcome.SAME, needless, reason=same.conflict)
    _retire(connection, current)
    connection.execute(update(instances).where(instances.c.id == same.id).values(current=True))
    home = _Home(same.study_id, "", same.series_id, 0)
    _count(connection, home, _Change(0, same.bytes - (current.bytes if current else 0), 0, time.time()))
    return Placed(Outcome.NEW_VERSION, needless, current.version if current else "")


def _mended(
    connection: Connection, blob: Blob, row: _Known, blob_size: Callable[[str], int | None]
) -> str | None:
    """These bytes are a version already; keep the new blob only where the old one was lost."""
    if row.blob == blob.key:
        return None
    if blob_size(row.blob) == row.bytes:
        return blob.key
    connection.execute(update(instances).where(instances.c.id == row.id).values(blob=blob.key))
    return None


def _retire(connection: Connection, current: _Known | None) -> None:
    if current is not None:
        connection.execute(update(instances).where(instances.c.id == current.id).values(current=False))


def _count(connection: Connection, home: _Home, change: _Change) -> None:
    connection.execute(
        _COUNT,
        {
            "study_id": home.study_id,
            "more_images": change.images,
            "more_bytes": change.bytes,
            "more_series": int(home.new_series),
            "more_conflicts": change.conflicts,
            "now": change.now,
        },
    )


def _instance_row(new: Placing, home: _Home, conflict: str, current: bool, now: float) -> dict[str, object]:
    header = new.arrival.header
    return {
        "study_id": home.study_id,
        "series_id": home.series_id,
        "phi_set_id": home.phi_set_id,
        "sop_uid": header.sop_instance_uid,
        "version": new.blob.version,
        "current": current,
        "conflict": conflict,
        "sop_class_uid": header.sop_class_uid,
        "transfer_syntax_uid": header.transfer_syntax_uid,
        "instance_number": header.instance_number,
        "frames": max(1, header.number_of_frames),
        "rows": header.rows,
        "columns": header.columns,
        "normal": new.arrival.normal,
        "position": new.arrival.position,
        "bytes": new.blob.bytes,
        "blob": new.blob.key,
        "received": now,
    }


def _new_id(connection: Connection, statement: Insert) -> int:
    return int(connection.execute(statement).lastrowid)


def is_current(connection: Connection, namespace: str, header: Header, version: str) -> str | None:
    """The blob of *version* if that is what its identity's current version is."""
    return connection.execute(
        _CURRENT,
        {
            "namespace": namespace,
            "study_uid": header.study_instance_uid,
            "series_uid": header.series_instance_uid,
            "sop_uid": header.sop_instance_uid,
            "version": version,
        },
    ).scalar()
