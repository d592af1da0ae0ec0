"""Answers of a query in the DICOM JSON model: what PS3.18 10.6.3.3 requires, and what is asked for."""

from __future__ import annotations

import json
from collections.abc import Callable, Collection, Hashable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

import msgspec
from sqlalchemy import bindparam, func, select

from core.archive.blobs import Blobs
from core.archive.headers import plain
from core.archive.level_rows import COLUMNS, TABLES, Level, Row
from core.archive.listed import SERIES_IMAGES, Listed, listed
from core.archive.nouns import StoredImage
from core.archive.query import AVAILABILITY, MODALITY, OF_ALL_IMAGES, Query, Search, Statements
from core.archive.schema import instances, phi_sets, series
from core.archive.views import laid
from core.db.database import Database
from core.db.prepared import Prepared
from core.dicom.elements import tag_text
from core.dicom.json_model import CHARSET, UTF_8, WHOLE_VRS, Model, element_of
from core.dicom.recoding import dictionary_vr

COMMON_OF_STUDY = (0x00080090, 0x00080201, 0x00200010)
"""Referring physician, time zone and Study ID, which the catalog keeps for each image."""
RETRIEVE_URL = 0x00081190
"""Its value is the callers' to give, who know where they are; its place is among the rest (PS3.18 F.2.2)."""
IF_KNOWN = frozenset({0x00080201})
"""Left out where it has no value."""
REQUESTS = 0x00400275
"""Request Attributes Sequence: of a series that is asked for; a sequence costs more than a row."""
COMMON_OF_SERIES = (0x00080201, 0x00400244, 0x00400245)
COMMON_OF_IMAGE = (0x00080201, 0x00280008, 0x00280010, 0x00280011, 0x00280100)
TEXT_VRS = frozenset({"AE", "AS", "CS", "DA", "DT", "LO", "LT", "SH", "ST", "TM", "UC", "UI", "UR", "UT"})
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


_ids = func.json_each(bindparam("ids")).table_valued("value", name="ids")
_OF_STUDIES = Prepared(
    select(
        _ids.c.value,
        select(func.json_group_array(series.c.modality))
        .where(series.c.study_id == _ids.c.value)
        .scalar_subquery(),
        select(phi_sets.c.tags)
        .join(instances, instances.c.phi_set_id == phi_sets.c.id)
        .where(instances.c.study_id == _ids.c.value, instances.c.current.is_(True))
        .limit(1)
        .scalar_subquery(),
    )
)
"""Modalities of the series, and what the first images at hand have in common with others."""
_IMAGES = Prepared(
    select(func.count()).where(instances.c.series_id == bindparam("series_id"), instances.c.current.is_(True))
)


@dataclass(frozen=True, slots=True)
class Fields:
    """What is wanted beside the required: top-level *tags*, or *everything* of the level; or *only* tags."""

    tags: frozenset[int] = frozenset()
    everything: bool = False
    only: bool = False

    def wants(self, *tags: int) -> bool:
        """Whether one of *tags*, which are required, is to be there."""
        return not self.only or not self.tags.isdisjoint(tags)


class Kept:
    """Answers of studies as they were made before; another content of a study has another key."""

    def __init__(self) -> None:
        self.of_study: dict[StudyName, Said] = {}
        self._models: dict[Hashable, dict[tuple[Row, Said | None], Model]] = {}

    def of(self, fields: Fields, levels: Sequence[Level]) -> dict[tuple[Row, Said | None], Model]:
        """Those with the same elements; all are forgotten when there are too many."""
        models = [*self._models.values()]
        if len(self.of_study) + len(models) + sum(map(len, models)) > MOST_KEPT:
            self.of_study.clear()
            self._models.clear()
        return self._models.setdefault((fields, *levels), {})


@dataclass(frozen=True, slots=True)
class Answers:
    """A page of answers, each with the UIDs of its study, series and image as far as it has them."""

    models: Sequence[tuple[tuple[str, ...], Model]] = field(default_factory=tuple)
    more: bool = False


Make = Callable[[Row], Model | None]
"""Makes an element of a row, None for none."""
StudyName = tuple[int, float, int]
"""Row, creation and revision: no other study, and no other content of it, has the same."""
Said = tuple[str, str]
"""JSON: the modalities of a study's series, and what its first images have in common, "" if nothing."""
MOST_KEPT = 4000
"""Answers: some megabytes."""


