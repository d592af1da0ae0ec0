"""One stored object by its address, and how a study stands: one statement each, with nearly every call."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Mapping
from typing import Any, NamedTuple

from sqlalchemy import Select, and_, bindparam, func, select

from core.archive.blobs import Blobs
from core.archive.nouns import CURRENT, StoredImage
from core.archive.schema import averages, instances, overlays, series, studies, unindexed
from core.archive.studies import counted_average, image_row, stored_image, study_row
from core.db.database import Database
from core.db.engine import storage_fault
from core.db.prepared import Lookup, Prepared
from core.errors import NotFound
from core.memory import Recent

MOST_KNOWN = 10_000
"""Objects that are found without asking the catalog."""
COUNTED_BYTES = 1 << 20
"""Of averages of studies that have not settled."""

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


_own, _asked = overlays.alias("own"), overlays.alias("asked")
_STATE = Prepared(
    select(
        studies.c.id,
        studies.c.created,
        studies.c.revision,
        studies.c.bytes,
        studies.c.images,
        studies.c.attachments,
        averages.c.tags.label("average"),
        func.coalesce(_asked.c.tags, _own.c.tags).label("overlay"),
    )
    .outerjoin(averages, and_(averages.c.study_id == studies.c.id, averages.c.revision == studies.c.revision))
    .outerjoin(
        _asked, and_(_asked.c.study_id == studies.c.id, _asked.c.phi_namespace == bindparam("phi_namespace"))
    )
    .outerjoin(_own, and_(_own.c.study_id == studies.c.id, _own.c.phi_namespace == studies.c.namespace))
    .where(
        studies.c.namespace == bindparam("namespace"),
        studies.c.study_uid == bindparam("study_uid"),
        studies.c.trash_id.is_(None),
    )
)


class StudyState(NamedTuple):
    """How a study stands; *average* and *overlay* are JSON, None if not counted yet and if there is none."""

    id: int
    created: float
    revision: int
    bytes: int
    images: int
    attachments: int
    average: str | None
    overlay: str | None

    @property
    def name(self) -> str:
        """What no other study and no earlier or later content of this one is called."""
        return f"{self.id}/{self.created!r}/{self.revision}"


class Finder:
    """Finds objects from any thread; close it before the database."""

    def __init__(self, database: Database, blobs: Blobs) -> None:
        self._database = database
        self._lookup = Lookup(database.engine)
        self._blobs = blobs
        self._counted = Recent(COUNTED_BYTES)
        self._known: dict[tuple[str, str, str], tuple[int, StoredImage]] = {}
        """By address, with the version of the catalog in which it was found."""

    def image(self, namespace: str, study_uid: str, sop_uid: str, version: str) -> StoredImage:
        """The object. Raises NotFound("namespace" | "study" | "image"), StorageFault."""
        values = {"namespace": namespace, "study_uid": study_uid, "sop_uid": sop_uid, "version": version}
        catalog = self._database.version() if version == CURRENT else 0
        row = self._first(_NEWEST if version == CURRENT else _EXACTLY, values)
        if row is not None:
            *fields, blob = row
            found = StoredImage(*fields, self._blobs.path(blob))  # type: ignore[call-arg]  # as _ONE selects
            if version == CURRENT:
                self._remember(catalog, found)
            return found
        with self._database.read() as connection:  # slower, and says what it is that is missing
            study = study_row(connection, namespace, study_uid)
            return stored_image(study, image_row(connection, study.id, sop_uid, version), self._blobs)

    def known(self, namespace: str, study_uid: str, sop_uid: str) -> StoredImage | None:
        """The object if it was found lately and nothing was committed since; an event loop may ask.

        Raises StorageFault.
        """
        catalog, found = self._known.get((namespace, study_uid, sop_uid), (0, None))
        return found if found is not None and catalog == self._database.version() else None

    def _remember(self, catalog: int, found: StoredImage) -> None:
        if len(self._known) >= MOST_KNOWN:
            self._known.clear()
        self._known[found.namespace, found.study_uid, found.sop_instance_uid] = catalog, found

    def study(self, namespace: str, study_uid: str, phi_namespace: str | None = None) -> StudyState:
        """How a study stands, its overlay as `overlay_of` chooses. Raises NotFound, StorageFault."""
        values = {"namespace": namespace, "study_uid": study_uid, "phi_namespace": phi_namespace}
        row = self._first(_STATE, values)
        if row is not None:
            return StudyState(*row)
        with self._database.read() as connection:
            study_row(connection, namespace, study_uid)
        raise NotFound("study", "The study is being changed.", "Try again.")

    def values(self, found: StudyState) -> tuple[Mapping[str, str], Mapping[str, str]]:
        """What the images of a study say on average, and its overlay."""
        overlay: Mapping[str, str] = json.loads(found.overlay) if found.overlay is not None else {}
        average = found.average or self._counted.get(found.name)
        if average:
            return json.loads(average), overlay
        with self._database.read() as connection:  # not settled yet
            counted = counted_average(connection, found.id)
        self._counted.put(found.name, json.dumps(counted).encode())
        return counted, overlay

    def _first(self, statement: Prepared, values: Mapping[str, Any]) -> tuple[Any, ...] | None:
        try:
            return self._lookup.first(statement, values)
        except sqlite3.Error as error:
            fault = storage_fault(error)
            if fault is None:
                raise
            raise fault from error

    def close(self) -> None:
        """Give the connections back."""
        self._lookup.close()
