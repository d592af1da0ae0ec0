"""Blobs: bytes that are written once, named by us, and durable before anybody is told."""

from __future__ import annotations

import errno
import itertools
import os
import re
import threading
import time
import uuid
from collections.abc import Iterator, Sequence
from contextlib import suppress
from io import BytesIO, FileIO
from pathlib import Path
from types import TracebackType
from typing import BinaryIO, NamedTuple, Protocol

from core.archive.files import FileSystem, LocalFiles
from core.dicom.digest import new_hash, version_of
from core.errors import StorageFault, TooLarge

GATHER_BYTES = 1 << 20
RESERVE_BYTES = 64 << 20
"""So much of the disk is left free, so that the database can always finish what it began."""

BLOBS_TOGETHER = 500
"""So many blobs in a row go into one folder."""

KEY = re.compile(r"[0-9a-f]{2}/[0-9a-f]{32}")


class Blob(NamedTuple):
    """A kept blob: *key* is "<two hex digits>/<uuid>", made by us alone."""

    key: str
    version: str
    bytes: int


class Blobs(Protocol):
    """Where bytes are kept; nothing but an implementation of this touches paths."""

    def incoming(self, namespace: str, limit: int | None = None) -> Incoming:
        """A place for arriving bytes."""

    def keep(self, incoming: Incoming) -> Blob:
        """Make what arrived durable under a new key. Raises StorageFault; then nothing is left of it."""

    def move(self, arrived: Sequence[Incoming]) -> list[Blob]:
        """The same for many whose bytes are finished. Raises StorageFault; then nothing is left of any."""

    def path(self, key: str) -> Path:
        """Where the bytes can be read."""

    def size(self, key: str) -> int | None:
        """Size in bytes, None if there is no such blob."""

    def remove(self, key: str) -> None:
        """Forget a blob; no error if it is not there. Raises StorageFault."""

    def keys(self) -> Iterator[str]:
        """Every blob there is."""


def fault_of(error: OSError) -> StorageFault:
    """The sentence for a failing disk."""
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return StorageFault("The disk of the archive is full; nothing was kept.", "Free some space.")
    reason = os.strerror(error.errno) if error.errno else "unknown error"
    return StorageFault(f"The disk of the archive failed ({reason}); nothing was kept.", "Check the disk.")


class Incoming:
    """Arriving bytes in a file of `incoming/`, hashed on the way; its with-statement aborts if not kept.

    Up to GATHER_BYTES are gathered in memory: the file of a usual object is made and written in one go.
    """

    def __init__(self, files: FileSystem, path: Path, namespace: str, limit: int | None = None) -> None:
        self.namespace = namespace
        self.path = path
        self.size = 0
        self._files = files
        self._limit = limit
        self._hash = new_hash()
        self._gathered: list[bytes] = []
        self._gathered_bytes = 0
        self._file: FileIO | None = None
        self._made = False
        self._sealed = False
        self._given_up = False
        self._taken = False

    @property
    def version(self) -> str:
        """The digest version of what arrived; `seal` it first."""
        return version_of(self._hash)

    @property
    def name(self) -> str:
        """What it is called, and will be."""
        return self.path.stem

    def seal(self) -> None:
        """Say that nothing more will come: from here on `version` holds."""
        if not self._sealed:
            self._sealed = True
            self._hash.update(self._joined())

    def content(self) -> BinaryIO | Path:
        """What arrived, for reading: in memory while it is still there. Raises OSError."""
        if self._file is None:
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
        self._gathered.append(chunk if isinstance(chunk, bytes) else bytes(chunk))
        self._gathered_bytes += len(chunk)
        self.size += len(chunk)
        if self._gathered_bytes >= GATHER_BYTES:
            try:
                self.flush()
            except OSError as error:
                self.abort()
                raise fault_of(error) from error

    def flush(self) -> None:
        """Hand what was gathered to the operating system, so that *path* can be read. Raises OSError."""
        if self._file is None:
            self._file = self._files.create(self.path)
            self._made = True
        data = self._joined()
        self._gathered, self._gathered_bytes = [], 0
        if data:
            if not self._sealed:
                self._hash.update(data)
            self._files.write(self._file, data)

    def finish(self) -> None:
        """Seal, flush to disk and close. Raises OSError."""
        self.seal()
        self.flush()
        if self._file is not None:
            self._files.sync(self._file)
            self._close()

    def moved(self) -> None:
        """Say that its file has another name now."""
        self._made = False

    def abort(self) -> None:
        """Give up what has arrived; no error if it was kept or given up already."""
        self._given_up = True
        self._gathered = []
        self._close()
        if self._made:
            self._made = False
            with suppress(OSError):  # what stays behind is swept at the next start
                self._files.unlink(self.path)

    def __enter__(self) -> Incoming:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if not self._taken:
            self.abort()

    def _joined(self) -> bytes:
        """What is still in memory, as one piece."""
        if len(self._gathered) > 1:
            self._gathered = [b"".join(self._gathered)]
        return self._gathered[0] if self._gathered else b""

    def _close(self) -> None:
        file, self._file = self._file, None
        if file is not None:
            with suppress(OSError):  # the bytes were synced, or are being given up
                file.close()


