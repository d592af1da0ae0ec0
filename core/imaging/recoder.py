"""Objects in another transfer syntax for whoever sends them: compressed ones in a process of their own."""

from __future__ import annotations

import threading

from core.imaging.worker import TRANSCODE
from core.imaging.workers import RenderPool


class Recoder:
    """Called from any thread; its one worker process starts with the first compressed object; close it."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._pool: RenderPool | None = None

    def __call__(self, content: bytes, transfer_syntax_uid: str, *, compressed: bool) -> bytes:
        """The object of a file, written in the syntax. Raises NotAcceptable, NotRenderable, NotDicom."""
        if not compressed:
            from core.imaging.transcode import transcode

            return transcode(content, transfer_syntax_uid)
        with self._lock:
            self._pool = pool = self._pool or RenderPool(1)
        return pool.render(content, 0, TRANSCODE + transfer_syntax_uid).result()

    def close(self) -> None:
        """End the worker; a later call starts another."""
        with self._lock:
            pool, self._pool = self._pool, None
        if pool is not None:
            pool.close()
