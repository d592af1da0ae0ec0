"""One study as it is asked for: series and images in order, PHI, tags, single objects."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any, NamedTuple, Protocol, TypeVar

from sqlalchemy import Connection, Row, bindparam, func, select

from core.archive.blobs import Blobs
from core.archive.nouns import CURRENT, ImageRow, SeriesRow, StoredImage
from core.archive.phi import LAST, Weighed, average
from core.archive.schema import (
    averages,
    instances,
    namespaces,
    overlays,
    phi_sets,
    series,
    series_cache,
    studies,
    unindexed,
)
from core.db.prepared import Prepared
from core.errors import NotFound

APART_MM = 1e-3
"""Slices closer than this lie at one place."""

_IMAGE = select(instances, series.c.series_uid, series.c.modality).join(
    series, series.c.id == instances.c.series_id
)


class Placed(Protocol):
    """What puts an image into its place: a row of `instances`."""

    @property
    def id(self) -> int: ...
    @property
    def instance_number(self) -> int | None: ...
    @property
    def normal(self) -> str: ...
    @property
    def position(self) -> float | None: ...


Slice = TypeVar("Slice", bound=Placed)


class _Image(NamedTuple):
    """What a schema says of one image: a tuple, as studies have thousands."""

    id: int
    series_id: int
    sop_uid: str
    version: str
    conflict: str
    sop_class_uid: str
    transfer_syntax_uid: str
    instance_number: int | None
    frames: int
    normal: str
    position: float | None
    bytes: int


_OF_STUDY = select(*(instances.c[name] for name in _Image._fields)).where(
    instances.c.study_id == bindparam("study_id")
)
_CURRENT = Prepared(_OF_STUDY.where(instances.c.current.is_(True)))
_WITH_CONFLICTS = Prepared(_OF_STUDY.where(instances.c.current.is_(True) | (instances.c.conflict != "")))


def study_row(connection: Connection, namespace: str, study_uid: str) -> Row[Any]:
    """The row of a study. Raises NotFound("namespace"), NotFound("study")."""
    query = select(studies).where(
        studies.c.namespace == namespace, studies.c.study_uid == study_uid, studies.c.trash_id.is_(None)
    )
    row = connection.execute(query).first()
    if row is not None:
        return row
    if connection.execute(select(namespaces.c.name).where(namespaces.c.name == namespace)).first() is None:
        raise NotFound("namespace")
    raise NotFound("study", "Study wasn't found by provided ids.")


def series_of(connection: Connection, study_id: int, *, conflicts: bool) -> tuple[SeriesRow, ...]:
    """Series in order of arrival with their current images in order of rank.

    Without *conflicts* each SOP Instance UID appears once, under the place it came to first.
    """
    images: dict[int, list[_Image]] = {}
    for row in _current(connection, study_id, conflicts=conflicts):
        images.setdefault(row.series_id, []).append(row)
    query = select(series).where(series.c.study_id == study_id).order_by(series.c.ordinal)
    return tuple(
        SeriesRow(
            id=str(row.ordinal),
            series_uid=row.series_uid,
            number=row.number,
            modality=row.modality,
            description=row.description,
            images=tuple(_image_row(r, rank) for rank, r in enumerate(in_order(images[row.id]), 1)),
        )
        for row in connection.execute(query)
        if row.id in images
    )


def in_order(images: Iterable[Slice]) -> list[Slice]:
    """Slices along their normal when all lie parallel and apart, the way their numbers run; else by number.

    Images without a number come last; equal numbers keep their order of arrival.
    """
    by_number = sorted([(_number(image), image.id, image) for image in images])  # no two have one id
    numbered = [image for _, _, image in by_number]
    if len(numbered) < 2 or len({image.normal for image in numbered}) > 1 or numbered[0].position is None:
        return numbered
    slices = sorted([(image.position or 0.0, number, at, image) for number, at, image in by_number])
    if min(b[0] - a[0] for a, b in pairwise(slices)) < APART_MM:
        return numbered  # several images at one place: phases, echoes, cine
    ordered = [image for _, _, _, image in slices]
    return ordered[::-1] if slices[0][1] > slices[-1][1] else ordered


def held(connection: Connection, study_id: int, sop_uids: Sequence[str] | None) -> dict[str, str]:
    """Current version by SOP Instance UID."""
    found = {row.sop_uid: row.version for row in _current(connection, study_id, conflicts=False)}
    return found if sop_uids is None else {uid: found[uid] for uid in sop_uids if uid in found}


def image_row(connection: Connection, study_id: int, sop_uid: str, version: str) -> Row[Any]:
    """One object; version "*" is the current one of the place it came to first. Raises NotFound("image")."""
    query = _IMAGE.where(unindexed(instances.c.study_id) == study_id, instances.c.sop_uid == sop_uid)
    if version == CURRENT:
        query = query.where(instances.c.current.is_(True))
    else:
        query = query.where(instances.c.version == version)
    row = connection.execute(query.order_by(instances.c.conflict != "", instances.c.id)).first()
    if row is None:
        raise NotFound("image", "Image wasn't found by provided ids.")
    return row


def stored_image(study: Row[Any], row: Row[Any], blobs: Blobs) -> StoredImage:
    """The object of a row of `image_row`."""
    return StoredImage(
        namespace=study.namespace,
        study_uid=study.study_uid,
        series_uid=row.series_uid,
        sop_instance_uid=row.sop_uid,
        version=row.version,
        bytes=row.bytes,
        sop_class_uid=row.sop_class_uid,
        transfer_syntax_uid=row.transfer_syntax_uid,
        frame_count=row.frames,
        rows=row.rows,
        columns=row.columns,
        modality=row.modality,
        path=Path(blobs.path(row.blob)),
    )


def average_of(connection: Connection, study: Row[Any]) -> Mapping[str, str]:
    """What the study's images say on average: cached if the study has not changed since, else counted."""
    cached = connection.execute(
        select(averages.c.tags).where(averages.c.study_id == study.id, averages.c.revision == study.revision)
    ).scalar()
    if cached is not None:
        return dict(json.loads(cached))
    return counted_average(connection, study.id)