class Searcher:
    """Answers queries of one archive; safe from any thread. Nobody changes a model that was answered with."""

    def __init__(self, database: Database, blobs: Blobs) -> None:
        self._database = database
        self._blobs = blobs
        self._statements = Statements()
        self._kept = Kept()

    def answers(self, query: Query, fields: Fields) -> Answers:
        """One page. Raises BadInput for an order that cannot be had, StorageFault."""
        with self._database.read() as connection:
            search = Search(connection, self._blobs, query, self._statements)
            rows, more = search.page()
            models = _Writer(search, query, fields, self._kept).models(rows)
            uids = _uids(rows, query.level)
            return Answers(list(zip(uids, models, strict=True)), more)

    def each(self, query: Query, fields: Fields) -> Iterator[tuple[tuple[str, ...], Model]]:
        """The same, one by one, of a snapshot that is held until the last. Raises as `answers`."""
        with self._database.read() as connection:
            search = Search(connection, self._blobs, query, self._statements)
            rows = search.page()[0]
            models = _Writer(search, query, fields, self._kept).models(rows)
            yield from zip(_uids(rows, query.level), models, strict=True)

    @contextmanager
    def listed(self, query: Query, tags: Collection[int]) -> Iterator[Listed | None]:
        """All answers as rows of the catalog, of a snapshot held meanwhile; None where *tags*, or keys, want
        more than the catalog knows. Raises as `answers`."""
        with self._database.read() as connection:
            found = listed(connection, Search(connection, self._blobs, query, self._statements), query, tags)
            try:
                yield found
            finally:
                if found is not None:
                    found.close()

    def images(self, query: Query) -> list[StoredImage]:
        """The images that match, a query of images, as they can be read. Raises as `answers`."""
        with self._database.read() as connection:
            return [
                self._image(row) for row in Search(connection, self._blobs, query, self._statements).page()[0]
            ]

    def _image(self, row: Row) -> StoredImage:
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
            self._blobs.path(row.i_blob),
        )

    def count(self, query: Query) -> int:
        """How many there are. Raises BadInput, StorageFault."""
        with self._database.read() as connection:
            return Search(connection, self._blobs, query, self._statements).count()


class _Writer:
    """Makes models of the rows of one page; what it needs beside them is asked for once for all."""

    def __init__(self, search: Search, query: Query, fields: Fields, kept: Kept) -> None:
        self._connection = search.connection
        self._kept = kept
        self._search = search
        self._query = query
        self._fields = fields
        self._levels = [level for level in Level if level is query.level or self._shows(level)]
        self._studies: dict[int, Said] = {}
        self._images: dict[int, int] = {}
        self._plan: list[tuple[str, Make]] = []
        self._known = set(COMMON_OF_SERIES if Level.SERIES in self._levels else ())
        if query.level is Level.SERIES:
            self._known.add(REQUESTS)
        if query.level is Level.IMAGE:
            self._known.update(COMMON_OF_IMAGE)
        if fields.only:
            self._known.clear()
        self._wanted: set[int] = set()
        self._texts: list[tuple[int, str, str]] = []

    def _shows(self, level: Level) -> bool:
        """Whether the level above is repeated: where the address does not name it (PS3.18 10.6.3.3)."""
        query = self._query
        if level > query.level:
            return False
        return not (query.study_uid if level is Level.STUDY else query.series_uid)

    def models(self, rows: Sequence[Row]) -> Iterator[Model]:
        """The answer for each row, in tag order."""
        if not rows:
            return
        if Level.STUDY in self._levels and self._fields.wants(0x00080061, *COMMON_OF_STUDY):
            self._load_studies(rows)
        said = [(row, self._studies.get(row.s_id)) for row in rows]
        kept = self._kept.of(self._fields, self._levels)
        if not self._search.laid.any and all(known := [kept.get(each) for each in said]):
            yield from filter(None, known)
            return
        elements = sorted(self._elements(list(rows[0]._fields)), key=lambda each: each[0])
        self._plan = [(f"{tag:08X}", make) for tag, make in elements if self._fields.wants(tag)]
        planned = {name for name, _ in self._plan}
        said_already = {tag for tag in self._fields.tags if f"{tag:08X}" in planned} - IF_KNOWN
        self._wanted = set(self._fields.tags - said_already - OF_ALL_IMAGES.keys())
        self._texts = [(tag, tag_text(tag), f"{tag:08X}") for tag in self._wanted | self._known]
        if len(rows) > MOST_KEPT or not self._says_all():
            yield from map(self._model, rows)
            return
        for each in said:
            if (model := kept.get(each)) is None:
                model = kept[each] = self._model(each[0])
            yield model

    def _says_all(self) -> bool:
        """Whether row, modalities and what images have in common are all that an answer is made of."""
        if self._wanted or self._known or self._fields.everything or 0x00080062 in self._fields.tags:
            return False
        return self._query.level is Level.STUDY and not self._search.laid.any

    def _model(self, row: Row) -> Model:
        found = {name: element for name, make in self._plan if (element := make(row)) is not None}
        planned = len(found)
        self._of_image(row, found)
        if self._search.laid.any:
            self._lay(row, found)
        return found if len(found) == planned else dict(sorted(found.items()))

    def _lay(self, row: Row, found: Model) -> None:
        """What the view says of what is answered with."""
        for tag, text in self._search.laid.of(row.s_id).items():
            wanted = tag in self._fields.tags or (self._fields.everything and self._of_level(tag))
            if f"{tag:08X}" in found or wanted:
                found[f"{tag:08X}"] = laid(tag, text)
            if tag == MODALITY and "00080061" in found:
                found["00080061"] = laid(tag, text)

    def _elements(self, columns: list[str]) -> Iterator[tuple[int, Make]]:
        """What every answer has, and how it is made of a row."""
        charset, online = element_of("CS", [UTF_8]), element_of("CS", ["ONLINE"])
        nowhere = element_of("UR", [])
        yield CHARSET, lambda _: charset
        yield RETRIEVE_URL, lambda _: nowhere
        yield AVAILABILITY, lambda _: online
        for tag, (level, column) in COLUMNS.items():
            uid = column.name in {"study_uid", "series_uid"} and level <= self._query.level
            if level in self._levels or uid or (tag in self._fields.tags and level <= self._query.level):
                at, make = columns.index(TABLES[level][1] + column.name), _maker(_vr(tag))
                yield tag, _of_column(at, make)
        if Level.STUDY in self._levels:
            yield from self._of_study()
        if Level.SERIES in self._levels:
            yield SERIES_IMAGES, lambda row: element_of("IS", [self._count(row.e_id)])

    def _of_study(self) -> Iterator[tuple[int, Make]]:
        yield 0x00080061, lambda row: _modalities(self._studies[row.s_id][0])
        if 0x00080062 in self._fields.tags:
            yield (
                0x00080062,
                lambda row: element_of("UI", [*self._search.of_all_images(row.s_id, 0x00080062)]),
            )
        for tag in COMMON_OF_STUDY:
            yield tag, self._of_common(tag)

    def _of_common(self, tag: int) -> Make:
        name = tag_text(tag)

        def make(row: Row) -> Model | None:
            text = _in_common(self._studies[row.s_id][1]).get(name, "")
            return _of_text(tag, text) if text or tag not in IF_KNOWN else None

        return make

    def _load_studies(self, rows: Sequence[Row]) -> None:
        """Modalities of studies, and what their images have in common."""
        names = {row.s_id: (row.s_id, row.s_created, row.s_revision) for row in rows}
        known = self._kept.of_study
        found = {study_id: known.get(name) for study_id, name in names.items()}
        self._studies = {study_id: said for study_id, said in found.items() if said is not None}
        if not (ids := sorted(names.keys() - self._studies.keys())):
            return
        for study_id, modalities, common in _OF_STUDIES(self._connection, {"ids": json.dumps(ids)}):
            self._studies[study_id] = modalities, common or ""
        if len(ids) <= MOST_KEPT:
            known.update((names[study_id], self._studies[study_id]) for study_id in ids)

    def _count(self, series_id: int) -> int:
        if series_id not in self._images:
            row = _IMAGES(self._connection, {"series_id": series_id}).fetchone()
            self._images[series_id] = int(row[0])
        return self._images[series_id]

    def _of_image(self, row: Row, found: Model) -> None:
        """What the catalog does not know, from the image itself or the first one of the study or series."""
        wanted, known = self._wanted, self._known
        if not wanted and not known and not self._fields.everything:
            return
        image = self._search.first_image(row)
        if image is None:
            return
        if self._fields.everything or not all(map(plain, wanted | known)):
            self._merge(found, self._search.headers.model(image), wanted | known)
            return
        texts = self._search.headers.texts(image, settled=self._query.level is Level.IMAGE)
        for tag, name, shown in self._texts:
            if (text := texts.get(name, "")) or (tag in wanted and name in texts):
                found[shown] = _of_text(tag, text)

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


