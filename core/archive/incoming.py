"""Bytes on their way into the archive: hashed, written, and given up unless they are kept."""

from __future__ import annotations

import errno
import os
from contextlib import suppress
from io import BytesIO, FileIO
from pathlib import Path
from types import TracebackType
from typing import BinaryIO

from core.archive.files import FileSystem
from core.dicom.digest import new_hash, version_of
from core.dicom.stored_object import Head, read_head
from core.errors import StorageFault, TooLarge

GATHER_BYTES = 1 << 20
LOOK_BYTES = 32 << 10
"""Most objects begin with less than that before their pixel data."""


def fault_of(error: OSError) -> StorageFault:
    """The sentence for a failing disk."""
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return StorageFault("The disk of the archive is full; nothing was kept.", "Free some space.")
    reason = os.strerror(error.errno) if error.errno else "unknown error"
    return StorageFault(f"The disk of the archive failed ({reason}); nothing was kept.", "Check the disk.")


class Incoming:
    """Arriving bytes, hashed on the way; its with-statement aborts if they were not kept.

    Up to GATHER_BYTES are gathered in memory: the file of a usual object is made and written in one go.
    """

    def __init__(
        self,
        files: FileSystem,
        path: Path,
        namespace: str,
        *,
        limit: int | None = None,
        in_pieces: bool = False,
    ) -> None:
        """*in_pieces*: hash and write each piece at once, and read the *head*, while the sender goes on."""
        self.namespace = namespace
        self.path = path
        self.size = 0
        self.head: Head | None = None
        self._files = files
        self._limit = limit
        self._in_pieces = in_pieces
        self._hash = new_hash()
        self._gathered: list[bytes] = []
        self._hashed = self._written = 0  # so many of them
        self._gathered_bytes = 0
        self._file: FileIO | None = None
        self._made = False
        self._looked = False
        self._given_up = False
        self._taken = False

    @property
    def version(self) -> str:
        """The digest version of what arrived; `seal` it first."""
        return version_of(self._hash)

    def seal(self) -> None:
        """Say that nothing more will come: from here on `version` holds."""
        self._hash_rest()

    def content(self) -> BinaryIO | Path:
        """What arrived, for reading: in memory while it is still there. Raises OSError."""
        if self._gathered_bytes == self.size:
            return BytesIO(self._joined())
        self.flush()
        return self.path

    def take(self) -> None:
        """Say that somebody else now answers for it: the with-statement leaves it alone."""
        self._taken = True

    def write(self, chunk: bytes | bytearray | memoryview) -> None:
        """Append *chunk*. Raises StorageFault, TooLarge; after either nothing is left of it."""
        if self._given_up:
            raise StorageFault("What was arriving has been given up.", "Send it again.")
        if self._limit is not None and self.size + len(chunk) > self._limit:
            self.abort()
            raise TooLarge(f"It is larger than {self._limit} bytes.", "Send a smaller one.")
        self.size += len(chunk)
        try:
            if self._looked and self._file is not None:
                self._hash.update(chunk)
                self._files.write(self._file, chunk)
            else:
                self._gather(chunk)
        except OSError as error:
            self.abort()
            raise fault_of(error) from error

    def _gather(self, chunk: bytes | bytearray | memoryview) -> None:
        self._gathered.append(chunk if isinstance(chunk, bytes) else bytes(chunk))
        self._gathered_bytes += len(chunk)
        if self._in_pieces:
            self._hash_rest()
            self._write_rest()
            self._look()
        if self._gathered_bytes >= GATHER_BYTES:
            self.flush()

    def flush(self) -> None:
        """Hand what was gathered to the operating system, so that *path* can be read. Raises OSError."""
        if self._made and self._file is None:
            return  # it is finished
        self._hash_rest()
        self._write_rest()
        self._gathered, self._gathered_bytes, self._hashed, self._written = [], 0, 0, 0

    def finish(self) -> None:
        """Write all that arrived, flush it to disk and close the file; done already it does nothing.

        Raises OSError, also if it was given up.
        """
        if self._given_up:
            raise OSError(errno.ECANCELED, os.strerror(errno.ECANCELED))
        self.flush()
        if self._file is not None:
            self._files.sync(self._file)
            self._close()

    def rename(self, target: Path) -> None:
        """Give the finished file its name for good. Raises OSError."""
        self._files.rename(self.path, target)
        self.path = target

    def kept(self) -> None:
        """Say that its file stays."""
        self._made = False

    def abort(self) -> None:
        """Give up what has arrived; no error if it was kept or given up already."""
        self._given_up = True
        self._gathered = []
        self._close()
        if self._made:
            self._made = False
            with suppress(OSError):  # what stays behind is swept at the next start, or an orphan for `check`
                self._files.unlink(self.path)

    def __enter__(self) -> Incoming:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if not self._taken:
            self.abort()

    def _look(self) -> None:
        """Read the head of an object, once so much has come that it should be there; then keep nothing."""
        if self.size >= LOOK_BYTES and self._gathered_bytes == self.size:
            self._looked = True
            self.head = read_head(self._joined())
            self.flush()

    def _hash_rest(self) -> None:
        """Hash what has not been yet."""
        for piece in self._gathered[self._hashed :]:
            self._hash.update(piece)
        self._hashed = len(self._gathered)

    def _write_rest(self) -> None:
        """Write what has not been yet, in one piece. Raises OSError."""
        if self._file is None:
            self._file = self._files.create(self.path)
            self._made = True
        if not self._written:
            self._joined()
        for piece in self._gathered[self._written :]:
            self._files.write(self._file, piece)
        self._written = len(self._gathered)

    def _joined(self) -> bytes:
        """What is still in memory, as one piece."""
        if len(self._gathered) > 1:
            self._hash_rest()
            written = min(self._written, 1)  # it is all or nothing
            self._gathered, self._hashed, self._written = [b"".join(self._gathered)], 1, written
        return self._gathered[0] if self._gathered else b""

    def _close(self) -> None:
        file, self._file = self._file, None
        if file is not None:
            with suppress(OSError):  # the bytes were synced, or are being given up
                file.close()
