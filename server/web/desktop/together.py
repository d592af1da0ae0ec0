"""Many images in one request: what the desktop sends a study of small files with."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator
from concurrent.futures import Future
from typing import Any

from core.access.rights import Right
from core.archive.nouns import StoreResult
from core.errors import KnownError
from server.web.body import chunks
from server.web.call import Call, Receive, Scope, Send, answer_json, call_of, caller_of
from server.web.desktop.routes import BASE
from server.web.errors import BAD_REQUEST, TOO_LARGE, Refused, document, kind_of
from server.web.intake import Intake
from server.web.multipart import boundary_of
from server.web.related import Event, PartBegins, PartData, read_parts
from server.web.services import Services
from server.web.streaming import Operation

logger = logging.getLogger("filmjacket.web")

IMAGES = BASE + "/namespaces/{namespace}/images"
MOST_PARTS = 5000
MOST_UNDER_WAY = 24
"""So many images of one request may be on their way to the disk before its next bytes are read."""

Result = Future[StoreResult] | Exception


class TogetherRoutes:
    """The one handler, over one archive."""

    def __init__(self, services: Services) -> None:
        self._services = services

    def operations(self) -> list[Operation]:
        """Every route of this file."""
        return [Operation(IMAGES, "POST", self.store_images, "Desktop", body=("multipart/related",))]

    async def store_images(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Store DICOM images, each a part of a multipart/related body.

        The answer lists what became of each part, in order, when all of them are on disk: `status` as for the
        upload of a single image, with `image_uid` and `image_version`, or with its `error`. A body that
        breaks off is refused; the parts that were complete are kept.
        """
        call, caller = call_of(scope), caller_of(scope)
        namespace: str = scope["path_params"]["namespace"]
        caller.require(Right.STORE, namespace)
        boundary = boundary_of(call.header(b"content-type"))
        if boundary is None:
            raise Refused(BAD_REQUEST, "The Content-Type names no boundary.", "Send multipart/related.")
        limits = self._services.limits
        body = chunks(call, receive, limit=limits.image_bytes, limits=limits)
        batch = _Batch(self._services, namespace, caller.login)
        await batch.read(read_parts(body, boundary))
        await answer_json(send, 200, {"images": [_row(each, call) for each in batch.results]})


class _Batch:
    """The parts of one request on their way into the archive."""

    def __init__(self, services: Services, namespace: str, actor: str) -> None:
        self.results: list[Result] = []
        self._services = services
        self._namespace = namespace
        self._actor = actor
        self._intake: Intake | None = None
        self._settled = 0

    async def read(self, events: AsyncIterator[Event]) -> None:
        """Until all is stored or refused. Raises what *events* does, once what was complete is stored."""
        try:
            async for event in events:
                if isinstance(event, PartBegins):
                    self._begin()
                elif isinstance(event, PartData):
                    await self._write(event.data)
                else:
                    await self._end()
        except BaseException:
            await self._give_up()
            raise
        finally:
            await self._settle(0)

    def _begin(self) -> None:
        if len(self.results) >= MOST_PARTS:
            raise Refused(TOO_LARGE, f"The body has more than {MOST_PARTS} parts.")
        archive, namespace = self._services.archive, self._namespace
        self._intake = Intake(self._services.workers, lambda: archive.incoming(namespace))

    async def _write(self, data: bytes) -> None:
        if self._intake is not None:
            try:
                await self._intake.write(data)
            except KnownError as error:
                await self._refuse(error)

    async def _end(self) -> None:
        intake = self._intake
        if intake is None:
            return  # refused already
        archive, actor = self._services.archive, self._actor
        try:
            future = intake.hand_over(
                lambda incoming: archive.store(incoming, actor=actor, via="desktop", routing=None)
            )
        except KnownError as error:
            await self._refuse(error)
            return
        self._intake = None
        self.results.append(future)
        await self._settle(MOST_UNDER_WAY)

    async def _refuse(self, error: KnownError) -> None:
        """The part is not taken; its other bytes are read past."""
        await self._give_up()
        self.results.append(error)

    async def _give_up(self) -> None:
        intake, self._intake = self._intake, None
        if intake is not None:
            await intake.abort()

    async def _settle(self, most: int) -> None:
        """Wait until at most *most* of the images are still on their way."""
        while len(self.results) - self._settled > most:
            # the last of those that must be done: the others are then done, too, as a rule
            for place in range(len(self.results) - most - 1, self._settled - 1, -1):
                result = self.results[place]
                if isinstance(result, Future) and not result.done():
                    await asyncio.wait((asyncio.wrap_future(result),))
            self._settled = len(self.results) - most


def _row(result: Result, call: Call) -> dict[str, Any]:
    error = result if isinstance(result, Exception) else result.exception()
    if error is None and isinstance(result, Future):
        stored = result.result()
        return {
            "status": 200,
            "study_uid": stored.study_uid,
            "image_uid": stored.sop_uid,
            "image_version": stored.version,
        }
    if error is None:
        raise RuntimeError("an image neither stored nor refused")
    if not isinstance(error, KnownError):
        logger.error("unforeseen error in %s", IMAGES, exc_info=error)
    kind = kind_of(error)
    return {"status": kind.status, "error": document(error, kind, verbose=True)}
