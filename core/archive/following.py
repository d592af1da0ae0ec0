"""What happens to studies from now on, for those who watch: read off the audit log and the catalog."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from sqlalchemy import Row, and_, func, select

from core.archive.announcing import ARRIVALS, EVENTS
from core.archive.schema import studies
from core.audit.log import audit
from core.db.database import Database

BATCH = 1000
MERGED = "merged"
DELETED = "deleted"


class What(StrEnum):
    """What a watcher is told."""

    READY = "READY"
    """Images came, and for a while no more."""
    EDIT = "EDIT"
    """The study was changed in another way."""


@dataclass(frozen=True, slots=True)
class Happened:
    """One thing that happened to one study."""

    what: What
    namespace: str
    study_uid: str


class Follower:
    """Where one process has read to; not safe for several threads at once."""

    def __init__(self, database: Database) -> None:
        self._database = database
        with database.read() as connection:
            self._after: int = connection.execute(select(func.coalesce(func.max(audit.c.id), 0))).scalar_one()
        self._arriving: dict[tuple[str, str], What] = {}

    def begin(self, namespace: str) -> None:
        """Studies of *namespace* that are arriving just now are told of, too."""
        query = select(studies.c.study_uid).where(
            studies.c.namespace == namespace, studies.c.settled.is_(False), studies.c.trash_id.is_(None)
        )
        with self._database.read() as connection:
            for study_uid in connection.execute(query).scalars():
                self._arriving.setdefault((namespace, study_uid), What.READY)

    def turn(self, namespaces: Iterable[str]) -> list[Happened]:
        """What has happened in *namespaces* since the last turn."""
        wanted = set(namespaces)
        found: list[Happened] = []
        while rows := self._news():
            for row in rows:
                if row.namespace not in wanted:
                    continue
                if row.action in ARRIVALS:
                    what = What.EDIT if row.action == MERGED else What.READY
                    self._arriving[row.namespace, row.study_uid] = what
                elif row.action in EVENTS and row.action != DELETED:
                    found.append(Happened(What.EDIT, row.namespace, row.study_uid))
            self._after = rows[-1].id
        return found + self._settled(wanted)

    def _news(self) -> list[Row[Any]]:
        query = select(audit.c.id, audit.c.action, audit.c.namespace, audit.c.study_uid)
        with self._database.read() as connection:
            return list(
                connection.execute(query.where(audit.c.id > self._after).order_by(audit.c.id).limit(BATCH))
            )

    def _settled(self, wanted: set[str]) -> list[Happened]:
        """Those of the arriving ones that have been quiet; what is gone is not waited for."""
        found = []
        with self._database.read() as connection:
            for (namespace, study_uid), what in list(self._arriving.items()):
                mine = and_(studies.c.namespace == namespace, studies.c.study_uid == study_uid)
                query = select(studies.c.settled).where(mine, studies.c.trash_id.is_(None))
                settled = connection.execute(query).scalar()
                if settled or settled is None or namespace not in wanted:
                    del self._arriving[namespace, study_uid]
                if settled and namespace in wanted:
                    found.append(Happened(what, namespace, study_uid))
        return found
