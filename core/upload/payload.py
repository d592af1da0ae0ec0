"""One file on its way: read once, hashed and counted while it is read, and stopped when the upload is."""

from __future__ import annotations

import io
import os
import zlib
from collections.abc import Callable
from typing import BinaryIO, TypeVar
from zipfile import BadZipFile

from core.dicom.digest import Hash, new_hash, version_of
from core.errors import KnownError, SourceFault

T = TypeVar("T")

PIECE = 256 * 1024
READ_AGAIN = "Clean the disc or try another drive, then go on with the upload."
SCAN_AGAIN = "Read the source again, then go on with the upload."


class Stopped(Exception):
    """The upload was stopped while a file was on its way; nothing is wrong with the file."""


class Payload(io.BufferedIOBase):
    """Bytes of a source's file; whatever goes wrong while reading is a SourceFault, never an OSError.

    *moved* is told how many bytes were read, and less than zero when they must be read again.
    """

    def __init__(
        self, data: BinaryIO, size: int, moved: Callable[[int], None], stopped: Callable[[], bool]
    ) -> None:
        self._data = data
        self._size = size
        self._moved = moved
        self._stopped = stopped
        self._hash: Hash = new_hash()
        self._done = 0

    @property
    def version(self) -> str:
        """Digest of all bytes; read to the end first."""
        if self._done != self._size:
            raise ValueError("the file was not read to its end")
        return version_of(self._hash)

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._done

    def read(self, size: int | None = -1, /) -> bytes:
        """At most *size* bytes; b"" at the end. Raises SourceFault, Stopped."""
        if self._stopped():
            raise Stopped
        left = self._size - self._done
        piece = self._read(left if size is None or size < 0 else min(size, left))
        if not piece and left and size != 0:
            raise changed()
        self._hash.update(piece)
        self._done += len(piece)
        self._moved(len(piece))
        if piece and self._done == self._size and self._read(1):
            raise changed()
        return piece

    def readinto(self, buffer: memoryview, /) -> int:  # type: ignore[override]  # it is always given one
        """As `read`, into memory of the caller."""
        if self._stopped():
            raise Stopped
        view = memoryview(buffer).cast("B")[: self._size - self._done]
        count = self._reading(lambda: self._data.readinto(view)) or 0  # type: ignore[attr-defined]  # every binary file has it
        if not count and view:
            raise changed()
        self._hash.update(view[:count])
        self._done += count
        self._moved(count)
        if count and self._done == self._size and self._read(1):
            raise changed()
        return count

    def seek(self, offset: int, whence: int = os.SEEK_SET, /) -> int:
        """Back to the start, to be read again; nothing else is possible."""
        if offset or whence != os.SEEK_SET:
            raise io.UnsupportedOperation("only back to the start")
        try:
            self._data.seek(0)
        except OSError as error:
            raise unreadable() from error
        self.forget()
        return 0

    def forget(self) -> None:
        """Take back what was counted."""
        self._moved(-self._done)
        self._done = 0
        self._hash = new_hash()

    def drain(self) -> str:
        """Read to the end and return the digest."""
        while self.read(PIECE):
            pass
        return self.version

    def _read(self, size: int) -> bytes:
        return self._reading(lambda: self._data.read(size)) if size else b""

    def _reading(self, read: Callable[[], T]) -> T:
        """What *read* gives. Raises SourceFault."""
        try:
            return read()
        except KnownError as error:
            raise SourceFault(error.message, error.remedy, lasting=True) from error
        except (OSError, EOFError, BadZipFile, zlib.error, ValueError) as error:
            raise unreadable() from error


def changed() -> SourceFault:
    """The error for a file that is not what was found when the source was read."""
    return SourceFault("The file changed since the source was read.", SCAN_AGAIN, lasting=True)


def unreadable() -> SourceFault:
    """The error for a file that cannot be read, now."""
    return SourceFault("The file could not be read from the source.", READ_AGAIN)


def missing() -> SourceFault:
    """The error for a file that is no longer there."""
    return SourceFault("The file is no longer on the source.", "Insert the same disc, then go on.")
