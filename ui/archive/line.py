"""What one view asks an archive elsewhere: one question at a time, and the newest is the one that counts."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from core.errors import Unreachable
from ui.services import Destinations

if TYPE_CHECKING:
    from core.net.dicomweb_client import DicomWebClient


class Line:
    """Connections that are kept from question to question; a question that still waits is cut by the next.

    An archive that says nothing for half a minute must not hold up whoever has turned to something else.
    """

    def __init__(self, destinations: Destinations) -> None:
        self._destinations = destinations
        self._lock = threading.Lock()
        self._turn = 0
        self._of: DicomWebClient | None = None
        self._client: DicomWebClient | None = None
        self._busy = False

    def take_turn(self) -> int:
        """Begin a question: what it waits for is to be asked by `client` with this number. Quick."""
        with self._lock:
            self._turn += 1
            turn, waiting = self._turn, self._client if self._busy else None
            if waiting is not None:
                self._client, self._busy = None, False
        if waiting is not None:
            waiting.close()
        return turn

    @contextmanager
    def client(self, name: str, turn: int) -> Iterator[DicomWebClient]:
        """A client of the archive saved under *name*, within the block. Slow. Raises KnownError."""
        of = self._destinations.remote(name)
        with self._lock:
            if turn != self._turn:
                raise Unreachable("Something else is looked for by now.")
            if self._client is None or self._of is not of:  # another archive, or its login was changed
                self._client, self._of = of.another(), of
            client, self._busy = self._client, True
        try:
            yield client
        finally:
            with self._lock:
                if self._client is client:
                    self._busy = False
