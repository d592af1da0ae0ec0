"""Queries for studies, series and images by any attribute (PS3.4 C.2.2.2).

An image is meant when it matches every key; a study or series is an answer when one of its images is meant.
Indexes narrow the candidates down, each candidate is then tested as a whole.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import IntEnum
from functools import cache
from itertools import islice
from typing import Any

from sqlalchemy import Column, ColumnElement, Connection, Row, Select, and_, bindparam, func, or_, select

from core.archive.blobs import Blobs
from core.archive.headers import Headers
from core.archive.matching_keys import Key, Moments, Path, Test, tests_of
from core.archive.narrowing import narrowed, of_modality
from core.archive.schema import instances, series, studies, unindexed
from core.archive.views import Laid, values_of
from core.db.prepared import Prepared
from core.errors import BadInput


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
}
"""What the catalog itself knows."""
FEW: tuple[Path, ...] = ((0x0020000D,), (0x0020000E,), (0x00080018,), (0x00100020,), (0x00080050,))
"""Keys that leave few candidates: UIDs, Patient ID, accession number."""
UIDS = frozenset({FEW[0], FEW[1], FEW[2], (0x00080016,)})
OF_ALL_IMAGES = {0x00080061: series.c.modality, 0x00080062: instances.c.sop_class_uid}
"""Modalities in Study, SOP Classes in Study."""
_OF_STUDY = {
    0x00080061: select(series.c.modality).where(
        series.c.study_id == bindparam("study_id"), series.c.modality != ""
    ),
    0x00080062: select(instances.c.sop_class_uid).where(
        instances.c.study_id == bindparam("study_id"), instances.c.current.is_(True)
    ),
}
_OF_ALL_IMAGES = {tag: Prepared(query.distinct()) for tag, query in _OF_STUDY.items()}
AVAILABILITY = 0x00080056
MODALITY, MODALITIES = 0x00080060, 0x00080061


@dataclass(frozen=True, slots=True)
class Query:
    """What is asked for, where, in which order: tags, with True where from the last.

    *view* is the PHI namespace whose overlays are shown and searched, None for what is stored.
    """

    level: Level
    namespace: str
    study_uid: str = ""
    series_uid: str = ""
    keys: Sequence[Key] = ()
    order: Sequence[tuple[int, bool]] = ()
    limit: int = 100
    offset: int = 0
    view: str | None = None


class Search:
    """One query in one snapshot."""

    def __init__(self, connection: Connection, blobs: Blobs, query: Query) -> None:
        """Raises BadInput where it cannot be sorted so."""
        self._connection = connection
        self._query = query
        self.headers = Headers(connection, blobs)
        self.laid = Laid(connection, query.namespace, query.view)
        tests = tests_of(query.keys)
        self._own = [test for test in tests if _level(test) <= query.level]
        self._below = [test for test in tests if _level(test) > query.level]
        alone = len(self._below) == 1 and query.level is Level.STUDY and not self.laid.any
        self._certain = alone and _certain(self._below[0])
        self._left = [test for test in self._own if self.laid.any or not _exact(test)]
        self._order = _order(query)

    def page(self) -> tuple[Sequence[Row[Any]], bool]:
        """The rows asked for, columns prefixed `s_`, `e_`, `i_`, and whether there are more."""
        first, limit = self._query.offset, self._query.limit
        if self._left or (self._below and not self._certain):
            found = list(islice(self._matches(), first, first + limit + 1))
        else:
            statement = self.candidates().limit(limit + 1).offset(first)
            found = list(self._connection.execute(statement))
        return found[:limit], len(found) > limit

    def count(self) -> int:
        """How many there are."""
        if self._left or (self._below and not self._certain):
            return sum(1 for _ in self._matches())
        counted = select(func.count()).select_from(self.candidates().order_by(None).subquery())
        return self._connection.execute(counted).scalar_one()

    def of_rows(self) -> list[Test] | None:
        """What candidates must still be tested for, if their own columns tell; None if more is needed."""
        if self.laid.any or (self._below and not self._certain):
            return None
        tags = [path[0] for test in self._left for path in test.paths if len(path) == 1]
        known = all(tag in COLUMNS and COLUMNS[tag][0] <= self._query.level for tag in tags)
        return self._left if known and len(tags) == sum(len(test.paths) for test in self._left) else None

    def first_image(self, row: Row[Any]) -> Row[Any] | None:
        """The image that came first, for what a study or series says on its own."""
        if self._query.level is Level.IMAGE:
            return row
        own = row.s_id if self._query.level is Level.STUDY else row.e_id
        return self._connection.execute(_first_of(self._query.level), {"own": own}).first()

    def _matches(self) -> Iterator[Row[Any]]:
        for row in self._connection.execute(self.candidates()):
            if all(test.matches(lambda path, row=row: self._values(row, path)) for test in self._left) and (  # type: ignore[misc] # bound now
                not self._below or self._certain or self._holds(row)
            ):
                yield row

    def _holds(self, row: Row[Any]) -> bool:
        """Whether an image of the study or series matches everything that is left."""
        if max(map(_level, self._below)) is Level.SERIES:
            statement = _select(Level.SERIES).where(series.c.study_id == row.s_id)
        else:
            statement = _images(row, self._query.level).order_by(instances.c.series_id)
        for test in () if self.laid.of(row.s_id) else self._below:
            if (condition := self._narrowed(test)[1]) is not None:
                statement = statement.where(condition)
        return any(
            all(test.matches(lambda path, image=image: self._values(image, path)) for test in self._below)  # type: ignore[misc] # bound now
            for image in self._connection.execute(statement)
        )

    def _values(self, row: Row[Any], path: Path) -> Sequence[str]:
        tag = path[0]
        if len(path) == 1 and (said := self.laid.of(row.s_id).get(tag)) is not None:
            return values_of(tag, said)
        if len(path) == 1 and tag in COLUMNS:
            level, column = COLUMNS[tag]
            value = getattr(row, TABLES[level][1] + column.name)
            return [] if value is None or value == "" else [str(value)]
        if tag == AVAILABILITY:
            return ["ONLINE"]
        if tag in OF_ALL_IMAGES:
            return self.of_all_images(row.s_id, tag)
        return self.headers.values(row, path)

    def of_all_images(self, study_id: int, tag: int) -> Sequence[str]:
        """The distinct values in a study, sorted."""
        if tag == MODALITIES and (said := self.laid.of(study_id).get(MODALITY)):
            return [said]
        found = _OF_ALL_IMAGES[tag](self._connection, {"study_id": study_id})
        return sorted(value for (value,) in found)

    def candidates(self) -> Select[Any]:
        """Rows among which all matches are, in the order of the answer."""
        query = self._query
        statement = _select(query.level)
        few = any(not key.empty and key.path in FEW for key in query.keys)
        by_uid = query.study_uid or any(key.path == FEW[0] for key in query.keys if not key.empty)
        namespace = studies.c.namespace if by_uid else unindexed(studies.c.namespace)
        statement = statement.where(namespace == query.namespace, studies.c.trash_id.is_(None))
        if query.study_uid:
            statement = statement.where(studies.c.study_uid == query.study_uid)
        if query.series_uid:
            statement = statement.where(series.c.series_uid == query.series_uid)
        for test in (*self._own, *self._below):
            level, condition = self._narrowed(test)
            if condition is not None:
                lifted = _lifted(condition, level, query.level)
                statement = statement.where(
                    or_(lifted, self.laid.there()) if self._may_differ(test) else lifted
                )
        if few and not query.study_uid and not query.order and query.level is not Level.STUDY:
            return statement.order_by(unindexed(TABLES[query.level][0].c.id))  # the keys find, not the order
        return statement.order_by(*self._order)

    def _may_differ(self, test: Test) -> bool:
        """Whether an overlay may say something else; UIDs it cannot set."""
        return self.laid.any and any(path not in UIDS for path in test.paths)

    def _narrowed(self, test: Test) -> tuple[Level, ColumnElement[bool] | None]:
        """What every match fulfils, and whose rows that is said of."""
        key = test.day if isinstance(test, Moments) else test
        tag = key.path[0]
        if len(key.path) != 1 or (tag not in OF_ALL_IMAGES and tag not in COLUMNS):
            return Level.STUDY, None
        if tag in COLUMNS:
            level, column = COLUMNS[tag]
            return level, narrowed(self._connection, key, column)
        column = OF_ALL_IMAGES[tag]
        condition = narrowed(self._connection, key, column)
        if condition is None:
            return Level.STUDY, None
        if column is series.c.modality:
            return Level.STUDY, of_modality(self._connection, key.wanted)
        return Level.STUDY, studies.c.id.in_(select(column.table.c.study_id).where(condition))


def _level(test: Test) -> Level:
    """The highest level whose rows answer it; one below all where a header must."""
    levels = []
    for path in test.paths:
        if len(path) == 1 and (path[0] in OF_ALL_IMAGES or path[0] == AVAILABILITY):
            levels.append(Level.STUDY)
        else:
            levels.append(COLUMNS[path[0]][0] if len(path) == 1 and path[0] in COLUMNS else Level.IMAGE)
    return max(levels)


@cache
def _first_of(level: Level) -> Select[Any]:
    mine = instances.c.study_id if level is Level.STUDY else instances.c.series_id
    first = select(func.min(unindexed(instances.c.id))).where(
        mine == bindparam("own"), instances.c.current.is_(True)
    )
    return _joined().where(instances.c.id == first.scalar_subquery())


@cache
def _select(level: Level) -> Select[Any]:
    """Rows of a level with those above; only what is current, and each image where it came to first."""
    statement = select(*_columns(level)).select_from(studies)
    if level is Level.STUDY:
        return statement.where(studies.c.images > 0)
    if level is Level.SERIES:
        return statement.join(series, series.c.study_id == studies.c.id).where(_there())
    return _joined().where(instances.c.current.is_(True), or_(studies.c.conflicts == 0, _first()))


@cache
def _joined() -> Select[Any]:
    """Images with series and study."""
    return (
        select(*_columns(Level.IMAGE))
        .select_from(instances)
        .join(series, series.c.id == instances.c.series_id)
        .join(studies, studies.c.id == instances.c.study_id)
    )


def _columns(level: Level) -> list[ColumnElement[Any]]:
    return [
        column.label(prefix + column.name)
        for each, (table, prefix) in TABLES.items()
        if each <= level
        for column in table.c
    ]


def _there() -> ColumnElement[bool]:
    """A series has images."""
    return select(instances.c.id).where(instances.c.series_id == series.c.id, _shown()).exists()


def _certain(test: Test) -> bool:
    """Whether the catalog's condition for series is all there is to it."""
    return _as_written(test, {(0x0020000E,), (MODALITY,)})


