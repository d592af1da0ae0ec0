"""A database file: readers on any thread, one writer thread, and parts whose schema has a version."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import Future
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from threading import Lock
from typing import TypeVar

from sqlalchemy import (
    Column,
    Connection,
    Integer,
    MetaData,
    PoolProxiedConnection,
    String,
    Table,
    insert,
    select,
    update,
)
from sqlalchemy.exc import DBAPIError

from core.db.engine import open_engine, storage_fault
from core.db.writer import Beside, Together, Work, Writer
from core.errors import StorageFault

T = TypeVar("T")

_META = MetaData()
meta = Table(
    "meta",
    _META,
    Column("part", String, primary_key=True),
    Column("version", Integer, nullable=False),
)


@dataclass(frozen=True, slots=True)
class Part:
    """Some tables that belong together, and how an older file is brought up to *version*.

    *migrations[n]* turns version n into n + 1. *extra* are statements run once after the tables are made
    (triggers, for example).
    """

    name: str
    metadata: MetaData
    version: int = 1
    migrations: Mapping[int, Callable[[Connection], None]] = field(default_factory=dict)
    extra: tuple[str, ...] = ()


class Database:
    """One file; close it when done. Reading never waits for the writer, nor the writer for readers (WAL)."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.engine = open_engine(path)
        self._writer = Writer(self.engine, name=f"writer of {path.name}")
        self._watching: PoolProxiedConnection | None = None
        self._watch_lock = Lock()

    @classmethod
    def open(cls, path: Path, *parts: Part) -> Database:
        """Open *path* (its folder must exist), make or migrate *parts*. Raises StorageFault."""
        database = cls(path)
        try:
            for part in parts:
                database.ensure(part)
        except BaseException:
            database.close()
            raise
        return database

    def ensure(self, part: Part) -> None:
        """Make the tables of *part*, or bring them up to date. Raises StorageFault when the file is newer."""
        if self._version(part) != part.version:
            self.write(lambda connection: _bring_up(connection, part)).result()

    @contextmanager
    def read(self) -> Iterator[Connection]:
        """One consistent snapshot for reading. Raises StorageFault when the disk fails."""
        try:
            with self.engine.connect() as connection:
                yield connection
        except (DBAPIError, sqlite3.Error) as error:  # the latter of cursors that are the driver's own
            fault = storage_fault(error)
            if fault is None:
                raise
            raise fault from error

    def write(
        self, work: Work[T], together: Together[T] | None = None, beside: Beside | None = None
    ) -> Future[T]:
        """Have *work(connection)* done by the writer thread; the Future resolves after COMMIT.

        With *together*, all such work of one batch is handed to it at once. *beside* is done before the
        commit; if it raises, the Future raises the same.
        """
        return self._writer.submit(work, together, beside)

    def announce(self, count: int) -> None:
        """Say that so many writes more (or fewer, below zero) will come at once: they may share a commit."""
        self._writer.announce(count)

    def version(self) -> int:
        """A number that is another once anything was committed, by whomever; cheap, never waits for a writer.

        https://www.sqlite.org/pragma.html#pragma_data_version. Raises StorageFault.
        """
        with self._watch_lock:
            try:
                if self._watching is None:
                    self._watching = self.engine.raw_connection()
                row = self._watching.driver_connection.execute("PRAGMA data_version").fetchone()  # type: ignore[union-attr]  # as of a connection just got
            except (DBAPIError, sqlite3.Error) as error:
                raise storage_fault(error) or error from error
        return int(row[0])

    def close(self) -> None:
        """Finish queued writes, then let go of the file; calling it again does nothing."""
        self._writer.close()
        with self._watch_lock:
            if self._watching is not None:
                self._watching.close()
                self._watching = None
        self.engine.dispose()

    def _version(self, part: Part) -> int | None:
        with self.read() as connection:
            if not connection.dialect.has_table(connection, meta.name):
                return None
            return connection.execute(select(meta.c.version).where(meta.c.part == part.name)).scalar()


def _bring_up(connection: Connection, part: Part) -> None:
    _META.create_all(connection)
    found = connection.execute(select(meta.c.version).where(meta.c.part == part.name)).scalar()
    if found is None:
        part.metadata.create_all(connection)
        for statement in part.extra:
            connection.exec_driver_sql(statement)
        connection.execute(insert(meta).values(part=part.name, version=part.version))
        return
    if found > part.version:
        raise StorageFault(
            f"A newer version wrote this database ({part.name} {found}; this one knows {part.version}).",
            "Update the program, or use another data folder.",
        )
    for version in range(found, part.version):
        part.migrations[version](connection)
    connection.execute(update(meta).where(meta.c.part == part.name).values(version=part.version))
