"""DICOM JSON models of settled images, kept packed, so that metadata and searches wait for no file."""

from __future__ import annotations

import zlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple, Protocol

from sqlalchemy import Connection, bindparam, delete, insert, select

from core.archive.schema import series, series_models
from core.db.prepared import Prepared
from core.dicom.json_model import encoded, metadata

TOGETHER, TOGETHER_BYTES = 64, 1 << 20
"""So many models, or bytes of them, are packed as one: images of a series say nearly the same."""
LEVEL = 6

_NAMES = Prepared(
    select(series_models.c.number, series_models.c.names).where(
        series_models.c.series_id == bindparam("series_id")
    )
)
_PACKED = Prepared(
    select(series_models.c.names, series_models.c.address, series_models.c.packed).where(
        series_models.c.series_id == bindparam("series_id"), series_models.c.number == bindparam("number")
    )
)


class Image(Protocol):
    """What a model is kept by: the bytes of a version never change."""

    @property
    def sop_uid(self) -> str: ...
    @property
    def version(self) -> str: ...


class Kept(NamedTuple):
    """A model as JSON; *address* stands in it for the address of the object's bulk data."""

    json: bytes
    address: bytes

    def at(self, address: str) -> bytes:
        """The model with bulk data at *address*, to which the way to each value is added."""
        return self.json.replace(self.address, address.encode("utf-8", "replace"))


class Models:
    """What was kept of images that are asked for one after the other; not for several threads at once."""

    def __init__(self) -> None:
        self._places: tuple[int, Mapping[str, int]] = (0, {})
        self._group: tuple[tuple[int, int], Mapping[str, Kept]] = ((0, 0), {})

    def of(self, connection: Connection, series_id: int, sop_uid: str, version: str) -> Kept | None:
        """The model of an image, None if it has not settled."""
        name = f"{sop_uid} {version}"
        if self._places[0] != series_id:
            self._places = series_id, dict(_places(connection, series_id))
        number = self._places[1].get(name)
        if number is None:
            return None
        if self._group[0] != (series_id, number):
            self._group = (series_id, number), _unpacked(connection, series_id, number)
        return self._group[1].get(name)


def packed(
    series_id: int, address: str, described: Iterable[tuple[Image, bytes]]
) -> Iterator[dict[str, Any]]:
    """Rows for models in which *address* stands; one at least, which says that the series was described."""
    group: list[tuple[Image, bytes]] = []
    number = size = 0
    for each in described:
        if len(group) == TOGETHER or (group and size + len(each[1]) > TOGETHER_BYTES):
            yield _row(series_id, number, address, group)
            group, size, number = [], 0, number + 1
        group.append(each)
        size += len(each[1])
    yield _row(series_id, number, address, group)


def keep(connection: Connection, series_id: int, rows: Sequence[Mapping[str, Any]]) -> None:
    """Keep *rows* in the place of what was kept, if the series is still there."""
    if connection.execute(select(series.c.id).where(series.c.id == series_id)).first() is None:
        return  # purged or merged meanwhile
    connection.execute(delete(series_models).where(series_models.c.series_id == series_id))
    connection.execute(insert(series_models), list(rows))


def model_here(file: Path, address: str) -> bytes:
    """The model of the object at *file*, made by this process. Raises SourceFault."""
    return encoded(metadata(file, bulk=lambda way: address + way))


def _row(series_id: int, number: int, address: str, group: Sequence[tuple[Image, bytes]]) -> dict[str, Any]:
    return {
        "series_id": series_id,
        "number": number,
        "names": "\n".join(f"{image.sop_uid} {image.version}" for image, _ in group),
        "address": address,
        "packed": zlib.compress(b"\n".join(model for _, model in group), LEVEL),
    }


def _places(connection: Connection, series_id: int) -> Iterator[tuple[str, int]]:
    for number, names in _NAMES(connection, {"series_id": series_id}):
        for name in names.split("\n"):
            yield name, number


def _unpacked(connection: Connection, series_id: int, number: int) -> Mapping[str, Kept]:
    row = _PACKED(connection, {"series_id": series_id, "number": number}).fetchone()
    if row is None or not row[0]:
        return {}  # settled anew meanwhile
    names, address, models = row[0].split("\n"), row[1].encode(), zlib.decompress(row[2]).split(b"\n")
    return {name: Kept(model, address) for name, model in zip(names, models, strict=True)}
