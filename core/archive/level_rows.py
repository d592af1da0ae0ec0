"""Rows of the catalog at each level of a query, with those above: columns prefixed `s_`, `e_`, `i_`."""

from __future__ import annotations

from collections import namedtuple
from collections.abc import Callable, Iterable, Mapping
from enum import IntEnum
from functools import cache
from typing import Any

from sqlalchemy import Column, ColumnElement, Select, and_, bindparam, func, or_, select

from core.archive.matching_keys import Path
from core.archive.schema import instances, series, studies, unindexed

Row = Any
"""A named tuple of columns."""


class Level(IntEnum):
    """What is asked for."""

    STUDY = 1
    SERIES = 2
    IMAGE = 3


TABLES = {Level.STUDY: (studies, "s_"), Level.SERIES: (series, "e_"), Level.IMAGE: (instances, "i_")}
COLUMNS: Mapping[int, tuple[Level, Column[Any]]] = {
    0x0020000D: (Level.STUDY, studies.c.study_uid),
    0x00080020: (Level.STUDY, studies.c.study_date),
    0x00080030: (Level.STUDY, studies.c.study_time),
    0x00080050: (Level.STUDY, studies.c.accession_number),
    0x00081030: (Level.STUDY, studies.c.study_description),
    0x00100010: (Level.STUDY, studies.c.patient_name),
    0x00100020: (Level.STUDY, studies.c.patient_id),
    0x00100030: (Level.STUDY, studies.c.patient_birth_date),
    0x00100040: (Level.STUDY, studies.c.patient_sex),
    0x00201206: (Level.STUDY, studies.c.series),
    0x00201208: (Level.STUDY, studies.c.images),
    0x0020000E: (Level.SERIES, series.c.series_uid),
    0x00200011: (Level.SERIES, series.c.number),
    0x00080060: (Level.SERIES, series.c.modality),
    0x0008103E: (Level.SERIES, series.c.description),
    0x00080018: (Level.IMAGE, instances.c.sop_uid),
    0x00080016: (Level.IMAGE, instances.c.sop_class_uid),
    0x00200013: (Level.IMAGE, instances.c.instance_number),
    0x00083002: (Level.IMAGE, instances.c.transfer_syntax_uid),
}
"""What the catalog itself knows."""


@cache
def first_of(level: Level) -> Select[Any]:
    """The image that came first to the study or series with the id `own`."""
    mine = instances.c.study_id if level is Level.STUDY else instances.c.series_id
    first = select(func.min(unindexed(instances.c.id))).where(
        mine == bindparam("own"), instances.c.current.is_(True)
    )
    return joined().where(instances.c.id == first.scalar_subquery())


@cache
def select_rows(level: Level) -> Select[Any]:
    """Rows of a level with those above; only what is current, and each image where it came to first."""
    statement = select(*_columns(level)).select_from(studies)
    if level is Level.STUDY:
        return statement.where(studies.c.images > 0)
    if level is Level.SERIES:
        return statement.join(series, series.c.study_id == studies.c.id).where(there())
    return joined().where(instances.c.current.is_(True), or_(studies.c.conflicts == 0, _first()))


@cache
def joined() -> Select[Any]:
    """Images with series and study."""
    return (
        select(*_columns(Level.IMAGE))
        .select_from(instances)
        .join(series, series.c.id == instances.c.series_id)
        .join(studies, studies.c.id == instances.c.study_id)
    )


@cache
def places(level: Level) -> Mapping[Path, int]:
    """Where in a row attributes are."""
    names = [column.name for column in _columns(level)]
    return {
        (tag,): names.index(TABLES[of][1] + column.name)
        for tag, (of, column) in COLUMNS.items()
        if of <= level
    }


@cache
def row_type(level: Level) -> Callable[[Iterable[Any]], Row]:
    """Makes a row of what the driver gives."""
    names = [column.name for column in _columns(level)]
    kind: Any = namedtuple("Row", names)  # type: ignore[misc]  # the schema says of what
    made: Callable[[Iterable[Any]], Row] = kind._make
    return made


def _columns(level: Level) -> list[ColumnElement[Any]]:
    return [
        column.label(prefix + column.name)
        for each, (table, prefix) in TABLES.items()
        if each <= level
        for column in table.c
    ]


def there() -> ColumnElement[bool]:
    """A series has images."""
    return select(instances.c.id).where(instances.c.series_id == series.c.id, _shown()).exists()


def _shown() -> ColumnElement[bool]:
    """Current, and where the object came to first."""
    return and_(instances.c.current.is_(True), _first())


def _first() -> ColumnElement[bool]:
    """Nowhere in its study did the object come to earlier; to be asked only where some are in conflict."""
    other = instances.alias("other")
    rank, other_rank = instances.c.conflict != "", other.c.conflict != ""
    earlier = and_(
        other.c.sop_uid == instances.c.sop_uid,
        unindexed(other.c.study_id) == instances.c.study_id,
        other.c.current.is_(True),
        or_(other_rank < rank, and_(other_rank == rank, other.c.id < instances.c.id)),
    )
    return ~select(other.c.id).where(earlier).exists()
