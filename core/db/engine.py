"""An SQLAlchemy engine over one SQLite file in WAL mode whose every connection is proven durable."""

from __future__ import annotations

import sqlite3
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, Engine, create_engine, event
from sqlalchemy.exc import DBAPIError

from core.errors import StorageFault

BUSY_TIMEOUT_MS = 15_000
"""How long a transaction waits for another process that is writing (a `users` command takes milliseconds)."""

BEGIN = "filmjacket_begin"
"""Execution option of a connection: the statement that begins its transactions; plain BEGIN if absent."""

FULL = 2  # the answer of PRAGMA synchronous; https://www.sqlite.org/pragma.html#pragma_synchronous

STORAGE_CODES = frozenset(
    {
        sqlite3.SQLITE_BUSY,
        sqlite3.SQLITE_LOCKED,
        sqlite3.SQLITE_NOMEM,
        sqlite3.SQLITE_READONLY,
        sqlite3.SQLITE_IOERR,
        sqlite3.SQLITE_CORRUPT,
        sqlite3.SQLITE_FULL,
        sqlite3.SQLITE_CANTOPEN,
        sqlite3.SQLITE_NOTADB,
    }
)
"""Primary result codes that are the world's fault and not a wrong statement."""


def open_engine(path: Path) -> Engine:
    """An engine for the SQLite file at *path*, made if absent; the caller disposes it."""
    engine = create_engine(
        f"sqlite:///{path}",
        pool_size=8,
        max_overflow=56,
        pool_timeout=30,
        pool_use_lifo=True,  # the connection used last has pages and statements at hand
        connect_args={"timeout": BUSY_TIMEOUT_MS / 1000, "isolation_level": None, "cached_statements": 256},
    )
    event.listen(engine, "connect", _configure)
    event.listen(engine, "begin", _begin)
    return engine


def storage_fault(error: Exception) -> StorageFault | None:
    """*error* as a fault of disk, lock or permission, or None if it is of another kind."""
    if isinstance(error, StorageFault):
        return error
    if isinstance(error, OSError):
        return StorageFault("The disk did not accept the data.", "Free some space or check the disk.")
    cause = error.orig if isinstance(error, DBAPIError) else error
    code = getattr(cause, "sqlite_errorcode", None)
    if code is None or code & 0xFF not in STORAGE_CODES:
        return None
    if code & 0xFF in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED):
        return StorageFault("Another process keeps the database locked.", "Stop it, then try again.")
    if code & 0xFF == sqlite3.SQLITE_FULL:
        return StorageFault("The disk is full; nothing was kept.", "Free some space, then try again.")
    return StorageFault("The database could not be read or written.", "Check the disk and its permissions.")


def _configure(dbapi_connection: Any, _record: object) -> None:
    cursor = dbapi_connection.cursor()
    try:
        cursor.execute("PRAGMA journal_mode=WAL")
        cursor.execute("PRAGMA synchronous=FULL")
        cursor.execute("PRAGMA foreign_keys=ON")
        cursor.execute("PRAGMA temp_store=MEMORY")
        cursor.execute("PRAGMA cache_size=-16000")
        durable = cursor.execute("PRAGMA synchronous").fetchone()[0] == FULL
        keyed = cursor.execute("PRAGMA foreign_keys").fetchone()[0] == 1
    finally:
        cursor.close()
    if not (durable and keyed):
        raise StorageFault("The database refuses durable writes.", "Use the SQLite that comes with Python.")


def _begin(connection: Connection) -> None:
    connection.exec_driver_sql(connection.get_execution_options().get(BEGIN, "BEGIN"))