def counted_average(connection: Connection, study_id: int) -> dict[str, str]:
    """The average over the current images that are not in conflict; over all if all are."""
    doubtful = instances.c.conflict != ""
    query = (
        select(
            doubtful.label("doubtful"),
            phi_sets.c.tags,
            func.count().label("images"),
            func.min(func.coalesce(instances.c.instance_number, LAST)).label("lowest"),
        )
        .join(phi_sets, phi_sets.c.id == instances.c.phi_set_id)
        .where(instances.c.study_id == study_id, instances.c.current.is_(True))
        .group_by(doubtful, phi_sets.c.id)
    )
    found = connection.execute(query).all()
    sure = [row for row in found if not row.doubtful] or found
    return average(Weighed(json.loads(row.tags), row.images, row.lowest) for row in sure)


def tags_of_set(connection: Connection, phi_set_id: int) -> Mapping[str, str]:
    """The common elements of one image."""
    tags = connection.execute(select(phi_sets.c.tags).where(phi_sets.c.id == phi_set_id)).scalar_one()
    return dict(json.loads(tags))


def overlay_of(connection: Connection, study: Row[Any], phi_namespace: str | None) -> Mapping[str, str]:
    """The overlay of *phi_namespace*, else of the storage namespace, else none."""
    for name in (phi_namespace, study.namespace):
        query = select(overlays.c.tags).where(
            overlays.c.study_id == study.id, overlays.c.phi_namespace == name
        )
        tags = connection.execute(query).scalar()
        if tags is not None:
            return dict(json.loads(tags))
    return {}


def cached(connection: Connection, study_id: int, series_uid: str, column: str) -> bytes | None:
    """What has settled of a series, None if nothing has."""
    query = (
        select(series_cache.c[column])
        .join(series, series.c.id == series_cache.c.series_id)
        .where(series.c.study_id == study_id, series.c.series_uid == series_uid)
    )
    found: bytes | None = connection.execute(query).scalar()
    return found


def transfer_attributes(connection: Connection, study_id: int) -> dict[str, list[str]]:
    """Distinct transfer syntaxes and SOP classes of the current images, sorted."""
    columns = {"(0002,0010)": instances.c.transfer_syntax_uid, "(0002,0002)": instances.c.sop_class_uid}
    return {
        tag: [
            value
            for (value,) in connection.execute(
                select(column)
                .where(instances.c.study_id == study_id, instances.c.current.is_(True))
                .distinct()
                .order_by(column)
            )
        ]
        for tag, column in columns.items()
    }


def _number(image: Placed) -> int:
    return LAST if image.instance_number is None else image.instance_number


def _current(connection: Connection, study_id: int, *, conflicts: bool) -> list[_Image]:
    statement = _WITH_CONFLICTS if conflicts else _CURRENT
    rows = list(map(_Image._make, statement(connection, {"study_id": study_id})))
    rows.sort(key=lambda image: (image.conflict != "", image.id))  # SQLite takes seven times as long for it
    if conflicts:
        return rows
    first: dict[str, _Image] = {}
    for row in rows:
        first.setdefault(row.sop_uid, row)
    return list(first.values())


def _image_row(image: _Image, rank: int) -> ImageRow:
    return ImageRow(
        image.sop_uid,
        image.version,
        rank,
        image.frames,
        image.instance_number,
        image.bytes,
        image.sop_class_uid,
        image.transfer_syntax_uid,
        bool(image.conflict),
    )
