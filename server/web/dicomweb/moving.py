"""Frames of one object as a moving picture: a GIF, or Motion JPEG in an MP4 file.

Encoders of other video formats cannot be shipped with the program.
"""

from __future__ import annotations

import asyncio
import io
import tempfile
from collections import deque
from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from contextlib import aclosing
from typing import BinaryIO, cast

from core.archive.nouns import StoredImage
from core.errors import NotRenderable, StorageFault
from core.media.clips import IN_MEMORY, MOST_FRAMES, rate_in
from core.media.gif import Gif
from core.media.motion import MOST_BYTES, Film, mp4
from server.web.body import ClientGone
from server.web.call import Call, Receive, Send, answer_head
from server.web.dicomweb.media import MediaRange
from server.web.files import gone
from server.web.services import Services

GIF, MP4 = "image/gif", "video/mp4"
KINDS = {GIF: "png", MP4: "jpeg"}
"""In what each has its frames rendered."""
TOLD = {GIF: GIF, MP4: 'video/mp4; codecs="mp4v.6C"'}
"""As the answer names it (ISO/IEC 14496-1: object type 6C is JPEG)."""
AHEAD = 3

Pictures = AsyncGenerator[bytes, None]
Render = Callable[[int], Awaitable[bytes]]
"""Gives the picture of a 0-based frame."""


def moving_form(accepts: Sequence[MediaRange], stills: Sequence[str]) -> str:
    """The moving picture that is liked better than any of *stills*, "" if none is."""
    for each in accepts:
        if each.type in KINDS or each.type == "video/*":
            return each.type if each.type in KINDS else MP4
        if each.type in stills or each.type in {"*/*", "image/*"}:
            return ""
    return ""


class MovingSender:
    """Sends frames of *image*, as *render* gives them, as one *media_type*."""

    def __init__(self, services: Services, media_type: str, image: StoredImage, render: Render) -> None:
        self._services = services
        self._type = media_type
        self._image = image
        self._render = render

    async def send(self, call: Call, receive: Receive, send: Send, frames: Sequence[int]) -> None:
        """Answer with *frames*. Raises NotRenderable, StorageFault, ClientGone."""
        if len(frames) > MOST_FRAMES:
            raise NotRenderable("The object has too many frames for a moving picture.")
        rate = await self._services.run(lambda: _rate(self._image))
        pictures = _rendered(frames, self._render)
        pieces = self._gif(pictures, rate) if self._type == GIF else self._mp4(pictures, rate)
        headers = [(b"content-type", TOLD[self._type].encode("ascii"))]
        async with aclosing(pictures), aclosing(pieces):
            first = await anext(pieces)
            if call.head:
                await answer_head(send, 200, headers)
                return
            leaving = asyncio.ensure_future(gone(receive))
            try:
                await send({"type": "http.response.start", "status": 200, "headers": headers})
                await send({"type": "http.response.body", "body": first, "more_body": True})
                async for piece in pieces:
                    if leaving.done():
                        raise ClientGone
                    await send({"type": "http.response.body", "body": piece, "more_body": True})
                await send({"type": "http.response.body", "body": b""})
            finally:
                leaving.cancel()

    async def _gif(self, pictures: Pictures, rate: float) -> AsyncGenerator[bytes, None]:
        gif, begun = Gif(rate), False
        async for png in pictures:
            frame, shape = await self._services.run(lambda png=png: gif.frame(png))  # type: ignore[misc] # bound now
            yield frame if begun else gif.start(*shape) + frame
            begun = True
        yield gif.END

    async def _mp4(self, pictures: Pictures, rate: float) -> AsyncGenerator[bytes, None]:
        """The table of contents comes first, so all frames are made before anything is sent."""
        sizes: list[int] = []
        shape = (0, 0)
        with tempfile.SpooledTemporaryFile(IN_MEMORY) as space:
            file = cast(BinaryIO, space)
            async for jpeg in pictures:
                shape = shape if sizes else _shape(jpeg)
                await self._services.run(lambda jpeg=jpeg: _kept(file, jpeg))  # type: ignore[misc] # bound now
                sizes.append(len(jpeg))
            chunks = mp4(Film(file, sizes, *shape, rate)).chunks
            while chunk := await self._services.run(lambda: next(chunks, b"")):
                yield chunk


async def _rendered(frames: Sequence[int], render: Render) -> Pictures:
    """The pictures in order, some being made ahead."""
    making: deque[asyncio.Future[bytes]] = deque()
    waiting = deque(frames)
    try:
        while making or waiting:
            while waiting and len(making) < AHEAD:
                making.append(asyncio.ensure_future(render(waiting.popleft())))
            yield await making.popleft()
    finally:
        for each in making:
            each.cancel()
        await asyncio.gather(*making, return_exceptions=True)


def _kept(file: BinaryIO, data: bytes) -> None:
    try:
        file.write(data)
    except OSError as error:
        raise StorageFault("The disk has no room for a video.", "Free some space.") from error
    if file.tell() > MOST_BYTES:
        raise NotRenderable("The video would be larger than a gigabyte.")


def _shape(jpeg: bytes) -> tuple[int, int]:
    from PIL import Image

    with Image.open(io.BytesIO(jpeg), formats=("JPEG",)) as picture:
        return picture.size


def _rate(image: StoredImage) -> float:
    try:
        with image.open() as file:
            return rate_in(file)
    except OSError as error:
        raise StorageFault("A stored object cannot be read.", "Run filmjacket check.") from error
