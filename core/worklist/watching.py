"""Who wants to hear of which procedure steps: subscriptions, single, global and filtered (PS3.4 CC.2.3)."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from concurrent.futures import Future
from dataclasses import dataclass

from sqlalchemy import Boolean, Column, Connection, Float, MetaData, String, Table, delete, select, update
from sqlalchemy.dialects.sqlite import insert

from core.db.database import Database, Part
from core.worklist.worklist import Workitem

GLOBAL, FILTERED = "1.2.840.10008.5.1.4.34.5", "1.2.840.10008.5.1.4.34.5.1"
"""UPS Global, and UPS Filtered Global, Subscription SOP Instance (PS3.6 table A-1)."""

_tables = MetaData()
watchers = Table(
    "worklist_watchers",
    _tables,
    Column("namespace", String, primary_key=True),
    Column("ae_title", String, primary_key=True),
    Column("uid", String, primary_key=True),  # of a step, or GLOBAL
    Column("wanted", Boolean, nullable=False),  # False: one step left out of a global subscription
    Column("deletion_lock", Boolean, nullable=False),
    Column("filter", String, nullable=False),  # the query of a filtered one
    Column("suspended", Float),  # since then new steps are not subscribed to; seconds since 1970
)
WATCHERS = Part("worklist watchers", _tables, version=1)


@dataclass(frozen=True, slots=True)
class Subscription:
    """What one AE title wants of one step, or (GLOBAL) of all that match *filter*."""

    ae_title: str
    uid: str
    wanted: bool = True
    filter: str = ""
    suspended: float | None = None

    def covers(self, item: Workitem) -> bool:
        """Whether a global one means *item*, its filter aside."""
        return self.suspended is None or item.created < self.suspended


class Watching:
    """The subscriptions of one archive."""

    def __init__(self, database: Database) -> None:
        self._database = database
        database.ensure(WATCHERS)

    def subscribe(
        self, namespace: str, ae_title: str, uid: str, *, lock: bool = False, query: str = ""
    ) -> Future[None]:
        """Subscribe to a step or (GLOBAL) to all, those of *query* only if there is one."""
        row = {
            "namespace": namespace,
            "ae_title": ae_title,
            "uid": uid,
            "wanted": True,
            "deletion_lock": lock,
            "filter": query,
            "suspended": None,
        }

        def work(connection: Connection) -> None:
            if uid == GLOBAL:  # it is about all steps again, those once left out too
                self._forget(connection, namespace, ae_title)
            statement = insert(watchers).values(row)
            keys = ["namespace", "ae_title", "uid"]
            connection.execute(statement.on_conflict_do_update(index_elements=keys, set_=row))

        return self._database.write(work)

    def unsubscribe(self, namespace: str, ae_title: str, uid: str) -> Future[None]:
        """End a subscription; of a single step under a global one, that step is left out."""

        def work(connection: Connection) -> None:
            if uid == GLOBAL:
                self._forget(connection, namespace, ae_title)
                return
            mine = (watchers.c.namespace == namespace) & (watchers.c.ae_title == ae_title)
            connection.execute(delete(watchers).where(mine, watchers.c.uid == uid))
            if connection.execute(select(watchers.c.uid).where(mine, watchers.c.uid == GLOBAL)).first():
                row = {"namespace": namespace, "ae_title": ae_title, "uid": uid, "wanted": False}
                connection.execute(insert(watchers).values(row | {"deletion_lock": False, "filter": ""}))

        return self._database.write(work)

    def suspend(self, namespace: str, ae_title: str) -> Future[None]:
        """Subscribe to no new steps from now on; those that are there stay subscribed to."""
        mine = (watchers.c.namespace == namespace) & (watchers.c.ae_title == ae_title)
        change = update(watchers).where(mine, watchers.c.uid == GLOBAL, watchers.c.suspended.is_(None))

        def work(connection: Connection) -> None:
            connection.execute(change.values(suspended=time.time()))

        return self._database.write(work)

    def of(self, namespace: str, ae_titles: Sequence[str], uid: str) -> Mapping[str, Subscription]:
        """What each of *ae_titles* wants of a step: its own subscription to it, else its global one."""
        query = select(watchers).where(
            watchers.c.namespace == namespace,
            watchers.c.ae_title.in_(ae_titles),
            watchers.c.uid.in_([uid, GLOBAL]),
        )
        found: dict[str, Subscription] = {}
        with self._database.read() as connection:
            for row in connection.execute(query):
                if row.uid == uid or row.ae_title not in found:
                    found[row.ae_title] = Subscription(
                        row.ae_title, row.uid, row.wanted, row.filter, row.suspended
                    )
        return found

    @staticmethod
    def _forget(connection: Connection, namespace: str, ae_title: str) -> None:
        mine = (watchers.c.namespace == namespace) & (watchers.c.ae_title == ae_title)
        connection.execute(delete(watchers).where(mine))
