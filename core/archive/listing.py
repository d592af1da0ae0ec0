"""The objects of a study or of one of its series in order: a few statements, however many there are."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

from sqlalchemy import bindparam, select

from core.archive.blobs import Blobs
from core.archive.nouns import StoredImage
from core.archive.schema import instances, series
from core.archive.studies import in_order, study_row
from core.db.database import Database
from core.db.prepared import Prepared
from core.errors import NotFound


class _Row(NamedTuple):
    """What is needed of one object: a tuple, as studies have thousands."""

    id: int
    series_id: int
    sop_uid: str
    version: str
    conflict: str
    bytes: int
    sop_class_uid: str
    transfer_syntax_uid: str
    frames: int
    rows: int
    columns: int
    instance_number: int | None
    normal: str
    position: float | None
    blob: str


_COLUMNS = [instances.c[name] for name in _Row._fields]
_OF_STUDY = Prepared(
    select(*_COLUMNS).where(instances.c.study_id == bindparam("study_id"), instances.c.current.is_(True))
)
_SOME = select(*_COLUMNS).where(
    instances.c.series_id == bindparam("series_id"), instances.c.current.is_(True)
)
_OF_SERIES = Prepared(_SOME)
_ONE = Prepared(_SOME.where(instances.c.sop_uid == bindparam("sop_uid")))
_SERIES = Prepared(
    select(series.c.id, series.c.series_uid, series.c.modality)
    .where(series.c.study_id == bindparam("study_id"))
    .order_by(series.c.ordinal)
)


class Listed(NamedTuple):
    """An object of a list, made ready to be read only when it is."""

    place: tuple[str, str, str]
    """Namespace, study and series."""
    modality: str
    row: _Row
    blobs: Blobs

    @property
    def series_id(self) -> int:
        """The catalog's number of its series."""
        return self.row.series_id

    @property
    def sop_uid(self) -> str:
        """SOP Instance UID."""
        return self.row.sop_uid

    @property
    def version(self) -> str:
        """Its digest, as the archive writes it."""
        return self.row.version

    @property
    def image(self) -> StoredImage:
        """The object."""
        row = self.row
        return StoredImage(
            *self.place,
            row.sop_uid,
            row.version,
            row.bytes,
            row.sop_class_uid,
            row.transfer_syntax_uid,
            row.frames,
            row.rows,
            row.columns,
            self.modality,
            self.blobs.path(row.blob),
        )


def listed(
    database: Database, blobs: Blobs, study: tuple[str, str], series_uid: str = "", sop_uid: str = ""
) -> list[Listed]:
    """The current objects of *study* (namespace, UID), each where it came to first; or one of a series.

    Raises NotFound("namespace" | "study" | "series").
    """
    with database.read() as connection:
        found = study_row(connection, *study)
        every = [each for each in _SERIES(connection, {"study_id": found.id}) if series_uid in ("", each[1])]
        if series_uid and not every:
            raise NotFound("series", "Series not found by following ids.")
        key = {"study_id": found.id, "series_id": every[0][0] if every else 0, "sop_uid": sop_uid}
        rows: Iterable[_Row]
        if sop_uid:
            rows = map(_Row._make, _ONE(connection, key))
        elif series_uid and not found.conflicts:  # nothing in it is in another series, too
            rows = map(_Row._make, _OF_SERIES(connection, key))
        else:
            rows = _first_places(map(_Row._make, _OF_STUDY(connection, key)))
        by_series: dict[int, list[_Row]] = {}
        for row in rows:
            by_series.setdefault(row.series_id, []).append(row)
    return [
        Listed((*study, uid), modality, row, blobs)
        for series_id, uid, modality in every
        for row in in_order(by_series.get(series_id, ()))
    ]


def _first_places(rows: Iterable[_Row]) -> Iterable[_Row]:
    """Each object where it came to first."""
    first: dict[str, _Row] = {}
    for row in sorted(rows, key=lambda row: (row.conflict != "", row.id)):
        first.setdefault(row.sop_uid, row)
    return first.values()
