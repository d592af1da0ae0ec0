"""Blobs: bytes that are written once, named by us, and durable before anybody is told."""

from __future__ import annotations

import itertools
import os
import re
import threading
import time
import uuid
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple, Protocol

from core.archive.files import FileSystem, LocalFiles
from core.archive.incoming import Incoming, fault_of
from core.dicom.digest import hex_of, new_hash, version_of
from core.errors import StorageFault

RESERVE_BYTES = 64 << 20
"""So much of the disk is left free, so that the database can always finish what it began."""

BLOBS_TOGETHER = 500
"""So many blobs in a row go into one folder."""

KEY = re.compile(r"[0-9a-f]{2}/[0-9a-f]{32}")
DIGEST_DIGITS = 10
"""So many hex digits of the digest begin a blob's name."""


class Blob(NamedTuple):
    """A kept blob: *key* is "<two hex digits>/<32 hex digits>", made by us alone."""

    key: str
    version: str
    bytes: int


class Blobs(Protocol):
    """Where bytes are kept; nothing but an implementation of this touches paths."""

    def incoming(self, namespace: str, limit: int | None = None, *, in_pieces: bool = False) -> Incoming:
        """A place for arriving bytes; *in_pieces*: hash each as it comes."""

    def place(self, incoming: Incoming) -> Blob:
        """Draw a key for what arrived, which `move` gives it. Raises StorageFault; then nothing is left."""

    def flush(self, placed: Incoming, blob: Blob) -> None:
        """Returns once its bytes are on disk. Raises StorageFault; then nothing is left of it."""

    def move(self, flushed: Sequence[tuple[Incoming, Blob]]) -> None:
        """Returns once they have their keys, and that is on disk. Raises StorageFault; then none is left."""

    def keep(self, *arrived: Incoming) -> list[Blob]:
        """All of that. Raises StorageFault; then nothing is left of any."""

    def path(self, key: str) -> Path:
        """Where the bytes can be read."""

    def size(self, key: str) -> int | None:
        """Size in bytes, None if there is no such blob."""

    def remove(self, key: str) -> None:
        """Forget a blob; no error if it is not there. Raises StorageFault."""

    def keys(self) -> Iterator[str]:
        """Every blob there is."""


class LocalBlobs:
    """Blobs in a folder: `incoming/` for what arrives, `objects/<2 hex digits>/<32 hex digits>` for the rest.

    The name begins with digits of the digest, which prove a blob without a row, and goes on with what makes
    it the only one. What is kept together lies together: one folder is filled
    with BLOBS_TOGETHER blobs before another is drawn by lot, so that a group of blobs has but one folder to
    be synced.
    """

    def __init__(self, folder: Path, files: FileSystem | None = None) -> None:
        self._files: FileSystem = files or LocalFiles()
        self._incoming = folder / "incoming"
        self._objects = folder / "objects"
        self._lost = folder / "lost+found"
        self._turn = threading.Lock()
        self._digits = ""
        self._room = 0
        self._own = uuid.uuid4().hex[:12]  # and a number: drawing each name by lot waits for the system
        self._numbers = itertools.count()
        self._placed: dict[str, int] = {}
        try:
            for path in (self._incoming, self._objects):
                self._files.make_folder(path)
            self._prefixes = {path.name for path in self._objects.iterdir() if path.is_dir()}
        except OSError as error:
            raise fault_of(error) from error

    def incoming(self, namespace: str, limit: int | None = None, *, in_pieces: bool = False) -> Incoming:
        """A place for arriving bytes; refused when the disk is nearly full. Raises StorageFault."""
        if self.free_bytes() < RESERVE_BYTES:
            raise StorageFault("The disk of the archive is full; nothing was kept.", "Free some space.")
        path = self._incoming / f"{self._own}{next(self._numbers):010x}.part"
        return Incoming(self._files, path, namespace, limit=limit, in_pieces=in_pieces)

    def place(self, incoming: Incoming) -> Blob:
        """Draw its key and write it to `incoming/`. Raises StorageFault; then nothing is left of it."""
        try:
            incoming.seal()
            version = incoming.version
            name = f"{hex_of(version)[:DIGEST_DIGITS]}{self._own}{next(self._numbers):010x}"
            key = f"{self._folder()}/{name}"
            incoming.flush()
        except OSError as error:
            incoming.abort()
            raise fault_of(error) from error
        self._placed[key] = incoming.size
        return Blob(key, version, incoming.size)

    def flush(self, placed: Incoming, blob: Blob) -> None:
        """Sync the file. Raises StorageFault; then nothing is left of it."""
        try:
            placed.finish()
        except OSError as error:
            self._placed.pop(blob.key, None)
            placed.abort()
            raise fault_of(error) from error

    def move(self, flushed: Sequence[tuple[Incoming, Blob]]) -> None:
        """Rename the files, sync each folder once. Raises StorageFault; then nothing is left of any."""
        try:
            for incoming, blob in flushed:
                incoming.rename(self.path(blob.key))
            for folder in {incoming.path.parent for incoming, _ in flushed}:
                self._files.sync_folder(folder)
        except OSError as error:
            for incoming, _ in flushed:
                incoming.abort()
            raise fault_of(error) from error
        finally:
            for _, blob in flushed:
                self._placed.pop(blob.key, None)
        for incoming, _ in flushed:
            incoming.kept()

    def keep(self, *arrived: Incoming) -> list[Blob]:
        """Place, flush and move. Raises StorageFault; then nothing is left of any."""
        blobs: list[Blob] = []
        try:
            blobs += map(self.place, arrived)
            for incoming, blob in zip(arrived, blobs, strict=True):
                self.flush(incoming, blob)
            self.move(list(zip(arrived, blobs, strict=True)))
        except StorageFault:
            for blob in blobs:
                self._placed.pop(blob.key, None)
            for incoming in arrived:
                incoming.abort()
            raise
        return blobs

    def names(self, key: str, version: str) -> bool:
        """Whether *key* is the name of bytes with this digest."""
        return key.partition("/")[2].startswith(hex_of(version)[:DIGEST_DIGITS])

    def path(self, key: str) -> Path:
        """Where a blob lies; *key* is proven to be one of ours."""
        if not KEY.fullmatch(key):
            raise ValueError("not a key of a blob")
        return self._objects / key

    def size(self, key: str) -> int | None:
        """Size in bytes, of one that has been placed, too; None if it is missing."""
        if (placed := self._placed.get(key)) is not None:
            return placed
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
        self._placed.pop(key, None)
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

    def _folder(self) -> str:
        """The name of the folder the next blob goes to. Raises OSError."""
        with self._turn:
            if self._room <= 0:
                digits = os.urandom(1).hex()
                if digits not in self._prefixes:
                    self._files.make_folder(self._objects / digits)
                    self._files.sync_folder(self._objects)
                    self._prefixes.add(digits)
                self._digits, self._room = digits, BLOBS_TOGETHER
            self._room -= 1
            return self._digits
