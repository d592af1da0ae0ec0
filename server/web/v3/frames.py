"""V3 storage, all frames of an image at once: a tar file of pictures, sent while they are rendered."""

from __future__ import annotations

import asyncio
import tarfile
from collections import deque
from collections.abc import Callable

from core.archive.nouns import StoredImage
from server.web.call import Receive, Scope, Send, call_of
from server.web.files import content_disposition
from server.web.pictures import DIAGNOSTIC, Wanted
from server.web.services import Services
from server.web.streaming import Operation

AHEAD = 4
"""Pictures being made while earlier ones are sent."""
BLOCK = 512


class FrameRoutes:
    """Handlers of all frames; *find* gives the image a request names, and refuses who may not see it."""

    def __init__(self, services: Services, find: Callable[[Scope], StoredImage]) -> None:
        self._services = services
        self._find = find

    def operation(self, image: str, query: dict[str, str], *, documented: bool) -> Operation:
        """The route below the address of an *image*."""
        answers = {200: ("application/x-tar",), 404: ("application/json",), 415: ("application/json",)}
        path = f"{image}/frame/all/diagnostic"
        return Operation(
            path, "GET", self.tar, "V3 storage", answers=answers, query=query, documented=documented
        )

    async def tar(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Every frame as a PNG that loses nothing, in a tar file: 00000.png and on."""
        call = call_of(scope)
        wanted = DIAGNOSTIC.asked(call)
        image = await self._services.run(lambda: self._find(scope))
        headers = [
            (b"content-type", b"application/x-tar"),
            (b"content-disposition", content_disposition("attachment", "frames.tar")),
        ]
        first = await self._picture(image, wanted)  # what cannot be shown is told before anything is sent
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        if call.head:
            await send({"type": "http.response.body", "body": b""})
            return
        await send({"type": "http.response.body", "body": _member(0, first), "more_body": True})
        await self._rest(image, wanted, send)
        end = b"\0" * 2 * BLOCK
        await send({"type": "http.response.body", "body": end})

    async def _rest(self, image: StoredImage, wanted: Wanted, send: Send) -> None:
        """Every frame but the first; one that fails breaks the answer off: nobody takes it for whole."""
        making: deque[asyncio.Task[bytes]] = deque()
        try:
            begun = 1
            for number in range(1, image.frame_count):
                while begun < min(image.frame_count, number + AHEAD):
                    making.append(asyncio.create_task(self._picture(image, wanted.at(begun))))
                    begun += 1
                body = _member(number, await making.popleft())
                await send({"type": "http.response.body", "body": body, "more_body": True})
        finally:
            for task in making:
                task.cancel()
            await asyncio.gather(*making, return_exceptions=True)

    async def _picture(self, image: StoredImage, wanted: Wanted) -> bytes:
        return await asyncio.wrap_future(self._services.pictures.start(image.path, wanted))


def _member(number: int, data: bytes) -> bytes:
    entry = tarfile.TarInfo(f"{number:05}.png")
    entry.size, entry.mode = len(data), 0o644
    return entry.tobuf(tarfile.USTAR_FORMAT) + data + b"\0" * (-len(data) % BLOCK)
