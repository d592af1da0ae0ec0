"""Arriving bytes on their way into the archive: gathered on the event loop, written and hashed off it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

from core.archive.incoming import Incoming
from core.dicom.file_format import META_BYTES, check_beginning
from core.errors import BadInput
from server.web.waiting import outcome

T = TypeVar("T")

FLUSH_BYTES = 1 << 20
"""One hop to a worker thread each so many bytes: most images need a single one, and memory stays flat."""

BEGINNING = META_BYTES
"""So many bytes tell what can be no DICOM object, as a rule."""


class Intake:
    """One object that is arriving; give it up with `abort` unless `finish` was reached."""

    def __init__(self, workers: ThreadPoolExecutor, make: Callable[[], Incoming]) -> None:
        self._workers = workers
        self._make = make
        self._incoming: Incoming | None = None
        self._parts: list[bytes] = []
        self._waiting = 0
        self.size = 0

    def check_beginning(self) -> None:
        """Raises NotDicom or BadInput if what has arrived is none by its first bytes: it is not written."""
        if self._incoming is not None:
            return
        if not self.size:
            raise BadInput("Nothing was sent.", "Send a DICOM object.")
        head = b""
        for part in self._parts:
            head += part[:BEGINNING]
            if len(head) >= BEGINNING:
                break
        check_beginning(head)

    async def write(self, chunk: bytes) -> None:
        """Take *chunk*. Raises StorageFault, TooLarge."""
        self._parts.append(chunk)
        self._waiting += len(chunk)
        self.size += len(chunk)
        if self._waiting >= FLUSH_BYTES:
            await asyncio.get_running_loop().run_in_executor(self._workers, self._flush)

    async def finish(self, keep: Callable[[Incoming], Future[T]]) -> T:
        """Hand what arrived to *keep* and wait until it is durable. Raises what *keep* and its Future do.

        *keep* does not wait for the disk, and less than FLUSH_BYTES stay in memory until it does.
        """
        return await outcome(self.hand_over(keep))

    def hand_over(self, keep: Callable[[Incoming], Future[T]]) -> Future[T]:
        """The same without waiting. Raises StorageFault, TooLarge."""
        incoming = self._flush()
        future = keep(incoming)
        self._incoming = None  # taken over, whatever becomes of it
        return future

    async def abort(self) -> None:
        """Give up what has arrived; no error if it was kept or given up already."""
        self._parts.clear()
        if self._incoming is not None:
            await asyncio.get_running_loop().run_in_executor(self._workers, self._incoming.abort)
            self._incoming = None

    def _flush(self) -> Incoming:
        if self._incoming is None:
            self._incoming = self._make()
        data = self._parts[0] if len(self._parts) == 1 else b"".join(self._parts)
        self._parts.clear()
        self._waiting = 0
        if data:
            self._incoming.write(data)
        return self._incoming
