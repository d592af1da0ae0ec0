"""What stored images say of any attribute: from the settled series where it will do, else from the object."""

from __future__ import annotations

import gzip
import json
import logging
from collections.abc import Mapping, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any

import msgspec
from sqlalchemy import Connection, select

from core.archive.blobs import Blobs
from core.archive.level_rows import Row
from core.archive.models import Models
from core.archive.schema import series_cache
from core.dicom.elements import tag_text
from core.dicom.json_model import PIXEL_TAGS, Model, metadata, values_in
from core.dicom.recoding import dictionary_vr
from core.dicom.stored_object import GROUPS, read_object
from core.errors import KnownError

log = logging.getLogger(__name__)

PLAIN_VRS = frozenset({"AE", "AS", "CS", "DA", "DS", "DT", "IS", "LO", "PN", "SH", "TM", "UI", "UL", "US"})
"""Short values, which the settled attributes hold whole."""


class Headers:
    """Headers of the images of one query, the last series and the last object kept; for one thread.

    Rows need the columns of `instances` with the prefix `i_`. An image that cannot be read says nothing.
    """

    def __init__(self, connection: Connection, blobs: Blobs) -> None:
        self._connection = connection
        self._blobs = blobs
        self._series: tuple[int, Mapping[tuple[str, str], Mapping[str, str]]] = (0, {})
        self._object: tuple[int, Model] = (0, {})
        self._models = Models()
        self._texts: tuple[int, Mapping[str, str]] = (0, {})

    def values(self, row: Row, path: tuple[int, ...]) -> Sequence[Any]:
        """Values of the attribute, as text; the items of a sequence."""
        if len(path) == 1 and plain(path[0]):
            value = self.texts(row).get(tag_text(path[0]), "")
            return [value] if value else []
        return values_in(self.model(row), path)

    def texts(self, row: Row, *, settled: bool = True) -> Mapping[str, str]:
        """Plain elements as "(gggg,eeee)" -> text; with *settled* those of the whole series are loaded."""
        if settled:
            if self._series[0] != row.i_series_id:
                self._series = row.i_series_id, self._load(row.i_series_id)
            found = self._series[1].get((row.i_sop_uid, row.i_version))
            if found:
                return found
        if self._texts[0] != row.i_id:
            self._texts = row.i_id, self._read(row)
        return self._texts[1]

    def model(self, row: Row) -> Model:
        """Every element up to the pixel data."""
        if self._object[0] != row.i_id:
            kept = self._models.of(self._connection, row.i_series_id, row.i_sop_uid, row.i_version)
            model = _without_bulk(json.loads(kept.json)) if kept is not None else self._read_model(row)
            self._object = row.i_id, model
        return self._object[1]

    def _read_model(self, row: Row) -> Model:
        try:
            return metadata(Path(self._blobs.path(row.i_blob)))
        except KnownError as error:
            log.warning("an image could not be searched: %s", type(error).__name__)
            return {}

    def _load(self, series_id: int) -> Mapping[tuple[str, str], Mapping[str, str]]:
        query = select(series_cache.c.metadata).where(series_cache.c.series_id == series_id)
        packed = self._connection.execute(query).scalar()
        if packed is None:
            return {}
        described = msgspec.json.decode(gzip.decompress(packed))
        return {(each["sop_uid"], each["version"]): each["attributes"] for each in described}

    def _read(self, row: Row) -> Mapping[str, str]:
        try:
            return read_object(Path(self._blobs.path(row.i_blob)), row.i_bytes).attributes
        except (KnownError, OSError) as error:
            log.warning("an image could not be searched: %s", type(error).__name__)
            return {}


@lru_cache(maxsize=512)
def plain(tag: int) -> bool:
    """Whether the settled attributes answer for it: one short value of the groups that are kept."""
    from pydicom.datadict import dictionary_VM

    if tag >> 16 not in GROUPS or dictionary_vr(tag).decode("ascii") not in PLAIN_VRS:
        return False
    return dictionary_VM(tag) == "1"


def _without_bulk(model: Model) -> Model:
    """A model as it is where nobody can fetch bulk data, and pixel data are none of it."""
    found: Model = {}
    for name, element in model.items():
        if int(name, 16) in PIXEL_TAGS:
            continue
        found[name] = {key: value for key, value in element.items() if key != "BulkDataURI"}
        if element["vr"] == "SQ" and "Value" in element:
            found[name]["Value"] = [_without_bulk(item) for item in element["Value"]]
    return found
