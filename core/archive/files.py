"""The file system as the archive uses it: a seam, so that tests can make each single step fail."""

from __future__ import annotations

import os
import shutil
import time
from io import FileIO
from pathlib import Path
from typing import Protocol

from core.errors import StorageFault


class FileSystem(Protocol):
    """The few operations durability depends on. Each raises OSError."""

    def create(self, path: Path) -> FileIO:
        """A new, empty, unbuffered file for writing; fails if it exists."""

    def write(self, file: FileIO, data: bytes | bytearray | memoryview) -> None:
        """All of *data*."""

    def sync(self, file: FileIO) -> None:
        """Returns once the file's bytes are on disk."""

    def rename(self, source: Path, target: Path) -> None:
        """Atomically, within one file system."""

    def sync_folder(self, path: Path) -> None:
        """Returns once the folder's entries are on disk."""

    def unlink(self, path: Path) -> None:
        """Remove a file; no error if it is not there."""

    def make_folder(self, path: Path) -> bool:
        """Make one folder; False if it was there."""

    def free_bytes(self, path: Path) -> int:
        """What the disk under *path* still takes."""


PLENTY_BYTES, ASK_AGAIN_S = 4 << 30, 0.2


class LocalFiles:
    """The file system of this machine."""

    _plenty: tuple[float, Path | None, int] = (0.0, None, 0)
    """When, where and how much, the last time there was plenty."""

    def create(self, path: Path) -> FileIO:
        return FileIO(path, "xb")

    def write(self, file: FileIO, data: bytes | bytearray | memoryview) -> None:
        written = file.write(data)
        if written != len(data):
            rest = memoryview(data)
            while written < len(rest):
                written += file.write(rest[written:])

    def sync(self, file: FileIO) -> None:
        os.fsync(file.fileno())

    def rename(self, source: Path, target: Path) -> None:
        os.rename(source, target)

    def sync_folder(self, path: Path) -> None:
        if os.name == "nt":  # Windows has no handle to a folder's entries; NTFS journals them itself
            return
        folder = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)

    def unlink(self, path: Path) -> None:
        path.unlink(missing_ok=True)

    def make_folder(self, path: Path) -> bool:
        try:
            path.mkdir(mode=0o700)
        except FileExistsError:
            return False
        return True

    def free_bytes(self, path: Path) -> int:
        """While there is plenty, what there was a moment ago will do: it is asked for each object."""
        asked, place, free = self._plenty
        now = time.monotonic()
        if place == path and now - asked < ASK_AGAIN_S:
            return free
        free = shutil.disk_usage(path).free
        if free > PLENTY_BYTES:
            self._plenty = now, path, free
        return free


def make_folders(data: Path, folder: Path) -> None:
    """The data folder and the archive's in it, for their owner alone. Raises StorageFault."""
    try:
        data.mkdir(mode=0o700, parents=True, exist_ok=True)
        folder.mkdir(mode=0o700, exist_ok=True)
    except OSError as error:
        raise StorageFault(
            f"The data folder {data} cannot be made.", "Choose another with --data."
        ) from error
