"""Stored objects in another transfer syntax: made in a worker process, kept beside the thumbnails."""

from __future__ import annotations

from dataclasses import replace

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
        kind = TRANSCODE + target[: LONGEST_UID + 1]
        name = (
            f"{target}.dcm"
            if target.replace(".", "").isdigit() and len(target) <= LONGEST_UID
            else "none.dcm"
        )
        path = await self._pictures.file(
            image, name, lambda: self._renderer.render(image.path, 0, kind, None, 0)
        )
        return replace(
            image,
            path=path,
            bytes=path.stat().st_size,
            version=f"{image.version}-{target}",
            transfer_syntax_uid=target,
        )
