"""Files fetched from elsewhere, in a temporary folder while looked at; the longest unused go first."""

from __future__ import annotations

import os
import tempfile
import threading
from collections import OrderedDict
from collections.abc import Callable
from pathlib import Path
from typing import BinaryIO

from core.dicom.refs import FileRef
from core.errors import StorageFault

DEFAULT_CACHE_BYTES = 2 * 1024**3
Fetch = Callable[[BinaryIO], None]
"""Writes a file from its beginning. Raises KnownError."""


class FileCache:
    """At most *budget* bytes; any thread may open files, one fetches while others wait for it. Close it."""

    def __init__(self, budget: int = DEFAULT_CACHE_BYTES) -> None:
        self._folder = tempfile.TemporaryDirectory(prefix="filmjacket-")
        self._budget = budget
        self._files: OrderedDict[FileRef, tuple[Path, int]] = OrderedDict()
        self._fetching: dict[FileRef, threading.Lock] = {}
        self._lock = threading.Lock()
        self._serial = 0

    def open(self, ref: FileRef, fetch: Fetch) -> BinaryIO:
        """The file, by *fetch* if it is not here. Raises OSError, KnownError."""
        with self._lock:
            turn = self._fetching.setdefault(ref, threading.Lock())
        with turn:
            for _ in range(2):
                path = self._cached(ref) or self._fetch(ref, fetch)
                try:
                    return path.open("rb")
                except FileNotFoundError:  # another thread's fetch has just pushed it out
                    self._forget(ref)
        raise StorageFault("The cache for images of the archive is too small.", "Free space on the disk.")

    def close(self) -> None:
        """Drop every file."""
        self._folder.cleanup()

    def _cached(self, ref: FileRef) -> Path | None:
        with self._lock:
            if ref not in self._files:
                return None
            self._files.move_to_end(ref)
            return self._files[ref][0]

    def _forget(self, ref: FileRef) -> None:
        with self._lock:
            self._files.pop(ref, None)

    def _fetch(self, ref: FileRef, fetch: Fetch) -> Path:
        with self._lock:
            self._serial += 1
            path = Path(self._folder.name) / f"{self._serial}.dcm"
        try:
            with path.open("w+b") as out:
                fetch(out)
        except OSError as error:
            path.unlink(missing_ok=True)
            raise StorageFault(
                "An image of the archive could not be kept on this disk.", "Free space on the disk."
            ) from error
        except BaseException:
            path.unlink(missing_ok=True)
            raise
        self._keep(ref, path)
        return path

    def _keep(self, ref: FileRef, path: Path) -> None:
        size = path.stat().st_size
        with self._lock:
            self._files[ref] = (path, size)
            total = sum(each for _, each in self._files.values())
            gone = []
            while total > self._budget and len(self._files) > 1:
                _, (old, freed) = self._files.popitem(last=False)
                total -= freed
                gone.append(old)
        for old in gone:
            try:
                os.unlink(old)
            except OSError:  # open elsewhere on a system that then keeps it; the folder goes at the end
                continue
