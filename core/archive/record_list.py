"""The list of study records: filters by field and condition, orders by field, pages (V3 services)."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

from sqlalchemy import (
    ColumnElement,
    Connection,
    Subquery,
    and_,
    case,
    func,
    literal,
    or_,
    select,
    union_all,
)

from core.archive.records import KEPT_S, Record, place_of, record_at, records
from core.archive.schema import averages, studies
from core.audit.log import audit
from core.db.database import Database
from core.errors import BadInput

TEXTS = {
    "accession_number": studies.c.accession_number,
    "destination_ae_title": studies.c.destination_ae_title,
    "patient_birth_date": studies.c.patient_birth_date,
    "patient_name": studies.c.patient_name,
    "patient_sex": studies.c.patient_sex,
    "patientid": studies.c.patient_id,
    "source_ae_title": studies.c.source_ae_title,
    "study_date": studies.c.study_date,
    "study_description": studies.c.study_description,
    "study_time": studies.c.study_time,
}
COUNTS = {"attachment_count": studies.c.attachments, "image_count": studies.c.images, "size": studies.c.bytes}
TIMES = {"created": studies.c.created, "updated": studies.c.changed}
FIELDS = frozenset({*TEXTS, *COUNTS, *TIMES, "phantom", "phi_namespace", "storage_namespace", "study_uid"})
"""What can be filtered and sorted by; `uuid` can be filtered by, too."""
OR_NULL = "_or_null"
CONDITIONS = ("equals", "not_equals", "like", "gt", "ge", "lt", "le", "in")
DATE = re.compile(
    r"(\d{4})-?(\d\d)-?(\d\d)(?:[ T](\d\d):(\d\d)(?::(\d\d)(?:\.\d+)?)?)?(?:[+-]\d\d(?::?\d\d)?)?"
)
OFFSET = re.compile(r"([+-])(\d{1,2}):(\d\d)")


class Unknown(BadInput):
    """A field or condition that there is not; *which* is the expression, *kind* the API's name for it."""

    def __init__(self, kind: str, which: str) -> None:
        super().__init__(f"{which} cannot be used here.")
        self.kind = kind
        self.which = which