def _as_written(test: Test, paths: set[Path]) -> bool:
    """Whether values of one of *paths* are wanted just as they are."""
    if isinstance(test, Moments) or test.empty or test.path not in paths:
        return False
    return all(each and "*" not in each and "?" not in each for each in test.wanted)


def _exact(test: Test) -> bool:
    """Whether every row the catalog's condition leaves is a match."""
    if _as_written(test, {(MODALITIES,)}):
        return True
    return not isinstance(test, Moments) and not test.empty and test.path in UIDS


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


def _images(row: Row[Any], level: Level) -> Select[Any]:
    """The images of a study's or series' row."""
    statement = _select(Level.IMAGE)
    if level is Level.STUDY:
        return statement.where(instances.c.study_id == row.s_id)
    return statement.where(instances.c.series_id == row.e_id)


def _lifted(condition: ColumnElement[bool], level: Level, asked: Level) -> ColumnElement[bool]:
    """A condition on rows below as one on the rows asked for."""
    if level <= asked:
        return condition
    table = TABLES[level][0]
    if asked is Level.STUDY and level is Level.SERIES:
        return studies.c.id.in_(select(series.c.study_id).where(condition, _there()))
    if asked is Level.STUDY:
        return studies.c.id.in_(select(table.c.study_id).where(condition))
    return series.c.id.in_(select(instances.c.series_id).where(condition))


def _order(query: Query) -> list[ColumnElement[Any]]:
    found: list[ColumnElement[Any]] = []
    for tag, last_first in query.order:
        if tag not in COLUMNS or COLUMNS[tag][0] > query.level:
            raise BadInput(
                f"The answers cannot be sorted by the orderby attribute {tag:08X}.",
                "Sort by an attribute of the study list, of series or of images.",
            )
        column = COLUMNS[tag][1]
        column = studies.c.name_key if column is studies.c.patient_name else column
        found.append(column.desc() if last_first else column.asc())
    if found:
        return [*found, TABLES[query.level][0].c.id]
    if query.level is Level.STUDY:
        return [studies.c.study_date.desc(), studies.c.study_time.desc(), studies.c.id.desc()]
    if query.level is Level.SERIES:
        return [series.c.ordinal] if query.study_uid else [series.c.id]
    number = [instances.c.instance_number.is_(None), instances.c.instance_number, instances.c.id]
    return (
        number if query.series_uid else [series.c.ordinal, *number] if query.study_uid else [instances.c.id]
    )