class LocalBlobs:
    """Blobs in a folder: `incoming/` for what arrives, `objects/<two hex digits>/<uuid>` for what is kept.

    What is kept together lies together: one folder is filled with BLOBS_TOGETHER blobs before another is
    drawn by lot, so that a group of blobs has but one folder to be synced.
    """

    def __init__(self, folder: Path, files: FileSystem | None = None) -> None:
        self._files: FileSystem = files or LocalFiles()
        self._incoming = folder / "incoming"
        self._objects = folder / "objects"
        self._lost = folder / "lost+found"
        self._turn = threading.Lock()
        self._digits = ""
        self._room = 0
        self._names = uuid.uuid4().hex[:20]  # and a number: drawing each name by lot waits for the system
        self._numbers = itertools.count()
        try:
            for path in (self._incoming, self._objects):
                self._files.make_folder(path)
            self._prefixes = {path.name for path in self._objects.iterdir() if path.is_dir()}
        except OSError as error:
            raise fault_of(error) from error

    def incoming(self, namespace: str, limit: int | None = None) -> Incoming:
        """A place for arriving bytes; refused when the disk is nearly full. Raises StorageFault."""
        if self.free_bytes() < RESERVE_BYTES:
            raise StorageFault("The disk of the archive is full; nothing was kept.", "Free some space.")
        name = f"{self._names}{next(self._numbers):012x}.part"
        return Incoming(self._files, self._incoming / name, namespace, limit)

    def keep(self, incoming: Incoming) -> Blob:
        """Sync the file, move it to its place, sync the folder. Raises StorageFault; then nothing is left."""
        try:
            incoming.finish()
        except OSError as error:
            incoming.abort()
            raise fault_of(error) from error
        return self.move([incoming])[0]

    def move(self, arrived: Sequence[Incoming]) -> list[Blob]:
        """Move synced files to their place, sync its folder. Raises StorageFault; then nothing is left."""
        blobs = []
        try:
            folder = self._folder(len(arrived))
            for incoming in arrived:
                blob = Blob(f"{folder.name}/{incoming.name}", incoming.version, incoming.size)
                self._files.rename(incoming.path, folder / incoming.name)
                incoming.moved()
                blobs.append(blob)
            self._files.sync_folder(folder)
        except OSError as error:
            for incoming in arrived:
                incoming.abort()
            for blob in blobs:
                with suppress(OSError):  # an orphan at worst, which check --repair finds
                    self._files.unlink(self._objects / blob.key)
            raise fault_of(error) from error
        return blobs

    def path(self, key: str) -> Path:
        """Where a blob lies; *key* is proven to be one of ours."""
        if not KEY.fullmatch(key):
            raise ValueError("not a key of a blob")
        return self._objects / key

    def size(self, key: str) -> int | None:
        """Size in bytes, None if it is missing."""
        try:
            return self.path(key).stat().st_size
        except OSError:
            return None

    def age_s(self, key: str) -> float:
        """How long ago a blob was written; endless if it is missing."""
        try:
            return time.time() - self.path(key).stat().st_mtime
        except OSError:
            return float("inf")

    def remove(self, key: str) -> None:
        """Unlink a blob. Raises StorageFault."""
        try:
            self._files.unlink(self.path(key))
        except OSError as error:
            raise fault_of(error) from error

    def set_aside(self, key: str) -> None:
        """Move a damaged or ownerless blob to `lost+found`. Raises StorageFault."""
        try:
            self._files.make_folder(self._lost)
            self._files.rename(self.path(key), self._lost / key.replace("/", "-"))
            self._files.sync_folder(self._lost)
        except OSError as error:
            raise fault_of(error) from error

    def keys(self) -> Iterator[str]:
        """Every blob in the folder, in order of key."""
        for folder in sorted(self._objects.iterdir()):
            if folder.is_dir():
                for path in sorted(folder.iterdir()):
                    if KEY.fullmatch(f"{folder.name}/{path.name}"):
                        yield f"{folder.name}/{path.name}"

    def digest(self, key: str) -> str:
        """The digest version of the bytes as they lie there now. Raises OSError."""
        running = new_hash()
        with self.path(key).open("rb") as file:
            while chunk := file.read(1 << 20):
                running.update(chunk)
        return version_of(running)

    def sweep_incoming(self) -> int:
        """Remove what a killed process left half-arrived; only for the one process that stores."""
        left = list(self._incoming.iterdir())
        for path in left:
            self._files.unlink(path)
        return len(left)

    def free_bytes(self) -> int:
        """What the disk still takes."""
        try:
            return self._files.free_bytes(self._incoming)
        except OSError as error:
            raise fault_of(error) from error

    def _folder(self, count: int) -> Path:
        """Where the next *count* blobs go. Raises OSError."""
        with self._turn:
            if self._room <= 0:
                digits = os.urandom(1).hex()
                if digits not in self._prefixes:
                    self._files.make_folder(self._objects / digits)
                    self._files.sync_folder(self._objects)
                    self._prefixes.add(digits)
                self._digits, self._room = digits, BLOBS_TOGETHER
            self._room -= count
            return self._objects / self._digits
