"""Settling: once a study has been quiet for a while, what is often asked of it is made ready beforehand."""

from __future__ import annotations

import gzip
import hashlib
import json
import logging
import threading
import time
import uuid
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import Any

from sqlalchemy import ColumnElement, Connection, Row, func, select, update
from sqlalchemy.dialects.sqlite import insert

from core.archive import models
from core.archive.arrival import key_of
from core.archive.blobs import LocalBlobs
from core.archive.homes import file_again
from core.archive.schema import averages, instances, series, series_cache, series_models, studies
from core.archive.studies import counted_average, in_order
from core.db.database import Database
from core.dicom.moments import current_form
from core.dicom.ports import Modeller, Thumbnailer
from core.dicom.stored_object import read_object
from core.dicom.tree import folded
from core.errors import KnownError, NotRenderable

log = logging.getLogger(__name__)

THUMBNAIL_BOX = 512
"""Pixels; the size of V3's thumbnails."""
AFTER_A_FAULT_S = 30.0

COLUMNS = {
    "(0010,0010)": "patient_name",
    "(0010,0030)": "patient_birth_date",
    "(0010,0040)": "patient_sex",
    "(0008,0020)": "study_date",
    "(0008,0030)": "study_time",
    "(0008,1030)": "study_description",
    "(0008,0050)": "accession_number",
}
"""Columns of the study list that follow the average; the Patient ID is identity and stays."""
MOMENTS = {"(0008,0020)": "DA", "(0008,0030)": "TM", "(0010,0030)": "DA"}
"""The dates and times among them, which are compared as they are written today."""


_MODELS_OF_CACHED = series_models.c.series_id == series_cache.c.series_id


