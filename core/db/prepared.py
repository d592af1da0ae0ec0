"""A statement compiled once: as fast as the driver is, for the few that run with every stored object."""

from __future__ import annotations

import sqlite3
from collections import deque
from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import Connection, Engine, PoolProxiedConnection
from sqlalchemy.dialects import sqlite
from sqlalchemy.sql.dml import UpdateBase
from sqlalchemy.sql.selectable import SelectBase

MOST_PARAMETERS = 5000
"""In one statement; SQLite takes 32,766 (https://www.sqlite.org/limits.html)."""


class Prepared:
    """An SQLAlchemy statement as SQL text and the order of parameters; gives the driver's own cursor."""

    __slots__ = ("_fixed", "_order", "text")

    def __init__(self, statement: SelectBase | UpdateBase, *columns: str) -> None:
        """For an insert, name the *columns* it will be given."""
        compiled = statement.compile(
            dialect=sqlite.dialect(paramstyle="qmark"), column_keys=list(columns) or None
        )
        self.text = compiled.string
        self._order: tuple[str, ...] = tuple(compiled.positiontup or ())
        self._fixed = {name: value for name, value in compiled.params.items() if value is not None}

    def __call__(self, connection: Connection, values: Mapping[str, Any]) -> sqlite3.Cursor:
        """Run it in the transaction of *connection*; *values* by parameter name. Raises sqlite3.Error."""
        return self.on(connection.connection, values)

    def many(self, connection: Connection, rows: Sequence[Mapping[str, Any]]) -> None:
        """Insert all *rows* by one statement (for an insert that names its columns). Raises sqlite3.Error."""
        head, row = self.text.rsplit("VALUES ", 1)
        most = MOST_PARAMETERS // len(self._order)
        for start in range(0, len(rows), most):
            some = rows[start : start + most]
            text = f"{head}VALUES {', '.join([row] * len(some))}"
            values = [each[name] for each in some for name in self._order]
            connection.connection.driver_connection.execute(text, values)  # type: ignore[union-attr]  # one in use has it

    def on(self, connection: PoolProxiedConnection, values: Mapping[str, Any]) -> sqlite3.Cursor:
        """Run it on a connection of the driver."""
        known = {**self._fixed, **values} if self._fixed else values
        parameters = tuple([known[name] for name in self._order])
        cursor: sqlite3.Cursor = connection.driver_connection.execute(self.text, parameters)  # type: ignore[union-attr]  # likewise
        return cursor


class Lookup:
    """Single-row questions outside any transaction, from any thread; close it when those have ended.

    It keeps as many connections as were ever used at once.
    """

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._idle: deque[PoolProxiedConnection] = deque()

    def first(self, statement: Prepared, values: Mapping[str, Any]) -> tuple[Any, ...] | None:
        """The first row of the answer as of now, None if there is none. Raises sqlite3.Error."""
        try:
            connection = self._idle.pop()
        except IndexError:
            connection = self._engine.raw_connection()
        try:
            cursor = statement.on(connection, values)
            row: tuple[Any, ...] | None = cursor.fetchone()
            cursor.close()  # an open answer would hold its snapshot
        finally:
            self._idle.append(connection)
        return row

    def close(self) -> None:
        """Give the connections back."""
        while self._idle:
            self._idle.pop().close()
