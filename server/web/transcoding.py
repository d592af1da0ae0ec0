"""Stored objects in another transfer syntax: made in a worker process, kept beside the thumbnails."""

from __future__ import annotations

from concurrent.futures import Future
from dataclasses import replace
from pathlib import Path

from core.archive.nouns import StoredImage
from core.imaging.worker import TRANSCODE
from server.web.pictures import Pictures, Renderer

AS_STORED = ("", "*")
"""Values of `transfer_syntax` that ask for nothing."""
LONGEST_UID = 64


class Transcoder:
    """Has *renderer* do the work, which may take minutes; *pictures* keeps what was made."""

    def __init__(self, renderer: Renderer, pictures: Pictures) -> None:
        self._renderer = renderer
        self._pictures = pictures

    async def image(self, image: StoredImage, target: str) -> StoredImage:
        """*image* as if it had been stored in *target*. Raises NotAcceptable, NotRenderable, StorageFault."""
        if target in AS_STORED or target == image.transfer_syntax_uid:
            return image
        path = await self._pictures.file(image, _name(target), lambda: self._start(image, target))
        return _as_if(image, target, path)

    def image_here(self, image: StoredImage, target: str) -> StoredImage:
        """The same for one that may wait on its own thread."""
        if target in AS_STORED or target == image.transfer_syntax_uid:
            return image
        path = self._pictures.file_here(image, _name(target), lambda: self._start(image, target))
        return _as_if(image, target, path)

    def _start(self, image: StoredImage, target: str) -> Future[bytes]:
        return self._renderer.render(image.path, 0, TRANSCODE + target[: LONGEST_UID + 1], None, 0)


def _name(target: str) -> str:
    plain = target.replace(".", "").isdigit() and len(target) <= LONGEST_UID
    return f"{target}.dcm" if plain else "none.dcm"


def _as_if(image: StoredImage, target: str, path: Path) -> StoredImage:
    return replace(
        image,
        path=path,
        bytes=path.stat().st_size,
        version=f"{image.version}-{target}",
        transfer_syntax_uid=target,
    )
