"""Sessions: who has logged in, by a random number only they know; kept over restarts as a digest."""

from __future__ import annotations

import hashlib
import secrets
import time
from collections.abc import Callable
from typing import TYPE_CHECKING

from sqlalchemy import (
    Column,
    Connection,
    Float,
    Index,
    Integer,
    MetaData,
    String,
    Table,
    delete,
    insert,
    select,
    update,
)

from core.db.database import Database, Part

if TYPE_CHECKING:
    from core.access.accounts import Account, Accounts

LIFETIME_S = 3 * 3600.0
"""A session ends when it was not used for so long."""
MOST_PER_LOGIN = 10
NOTED_EVERY_S = 60.0
"""Using a session is written down at most so often."""

_tables = MetaData()
sessions = Table(
    "sessions",
    _tables,
    Column("id", Integer, primary_key=True),
    Column("digest", String, nullable=False, unique=True),
    Column("login", String, nullable=False),
    Column("opened", Float, nullable=False),  # seconds since 1970, UTC
    Column("used", Float, nullable=False),
    sqlite_autoincrement=True,
)
Index("sessions_by_login", sessions.c.login, sessions.c.id)

ACCESS = Part("access", _tables, version=1)


class Sessions:
    """The sessions in *database*; a removed account's sessions are dead."""

    def __init__(
        self, database: Database, accounts: Accounts, *, clock: Callable[[], float] = time.time
    ) -> None:
        database.ensure(ACCESS)
        self._database = database
        self._accounts = accounts
        self._clock = clock

    def open(self, login: str) -> str:
        """A new session of *login*; beyond ten the oldest ends."""
        sid = secrets.token_urlsafe(32)
        now = self._clock()

        def work(connection: Connection) -> None:
            connection.execute(delete(sessions).where(sessions.c.used < now - LIFETIME_S))
            row = {"digest": _digest(sid), "login": login, "opened": now, "used": now}
            connection.execute(insert(sessions), row)
            newest = (
                select(sessions.c.id)
                .where(sessions.c.login == login)
                .order_by(sessions.c.id.desc())
                .limit(MOST_PER_LOGIN)
            )
            connection.execute(
                delete(sessions).where(sessions.c.login == login, sessions.c.id.not_in(newest))
            )

        self._database.write(work).result()
        return sid

    def find(self, sid: str) -> Account | None:
        """Whose session it is, None if it has ended or never was; using it keeps it alive."""
        now = self._clock()
        query = select(sessions.c.id, sessions.c.login, sessions.c.used).where(
            sessions.c.digest == _digest(sid)
        )
        with self._database.read() as connection:
            row = connection.execute(query).first()
        if row is None or row.used < now - LIFETIME_S:
            return None
        if row.used < now - NOTED_EVERY_S:
            statement = update(sessions).where(sessions.c.id == row.id).values(used=now)
            self._database.write(lambda connection: connection.execute(statement) and None)
        return self._accounts.find(row.login)

    def close(self, sid: str) -> None:
        """End a session; no error if it has ended."""
        statement = delete(sessions).where(sessions.c.digest == _digest(sid))
        self._database.write(lambda connection: connection.execute(statement) and None).result()


def _digest(sid: str) -> str:
    return hashlib.sha256(sid.encode("utf-8", "replace")).hexdigest()
