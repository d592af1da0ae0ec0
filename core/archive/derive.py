"""Making objects out of stored ones: written one by one out of sight, then published in one transaction."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from sqlalchemy import Connection

from core.archive.archive import Archive
from core.archive.arrival import Arrival, read_arrival
from core.archive.blobs import Blob, LocalBlobs
from core.archive.contents import overlay
from core.archive.homes import Placing
from core.archive.incoming import Incoming, fault_of
from core.archive.nouns import By, Outcome, Routing, StoredImage, Via
from core.archive.together import Together
from core.audit.log import Event
from core.dicom.editing import Edit, read, written
from core.dicom.overlaying import overlaid
from core.dicom.regions import Change
from core.errors import Conflict, KnownError, StorageFault, TooLarge, Unsupported

if TYPE_CHECKING:
    from pydicom.dataset import FileDataset

LARGEST_BYTES = 2 << 30
"""An object is changed in memory."""
BLOBS_AT_A_TIME = 500
Repaint = Callable[[bytes, Change], bytes]


@dataclass(frozen=True, slots=True)
class Source:
    """A stored object to make another of, by *edit*, and by *change* in its pixels."""

    image: StoredImage
    edit: Edit
    change: Change | None = None


@dataclass(frozen=True, slots=True)
class Publishing:
    """How what was made becomes visible: *also* runs in the same transaction, before it."""

    action: str
    by: By
    namespace: str
    study_uid: str
    detail: Mapping[str, object]
    also: Callable[[Connection], None] = field(default=lambda connection: None)


@dataclass(frozen=True, slots=True)
class _Made:
    incoming: Incoming
    arrival: Arrival


class Maker:
    """Makes and publishes objects of one archive; blocks, so it runs on worker threads.

    A crash leaves nothing that any reader sees: before the transaction there are only files in `incoming/`,
    which are swept, or blobs without a row, which `check --repair` removes.
    """

    def __init__(self, archive: Archive, blobs: LocalBlobs, repaint: Repaint) -> None:
        self._archive = archive
        self._blobs = blobs
        self._repaint = repaint

    def make(self, sources: Iterable[Source], publishing: Publishing, phi: Mapping[int, str]) -> int:
        """How many objects were made of *sources*, *phi* laid over each before. Raises KnownError."""
        made: list[_Made] = []
        try:
            for source in sources:
                made.append(self._one(source, publishing.namespace, phi))
            self._publish(made, publishing)
        finally:
            for each in made:
                each.incoming.abort()  # does nothing to what was published
        return len(made)

    def load(self, image: StoredImage, phi: Mapping[int, str] | None = None) -> FileDataset:
        """A stored object as a data set. Raises StorageFault, TooLarge, Unsupported."""
        return read(_bytes_of(image, phi or {}))

    def _one(self, source: Source, namespace: str, phi: Mapping[int, str]) -> _Made:
        ds = self.load(source.image, phi)
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # they name the odd value
                source.edit(ds)
        except KnownError:
            raise
        except Exception as error:  # a damaged value can provoke anything in pydicom
            raise Unsupported("An object of the study has values that make no sense.") from error
        data = written(ds)
        if source.change is not None:
            data = self._repaint(data, source.change)
        incoming = self._archive.incoming(namespace)
        try:
            incoming.write(data)
            incoming.seal()
            arrival = read_arrival(incoming.content(), incoming.size)
            incoming.finish()
        except OSError as error:
            incoming.abort()
            raise fault_of(error) from error
        except BaseException:
            incoming.abort()
            raise
        return _Made(incoming, arrival)

    def _publish(self, made: Sequence[_Made], publishing: Publishing) -> None:
        blobs: list[Blob] = []
        needless: list[str] = []
        try:
            for at in range(0, len(made), BLOBS_AT_A_TIME):
                blobs += self._blobs.keep(*[each.incoming for each in made[at : at + BLOBS_AT_A_TIME]])
            placings = [
                Placing(publishing.namespace, each.arrival, blob, Via.API.value, Routing())
                for each, blob in zip(made, blobs, strict=True)
            ]
            needless = self._archive.db.write(
                lambda connection: self._rows(connection, placings, publishing)
            ).result()
        except BaseException:
            needless = [blob.key for blob in blobs]
            raise
        finally:
            for key in needless:
                with suppress(StorageFault):  # an orphan at worst, which check --repair removes
                    self._blobs.remove(key)
        self._archive.changed()

    def _rows(self, connection: Connection, placings: Sequence[Placing], publishing: Publishing) -> list[str]:
        """Write the rows; the blobs that turned out to be needless."""
        publishing.also(connection)
        placed = Together(self._blobs.size).place(connection, placings) if placings else []
        if any(each.outcome is Outcome.CONFLICT for each in placed):
            raise Conflict(
                "Objects with these UIDs are in that namespace already, but not in this place.",
                "Ask for new UIDs.",
            )
        self._archive.audit.record(
            connection,
            Event.INSTANCES_TRANSFERRED,
            publishing.action,
            actor=publishing.by.actor,
            namespace=publishing.namespace,
            study_uid=publishing.study_uid,
            detail=publishing.by.detail(**publishing.detail, images=len(placings)),
        )
        return [each.needless for each in placed if each.needless is not None]


def phi_of(archive: Archive, namespace: str, study_uid: str, phi_namespace: str) -> dict[int, str]:
    """The overlay to burn in, none unless *phi_namespace* asks for one. Raises NotFound."""
    return dict(overlay(archive, namespace, study_uid, phi_namespace)) if phi_namespace else {}


def _bytes_of(image: StoredImage, phi: Mapping[int, str]) -> bytes:
    if image.bytes > LARGEST_BYTES:
        raise TooLarge(f"An object of the study is larger than {LARGEST_BYTES} bytes and cannot be copied.")
    try:
        with image.open() as file:
            if not phi:
                return file.read()
            changed = overlaid(file, image.bytes, phi)
            try:
                return b"".join(changed.chunks())
            finally:
                changed.close()
    except OSError as error:
        raise StorageFault(
            "A stored object cannot be read from the disk.", "Run filmjacket check."
        ) from error
