"""Conditions of the catalog that every match of a key fulfils: ranges instead of LIKE, never too narrow.

A condition is made only where its statement is not known yet: making one costs more than asking it.
"""

from __future__ import annotations

import json
import re
import time
from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import dataclass
from itertools import accumulate
from typing import Any

from sqlalchemy import (
    Column,
    ColumnElement,
    Connection,
    Select,
    and_,
    bindparam,
    false,
    func,
    literal,
    or_,
    select,
)

from core.archive import arrival
from core.archive.matching_keys import Key, day_range
from core.archive.person_names import fitting
from core.archive.schema import instances, series, studies, unindexed, words
from core.archive.search import LAST_CHARACTER
from core.db.prepared import Prepared
from core.dicom.tree import folded

FOLDED = {
    studies.c.patient_id: studies.c.patient_id_key,
    studies.c.accession_number: studies.c.accession_key,
}
AS_THEY_ARE = (series.c.modality, studies.c.patient_sex)
NUMBERS = (series.c.number, instances.c.instance_number)
MANY = 1000
"""So many fitting studies are tried one by one in the order of the answer: that finds a page sooner."""
ESTIMATED_S = 60.0
"""So long it counts as known whether many fit."""
MOST_ESTIMATES = 2000
MOST_WORDS = 2000
"""So many fitting words go into one statement; where there are more, nothing is gained by them."""


def _counted(found: Select[tuple[int]]) -> Prepared:
    """How many it finds, at most *many*."""
    return Prepared(select(func.count()).select_from(found.limit(bindparam("many")).subquery()))


_WORDS = _counted(
    select(words.c.study_id).where(
        words.c.word >= bindparam("first"), words.c.word <= bindparam("last"), words.c.kind == "name"
    )
)
_SERIES = _counted(
    select(series.c.study_id).where(
        series.c.modality.in_(select(func.json_each(bindparam("modalities")).table_valued("value").c.value))
    )
)


class Estimates:
    """Whether many fit a condition, found out anew after a while: it decides how, not what is found."""

    def __init__(self) -> None:
        self._known: dict[tuple[str, ...], tuple[float, bool]] = {}

    def many_words(self, connection: Connection, first: str, last: str) -> bool:
        """Whether many studies are filed under words between the two."""
        return self._many((first, last), _WORDS, connection, {"first": first, "last": last})

    def many_series(self, connection: Connection, modalities: Sequence[str]) -> bool:
        """Whether many series have one of *modalities*."""
        return self._many(
            ("modality", *modalities), _SERIES, connection, {"modalities": json.dumps(list(modalities))}
        )

    def _many(
        self, name: tuple[str, ...], counted: Prepared, connection: Connection, values: Mapping[str, str]
    ) -> bool:
        now = time.monotonic()
        until, many = self._known.get(name, (0.0, False))
        if now > until:
            many = bool(counted(connection, {**values, "many": MANY}).fetchone()[0] == MANY)
            if len(self._known) >= MOST_ESTIMATES:
                self._known.clear()
            self._known[name] = now + ESTIMATED_S, many
        return many


Parts = Sequence[ColumnElement[Any]]
"""A parameter for each value of a condition."""


@dataclass(frozen=True, slots=True)
class Narrowing:
    """A condition on *values*, which *made* makes of their parameters.

    Two of the same *shape* differ in their values only; of shape None there is no other.
    """

    shape: Hashable
    values: tuple[str | int, ...]
    made: Callable[[Parts], ColumnElement[bool]]

    def condition(self) -> ColumnElement[bool]:
        """With the values in it."""
        return self.made([literal(value) for value in self.values])


def narrowed(connection: Connection, estimates: Estimates, key: Key, column: Column[Any]) -> Narrowing | None:
    """The condition for *key*, or None where no index helps."""
    if key.empty:
        return None
    if key.vr == "UI":
        return _in(column, [each for each in key.wanted if each])
    if column is studies.c.study_date:
        first, last = day_range(key)
        if not last:
            return Narrowing("since", (first,), lambda at: column >= at[0])
        return Narrowing("between", (first, last), lambda at: and_(column >= at[0], column <= at[1]))
    if column in NUMBERS:
        return _in(column, [int(float(each)) for each in key.wanted if abs(float(each)) < 1 << 31])
    if column is studies.c.patient_name:
        names = [each for each in key.wanted if each]
        if key.fuzzy:
            return _any([_nearly(connection, each) for each in names])
        return _any([_name(connection, estimates, each) for each in names])
    if column in FOLDED:
        return _any([_begins(FOLDED[column], each) for each in key.wanted if each])
    if column in AS_THEY_ARE and not any("*" in each or "?" in each for each in key.wanted):
        return _in(column, key.wanted)
    return None


def _in(column: Column[Any], values: Sequence[str | int]) -> Narrowing:
    shape = ("in", column.table.name, column.name, len(values))
    return Narrowing(shape, tuple(values), lambda at: column.in_(at) if at else false())


def _any(conditions: list[Narrowing | None]) -> Narrowing | None:
    known = [condition for condition in conditions if condition is not None]
    return _joined(or_, known) if known and len(known) == len(conditions) else None


def _all(conditions: list[Narrowing]) -> Narrowing | None:
    return _joined(and_, conditions) if conditions else None