def _of_column(at: int, make: Callable[[Any], Model]) -> Make:
    return lambda row: make(row[at])


@lru_cache(maxsize=1024)
def _modalities(array: str) -> Model | None:
    """Those of the series of a study; an empty element would make viewers list nothing."""
    found = sorted(set(filter(None, msgspec.json.decode(array))))
    return element_of("CS", found) if found else None


@lru_cache(maxsize=1024)
def _in_common(tags: str) -> Mapping[str, str]:
    return msgspec.json.decode(tags) if tags else {}


@lru_cache(maxsize=4096)
def _of_text(tag: int, text: str) -> Model:
    """Images of a series say the same of most; nobody changes an element."""
    return _maker(_vr(tag))(text)


@lru_cache(maxsize=64)
def _maker(vr: str) -> Callable[[Any], Model]:
    """Makes an element of a single value; most are texts or whole numbers as they are, and come again."""

    def make(value: Any) -> Model:
        if value is None or value == "":
            return {"vr": vr}
        kind = type(value)
        if (kind is str and vr in TEXT_VRS) or (kind is int and vr in WHOLE_VRS):
            return {"vr": vr, "Value": [value]}
        return element_of(vr, [value])

    return make if vr == "UI" else lru_cache(maxsize=4096)(make)  # nobody changes an element


@lru_cache(maxsize=512)
def _vr(tag: int) -> str:
    return dictionary_vr(tag).decode("ascii")


def _uids(rows: Sequence[Row], level: Level) -> list[tuple[str, ...]]:
    every = ((Level.STUDY, "s_study_uid"), (Level.SERIES, "e_series_uid"), (Level.IMAGE, "i_sop_uid"))
    columns = list(rows[0]._fields) if rows else []
    at = [columns.index(name) for each, name in every if rows and each <= level]
    return [tuple([row[place] for place in at]) for row in rows]
