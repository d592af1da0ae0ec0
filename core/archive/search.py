"""The study list: every filter becomes a range of an index, so that a page costs the same at any size."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import fields
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import ColumnElement, Connection, Row, Select, and_, func, select

from core.archive.arrival import key_of
from core.archive.nouns import Page, State, StoredPatient, StudyFilter, StudyRow
from core.archive.schema import overlays, series, studies, words
from core.dicom.tree import folded
from core.errors import BadInput

ORDERS = {
    "received": (studies.c.created, studies.c.id),
    "study_date": (studies.c.study_date, studies.c.study_time, studies.c.id),
    "patient_name": (studies.c.name_key, studies.c.id),
}
MOST = 1000
"""The longest page."""

COLUMNS = {
    "(0008,0020)": "study_date",
    "(0008,0050)": "accession_number",
    "(0008,1030)": "study_description",
    "(0010,0010)": "patient_name",
    "(0010,0020)": "patient_id",
    "(0010,0030)": "patient_birth_date",
    "(0010,0040)": "patient_sex",
}
"""What a list shows of a study that an overlay may say otherwise."""

LAST_CHARACTER = "\U0010ffff"


def find(connection: Connection, where: StudyFilter, limit: int, offset: int, order: str) -> Page[StudyRow]:
    """One page of the studies that match. Raises BadInput for an unknown order."""
    conditions = _conditions(where)
    keys = ORDERS.get(order.removeprefix("-"))
    if keys is None:
        raise BadInput("The list cannot be sorted by that.", f"Sort by one of {', '.join(ORDERS)}.")
    query = select(studies).where(*conditions)
    query = query.order_by(*(key.desc() if order.startswith("-") else key.asc() for key in keys))
    page = query.limit(max(0, min(limit, MOST))).offset(max(0, offset))
    total = connection.execute(select(func.count()).select_from(studies).where(*conditions)).scalar_one()
    return Page(study_rows(connection, connection.execute(page).all()), total)


def sums(connection: Connection) -> tuple[int, int, int]:
    """Studies, images and bytes of all that is not in the trash."""
    columns = (func.coalesce(func.sum(studies.c.images), 0), func.coalesce(func.sum(studies.c.bytes), 0))
    query = select(func.count(), *columns).where(studies.c.trash_id.is_(None))
    count, images, size = connection.execute(query).one()
    return count, images, size


def study_rows(connection: Connection, found: Sequence[Row[Any]]) -> tuple[StudyRow, ...]:
    """Rows of `studies` as the outside sees them."""
    modalities: dict[int, set[str]] = {}
    query = select(series.c.study_id, series.c.modality).where(series.c.study_id.in_([r.id for r in found]))
    for study_id, modality in connection.execute(query.distinct()):
        if modality:
            modalities.setdefault(study_id, set()).add(modality)
    laid = own_overlays(connection, [row.id for row in found])
    return tuple(_study_row(row, modalities.get(row.id, set()), laid.get(row.id, {})) for row in found)


def rows_of(connection: Connection, namespace: str, study_uids: Sequence[str]) -> tuple[StudyRow, ...]:
    """Those of *study_uids* that are there, in no order."""
    query = select(studies).where(
        studies.c.namespace == namespace, studies.c.study_uid.in_(study_uids), studies.c.trash_id.is_(None)
    )
    return study_rows(connection, connection.execute(query).all())


def own_overlays(connection: Connection, study_ids: Sequence[int]) -> Mapping[int, Mapping[str, str]]:
    """What lies over studies for those who ask for no other PHI namespace, by column."""
    query = (
        select(overlays.c.study_id, overlays.c.tags)
        .join(studies, studies.c.id == overlays.c.study_id)
        .where(overlays.c.study_id.in_(study_ids), overlays.c.phi_namespace == studies.c.namespace)
    )
    found: dict[int, Mapping[str, str]] = {}
    for study_id, tags in connection.execute(query):
        said = json.loads(tags)
        found[study_id] = {column: said[tag] for tag, column in COLUMNS.items() if tag in said}
    return found


def utc(seconds: float) -> datetime:
    """A time of the tables as a time of day."""
    return datetime.fromtimestamp(seconds, UTC)


def _study_row(row: Row[Any], modalities: set[str], laid: Mapping[str, str]) -> StudyRow:
    settled = State.SETTLED if row.settled else State.RECEIVING
    shown = {column: laid.get(column, getattr(row, column)) for column in COLUMNS.values()}
    return StudyRow(
        namespace=row.namespace,
        study_uid=row.study_uid,
        patient_name=shown["patient_name"],
        patient_id=shown["patient_id"],
        patient_birth_date=shown["patient_birth_date"],
        patient_sex=shown["patient_sex"],
        study_date=shown["study_date"],
        study_time=row.study_time,
        study_description=shown["study_description"],
        accession_number=shown["accession_number"],
        modalities=tuple(sorted(modalities)),
        series=row.series,
        images=row.images,
        bytes=row.bytes,
        attachments=row.attachments,
        received=utc(row.created),
        state=State.CONFLICT if row.conflicts else settled,
        stored_patient=_stored_patient(row, shown),
    )


def _stored_patient(row: Row[Any], shown: Mapping[str, str]) -> StoredPatient | None:
    stored = StoredPatient(row.patient_name, row.patient_id, row.patient_birth_date, row.patient_sex)
    same = all(shown[field.name] == getattr(stored, field.name) for field in fields(stored))
    return None if same else stored


def _conditions(where: StudyFilter) -> list[ColumnElement[bool]]:
    found: list[ColumnElement[bool]] = [studies.c.trash_id.is_(None)]
    if where.namespaces is not None:
        found.append(studies.c.namespace.in_(where.namespaces))
    if where.date_from:
        found.append(studies.c.study_date >= where.date_from)
    if where.date_to:
        found += [studies.c.study_date <= where.date_to, studies.c.study_date != ""]
    if key := key_of(where.patient_id):
        found.append(_begins(studies.c.patient_id_key, key))
    if key := key_of(where.accession_number):
        found.append(_begins(studies.c.accession_key, key))
    found += [_has_word(word, "name") for word in folded(where.patient_name).split()]
    found += [_has_word(word) for word in _words_of(where.text)]
    if where.modalities:
        query = select(series.c.study_id).where(series.c.modality.in_(where.modalities))
        found.append(studies.c.id.in_(query))
    return found


def _words_of(text: str) -> list[str]:
    """What was typed, cut at spaces; a word with punctuation ("A-100") is also what an ID is filed under."""
    return text.casefold().split()


def _has_word(word: str, kind: str | None = None) -> ColumnElement[bool]:
    """Some word of the study begins with *word*, or with each part of it where punctuation divides it."""
    parts = folded(word).split()
    whole = studies.c.id.in_(_filed(word, kind))
    if parts == [word] or not parts:
        return whole
    return whole | and_(*(studies.c.id.in_(_filed(part, kind)) for part in parts))


def _filed(word: str, kind: str | None) -> Select[int]:
    query = select(words.c.study_id).where(_begins(words.c.word, word))
    return query if kind is None else query.where(words.c.kind == kind)


def _begins(column: ColumnElement[str], prefix: str) -> ColumnElement[bool]:
    """A range instead of LIKE: it is always served by the index."""
    return and_(column >= prefix, column < prefix + LAST_CHARACTER)
