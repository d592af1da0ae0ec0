"""The trash: a deleted study leaves every query at once, comes back whole, or is removed for good later."""

from __future__ import annotations

import time
from typing import Any, NamedTuple

from sqlalchemy import Connection, Row, Select, and_, delete, func, insert, or_, select, text, update

from core.archive.merge import merge_studies
from core.archive.nouns import TrashEntry
from core.archive.overlays import forget_orders, move_layers
from core.archive.schema import (
    attachments,
    instances,
    series,
    studies,
    trash,
    unindexed,
)
from core.archive.search import utc
from core.archive.studies import study_row
from core.errors import NotFound

DAY_S = 86_400


def delete_study(
    connection: Connection, namespace: str, study_uid: str, *, actor: str, days: float
) -> TrashEntry:
    """Take a study out of every query. Raises NotFound."""
    study = study_row(connection, namespace, study_uid)
    now = time.time()
    row = {"study_id": study.id, "deleted": now, "deleted_by": actor, "expires": now + days * DAY_S}
    entry_id = connection.execute(insert(trash), row).lastrowid
    connection.execute(update(studies).where(studies.c.id == study.id).values(trash_id=entry_id))
    clear_conflicts_with(connection, study)
    return entry(connection, entry_id)


def entries(connection: Connection) -> tuple[TrashEntry, ...]:
    """What can still be restored, newest first."""
    query = _entries().where(trash.c.purging.is_(False)).order_by(trash.c.id.desc())
    return tuple(_entry(row) for row in connection.execute(query))


def entry(connection: Connection, entry_id: int) -> TrashEntry:
    """One of them. Raises NotFound("trash entry")."""
    row = connection.execute(_entries().where(trash.c.id == entry_id, trash.c.purging.is_(False))).first()
    if row is None:
        raise NotFound("trash entry", "There is no such study in the trash.")
    return _entry(row)


class Restored(NamedTuple):
    """The study that came back, and blobs no row needs now: the same bytes were sent again meanwhile."""

    study: Row[Any]
    needless: tuple[str, ...]


def restore(connection: Connection, entry_id: int) -> Restored:
    """Bring a study back; into the one that came under its UID meanwhile, if any. Raises NotFound."""
    needless: list[str] = []
    found = entry(connection, entry_id)
    study_id = connection.execute(select(trash.c.study_id).where(trash.c.id == entry_id)).scalar_one()
    connection.execute(delete(trash).where(trash.c.id == entry_id))
    _mark_conflicts_of(connection, study_id, found)
    newer = connection.execute(_alive_id(found)).scalar()
    if newer is not None:
        needless = merge_studies(connection, study_id, newer)
        move_layers(connection, study_id, newer)
        drop(connection, study_id)
        study_id = newer
    now = time.time()
    connection.execute(
        update(studies)
        .where(studies.c.id == study_id)
        .values(trash_id=None, changed=now, revision=studies.c.revision + 1, settled=False)
    )
    recount(connection, study_id)
    return Restored(study_row(connection, found.namespace, found.study_uid), tuple(needless))


def begin_purge(connection: Connection, entry_id: int) -> None:
    """From here on it can no longer be restored. Raises NotFound("trash entry")."""
    entry(connection, entry_id)
    mark_purging(connection, entry_id)


def mark_purging(connection: Connection, entry_id: int) -> bool:
    """The same, telling whether the entry is still there."""
    done = connection.execute(update(trash).where(trash.c.id == entry_id).values(purging=True))
    return bool(done.rowcount)


def due(connection: Connection, now: float) -> list[int]:
    """Entries whose time is over, or whose removal was begun."""
    query = select(trash.c.id).where(or_(trash.c.expires <= now, trash.c.purging.is_(True)))
    return list(connection.execute(query).scalars())


def blobs_of(connection: Connection, entry_id: int) -> list[str]:
    """The blobs of a trashed study, attachments too."""
    study_id = select(trash.c.study_id).where(trash.c.id == entry_id).scalar_subquery()
    keys: list[str] = []
    for table in (instances, attachments):
        keys += connection.execute(select(table.c.blob).where(table.c.study_id == study_id)).scalars()
    return keys


def finish_purge(connection: Connection, entry_id: int) -> None:
    """Remove the rows, once the blobs are gone: a crash in between leaves no blob without a row."""
    study_id = connection.execute(select(trash.c.study_id).where(trash.c.id == entry_id)).scalar_one()
    connection.execute(delete(trash).where(trash.c.id == entry_id))
    forget_orders(connection, study_id)
    drop(connection, study_id)