@dataclass(frozen=True, slots=True)
class Condition:
    """One filter: *values* is one value unless the condition is "in"; times are meant at *offset_s*."""

    field: str
    condition: str
    values: Sequence[str]
    offset_s: int = 0

    @property
    def expression(self) -> str:
        """As the request has it."""
        return f"filter.{self.field}.{self.condition}"


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which records, in which order (field, descending), and which of them. *namespaces* None means all."""

    namespaces: Sequence[str] | None
    conditions: Sequence[Condition] = ()
    order: Sequence[tuple[str, bool]] = ()
    limit: int = 100
    offset: int = 0


def listed(database: Database, wanted: Wanted) -> tuple[list[Record], bool]:
    """The records, and whether there are more. Raises Unknown, BadInput."""
    with database.read() as connection:
        every = _every(wanted.namespaces)
        query = select(every.c.storage_namespace, every.c.study_uid, every.c.phi_namespace)
        for condition in wanted.conditions:
            query = query.where(_where(connection, every, condition))
        for name, descending in wanted.order:
            if name not in FIELDS:
                raise Unknown("INVALID_SORT_FIELD", name)
            query = query.order_by(every.c[name].desc() if descending else every.c[name].asc())
        query = query.order_by(every.c.created.desc(), every.c.study_uid)
        rows = connection.execute(query.limit(wanted.limit + 1).offset(wanted.offset)).all()
        found = [record_at(connection, *row) for row in rows[: wanted.limit]]
    return [record for record in found if record is not None], len(rows) > wanted.limit


def _every(namespaces: Sequence[str] | None) -> Subquery:
    """Studies that are there, and those that are announced, with the same columns."""
    settled = select(averages.c.study_id).where(averages.c.study_id == studies.c.id).exists()
    there = select(
        studies.c.namespace.label("storage_namespace"),
        studies.c.study_uid,
        func.coalesce(
            select(records.c.phi_namespace)
            .where(records.c.namespace == studies.c.namespace, records.c.study_uid == studies.c.study_uid)
            .scalar_subquery(),
            studies.c.namespace,
        ).label("phi_namespace"),
        case((or_(studies.c.settled.is_(True), settled), 0), else_=1).label("phantom"),
        *(column.label(name) for name, column in {**TEXTS, **COUNTS, **TIMES}.items()),
    ).where(studies.c.trash_id.is_(None))
    come = select(studies.c.id).where(
        studies.c.namespace == records.c.namespace,
        studies.c.study_uid == records.c.study_uid,
        studies.c.trash_id.is_(None),
    )
    deleted = select(audit.c.id).where(
        audit.c.study_uid == records.c.study_uid,
        audit.c.namespace == records.c.namespace,
        audit.c.action == "deleted",
        audit.c.time > records.c.created,
    )
    announced = select(
        records.c.namespace.label("storage_namespace"),
        records.c.study_uid,
        records.c.phi_namespace,
        literal(1).label("phantom"),
        *(func.coalesce(func.json_extract(records.c.said, f"$.{name}"), "").label(name) for name in TEXTS),
        *(literal(0).label(name) for name in COUNTS),
        *(records.c.created.label(name) for name in TIMES),
    ).where(records.c.created > time.time() - KEPT_S, ~come.exists(), ~deleted.exists())
    if namespaces is not None:
        there = there.where(studies.c.namespace.in_(namespaces))
        announced = announced.where(records.c.namespace.in_(namespaces))
    return union_all(there, announced).subquery()


def _where(connection: Connection, every: Subquery, wanted: Condition) -> ColumnElement[bool]:
    name = wanted.condition.removesuffix(OR_NULL)
    if name not in CONDITIONS or (name != wanted.condition and name not in ("equals", "not_equals", "in")):
        raise Unknown("INVALID_CONDITION", wanted.expression)
    if wanted.field == "uuid":
        if name not in ("equals", "in"):
            raise Unknown("INVALID_CONDITION", wanted.expression)
        places = [place for place in (place_of(connection, value) for value in wanted.values) if place]
        mine = [and_(every.c.storage_namespace == space, every.c.study_uid == uid) for space, uid in places]
        return or_(literal(False), *mine)
    if wanted.field not in FIELDS:
        raise Unknown("INVALID_FIELD", wanted.expression)
    column = every.c[wanted.field]
    found = _compared(column, name, _values(wanted))
    return or_(found, column == "") if name != wanted.condition else found


def _compared(column: ColumnElement[Any], name: str, values: Sequence[Any]) -> ColumnElement[bool]:
    first = values[0]
    comparisons: Mapping[str, Callable[[], ColumnElement[bool]]] = {
        "equals": lambda: column == first,
        "not_equals": lambda: column != first,
        "like": lambda: column.ilike(first if "%" in str(first) else f"%{first}%"),
        "gt": lambda: column > first,
        "ge": lambda: column >= first,
        "lt": lambda: column < first,
        "le": lambda: column <= first,
        "in": lambda: column.in_(values),
    }
    return comparisons[name]()


def _values(wanted: Condition) -> list[Any]:
    if not wanted.values:
        raise Unknown("INVALID_CONDITION", wanted.expression)
    if wanted.field in TIMES:
        return [_moment(value, wanted) for value in wanted.values]
    if wanted.field in COUNTS or wanted.field == "phantom":
        if not all(value.isascii() and value.isdigit() and len(value) < 16 for value in wanted.values):
            raise Unknown("INVALID_CONDITION", wanted.expression)
        return [int(value) for value in wanted.values]
    if wanted.field in ("study_date", "patient_birth_date"):
        return [value.replace("-", "")[:8] if DATE.fullmatch(value) else value for value in wanted.values]
    return list(wanted.values)


def _moment(value: str, wanted: Condition) -> float:
    """Seconds since 1970 of `YYYY-MM-DD hh:mm:ss`; an offset in the value itself is not heeded."""
    match = DATE.fullmatch(value.strip())
    if match is None:
        raise Unknown("INVALID_CONDITION", wanted.expression)
    try:
        numbers = [int(part or 0) for part in match.groups()]
        zone = timezone(timedelta(seconds=wanted.offset_s)) if wanted.offset_s else UTC
        year, month, day, hour, minute, second = numbers
        return datetime(year, month, day, hour, minute, second, tzinfo=zone).timestamp()
    except ValueError as error:
        raise Unknown("INVALID_CONDITION", wanted.expression) from error


def offset_of(text: str) -> int:
    """Seconds of `+hh:mm`. Raises Unknown."""
    match = OFFSET.fullmatch(text.strip())
    if match is None or int(match[2]) > 23 or int(match[3]) > 59:
        raise Unknown("INVALID_CONDITION", "filter.tz")
    seconds = int(match[2]) * 3600 + int(match[3]) * 60
    return -seconds if match[1] == "-" else seconds
