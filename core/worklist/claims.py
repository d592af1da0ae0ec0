"""What the desktop has in hand: entries it claimed, with the lock of each, and studies filed under them."""

from __future__ import annotations

import time
from collections.abc import Collection, Mapping, Sequence

from sqlalchemy import Column, Connection, Float, MetaData, String, Table, delete, insert, select

from core.db.database import Part
from core.worklist.worklist import Workitem

_tables = MetaData()
claims = Table(
    "worklist_claims",
    _tables,
    Column("lock", String, primary_key=True),  # the transaction UID, new with every claim
    Column("namespace", String, nullable=False),
    Column("uid", String, nullable=False),
    Column("since", Float, nullable=False),  # seconds since 1970
)
filed = Table(
    "worklist_filed",
    _tables,
    Column("namespace", String, primary_key=True),
    Column("uid", String, primary_key=True),
    Column("study_uid", String, primary_key=True),
    Column("layer", String, nullable=False),  # GUID of the overlay that was laid over the study
)
CLAIMS = Part("worklist claims", _tables, version=1)


def claim(connection: Connection, item: Workitem, lock: str) -> None:
    """Remember that *item* was claimed with *lock*."""
    row = {"lock": lock, "namespace": item.namespace, "uid": item.uid, "since": time.time()}
    connection.execute(insert(claims).values(row))


def claimed_since(connection: Connection, item: Workitem) -> float | None:
    """When the desktop claimed the item, None if whoever performs it is somebody else."""
    query = select(claims.c.since).where(claims.c.lock == item.transaction_uid)
    found: float | None = connection.execute(query.where(claims.c.uid == item.uid)).scalar()
    return found if item.transaction_uid else None


def locks(connection: Connection, namespace: str) -> Collection[str]:
    """Every lock of the desktop in a namespace."""
    return set(connection.execute(select(claims.c.lock).where(claims.c.namespace == namespace)).scalars())


def filed_under(
    connection: Connection, namespace: str, uids: Sequence[str]
) -> Mapping[str, Mapping[str, str]]:
    """The layer of each study filed under some entries, by their UID."""
    query = select(filed).where(filed.c.namespace == namespace, filed.c.uid.in_(uids))
    found: dict[str, dict[str, str]] = {}
    for row in connection.execute(query):
        found.setdefault(row.uid, {})[row.study_uid] = row.layer
    return found


def layers_of_others(connection: Connection, item: Workitem, study_uid: str) -> Collection[str]:
    """The layers by which a study was filed under other entries than *item*."""
    query = select(filed.c.layer).where(filed.c.namespace == item.namespace, filed.c.study_uid == study_uid)
    return connection.execute(query.where(filed.c.uid != item.uid)).scalars().all()


def file_under(connection: Connection, item: Workitem, study_uid: str, layer: str) -> None:
    """Remember that a study was filed under *item*; said again it replaces the layer."""
    forget_filed(connection, item, study_uid)
    row = {"namespace": item.namespace, "uid": item.uid, "study_uid": study_uid, "layer": layer}
    connection.execute(insert(filed).values(row))


def forget_filed(connection: Connection, item: Workitem, study_uid: str) -> None:
    """The study is under this item no longer."""
    mine = (filed.c.namespace == item.namespace) & (filed.c.uid == item.uid)
    connection.execute(delete(filed).where(mine, filed.c.study_uid == study_uid))


def release(connection: Connection, item: Workitem) -> None:
    """The item is finished: nobody needs its lock any more."""
    mine = (claims.c.namespace == item.namespace) & (claims.c.uid == item.uid)
    connection.execute(delete(claims).where(mine))


def forget(connection: Connection, item: Workitem) -> None:
    """The item is removed: nothing of it is in hand."""
    for table in (claims, filed):
        mine = (table.c.namespace == item.namespace) & (table.c.uid == item.uid)
        connection.execute(delete(table).where(mine))
