"""Answers that are rows of the catalog: where no header and no overlay is needed, nothing is made of them."""

from __future__ import annotations

import json
from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass
from functools import lru_cache
from itertools import islice
from typing import Any

from sqlalchemy import ColumnElement, Connection, func, literal, select

from core.archive.level_rows import COLUMNS, Level
from core.archive.matching_keys import Path, accepting
from core.archive.query import AVAILABILITY, MODALITIES, Query, Search
from core.archive.schema import instances, series, studies

SERIES_IMAGES = 0x00201209
VALUES_KEPT = 4096
Row = tuple[Any, ...]


@dataclass(frozen=True, slots=True)
class Listed:
    """Rows whose values, texts and numbers, are those of *tags*, and perhaps more behind them.

    Several values of an attribute are one text, with backslashes between; None is no value. *close* it: what
    is left of the rows would hold the snapshot.
    """

    tags: tuple[int, ...]
    rows: Iterator[Row]
    close: Callable[[], None]


def listed(connection: Connection, search: Search, query: Query, tags: Collection[int]) -> Listed | None:
    """The answers of a search, for one reader at a time; None where the catalog alone cannot give them."""
    tests = search.of_rows()
    columns = [_column(tag, query.level) for tag in tags]
    selected = [column for column in columns if column is not None]
    if tests is None or len(selected) < len(columns):
        return None
    places: dict[Path, int] = {}
    for path in dict.fromkeys(path for test in tests for path in test.paths):
        places[path] = len(selected)
        selected.append(COLUMNS[path[0]][1])
    statement = search.candidates().with_only_columns(*(selected or [literal(0)]))
    cursor: Any = connection.execute(statement).cursor  # the driver's own gives plain tuples
    rows = _unpacked(cursor, _packed(tags))
    for test in tests:
        rows = filter(accepting(test, places), rows)
    return Listed(tuple(tags), islice(rows, query.offset, query.offset + query.limit), cursor.close)


def _column(tag: int, level: Level) -> ColumnElement[Any] | None:
    """Where the catalog has an attribute of the rows of a level, None if it has not."""
    if tag == AVAILABILITY:
        return literal("ONLINE")
    if tag == MODALITIES and level is Level.STUDY:
        mine = series.c.study_id == studies.c.id
        return select(func.json_group_array(series.c.modality)).where(mine).scalar_subquery()
    if tag == SERIES_IMAGES and level is Level.SERIES:
        current = (instances.c.series_id == series.c.id, instances.c.current.is_(True))
        return select(func.count()).select_from(instances).where(*current).scalar_subquery()
    of, column = COLUMNS.get(tag, (None, None))
    return column if of is not None and of <= level else None


def _packed(tags: Collection[int]) -> int | None:
    """At which place of a row there are several values."""
    return next((place for place, tag in enumerate(tags) if tag == MODALITIES), None)


def _unpacked(rows: Iterator[Row], at: int | None) -> Iterator[Row]:
    if at is None:
        return rows
    return ((*row[:at], _joined(row[at]), *row[at + 1 :]) for row in rows)


@lru_cache(maxsize=VALUES_KEPT)
def _joined(array: str) -> str:
    return "\\".join(sorted(set(filter(None, json.loads(array)))))