def _joined(how: Callable[..., ColumnElement[bool]], several: Sequence[Narrowing]) -> Narrowing:
    if len(several) == 1:
        return several[0]
    shapes = tuple(each.shape for each in several)

    def made(at: Parts) -> ColumnElement[bool]:
        ends = list(accumulate(len(each.values) for each in several))
        starts = [0, *ends[:-1]]
        return how(*(each.made(at[a:b]) for each, a, b in zip(several, starts, ends, strict=True)))

    shape = None if None in shapes else (how.__name__, shapes)
    return Narrowing(shape, tuple(value for each in several for value in each.values), made)


def _begins(column: Column[str], wanted: str) -> Narrowing | None:
    """The value without case begins as it is wanted, and has the longest piece of the rest in it."""
    start = re.split(r"[*?]", wanted, maxsplit=1)[0]
    if start == wanted:
        return _in(column, [arrival.key_of(wanted)])
    found = []
    if prefix := arrival.key_of(start):
        ends = (prefix, prefix + LAST_CHARACTER)
        found.append(
            Narrowing(("begins", column.name), ends, lambda at: and_(column >= at[0], column < at[1]))
        )
    if longest := max(re.split(r"[*?\s]", wanted[len(start) :].casefold()), key=len):
        found.append(Narrowing(("has", column.name), (longest,), lambda at: func.instr(column, at[0]) > 0))
    return _all(found)


def _name(connection: Connection, estimates: Estimates, wanted: str) -> Narrowing | None:
    """Studies filed under the words that every such name has."""
    if "=" in wanted:
        return None
    start = re.split(r"[*?]", wanted, maxsplit=1)[0]
    inside = folded(wanted[len(start) :].replace("*", " ").replace("?", " ")).split()
    *complete, last = folded(start).split() or [""]
    if last and start[-1:] in "^ ":  # the word ends where a component does
        complete, last = [*complete, last], ""
    ranges = [(word, word) for word in complete] + ([(last, last + LAST_CHARACTER)] if last else [])
    found = [
        _of_many(first, after) if estimates.many_words(connection, first, after) else _filed(first, after)
        for first, after in ranges
    ]
    if inside and not last:
        found.append(Narrowing("inside", (max(inside, key=len),), _with_word))
    return _all(found)


def _with_word(at: Parts) -> ColumnElement[bool]:
    """Studies with a word of a name that has the text in it."""
    longest = func.instr(words.c.word, at[0]) > 0
    return studies.c.id.in_(select(words.c.study_id).where(longest, words.c.kind == "name"))


def _filed(first: str, last: str) -> Narrowing:
    """Studies with a word of a name between the two."""
    word, mine = words.c.word, words.c.kind == "name"
    return Narrowing(
        "filed",
        (first, last),
        lambda at: studies.c.id.in_(select(words.c.study_id).where(word >= at[0], word <= at[1], mine)),
    )


def _of_many(first: str, last: str) -> Narrowing:
    """The same, found out study by study: from the name as it is compared, which is that of its first group.

    Only a name of several groups has other words.
    """
    if first == last:
        return Narrowing("filed of many", (f" {first} ", first, last), _own_word)
    return Narrowing("begun of many", (f" {first}", first, last), _own_beginning)


def _own_word(at: Parts) -> ColumnElement[bool]:
    return or_(func.instr(" " + studies.c.name_key + " ", at[0]) > 0, _of_other_groups(at))


def _own_beginning(at: Parts) -> ColumnElement[bool]:
    """Made without a new text for each study, which would take half of the time."""
    name = studies.c.name_key
    first = and_(name >= at[1], name <= at[2])
    return or_(first, func.instr(name, at[0]) > 0, _of_other_groups(at))


def _of_other_groups(at: Parts) -> ColumnElement[bool]:
    own, mine = unindexed(words.c.word), words.c.kind == "name"
    there = select(words.c.study_id).where(words.c.study_id == studies.c.id, own >= at[1], own <= at[2], mine)
    return and_(func.instr(studies.c.patient_name, "=") > 0, there.exists())


def of_modality(connection: Connection, estimates: Estimates, modalities: Sequence[str]) -> Narrowing:
    """Studies with a series of one of *modalities*."""
    one = _in(series.c.modality, modalities)
    if estimates.many_series(connection, modalities):
        own = series.c.study_id == studies.c.id
        return Narrowing(
            ("own", one.shape), one.values, lambda at: select(series.c.id).where(own, one.made(at)).exists()
        )
    return lifted(one, series.c.study_id)


def lifted(one: Narrowing, study_id: Column[int]) -> Narrowing:
    """Studies that *one*, a condition on rows with *study_id*, is said of."""
    return Narrowing(
        ("of", one.shape),
        one.values,
        lambda at: studies.c.id.in_(select(study_id).where(one.made(at))),
    )


def _nearly(connection: Connection, wanted: str) -> Narrowing | None:
    """Studies filed under words that are those of *wanted* but for typing errors."""
    if "=" in wanted:
        return None
    known = connection.execute(select(words.c.word).where(words.c.kind == "name").distinct()).scalars().all()
    found = []
    for word in folded(wanted).split():
        fit = fitting(word, known)
        if len(fit) > MOST_WORDS:
            continue
        query = select(words.c.study_id).where(words.c.kind == "name", words.c.word.in_(fit))
        found.append(studies.c.id.in_(query))
    return Narrowing(None, (), lambda _: and_(*found)) if found else None
