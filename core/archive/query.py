"""Queries for studies, series and images by any attribute (PS3.4 C.2.2.2).

An image is meant when it matches every key; a study or series is an answer when one of its images is meant.
Indexes narrow the candidates down, each candidate is then tested as a whole.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import chain, islice
from typing import Any

from sqlalchemy import ColumnElement, Connection, Select, bindparam, func, literal, or_, select

from core.archive.blobs import Blobs
from core.archive.headers import Headers
from core.archive.level_rows import (
    COLUMNS,
    TABLES,
    Level,
    Row,
    first_of,
    places,
    row_type,
    select_rows,
    there,
)
from core.archive.matching_keys import Key, Moments, Nested, Path, Test, accepting, tests_of
from core.archive.narrowing import Estimates, Narrowing, lifted, narrowed, of_modality
from core.archive.schema import instances, series, studies, unindexed
from core.archive.views import Laid, values_of
from core.db.prepared import Prepared
from core.errors import BadInput

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
MOST_STATEMENTS = 500
"""Kept: their shapes are as many as people have kinds of questions."""
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


class Statements:
    """Statements as the driver takes them, by the shape of their query; safe from any thread."""

    def __init__(self) -> None:
        self._known: dict[Hashable, Prepared] = {}
        self.estimates = Estimates()

    def get(self, shape: Hashable, made: Callable[[], Select[Any]]) -> Prepared:
        """The one of *shape*, made now if it is not known."""
        if (found := self._known.get(shape)) is None:
            found = Prepared(made())
            if len(self._known) >= MOST_STATEMENTS:
                self._known.clear()
            self._known[shape] = found
        return found


class Search:
    """One query in one snapshot."""

    def __init__(
        self, connection: Connection, blobs: Blobs, query: Query, statements: Statements | None = None
    ) -> None:
        """Raises BadInput where it cannot be sorted so."""
        if not connection.in_transaction():
            connection.begin()  # the driver's own cursors do not
        self.connection = connection
        self._statements = statements or Statements()
        self._query = query
        self.headers = Headers(connection, blobs)
        self.laid = Laid(connection, query.namespace, query.view)
        tests = tests_of(query.keys)
        self._own = [test for test in tests if _level(test) <= query.level]
        self._below = [test for test in tests if _level(test) > query.level]
        alone = len(self._below) == 1 and query.level is Level.STUDY and not self.laid.any
        self._certain = alone and _certain(self._below[0])
        self._left = [test for test in self._own if self.laid.any or not _exact(test)]
        self._order = _order(tuple(query.order), query.level, bool(query.study_uid), bool(query.series_uid))

    def page(self) -> tuple[Sequence[Row], bool]:
        """The rows asked for, columns prefixed `s_`, `e_`, `i_`, and whether there are more."""
        first, limit = self._query.offset, self._query.limit
        if self._left or (self._below and not self._certain):
            found = list(islice(self._matches(), first, first + limit + 1))
        else:
            found = list(self._rows(limit + 1, first))
        return found[:limit], len(found) > limit

    def count(self) -> int:
        """How many there are."""
        if self._left or (self._below and not self._certain):
            return sum(1 for _ in self._matches())
        counted = select(func.count()).select_from(self.candidates().order_by(None).subquery())
        return self.connection.execute(counted).scalar_one()

    def of_rows(self) -> list[Test] | None:
        """What candidates must still be tested for, if their own columns tell; None if more is needed."""
        if self.laid.any or (self._below and not self._certain):
            return None
        tags = [path[0] for test in self._left for path in test.paths if len(path) == 1]
        known = all(tag in COLUMNS and COLUMNS[tag][0] <= self._query.level for tag in tags)
        return self._left if known and len(tags) == sum(len(test.paths) for test in self._left) else None

    def first_image(self, row: Row) -> Row | None:
        """The image that came first of those that are meant, for what a study or series says on its own."""
        if self._query.level is Level.IMAGE:
            return row
        if self._below:
            return next(self._meant(row, _images(row, self._query.level).order_by(instances.c.id)), None)
        own = row.s_id if self._query.level is Level.STUDY else row.e_id
        return self.connection.execute(first_of(self._query.level), {"own": own}).first()

    def _matches(self) -> Iterator[Row]:
        tests = [self._accepting(test) for test in self._left]
        for row in self._rows():
            if all(test(row) for test in tests) and (not self._below or self._certain or self._holds(row)):
                yield row

    def _accepting(self, test: Test) -> Callable[[Row], bool]:
        """Whether a row matches: by its own columns where those tell."""
        at = places(self._query.level)
        if not self.laid.any and all(path in at for path in test.paths):
            return accepting(test, at)
        return lambda row: test.matches(lambda path: self._values(row, path))

    def _holds(self, row: Row) -> bool:
        """Whether an image of the study or series matches everything that is left."""
        if max(map(_level, self._below)) is Level.SERIES:
            statement = select_rows(Level.SERIES).where(series.c.study_id == row.s_id)
        else:
            statement = _images(row, self._query.level).order_by(instances.c.series_id)
        return next(self._meant(row, statement), None) is not None

    def _meant(self, row: Row, statement: Select[Any]) -> Iterator[Row]:
        """The rows of *statement*, below *row*, that match everything that is left."""
        for test in () if self.laid.of(row.s_id) else self._below:
            if (narrowing := self._narrowed(test)[1]) is not None:
                statement = statement.where(narrowing.condition())
        for image in self.connection.execute(statement):
            if all(test.matches(lambda path, image=image: self._values(image, path)) for test in self._below):  # type: ignore[misc] # bound now
                yield image

    def _values(self, row: Row, path: Path) -> Sequence[str]:
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
        found = _OF_ALL_IMAGES[tag](self.connection, {"study_id": study_id})
        return sorted(value for (value,) in found)

    def candidates(self) -> Select[Any]:
        """Rows among which all matches are, in the order of the answer."""
        narrowings, values = self._narrowings()
        return self._made(narrowings, map(literal, values))

    def _rows(self, limit: int = -1, offset: int = 0) -> Iterator[Row]:
        """The candidates, all of them if *limit* is below zero."""
        narrowings, values = self._narrowings()
        shape = self._shape(narrowings, limit < 0)
        if shape is None:
            statement = self._made(narrowings, map(literal, values))
            statement = statement if limit < 0 else statement.limit(limit).offset(offset)
            yield from self.connection.execute(statement)
            return
        given: dict[str, Any] = {f"p{number}": value for number, value in enumerate(values)}
        parameters: list[ColumnElement[Any]] = [bindparam(name) for name in given]

        def made() -> Select[Any]:
            statement = self._made(narrowings, iter(parameters))
            return statement if limit < 0 else statement.limit(bindparam("limit")).offset(bindparam("offset"))

        known = self._statements.get(shape, made)
        cursor = known(self.connection, {**given, "limit": limit, "offset": offset})
        try:
            yield from map(row_type(self._query.level), cursor)
        finally:
            cursor.close()  # what is left would hold the snapshot

    def _narrowings(self) -> tuple[list[tuple[Test, Level, Narrowing]], list[str | int]]:
        """What the catalog itself says of each test, and every value of the statement in its order."""
        query, found = self._query, []
        for test in (*self._own, *self._below):
            level, narrowing = self._narrowed(test)
            if narrowing is not None:
                found.append((test, level, narrowing))
        where = [query.namespace, *filter(None, (query.study_uid, query.series_uid))]
        return found, [*where, *chain.from_iterable(narrowing.values for _, _, narrowing in found)]

    def _shape(self, narrowings: Sequence[tuple[Test, Level, Narrowing]], everything: bool) -> Hashable:
        """What tells the statement from others, but for its values; None where it is the only one."""
        shapes = tuple((level, narrowing.shape) for _, level, narrowing in narrowings)
        if self.laid.any or any(shape is None for _, shape in shapes):
            return None
        query = self._query
        uids = bool(query.study_uid), bool(query.series_uid), self._by_uid(), self._by_few()
        return query.level, uids, tuple(query.order), everything, shapes

    def _by_uid(self) -> bool:
        query = self._query
        return bool(query.study_uid) or any(key.path == FEW[0] for key in query.keys if not key.empty)

    def _by_few(self) -> bool:
        """Whether the keys find the answers, and not their order."""
        query = self._query
        few = any(not key.empty and key.path in FEW for key in query.keys)
        return few and not query.study_uid and not query.order and query.level is not Level.STUDY

    def _made(
        self, narrowings: Sequence[tuple[Test, Level, Narrowing]], values: Iterator[ColumnElement[Any]]
    ) -> Select[Any]:
        """The statement, with *values* in the order that `_narrowings` gives them in."""
        query = self._query
        namespace = studies.c.namespace if self._by_uid() else unindexed(studies.c.namespace)
        statement = select_rows(query.level).where(namespace == next(values), studies.c.trash_id.is_(None))
        if query.study_uid:
            statement = statement.where(studies.c.study_uid == next(values))
        if query.series_uid:
            statement = statement.where(series.c.series_uid == next(values))
        for test, level, narrowing in narrowings:
            condition = narrowing.made(list(islice(values, len(narrowing.values))))
            condition = _lifted(condition, level, query.level)
            statement = statement.where(
                or_(condition, self.laid.there()) if self._may_differ(test) else condition
            )
        if self._by_few():
            return statement.order_by(unindexed(TABLES[query.level][0].c.id))
        return statement.order_by(*self._order)

    def _may_differ(self, test: Test) -> bool:
        """Whether an overlay may say something else; UIDs it cannot set."""
        return self.laid.any and any(path not in UIDS for path in test.paths)

    def _narrowed(self, test: Test) -> tuple[Level, Narrowing | None]:
        """What every match fulfils, and whose rows that is said of."""
        if isinstance(test, Nested):
            return Level.STUDY, None
        key = test.day if isinstance(test, Moments) else test
        tag = key.path[0]
        if tag not in OF_ALL_IMAGES and tag not in COLUMNS:
            return Level.STUDY, None
        if tag in COLUMNS:
            level, column = COLUMNS[tag]
            return level, narrowed(self.connection, self._statements.estimates, key, column)
        column = OF_ALL_IMAGES[tag]
        narrowing = narrowed(self.connection, self._statements.estimates, key, column)
        if narrowing is None:
            return Level.STUDY, None
        if column is series.c.modality:
            return Level.STUDY, of_modality(self.connection, self._statements.estimates, key.wanted)
        return Level.STUDY, lifted(narrowing, column.table.c.study_id)


def _level(test: Test) -> Level:
    """The highest level whose rows answer it; one below all where a header must."""
    levels = []
    for path in test.paths:
        if len(path) == 1 and (path[0] in OF_ALL_IMAGES or path[0] == AVAILABILITY):
            levels.append(Level.STUDY)
        else:
            levels.append(COLUMNS[path[0]][0] if len(path) == 1 and path[0] in COLUMNS else Level.IMAGE)
    return max(levels)


def _certain(test: Test) -> bool:
    """Whether the catalog's condition for series is all there is to it."""
    return _as_written(test, {(0x0020000E,), (MODALITY,)})