def recount(connection: Connection, study_id: int) -> None:
    """Set the counts of a study to what its rows say; it is another revision, whatever changed them."""
    mine = and_(instances.c.study_id == study_id, instances.c.current.is_(True))
    doubtful = and_(instances.c.study_id == study_id, instances.c.conflict != "")
    values = {
        "images": select(func.count()).where(mine),
        "bytes": select(func.coalesce(func.sum(instances.c.bytes), 0)).where(mine),
        "conflicts": select(func.count()).where(doubtful),
        "series": select(func.count()).where(series.c.study_id == study_id),
        "attachments": select(func.count()).where(attachments.c.study_id == study_id),
    }
    counts = {name: query.scalar_subquery() for name, query in values.items()}
    connection.execute(
        update(studies).where(studies.c.id == study_id).values(revision=studies.c.revision + 1, **counts)
    )


def _entries() -> Select[Any]:
    return select(trash, studies).join(studies, studies.c.id == trash.c.study_id)


def _entry(row: Row[Any]) -> TrashEntry:
    return TrashEntry(
        id=row.id,
        namespace=row.namespace,
        study_uid=row.study_uid,
        patient_name=row.patient_name,
        patient_id=row.patient_id,
        patient_birth_date=row.patient_birth_date,
        patient_sex=row.patient_sex,
        study_date=row.study_date,
        study_description=row.study_description,
        images=row.images,
        bytes=row.bytes,
        deleted=utc(row.deleted),
        deleted_by=row.deleted_by,
        expires=utc(row.expires),
    )


def _alive_id(found: TrashEntry) -> Select[Any]:
    return select(studies.c.id).where(
        studies.c.namespace == found.namespace,
        studies.c.study_uid == found.study_uid,
        studies.c.trash_id.is_(None),
    )


def _mark_conflicts_of(connection: Connection, study_id: int, found: TrashEntry) -> None:
    """UIDs of a study about to come back that another place of the namespace holds by now."""
    other, home = instances.alias("other"), studies.alias("home")
    place, own = series.alias("place"), series.alias("own")
    own_series = select(own.c.series_uid).where(own.c.id == instances.c.series_id)
    own_uid = own_series.correlate(instances).scalar_subquery()
    elsewhere = (
        select(other.c.id)
        .join(home, home.c.id == other.c.study_id)
        .join(place, place.c.id == other.c.series_id)
        .where(
            other.c.sop_uid == instances.c.sop_uid,
            other.c.conflict == "",
            unindexed(home.c.namespace) == found.namespace,
            home.c.trash_id.is_(None),
            or_(home.c.study_uid != found.study_uid, place.c.series_uid != own_uid),
        )
        .exists()
    )
    connection.execute(
        update(instances)
        .where(instances.c.study_id == study_id, instances.c.conflict == "", elsewhere)
        .values(conflict="uid")
    )


def clear_conflicts_with(connection: Connection, gone: Row[Any]) -> None:
    """Where the earlier holder of a UID was deleted, the earliest that remains is no longer in doubt."""
    held = select(instances.c.sop_uid).where(instances.c.study_id == gone.id)
    rows = connection.execute(
        select(instances.c.id, instances.c.sop_uid, instances.c.series_id, instances.c.study_id)
        .join(studies, studies.c.id == instances.c.study_id)
        .where(
            text("instances.conflict <> ''"),  # as the partial index says it
            instances.c.conflict == "uid",
            instances.c.sop_uid.in_(held),
            unindexed(studies.c.namespace) == gone.namespace,
            studies.c.trash_id.is_(None),
        )
        .order_by(instances.c.id)
    ).all()
    for row in rows:
        first = connection.execute(
            select(instances.c.series_id)
            .join(studies, studies.c.id == instances.c.study_id)
            .where(
                instances.c.sop_uid == row.sop_uid,
                unindexed(studies.c.namespace) == gone.namespace,
                studies.c.trash_id.is_(None),
            )
            .order_by(instances.c.conflict != "", instances.c.id)
        ).scalar()
        if first == row.series_id:
            connection.execute(
                update(instances)
                .where(instances.c.series_id == row.series_id, instances.c.sop_uid == row.sop_uid)
                .values(conflict="")
            )
            recount(connection, row.study_id)


def drop(connection: Connection, study_id: int) -> None:
    """Remove the rows of a study."""
    connection.execute(delete(instances).where(instances.c.study_id == study_id))
    connection.execute(delete(studies).where(studies.c.id == study_id))
