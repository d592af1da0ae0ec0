"""The lock of an archive folder: one serving process at a time, and no removal while a backup copies."""

from __future__ import annotations

import os
import sys
import time
from io import FileIO
from pathlib import Path

from core.errors import Busy, StorageFault


class FolderLock:
    """An advisory lock on a file that holds the owner's process number; released by `close` or by dying."""

    def __init__(self, path: Path, *, shared: bool = False) -> None:
        """Take the lock. Raises Busy naming the process that holds it, StorageFault."""
        try:
            descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
        except OSError as error:
            raise StorageFault("The data folder cannot be written.", "Check its permissions.") from error
        self._file = FileIO(descriptor, "r+b")
        if not _try_lock(self._file, shared):
            owner = self._owner()
            self._file.close()
            by = f"by process {owner}" if owner else "by another process"
            raise Busy(f"The archive in {path.parent.parent} is in use {by}.", "Stop that process first.")
        if not shared:
            self._file.seek(0)
            self._file.truncate()
            self._file.write(f"{os.getpid():<16}\n".encode())

    @classmethod
    def wait_shared(cls, path: Path, most_s: float) -> FolderLock:
        """A shared lock, waiting up to *most_s* for an exclusive one to be let go. Raises Busy."""
        deadline = time.monotonic() + most_s
        while True:
            try:
                return cls(path, shared=True)
            except Busy:
                if time.monotonic() > deadline:
                    raise
                time.sleep(0.05)

    def close(self) -> None:
        """Let go; calling it again does nothing."""
        self._file.close()

    def _owner(self) -> str:
        try:
            self._file.seek(0)
            text = (self._file.read(16) or b"").decode("ascii", "replace").strip()
        except OSError:  # Windows forbids reading what another process locked
            return ""
        return text if text.isdigit() else ""


if sys.platform == "win32":
    import msvcrt

    def _try_lock(file: FileIO, shared: bool) -> bool:
        """Lock one byte behind the process number; Windows knows no shared locks here."""
        file.seek(1024)
        try:
            msvcrt.locking(file.fileno(), msvcrt.LK_NBLCK, 1)
        except OSError:
            return False
        return True

else:
    import fcntl

    def _try_lock(file: FileIO, shared: bool) -> bool:
        try:
            fcntl.flock(file, (fcntl.LOCK_SH if shared else fcntl.LOCK_EX) | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        return True
