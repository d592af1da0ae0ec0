"""Stored objects as a view shows them: with the values of its PHI overlay, kept beside their pictures."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import Future
from dataclasses import replace
from pathlib import Path
from typing import Protocol

from core.archive import contents
from core.archive.archive import Archive
from core.archive.nouns import StoredImage
from core.dicom.overlaying import overlaid
from core.errors import NotAcceptable, StorageFault

LARGEST_BYTES = 1 << 30
"""An object is changed in memory."""


class Keeper(Protocol):
    """What keeps things that were made of objects."""

    def file_here(self, image: StoredImage, ending: str, make: Callable[[], Future[bytes]]) -> Path:
        """Where one is kept, made now if it is not. Raises StorageFault."""


class Views:
    """Lays overlays over the objects of one archive; every method blocks."""

    def __init__(self, archive: Archive, keeper: Keeper) -> None:
        self._archive = archive
        self._keeper = keeper

    def values(self, namespace: str, study_uid: str, view: str | None) -> Mapping[int, str]:
        """What *view* lays over a study, by tag; None lays nothing over anything. Raises NotFound."""
        return {} if view is None else contents.overlay(self._archive, namespace, study_uid, view)

    def check(self, images: Iterable[StoredImage], values: Mapping[int, str]) -> None:
        """Raises NotAcceptable if one of *images* is too large for *values* to be laid over it."""
        if values and any(image.bytes > LARGEST_BYTES for image in images):
            raise NotAcceptable(
                "The object is too large to be shown with other values.", "Take it as stored."
            )

    def image(self, image: StoredImage, values: Mapping[int, str]) -> StoredImage:
        """*image* as if it had been stored with *values*. Raises NotAcceptable, Unsupported, StorageFault."""
        if not values:
            return image
        self.check([image], values)
        digest = hashlib.sha256(json.dumps(sorted(values.items())).encode()).hexdigest()[:20]
        name = f"view-{digest}"
        path = self._keeper.file_here(image, f"{name}.dcm", lambda: _laid_over(image, values))
        return replace(image, path=path, bytes=path.stat().st_size, version=f"{image.version}-{name}")

    def images(self, images: list[StoredImage], view: str | None) -> list[StoredImage]:
        """Each as its study is shown. Raises as `image`, and NotFound."""
        if view is None:
            return images
        found: dict[tuple[str, str], Mapping[int, str]] = {}
        for each in images:
            place = each.namespace, each.study_uid
            if place not in found:
                found[place] = self.values(*place, view)
        return [self.image(each, found[each.namespace, each.study_uid]) for each in images]


def _laid_over(image: StoredImage, values: Mapping[int, str]) -> Future[bytes]:
    made: Future[bytes] = Future()
    try:
        with image.path.open("rb") as file:
            changed = overlaid(file, image.bytes, values)
            try:
                made.set_result(b"".join(changed.chunks()))
            finally:
                changed.close()
    except OSError as error:
        raise StorageFault("A stored object cannot be read.", "Run filmjacket check.") from error
    return made