class Settler:
    """A thread that settles one study after the other and runs *sweep* now and then; close it when done."""

    def __init__(
        self,
        database: Database,
        blobs: LocalBlobs,
        thumbnailer: Thumbnailer | None,
        *,
        modeller: Modeller | None = None,
        after_s: float,
        sweep: Callable[[], None],
        sweep_every_s: float,
    ) -> None:
        self._database = database
        self._blobs = blobs
        self._thumbnailer = thumbnailer
        self._modeller = modeller
        self._caught_up = False
        self._after_s = after_s
        self._sweep = sweep
        self._sweep_every_s = sweep_every_s
        self._next_sweep = time.monotonic()
        self._wake = threading.Event()
        self._closing = False
        self._idle = True
        self._thread = threading.Thread(target=self._run, name="archive-settle", daemon=True)
        self._thread.start()

    def changed(self) -> None:
        """Something was stored; cheap, and without effect while there is work in view anyway."""
        if self._idle:
            self._wake.set()

    def sweep_soon(self) -> None:
        """Let the sweeper run now."""
        self._next_sweep = time.monotonic()
        self._wake.set()

    def close(self) -> None:
        """Stop after the image at hand; calling it again does nothing."""
        self._closing = True
        self._wake.set()
        self._thread.join()

    def _run(self) -> None:
        while not self._closing:
            try:
                wait = self._turn()
            except Exception as error:  # the pass must go on when one study or the disk gives trouble
                log.warning("settling was put off: %s", type(error).__name__)
                wait = AFTER_A_FAULT_S
            if not self._closing:
                self._wake.wait(wait)

    def _turn(self) -> float:
        """Do what is due; return how long nothing will be, in seconds."""
        if time.monotonic() >= self._next_sweep:
            self._sweep()
            self._next_sweep = time.monotonic() + self._sweep_every_s
        quiet_since = time.time() - self._after_s
        while not self._closing:
            self._idle = True  # before looking: what comes from here on sets the event
            self._wake.clear()
            study, next_change = self._next(quiet_since)
            self._idle = study is None and next_change is None
            if study is None and not self._caught_up:
                self._caught_up = self._catch_up()
                continue
            if study is None:
                to_sweep = max(0.0, self._next_sweep - time.monotonic())
                if next_change is None:
                    return to_sweep
                return min(to_sweep, max(0.01, next_change + self._after_s - time.time()))
            self._settle(study)
        return 0.0

    def _next(self, quiet_since: float) -> tuple[Row[Any] | None, float | None]:
        query = (
            select(studies)
            .where(studies.c.settled.is_(False), studies.c.trash_id.is_(None))
            .order_by(studies.c.changed)
            .limit(1)
        )
        with self._database.read() as connection:
            row = connection.execute(query).first()
        if row is None:
            return None, None
        return (row, None) if row.changed <= quiet_since else (None, row.changed)

    def _settle(self, study: Row[Any]) -> None:
        with self._database.read() as connection:
            average = counted_average(connection, study.id)
            groups = _images_of(connection, instances.c.study_id == study.id)
            cached = (
                select(series_cache.c.series_id, series_cache.c.state)
                .join(series, series.c.id == series_cache.c.series_id)
                .where(series.c.study_id == study.id)
            )
            states = {row.series_id: row.state for row in connection.execute(cached)}
        for series_id, images in groups.items():
            state = _state_of(images)
            if states.get(series_id) == state:
                continue
            if not self._keep_models(series_id, images):
                return
            row = self._cache_row(series_id, images, state)
            if row is None:
                return
            self._database.write(partial(_keep_cache, row=row)).result()
        self._database.write(partial(_keep_average, study=study, average=average)).result()

    def _catch_up(self) -> bool:
        """Make the models of one series that settled before there were any; True if there is none."""
        query = (
            select(series_cache.c.series_id)
            .where(~select(series_models.c.number).where(_MODELS_OF_CACHED).exists())
            .limit(1)
        )
        with self._database.read() as connection:
            series_id = connection.execute(query).scalar()
            if series_id is None:
                return True
            images = _images_of(connection, instances.c.series_id == series_id)
        self._keep_models(series_id, images.get(series_id, []))
        return False

    def _keep_models(self, series_id: int, images: Sequence[Row[Any]]) -> bool:
        """Make and keep the models of a series; False if the archive is being closed."""
        address = f"{uuid.uuid4().hex}/"  # nothing that an object could say
        rows = list(models.packed(series_id, address, self._made(images, address)))
        if self._closing:
            return False
        self._database.write(lambda connection: models.keep(connection, series_id, rows)).result()
        return True

    def _made(self, images: Sequence[Row[Any]], address: str) -> Iterator[tuple[models.Image, bytes]]:
        """The models one by one: those of a long series fit into memory only when they are packed."""
        make = self._modeller.model if self._modeller is not None else models.model_here
        for image in images:
            if self._closing:
                return
            try:
                yield image, make(self._blobs.path(image.blob), address)
            except (KnownError, OSError) as error:
                log.warning("the model of an image could not be made: %s", type(error).__name__)

    def _cache_row(self, series_id: int, images: Sequence[Row[Any]], state: str) -> dict[str, Any] | None:
        described = []
        for image in images:
            if self._closing:
                return None
            described.append(self._describe(image))
        text = json.dumps(described, ensure_ascii=False, separators=(",", ":"))
        return {
            "series_id": series_id,
            "state": state,
            "metadata": gzip.compress(text.encode("utf-8", "replace"), 6, mtime=0),
            "thumbnail": self._thumbnail(images[len(images) // 2]),
        }

    def _describe(self, image: Row[Any]) -> dict[str, Any]:
        found: dict[str, Any] = {"sop_uid": image.sop_uid, "version": image.version}
        try:
            found["attributes"] = read_object(self._blobs.path(image.blob), image.bytes).attributes
        except (KnownError, OSError) as error:
            log.warning("an image could not be described: %s", type(error).__name__)
            found["attributes"] = {}
        return found

    def _thumbnail(self, image: Row[Any]) -> bytes | None:
        if self._thumbnailer is None:
            return None
        try:
            return self._thumbnailer.thumbnail(self._blobs.path(image.blob), image.frames // 2, THUMBNAIL_BOX)
        except NotRenderable:
            return None
        except (KnownError, OSError) as error:
            log.warning("a thumbnail could not be made: %s", type(error).__name__)
            return None


def unsettled(connection: Connection) -> int:
    """How many studies the pass has yet to do."""
    query = select(func.count()).where(studies.c.settled.is_(False), studies.c.trash_id.is_(None))
    return connection.execute(query).scalar_one()


def _images_of(connection: Connection, where: ColumnElement[bool]) -> dict[int, list[Row[Any]]]:
    """Current images in order, by series."""
    query = select(instances).where(where, instances.c.current.is_(True))
    groups: dict[int, list[Row[Any]]] = {}
    for row in connection.execute(query):
        groups.setdefault(row.series_id, []).append(row)
    return {series_id: in_order(rows) for series_id, rows in groups.items()}


def _state_of(images: Sequence[Row[Any]]) -> str:
    text = "\n".join(f"{image.sop_uid} {image.version}" for image in images)
    return hashlib.blake2b(text.encode(), digest_size=16).hexdigest()


def _keep_cache(connection: Connection, row: dict[str, Any]) -> None:
    if connection.execute(select(series.c.id).where(series.c.id == row["series_id"])).first() is None:
        return  # purged or merged meanwhile
    statement = insert(series_cache).values(row)
    connection.execute(statement.on_conflict_do_update(index_elements=["series_id"], set_=row))


def _keep_average(connection: Connection, study: Row[Any], average: dict[str, str]) -> None:
    """Write the average and let the study's row follow it, unless the study has changed since it was read."""
    values = {
        column: current_form(MOMENTS.get(tag, ""), average[tag])
        for tag, column in COLUMNS.items()
        if tag in average
    }
    name = values.get("patient_name", study.patient_name)
    accession = values.get("accession_number", study.accession_number)
    done = connection.execute(
        update(studies)
        .where(studies.c.id == study.id, studies.c.revision == study.revision)
        .values(settled=True, name_key=folded(name), accession_key=key_of(accession), **values)
    )
    if not done.rowcount:
        return
    if (name, accession) != (study.patient_name, study.accession_number):
        file_again(connection, study.id)
    row = {
        "study_id": study.id,
        "revision": study.revision,
        "tags": json.dumps(average, ensure_ascii=False, separators=(",", ":")),
    }
    statement = insert(averages).values(row)
    connection.execute(statement.on_conflict_do_update(index_elements=["study_id"], set_=row))
