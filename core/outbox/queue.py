"""The rows of what is to be told: in order for each study and receiver, tried again for a day, then dead."""

from __future__ import annotations

import random
import time
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import (
    Boolean,
    Column,
    ColumnElement,
    Connection,
    Float,
    Index,
    Integer,
    MetaData,
    Row,
    String,
    Table,
    and_,
    delete,
    func,
    insert,
    select,
    text,
    update,
)
from tinydb import Query

from core.db.database import Database, Part
from core.documents import DOCUMENTS, Documents
from core.errors import BadInput, NotFound
from core.outbox.templates import Event, Happening, Request

DAY_S = 86_400.0
LONGEST_WAIT_S = 600.0
RULES = "notifications"
SCAN = "scan:"
"""A receiver of a scan is called so, with the scan's number; a rule's name cannot begin like that."""
CALLBACK = "callback:"
"""A receiver of exam events is called so, with its address; a rule's name cannot begin like that."""

_tables = MetaData()
outbox = Table(
    "outbox",
    _tables,
    Column("id", Integer, primary_key=True),
    Column("target", String, nullable=False),  # name of a rule, or scan:<id>
    Column("namespace", String, nullable=False),
    Column("study_uid", String, nullable=False),
    Column("phi_namespace", String, nullable=False),
    Column("event", String, nullable=False),
    Column("actor", String, nullable=False),
    Column("created", Float, nullable=False),  # seconds since 1970, UTC, as all times here
    Column("next_try", Float, nullable=False),
    Column("expires", Float, nullable=False),
    Column("attempts", Integer, nullable=False, default=0),
    Column("last_error", String, nullable=False, default=""),
    Column("dead", Boolean, nullable=False, default=False),
    Column("payload", String, nullable=False, default="", server_default=""),  # the body, if it is fixed
    sqlite_autoincrement=True,
)
_waiting = text("dead IS 0")
Index("outbox_due", outbox.c.target, outbox.c.next_try, sqlite_where=_waiting)
Index(
    "outbox_order",
    outbox.c.target,
    outbox.c.study_uid,
    outbox.c.namespace,
    outbox.c.id,
    sqlite_where=_waiting,
)


def _add_payload(connection: Connection) -> None:
    connection.exec_driver_sql("ALTER TABLE outbox ADD COLUMN payload VARCHAR NOT NULL DEFAULT ''")


OUTBOX = Part("outbox", _tables, version=2, migrations={1: _add_payload})


@dataclass(frozen=True, slots=True)
class Delivery:
    """One row that is due."""

    id: int
    target: str
    happening: Happening
    attempts: int
    payload: str = ""
    """The body to send, where it is fixed already."""

    @property
    def lane(self) -> tuple[str, str, str]:
        """Deliveries of one lane go out one after the other."""
        return self.target, self.happening.namespace, self.happening.study_uid


@dataclass(frozen=True, slots=True)
class DeadLetter:
    """One row that was given up, for an administrator to see."""

    id: int
    target: str
    happening: Happening
    created: float
    attempts: int
    last_error: str