def _as_written(test: Test, paths: set[Path]) -> bool:
    """Whether values of one of *paths* are wanted just as they are."""
    if not isinstance(test, Key) or test.empty or test.path not in paths:
        return False
    return all(each and "*" not in each and "?" not in each for each in test.wanted)


def _exact(test: Test) -> bool:
    """Whether every row the catalog's condition leaves is a match."""
    if _as_written(test, {(MODALITIES,)}):
        return True
    return isinstance(test, Key) and not test.empty and test.path in UIDS


def _images(row: Row, level: Level) -> Select[Any]:
    """The images of a study's or series' row."""
    statement = select_rows(Level.IMAGE)
    if level is Level.STUDY:
        return statement.where(instances.c.study_id == row.s_id)
    return statement.where(instances.c.series_id == row.e_id)


def _lifted(condition: ColumnElement[bool], level: Level, asked: Level) -> ColumnElement[bool]:
    """A condition on rows below as one on the rows asked for."""
    if level <= asked:
        return condition
    table = TABLES[level][0]
    if asked is Level.STUDY and level is Level.SERIES:
        return studies.c.id.in_(select(series.c.study_id).where(condition, there()))
    if asked is Level.STUDY:
        return studies.c.id.in_(select(table.c.study_id).where(condition))
    return series.c.id.in_(select(instances.c.series_id).where(condition))


@lru_cache(maxsize=256)
def _order(
    order: tuple[tuple[int, bool], ...], level: Level, of_study: bool, of_series: bool
) -> Sequence[ColumnElement[Any]]:
    found: list[ColumnElement[Any]] = []
    for tag, last_first in order:
        if tag not in COLUMNS or COLUMNS[tag][0] > level:
            raise BadInput(
                f"The answers cannot be sorted by the orderby attribute {tag:08X}.",
                "Sort by an attribute of the study list, of series or of images.",
            )
        column = COLUMNS[tag][1]
        column = studies.c.name_key if column is studies.c.patient_name else column
        found.append(column.desc() if last_first else column.asc())
    if found:
        return [*found, TABLES[level][0].c.id]
    if level is Level.STUDY:
        return [studies.c.study_date.desc(), studies.c.study_time.desc(), studies.c.id.desc()]
    if level is Level.SERIES:
        return [series.c.ordinal] if of_study else [series.c.id]
    number = [instances.c.instance_number.is_(None), instances.c.instance_number, instances.c.id]
    return number if of_series else [series.c.ordinal, *number] if of_study else [instances.c.id]
