"""Several DICOM objects in one request: each is stored or refused by itself, in the ordinary path."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from concurrent.futures import Future
from dataclasses import dataclass

from core.archive.nouns import StoreResult
from core.errors import KnownError
from server.web.errors import TOO_LARGE, Refused
from server.web.intake import Intake
from server.web.related import Event, PartBegins, PartData
from server.web.services import Services

MOST_PARTS = 100_000
MOST_UNDER_WAY = 24
"""So many images of one request may be on their way to the disk before its next bytes are read."""

Result = Future[StoreResult] | Exception


@dataclass(frozen=True, slots=True)
class Sender:
    """Who sends, by which door, the study all must belong to ("" = any), and whether nobody is notified."""

    login: str
    via: str
    study_uid: str = ""
    silent: bool = False


class Batch:
    """The parts of one request on their way into the archive."""

    def __init__(self, services: Services, namespace: str, sender: Sender) -> None:
        self.results: list[Result] = []
        self._services = services
        self._namespace = namespace
        self._sender = sender
        self._intake: Intake | None = None
        self._under_way: list[Future[StoreResult]] = []

    async def read(self, events: AsyncIterator[Event]) -> None:
        """Until all is stored or refused. Raises what *events* does, once what was complete is stored."""
        try:
            async for event in events:
                if isinstance(event, PartBegins):
                    await self._begin(event)
                elif isinstance(event, PartData):
                    await self._write(event.data)
                else:
                    await self._end()
        except BaseException:
            await self._give_up()
            raise
        finally:
            await self._settle(0)

    async def _begin(self, event: PartBegins) -> None:
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
        archive, sender = self._services.archive, self._sender
        try:
            intake.check_beginning()
            future = intake.hand_over(
                lambda incoming: archive.store(
                    incoming,
                    actor=sender.login,
                    via=sender.via,
                    study_uid=sender.study_uid,
                    silent=sender.silent,
                )
            )
        except KnownError as error:
            await self._refuse(error)
            return
        self._intake = None
        future = self._kept(future)
        self.results.append(future)
        self._under_way.append(future)
        await self._settle(MOST_UNDER_WAY)

    def _kept(self, future: Future[StoreResult]) -> Future[StoreResult]:
        """What is kept of an object until all of the request has come."""
        return future

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
        done = max(0, len(self._under_way) - most)
        must, self._under_way = self._under_way[:done], self._under_way[done:]
        for future in reversed(must):  # once the last of them is done, the others are, too, as a rule
            if not future.done():
                waited = asyncio.wrap_future(future)
                await asyncio.wait((waited,))
                waited.exception()  # heard of later, by the result itself
