"""The identity rules: where an arrived object belongs in the catalog and what it does to what is there."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from sqlalchemy import Connection, bindparam, insert, select, update

from core.archive.blobs import Blob
from core.archive.homes import Home, Placing, home_of
from core.archive.nouns import Outcome
from core.archive.schema import instances, series, studies, unindexed
from core.db.prepared import Lookup, Prepared
from core.dicom.refs import Header

_SAME_UID = Prepared(
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
        unindexed(studies.c.namespace) == bindparam("namespace"),
        studies.c.trash_id.is_(None),
    )
)
_CURRENT = Prepared(
    select(instances.c.blob)
    .join(series, series.c.id == instances.c.series_id)
    .join(studies, studies.c.id == instances.c.study_id)
    .where(
        instances.c.sop_uid == bindparam("sop_uid"),
        instances.c.version == bindparam("version"),
        instances.c.current.is_(True),
        series.c.series_uid == bindparam("series_uid"),
        unindexed(studies.c.study_uid) == bindparam("study_uid"),
        unindexed(studies.c.namespace) == bindparam("namespace"),
        studies.c.trash_id.is_(None),
    )
)
_INSERT_INSTANCE = Prepared(
    insert(instances), *(column.name for column in instances.c if column.name != "id")
)
_COUNT = Prepared(
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
class Placed:
    """What became of it; *needless* is a blob no row refers to, which the caller removes after the commit."""

    outcome: Outcome
    needless: str | None = None
    earlier_version: str = ""
    reason: str = ""


def place(connection: Connection, new: Placing, blob_size: Callable[[str], int | None]) -> Placed:
    """Put one object into the catalog, in the writer's transaction."""
    now = time.time()
    return place_in(connection, home_of(connection, new, now), new, blob_size, now)


def place_in(
    connection: Connection, home: Home, new: Placing, blob_size: Callable[[str], int | None], now: float
) -> Placed:
    """The same, where its *home* is known."""
    header = new.arrival.header
    found = _SAME_UID(connection, {"sop_uid": header.sop_instance_uid, "namespace": new.namespace})
    known = [_Known._make(row) for row in found]
    mine = [row for row in known if row.series_id == home.series_id]
    current = next((row for row in mine if row.current), None)
    same = next((row for row in mine if row.version == new.blob.version), None)
    if same is not None:
        return _again(connection, new, current, same, blob_size)
    conflict = _conflict(home, header, current, bool(known))
    earlier_stays = bool(conflict and current and not current.conflict)
    if not earlier_stays:
        _retire(connection, current)
    _INSERT_INSTANCE(connection, instance_row(new, home, conflict, not earlier_stays, now))
    size = 0 if earlier_stays else new.blob.bytes - (current.bytes if current else 0)
    count(connection, home, Change(0 if current else 1, size, int(bool(conflict)), now))
    if conflict:
        return Placed(Outcome.CONFLICT, None, current.version if current else "", conflict)
    return Placed(Outcome.NEW_VERSION, None, current.version) if current else Placed(Outcome.STORED)


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


class Change(NamedTuple):
    """What is added to the counts of a study."""

    images: int
    bytes: int
    conflicts: int
    now: float


def other_patient(home: Home, header: Header) -> bool:
    """An absent Patient ID says nothing and so differs from none."""
    patient_id = header.patient_id.strip()
    return bool(patient_id and home.patient_id) and patient_id != home.patient_id


def _conflict(home: Home, header: Header, current: _Known | None, known: bool) -> str:
    """Why an object's identity is in doubt: the UID of another place, another patient, or "" if it is not."""
    if other_patient(home, header):
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
    home = Home(same.study_id, "", same.series_id, 0)
    count(connection, home, Change(0, same.bytes - (current.bytes if current else 0), 0, time.time()))
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


def count(connection: Connection, home: Home, change: Change) -> None:
    """Keep the counts of a study up to date."""
    _COUNT(
        connection,
        {
            "study_id": home.study_id,
            "more_images": change.images,
            "more_bytes": change.bytes,
            "more_series": int(home.new_series),
            "more_conflicts": change.conflicts,
            "now": change.now,
        },
    )


def insert_instances(connection: Connection, rows: Sequence[Mapping[str, object]]) -> None:
    """Rows as `instance_row` makes them."""
    _INSERT_INSTANCE.many(connection, rows)


def instance_row(new: Placing, home: Home, conflict: str, current: bool, now: float) -> dict[str, object]:
    """The row of an object under *home*."""
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


def is_current(lookup: Lookup, namespace: str, header: Header, version: str) -> str | None:
    """The blob of *version* if that is what its identity's current version is."""
    values = {
        "namespace": namespace,
        "study_uid": header.study_instance_uid,
        "series_uid": header.series_instance_uid,
        "sop_uid": header.sop_instance_uid,
        "version": version,
    }
    row = lookup.first(_CURRENT, values)
    return row[0] if row else None
