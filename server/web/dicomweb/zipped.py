"""Stored objects as one ZIP file (application/zip), made while it is sent: none is kept in memory."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncGenerator, Awaitable, Callable, Iterator, Sequence
from contextlib import aclosing

from core.archive.nouns import StoredImage
from core.errors import StorageFault
from core.media.targets import ZipTarget
from server.web.body import ClientGone
from server.web.call import Call, Headers, Receive, Send, answer_head
from server.web.files import content_disposition, gone
from server.web.services import Services

ZIP = "application/zip"
CHUNK_BYTES = 1 << 20
HEADERS: Headers = [(b"content-type", ZIP.encode("ascii"))]

Made = Callable[[StoredImage], Awaitable[StoredImage]]
"""Gives the object in the transfer syntax it is to be sent in."""


class ZipSender:
    """Sends objects as members of one ZIP file, named by series and SOP Instance UID."""

    def __init__(self, services: Services) -> None:
        self._services = services

    async def send(
        self, call: Call, receive: Receive, send: Send, images: Sequence[StoredImage], made: Made
    ) -> None:
        """Answer with *images*. What hinders the first is told as an error, later ones cut the answer.

        Raises NotAcceptable, StorageFault, and ClientGone when nobody takes it any more.
        """
        name = images[0].study_uid if len(images) > 1 else images[0].sop_instance_uid
        named = content_disposition("attachment", f"{_safe(name)}.zip")
        headers = [*HEADERS, (b"content-disposition", named)]
        first = await made(images[0])
        if call.head:
            await answer_head(send, 200, headers)
            return
        async with aclosing(self._pieces(first, images[1:], made)) as pieces:
            begun = await anext(pieces)
            leaving = asyncio.ensure_future(gone(receive))
            try:
                await send({"type": "http.response.start", "status": 200, "headers": headers})
                await send({"type": "http.response.body", "body": begun, "more_body": True})
                async for piece in pieces:
                    if leaving.done():
                        raise ClientGone
                    await send({"type": "http.response.body", "body": piece, "more_body": True})
                await send({"type": "http.response.body", "body": b""})
            finally:
                leaving.cancel()

    async def _pieces(
        self, first: StoredImage, others: Sequence[StoredImage], made: Made
    ) -> AsyncGenerator[bytes, None]:
        target, names = ZipTarget(), _Names()
        try:
            for number, image in enumerate((first, *others)):
                sent = await made(image) if number else first
                member = target.put(names.of(sent), sent.bytes, _content(sent))
                while piece := await self._services.run(lambda member=member: next(member, b"")):  # type: ignore[misc] # bound now
                    yield piece
            for piece in target.finish():
                yield piece
        finally:
            target.close()


class _Names:
    """Paths of members: what a peer wrote as a UID gets no say in where a file goes."""

    def __init__(self) -> None:
        self._taken: set[str] = set()

    def of(self, image: StoredImage) -> str:
        """A path nothing else has."""
        path = wanted = f"{_safe(image.series_uid)}/{_safe(image.sop_instance_uid)}"
        number = 1
        while path.lower() in self._taken:
            path, number = f"{wanted}-{number}", number + 1
        self._taken.add(path.lower())
        return f"{path}.dcm"


def _safe(uid: str) -> str:
    return re.sub(r"[^0-9A-Za-z.-]", "_", uid).strip(".") or "_"


def _content(image: StoredImage) -> Iterator[bytes]:
    left = image.bytes
    try:
        with image.path.open("rb", buffering=0) as file:
            while left and (data := file.read(min(left, CHUNK_BYTES))):
                left -= len(data)
                yield data
    except OSError as error:
        raise StorageFault("A stored object cannot be read.", "Run filmjacket check.") from error
    if left:  # the answer is cut, so that nobody takes it for whole
        raise StorageFault("A stored object is shorter than it should be.", "Run filmjacket check.")
