"""That something about accounts has changed: seen at once by every process that remembers any of it."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path


class Changes:
    """A file that grows by a byte with each change; asking is one look at its size."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def mark(self) -> None:
        """Something has changed; on a full disk whoever remembers finds out a few seconds later."""
        with suppress(OSError), self._path.open("ab") as file:
            file.write(b".")

    def count(self) -> int:
        """How often something has changed."""
        try:
            return self._path.stat().st_size
        except OSError:
            return 0
