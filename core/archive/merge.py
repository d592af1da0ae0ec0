"""Merging: two studies of one UID, one back from the trash and one that came meanwhile, become one again."""

from __future__ import annotations

from sqlalchemy import Connection, and_, delete, func, select, update

from core.archive.schema import attachments, instances, overlays, phi_sets, series, studies


def merge_studies(connection: Connection, old: int, new: int) -> list[str]:
    """Move everything of the restored study *old* under *new*; what is current in *new* stays current.

    Returns the blobs no row needs any more; the caller removes what is left of *old*.
    """
    needless: list[str] = []
    _merge_phi_sets(connection, old, new)
    _mark_other_patient(connection, old, new)
    for row in connection.execute(
        select(series).where(series.c.study_id == old).order_by(series.c.ordinal)
    ).all():
        twin = connection.execute(
            select(series.c.id).where(series.c.study_id == new, series.c.series_uid == row.series_uid)
        ).scalar()
        if twin is None:
            last = select(func.coalesce(func.max(series.c.ordinal), 0)).where(series.c.study_id == new)
            ordinal = connection.execute(last).scalar_one() + 1
            connection.execute(
                update(series).where(series.c.id == row.id).values(study_id=new, ordinal=ordinal)
            )
        else:
            needless += _merge_series(connection, old, row.id, twin)
    connection.execute(update(instances).where(instances.c.study_id == old).values(study_id=new))
    connection.execute(update(attachments).where(attachments.c.study_id == old).values(study_id=new))
    have = select(overlays.c.phi_namespace).where(overlays.c.study_id == new)
    connection.execute(
        update(overlays)
        .where(overlays.c.study_id == old, overlays.c.phi_namespace.not_in(have))
        .values(study_id=new)
    )
    return needless


def _merge_phi_sets(connection: Connection, old: int, new: int) -> None:
    twin = phi_sets.alias()
    pairs = connection.execute(
        select(phi_sets.c.id, twin.c.id)
        .join(twin, and_(twin.c.digest == phi_sets.c.digest, twin.c.study_id == new))
        .where(phi_sets.c.study_id == old)
    ).all()
    for mine, theirs in pairs:
        connection.execute(
            update(instances)
            .where(instances.c.study_id == old, instances.c.phi_set_id == mine)
            .values(phi_set_id=theirs)
        )
        connection.execute(delete(phi_sets).where(phi_sets.c.id == mine))
    connection.execute(update(phi_sets).where(phi_sets.c.study_id == old).values(study_id=new))


def _merge_series(connection: Connection, old_study: int, old: int, new: int) -> list[str]:
    """Move the versions of one series under its twin; the blobs of those it has already are needless."""
    mine = and_(instances.c.study_id == old_study, instances.c.series_id == old)
    twin = instances.alias()
    same = connection.execute(
        select(instances.c.id, instances.c.blob)
        .join(twin, and_(twin.c.sop_uid == instances.c.sop_uid, twin.c.version == instances.c.version))
        .where(mine, twin.c.series_id == new)
    ).all()
    for row in same:
        connection.execute(delete(instances).where(instances.c.id == row.id))
    other = instances.alias()
    taken = select(other.c.sop_uid).where(other.c.series_id == new, other.c.current.is_(True))
    connection.execute(update(instances).where(mine, instances.c.sop_uid.in_(taken)).values(current=False))
    connection.execute(update(instances).where(mine).values(series_id=new))
    return [row.blob for row in same]


def _mark_other_patient(connection: Connection, old: int, new: int) -> None:
    ids = connection.execute(select(studies.c.patient_id).where(studies.c.id.in_((old, new)))).scalars()
    if len({patient_id for patient_id in ids if patient_id}) > 1:
        connection.execute(update(instances).where(instances.c.study_id == old).values(conflict="patient"))
