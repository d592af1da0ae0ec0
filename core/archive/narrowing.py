"""Conditions of the catalog that every match of a key fulfils: ranges instead of LIKE, never too narrow."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import Column, ColumnElement, Connection, Select, and_, bindparam, func, or_, select

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


def narrowed(connection: Connection, key: Key, column: Column[Any]) -> ColumnElement[bool] | None:
    """The condition for *key*, or None where no index helps."""
    if key.empty:
        return None
    if key.vr == "UI":
        return column.in_([each for each in key.wanted if each])
    if column is studies.c.study_date:
        first, last = day_range(key)
        return and_(column >= first, column <= last if last else column >= first)
    if column in NUMBERS:
        return column.in_([int(float(each)) for each in key.wanted if abs(float(each)) < 1 << 31])
    if column is studies.c.patient_name:
        return _any([_name(connection, each, key.fuzzy) for each in key.wanted if each])
    if column in FOLDED:
        return _any([_begins(FOLDED[column], each) for each in key.wanted if each])
    if column in AS_THEY_ARE and not any("*" in each or "?" in each for each in key.wanted):
        return column.in_(key.wanted)
    return None


def _any(conditions: list[ColumnElement[bool] | None]) -> ColumnElement[bool] | None:
    known = [condition for condition in conditions if condition is not None]
    return or_(*known) if known and len(known) == len(conditions) else None


def _begins(column: Column[str], wanted: str) -> ColumnElement[bool] | None:
    """The value without case begins as it is wanted, and has the longest piece of the rest in it."""
    start = re.split(r"[*?]", wanted, maxsplit=1)[0]
    if start == wanted:
        return column == arrival.key_of(wanted)
    found = []
    if prefix := arrival.key_of(start):
        found.append(and_(column >= prefix, column < prefix + LAST_CHARACTER))
    if longest := max(re.split(r"[*?\s]", wanted[len(start) :].casefold()), key=len):
        found.append(func.instr(column, longest) > 0)
    return and_(*found) if found else None


def _name(connection: Connection, wanted: str, fuzzy: bool) -> ColumnElement[bool] | None:
    """Studies filed under the words that every such name has."""
    if "=" in wanted:
        return None
    if fuzzy:
        return _nearly(connection, wanted)
    start = re.split(r"[*?]", wanted, maxsplit=1)[0]
    inside = folded(wanted[len(start) :].replace("*", " ").replace("?", " ")).split()
    *complete, last = folded(start).split() or [""]
    if last and start[-1:] in "^ ":  # the word ends where a component does
        complete, last = [*complete, last], ""
    ranges = [(word, word) for word in complete] + ([(last, last + LAST_CHARACTER)] if last else [])
    found = [_filed(connection, first, after) for first, after in ranges]
    if inside and not last:
        longest = func.instr(words.c.word, max(inside, key=len)) > 0
        found.append(studies.c.id.in_(select(words.c.study_id).where(longest, words.c.kind == "name")))
    return and_(*found) if found else None


def _filed(connection: Connection, first: str, last: str) -> ColumnElement[bool]:
    """Studies with a word of a name between the two."""
    word, mine = words.c.word, words.c.kind == "name"
    if not _many(_WORDS, connection, {"first": first, "last": last}):
        return studies.c.id.in_(select(words.c.study_id).where(word >= first, word <= last, mine))
    own = unindexed(word)
    return (
        select(words.c.study_id).where(words.c.study_id == studies.c.id, own >= first, own <= last, mine)
    ).exists()


def of_modality(connection: Connection, modalities: Sequence[str]) -> ColumnElement[bool]:
    """Studies with a series of one of *modalities*."""
    condition = series.c.modality.in_(modalities)
    if not _many(_SERIES, connection, {"modalities": json.dumps(list(modalities))}):
        return studies.c.id.in_(select(series.c.study_id).where(condition))
    return select(series.c.id).where(series.c.study_id == studies.c.id, condition).exists()


def _many(counted: Prepared, connection: Connection, values: Mapping[str, str]) -> bool:
    return bool(counted(connection, {**values, "many": MANY}).fetchone()[0] == MANY)


def _nearly(connection: Connection, wanted: str) -> ColumnElement[bool] | None:
    known = connection.execute(select(words.c.word).where(words.c.kind == "name").distinct()).scalars().all()
    found = []
    for word in folded(wanted).split():
        fit = fitting(word, known)
        if len(fit) > MOST_WORDS:
            continue
        query = select(words.c.study_id).where(words.c.kind == "name", words.c.word.in_(fit))
        found.append(studies.c.id.in_(query))
    return and_(*found) if found else None