class Outbox:
    """Rules and rows in one database; methods with a connection run in the writer's transaction."""

    def __init__(self, database: Database) -> None:
        self._database = database
        for part in (OUTBOX, DOCUMENTS):
            database.ensure(part)

    # Rules

    def rules(self, connection: Connection | None = None) -> dict[str, Request]:
        """Every rule by its name."""
        rows = Documents(self._database, connection).table(RULES).all()
        return {row["name"]: Request(row["method"], row["url"], row["body"]) for row in rows}

    def set_rule(self, connection: Connection, name: str, request: Request) -> None:
        """Make a rule, or give it another request. Raises BadInput."""
        if not name.isprintable() or not 0 < len(name) <= 200 or name.startswith((SCAN, CALLBACK)):
            raise BadInput("The name of a notification has 1 to 200 printable characters.")
        row = {"name": name, "method": request.method, "url": request.url, "body": request.body}
        Documents(self._database, connection).table(RULES).upsert(row, Query().name == name)

    def remove_rule(self, connection: Connection, name: str) -> None:
        """Forget a rule and what it had still to tell. Raises NotFound("notification")."""
        if not Documents(self._database, connection).table(RULES).remove(Query().name == name):
            raise NotFound("notification")
        connection.execute(delete(outbox).where(outbox.c.target == name))

    # Rows

    def add(
        self,
        connection: Connection,
        targets: Iterable[str],
        happenings: Sequence[Happening],
        payload: str = "",
    ) -> None:
        """Have every happening told to every target, with *payload* as the body if there is one."""
        now = time.time()
        rows = [
            {
                "target": target,
                "namespace": each.namespace,
                "study_uid": each.study_uid,
                "phi_namespace": each.phi_namespace,
                "event": str(each.event),
                "actor": each.actor,
                "created": now,
                "next_try": now,
                "expires": now + DAY_S,
                "payload": payload,
            }
            for each in happenings
            for target in targets
        ]
        if rows:
            connection.execute(insert(outbox), rows)

    def due(
        self, connection: Connection, target: str, busy: Collection[tuple[str, str, str]], limit: int
    ) -> list[Delivery]:
        """The first row of each lane of *target* that is due, without those of the lanes that are *busy*."""
        before = outbox.alias("before")
        earlier = (
            select(before.c.id)
            .where(
                before.c.target == outbox.c.target,
                before.c.study_uid == outbox.c.study_uid,
                before.c.namespace == outbox.c.namespace,
                before.c.id < outbox.c.id,
                text("before.dead IS 0"),
            )
            .exists()
        )
        query = (
            select(outbox)
            .where(
                outbox.c.target == target,
                outbox.c.next_try <= time.time(),
                text("outbox.dead IS 0"),
                ~earlier,
            )
            .order_by(outbox.c.next_try, outbox.c.id)
            .limit(limit + len(busy))
        )
        found = [
            Delivery(r.id, r.target, _happening(r), r.attempts, r.payload) for r in connection.execute(query)
        ]
        return [each for each in found if each.lane not in busy][:limit]

    def targets(self, connection: Connection) -> list[str]:
        """Everyone who has still to be told something, each looked up in the index once."""
        found: list[str] = []
        while True:
            query = select(func.min(outbox.c.target)).where(text("dead IS 0"))
            query = query.where(outbox.c.target > found[-1]) if found else query
            target = connection.execute(query).scalar()
            if target is None:
                return found
            found.append(target)

    def delivered(self, connection: Connection, delivery: Delivery) -> None:
        """It was told."""
        connection.execute(delete(outbox).where(outbox.c.id == delivery.id))

    def failed(self, connection: Connection, delivery: Delivery, why: str, *, final: bool = False) -> None:
        """Try again later, and all behind it in its lane not before; give up when its day is over."""
        now = time.time()
        row = connection.execute(select(outbox.c.expires).where(outbox.c.id == delivery.id)).first()
        if row is None:
            return  # its rule is gone
        later = now + wait_s(delivery.attempts + 1)
        dead = final or later > row.expires
        connection.execute(
            update(outbox)
            .where(outbox.c.id == delivery.id)
            .values(attempts=delivery.attempts + 1, last_error=why[:200], dead=dead, next_try=later)
        )
        if not dead:
            behind = and_(_lane(delivery), outbox.c.next_try < later, text("outbox.dead IS 0"))
            connection.execute(update(outbox).where(behind).values(next_try=later))

    def dead_letters(self, limit: int = 1000) -> list[DeadLetter]:
        """What was given up, oldest first."""
        query = select(outbox).where(outbox.c.dead.is_(True)).order_by(outbox.c.id).limit(limit)
        with self._database.read() as connection:
            return [
                DeadLetter(r.id, r.target, _happening(r), r.created, r.attempts, r.last_error)
                for r in connection.execute(query)
            ]

    def resend(self, connection: Connection, row_id: int) -> None:
        """Give a dead letter another day. Raises NotFound("dead letter")."""
        now = time.time()
        done = connection.execute(
            update(outbox)
            .where(outbox.c.id == row_id, outbox.c.dead.is_(True))
            .values(dead=False, attempts=0, next_try=now, expires=now + DAY_S)
        )
        if not done.rowcount:
            raise NotFound("dead letter")

    def figures(self) -> Mapping[str, int]:
        """Rows that wait and rows that are dead."""
        with self._database.read() as connection:
            query = select(outbox.c.dead, func.count()).group_by(outbox.c.dead)
            counts = {bool(dead): count for dead, count in connection.execute(query)}
        return {"waiting": counts.get(False, 0), "dead": counts.get(True, 0)}

    def waiting_for(self, connection: Connection, target: str) -> int:
        """How many rows wait for one target."""
        query = select(func.count()).where(outbox.c.target == target, text("dead IS 0"))
        return connection.execute(query).scalar_one()


def wait_s(attempt: int) -> float:
    """Seconds before a failed delivery is tried again: doubling up to ten minutes, scattered."""
    longest = min(LONGEST_WAIT_S, 2.0 ** min(attempt, 20))
    return longest * random.uniform(0.5, 1.0)  # noqa: S311 # scatters load, keeps no secret


def _lane(delivery: Delivery) -> ColumnElement[bool]:
    return and_(
        outbox.c.target == delivery.target,
        outbox.c.study_uid == delivery.happening.study_uid,
        outbox.c.namespace == delivery.happening.namespace,
    )


def _happening(row: Row[Any]) -> Happening:
    return Happening(Event(row.event), row.namespace, row.study_uid, row.phi_namespace, row.actor)
