"""One stored object by its address: asked with every picture and payload, so as fast as the driver is."""

from __future__ import annotations

import sqlite3
from pathlib import Path

from sqlalchemy import Select, bindparam, select

from core.archive.blobs import Blobs
from core.archive.nouns import CURRENT, StoredImage
from core.archive.schema import instances, series, studies, unindexed
from core.archive.studies import image_row, stored_image, study_row
from core.db.database import Database
from core.db.engine import storage_fault
from core.db.prepared import Lookup, Prepared

_ONE = (
    select(
        studies.c.namespace,
        studies.c.study_uid,
        series.c.series_uid,
        instances.c.sop_uid,
        instances.c.version,
        instances.c.bytes,
        instances.c.sop_class_uid,
        instances.c.transfer_syntax_uid,
        instances.c.frames,
        instances.c.rows,
        instances.c.columns,
        series.c.modality,
        instances.c.blob,
    )
    .select_from(instances)
    .join(studies, studies.c.id == unindexed(instances.c.study_id))
    .join(series, series.c.id == instances.c.series_id)
    .where(
        instances.c.sop_uid == bindparam("sop_uid"),
        studies.c.namespace == bindparam("namespace"),
        studies.c.study_uid == bindparam("study_uid"),
        studies.c.trash_id.is_(None),
    )
)


def _first(query: Select[tuple[object, ...]]) -> Prepared:
    """The place it came to first, as `image_row` chooses."""
    return Prepared(query.order_by(instances.c.conflict != "", instances.c.id).limit(1))


_NEWEST = _first(_ONE.where(instances.c.current.is_(True)))
_EXACTLY = _first(_ONE.where(instances.c.version == bindparam("version")))


class Finder:
    """Finds objects from any thread; close it before the database."""

    def __init__(self, database: Database, blobs: Blobs) -> None:
        self._database = database
        self._lookup = Lookup(database.engine)
        self._blobs = blobs

    def image(self, namespace: str, study_uid: str, sop_uid: str, version: str) -> StoredImage:
        """The object. Raises NotFound("namespace" | "study" | "image"), StorageFault."""
        values = {"namespace": namespace, "study_uid": study_uid, "sop_uid": sop_uid, "version": version}
        try:
            row = self._lookup.first(_NEWEST if version == CURRENT else _EXACTLY, values)
        except sqlite3.Error as error:
            fault = storage_fault(error)
            if fault is None:
                raise
            raise fault from error
        if row is not None:
            *fields, blob = row
            return StoredImage(*fields, Path(self._blobs.path(blob)))  # type: ignore[call-arg]  # as _ONE selects
        with self._database.read() as connection:  # slower, and says what it is that is missing
            study = study_row(connection, namespace, study_uid)
            return stored_image(study, image_row(connection, study.id, sop_uid, version), self._blobs)

    def close(self) -> None:
        """Give the connections back."""
        self._lookup.close()
