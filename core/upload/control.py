"""How another thread pauses, goes on with, or stops a running upload."""

from __future__ import annotations

import threading


class Control:
    """Shared by the upload and whoever steers it; every method may be called from any thread."""

    def __init__(self) -> None:
        self._paused = threading.Event()
        self._cancelled = threading.Event()

    def pause(self) -> None:
        """Send nothing more after the files that are on their way."""
        self._paused.set()

    def resume(self) -> None:
        """Go on after a pause."""
        self._paused.clear()

    def cancel(self) -> None:
        """Stop, also within a file; the ledger keeps what was done."""
        self._cancelled.set()

    @property
    def paused(self) -> bool:
        """True from `pause` to `resume`."""
        return self._paused.is_set()

    @property
    def cancelled(self) -> bool:
        """True after `cancel`."""
        return self._cancelled.is_set()
