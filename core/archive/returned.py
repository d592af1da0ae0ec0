"""Answers of a query in the DICOM JSON model: what PS3.18 10.6.3.3 requires, and what is asked for."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, Row, bindparam, func, select

from core.archive.blobs import Blobs
from core.archive.headers import plain
from core.archive.nouns import StoredImage
from core.archive.query import AVAILABILITY, COLUMNS, OF_ALL_IMAGES, TABLES, Level, Query, Search
from core.archive.schema import instances, phi_sets
from core.db.database import Database
from core.db.prepared import Prepared
from core.dicom.elements import tag_text
from core.dicom.json_model import CHARSET, UTF_8, Model, element_of
from core.dicom.recoding import dictionary_vr

COMMON_OF_STUDY = (0x00080090, 0x00200010)
"""Referring physician and Study ID, which the catalog keeps for each image."""
COMMON_OF_SERIES = (0x00080201, 0x00400244, 0x00400245)
COMMON_OF_IMAGE = (0x00080201, 0x00280008, 0x00280010, 0x00280011, 0x00280100)
SERIES_IMAGES = 0x00201209
STUDY_TAGS = (
    *(0x00080020, 0x00080030, 0x00080050, 0x00080051, 0x00080090, 0x00080096, 0x00080201, 0x00081030),
    *(0x00081032, 0x00081048, 0x00081049, 0x00081060, 0x00081080, 0x00081110, 0x0020000D, 0x00200010),
)
"""Study elements (PS3.3 C.7.2) beside those of group 0010: what `all` is of a study."""
SERIES_TAGS = (
    *(0x00080021, 0x00080031, 0x00080060, 0x00080070, 0x00080080, 0x00080081, 0x0008103E, 0x0008103F),
    *(0x00081010, 0x00081040, 0x00081050, 0x00081070, 0x00081090, 0x00081111, 0x00180015, 0x00181000),
    *(0x00181020, 0x00181030, 0x00185100, 0x0020000E, 0x00200011, 0x00200052, 0x00200060, 0x00201040),
    *(0x00400244, 0x00400245, 0x00400250, 0x00400251, 0x00400253, 0x00400254, 0x00400275),
)
"""Series, equipment and frame of reference elements (PS3.3 C.7.3 to C.7.5): what `all` is of a series."""


_COMMON = Prepared(
    select(phi_sets.c.tags)
    .join(instances, instances.c.phi_set_id == phi_sets.c.id)
    .where(instances.c.study_id == bindparam("study_id"), instances.c.current.is_(True))
    .limit(1)
)
_IMAGES = Prepared(
    select(func.count()).where(instances.c.series_id == bindparam("series_id"), instances.c.current.is_(True))
)


@dataclass(frozen=True, slots=True)
class Fields:
    """What is wanted beside the required: top-level *tags*, or *everything* of the level."""

    tags: frozenset[int] = frozenset()
    everything: bool = False


@dataclass(frozen=True, slots=True)
class Answers:
    """A page of answers, each with the UIDs of its study, series and image as far as it has them."""

    models: Sequence[tuple[tuple[str, ...], Model]] = field(default_factory=tuple)
    more: bool = False


class Searcher:
    """Answers queries of one archive; safe from any thread."""

    def __init__(self, database: Database, blobs: Blobs) -> None:
        self._database = database
        self._blobs = blobs

    def answers(self, query: Query, fields: Fields) -> Answers:
        """One page. Raises BadInput for an order that cannot be had, StorageFault."""
        with self._database.read() as connection:
            search = Search(connection, self._blobs, query)
            rows, more = search.page()
            writer = _Writer(connection, search, query, fields)
            return Answers([(_uids(row, query.level), writer.model(row)) for row in rows], more)

    def each(self, query: Query, fields: Fields) -> Iterator[tuple[tuple[str, ...], Model]]:
        """The same, one by one, of a snapshot that is held until the last. Raises as `answers`."""
        with self._database.read() as connection:
            search = Search(connection, self._blobs, query)
            writer = _Writer(connection, search, query, fields)
            for row in search.page()[0]:
                yield _uids(row, query.level), writer.model(row)

    def images(self, query: Query) -> list[StoredImage]:
        """The images that match, a query of images, as they can be read. Raises as `answers`."""
        with self._database.read() as connection:
            return [self._image(row) for row in Search(connection, self._blobs, query).page()[0]]

    def _image(self, row: Row[Any]) -> StoredImage:
        return StoredImage(
            row.s_namespace,
            row.s_study_uid,
            row.e_series_uid,
            row.i_sop_uid,
            row.i_version,
            row.i_bytes,
            row.i_sop_class_uid,
            row.i_transfer_syntax_uid,
            row.i_frames,
            row.i_rows,
            row.i_columns,
            row.e_modality,
            Path(self._blobs.path(row.i_blob)),
        )

    def count(self, query: Query) -> int:
        """How many there are. Raises BadInput, StorageFault."""
        with self._database.read() as connection:
            return Search(connection, self._blobs, query).count()


class _Writer:
    """Makes models of rows."""

    def __init__(self, connection: Connection, search: Search, query: Query, fields: Fields) -> None:
        self._connection = connection
        self._search = search
        self._query = query
        self._fields = fields
        self._levels = [level for level in Level if level is query.level or self._shows(level)]

    def _shows(self, level: Level) -> bool:
        """Whether the level above is repeated: where the address does not name it (PS3.18 10.6.3.3)."""
        query = self._query
        if level > query.level:
            return False
        return not (query.study_uid if level is Level.STUDY else query.series_uid)

    def model(self, row: Row[Any]) -> Model:
        """The answer for one row, in tag order."""
        found: Model = {f"{CHARSET:08X}": element_of("CS", [UTF_8])}
        for tag, (level, column) in COLUMNS.items():
            uid = column.name in {"study_uid", "series_uid"} and level <= self._query.level
            if level in self._levels or uid or (tag in self._fields.tags and level <= self._query.level):
                self._put(found, tag, [getattr(row, TABLES[level][1] + column.name)])
        self._put(found, AVAILABILITY, ["ONLINE"])
        if Level.STUDY in self._levels:
            self._study(row, found)
        if Level.SERIES in self._levels:
            self._put(found, SERIES_IMAGES, [self._images(row)])
        self._of_image(row, found)
        return dict(sorted(found.items()))

    def _study(self, row: Row[Any], found: Model) -> None:
        modalities = list(self._search.of_all_images(row.s_id, 0x00080061))
        if modalities:  # an empty one makes viewers list nothing
            self._put(found, 0x00080061, modalities)
        if 0x00080062 in self._fields.tags:
            self._put(found, 0x00080062, list(self._search.of_all_images(row.s_id, 0x00080062)))
        kept = _COMMON(self._connection, {"study_id": row.s_id}).fetchone()
        texts: Mapping[str, str] = json.loads(kept[0]) if kept else {}
        for tag in COMMON_OF_STUDY:
            self._put(found, tag, [texts.get(tag_text(tag), "")])

    def _images(self, row: Row[Any]) -> int:
        return int(_IMAGES(self._connection, {"series_id": row.e_id}).fetchone()[0])

    def _of_image(self, row: Row[Any], found: Model) -> None:
        """What the catalog does not know, from the image itself or the first one of the study or series."""
        wanted = set(self._fields.tags)
        known = set(COMMON_OF_SERIES if Level.SERIES in self._levels else ())
        if self._query.level is Level.IMAGE:
            known.update(COMMON_OF_IMAGE)
        if not wanted and not known and not self._fields.everything:
            return
        wanted = {tag for tag in wanted if f"{tag:08X}" not in found and tag not in OF_ALL_IMAGES}
        image = self._search.first_image(row) if wanted or known or self._fields.everything else None
        if image is None:
            return
        whole = self._fields.everything or not all(map(plain, wanted))
        if whole:
            self._merge(found, self._search.headers.model(image), wanted | known)
            return
        settled = self._query.level is Level.IMAGE
        texts = self._search.headers.texts(image, settled=settled)
        for tag in wanted | known:
            if text := texts.get(tag_text(tag), ""):
                self._put(found, tag, [text])
            elif tag in wanted and tag_text(tag) in texts:
                self._put(found, tag, [])

    def _merge(self, found: Model, model: Model, wanted: set[int]) -> None:
        for name, value in model.items():
            tag = int(name, 16)
            if name not in found and (tag in wanted or (self._fields.everything and self._of_level(tag))):
                found[name] = value

    def _of_level(self, tag: int) -> bool:
        if self._query.level is Level.IMAGE:
            return True
        if self._query.level is Level.SERIES and tag in SERIES_TAGS:
            return True
        return Level.STUDY in self._levels and (tag >> 16 == 0x0010 or tag in STUDY_TAGS)

    @staticmethod
    def _put(found: Model, tag: int, values: list[Any]) -> None:
        vr = _vr(tag)
        present = [value for value in values if value is not None and value != ""]
        found[f"{tag:08X}"] = element_of(vr, present)


@lru_cache(maxsize=512)
def _vr(tag: int) -> str:
    return dictionary_vr(tag).decode("ascii")


def _uids(row: Row[Any], level: Level) -> tuple[str, ...]:
    every = ((Level.STUDY, "s_study_uid"), (Level.SERIES, "e_series_uid"), (Level.IMAGE, "i_sop_uid"))
    return tuple(getattr(row, name) for each, name in every if each <= level)
