"""A statement compiled once: as fast as the driver is, for the few that run with every stored object."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sqlalchemy import Connection, CursorResult
from sqlalchemy.dialects import sqlite
from sqlalchemy.sql.dml import UpdateBase
from sqlalchemy.sql.selectable import SelectBase


class Prepared:
    """An SQLAlchemy statement as SQL text and the order of parameters; gives the driver's plain values."""

    __slots__ = ("_fixed", "_order", "_text")

    def __init__(self, statement: SelectBase | UpdateBase, *columns: str) -> None:
        """For an insert, name the *columns* it will be given."""
        compiled = statement.compile(
            dialect=sqlite.dialect(paramstyle="qmark"), column_keys=list(columns) or None
        )
        self._text = compiled.string
        self._order: tuple[str, ...] = tuple(compiled.positiontup or ())
        self._fixed = {name: value for name, value in compiled.params.items() if value is not None}

    def __call__(self, connection: Connection, values: Mapping[str, Any]) -> CursorResult[Any]:
        """Run it; *values* by parameter name."""
        known = {**self._fixed, **values} if self._fixed else values
        return connection.exec_driver_sql(self._text, tuple([known[name] for name in self._order]))
