"""Uploads in parts: kept on disk until complete, so that a broken one can go on; they expire."""

from __future__ import annotations

import os
import re
import shutil
import threading
import time
import uuid
import zlib
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from core.archive.blobs import RESERVE_BYTES
from core.archive.incoming import fault_of
from core.errors import BadInput, Conflict, NotFound, StorageFault, TooLarge

EXPIRES_AFTER_S = 24 * 3600.0
MOST_UPLOADS, MOST_OF_ONE_OWNER = 200, 50
MOST_BYTES = 32 << 30
LARGEST_PART = 64 << 20
CHUNK = 1 << 20
NAME = re.compile(r"\d{5}")
OWNER, COMPLETING, COMING = "owner", "completing", ".coming"


@dataclass(frozen=True, slots=True)
class PartOf:
    """One part as it is kept; *checksum* is its CRC-32."""

    number: int
    size: int
    checksum: int


class Parts:
    """Open uploads under *folder*, one folder each; safe from any thread of the process that serves."""

    def __init__(
        self, folder: Path, *, expires_after_s: float = EXPIRES_AFTER_S, most_bytes: int = MOST_BYTES
    ) -> None:
        self._folder = folder
        self._expires_after_s = expires_after_s
        self._most_bytes = most_bytes
        self._lock = threading.Lock()
        try:
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            self._bytes = sum(file.stat().st_size for file in folder.glob("*/*"))
            for left in folder.glob(f"*/{COMPLETING}"):
                left.unlink()  # its process died on the way
            self._sweep()
        except OSError as error:
            raise fault_of(error) from error

    def initiate(self, owner: str) -> str:
        """Open an upload of *owner*; what has expired goes. Raises TooLarge, StorageFault."""
        with self._lock:
            self._sweep()
            mine = [each for each in self._uploads() if _owner(each) == owner]
            if len(mine) >= MOST_OF_ONE_OWNER or len(list(self._uploads())) >= MOST_UPLOADS:
                raise TooLarge("Too many uploads are open.", "Complete some, or wait until they expire.")
            upload = str(uuid.uuid4())
            try:
                (self._folder / upload).mkdir(mode=0o700)
                (self._folder / upload / OWNER).write_text(owner, "utf-8")
            except OSError as error:
                raise fault_of(error) from error
        return upload

    def put(self, upload: str, owner: str, name: str, data: bytes, checksum: int) -> None:
        """Keep a part; the same number again replaces it. Durable when it returns.

        Raises NotFound, BadInput for a wrong checksum, Conflict while completing, TooLarge, StorageFault.
        """
        folder = self._open(upload, owner)
        if not NAME.fullmatch(name):
            raise BadInput("The number of a part must have five digits.", "Count from 00000.")
        if zlib.crc32(data) != checksum:
            raise BadInput("The part is not what its checksum says.", "Send the part again.")
        self._reserve(len(data))
        coming = folder / f"{uuid.uuid4().hex}{COMING}"
        before = 0
        try:
            with coming.open("xb") as file:
                file.write(data)
                file.flush()
                os.fsync(file.fileno())
            with suppress(FileNotFoundError):
                before = (folder / name).stat().st_size
            coming.replace(folder / name)
            os.utime(folder)
        except OSError as error:
            coming.unlink(missing_ok=True)
            self._release(len(data))
            if not folder.is_dir():
                raise _missing() from error
            raise fault_of(error) from error
        self._release(before)

    def list(self, upload: str, owner: str) -> list[PartOf]:
        """What is there, in order. Raises NotFound, StorageFault."""
        folder = self._open(upload, owner)
        try:
            return [PartOf(int(path.name), path.stat().st_size, _crc(path)) for path in _kept(folder)]
        except OSError as error:
            raise fault_of(error) from error

    def begin(self, upload: str, owner: str, size: int) -> Iterator[bytes]:
        """The whole file in pieces; until `end` no part can come and nobody else can begin.

        Raises NotFound, Conflict, BadInput when parts are missing or do not make up *size* bytes.
        """
        folder = self._open(upload, owner)
        sizes = {path.name: path.stat().st_size for path in _kept(folder)}
        if not sizes:
            raise BadInput("No part of this upload has come.", "Send its parts first.")
        if missing := sorted(set(range(int(max(sizes)))) - {int(name) for name in sizes}):
            raise BadInput(f"Part {missing[0]:05d} of this upload has not come.", "Send it.")
        if (total := sum(sizes.values())) != size:
            raise BadInput(f"X-File-Size says {size} bytes, and the parts have {total}.")
        try:
            (folder / COMPLETING).open("xb").close()
        except FileExistsError as error:
            raise Conflict(
                "This upload is being completed already.", "Wait for the other request."
            ) from error
        return _pieces([folder / name for name in sorted(sizes)])

    def end(self, upload: str, *, done: bool) -> None:
        """After `begin`: forget the upload, or leave it for another try."""
        folder = self._folder / upload
        if not done:
            (folder / COMPLETING).unlink(missing_ok=True)
            return
        self._forget(folder)

    def _open(self, upload: str, owner: str) -> Path:
        try:
            folder = self._folder / str(uuid.UUID(upload))
        except ValueError:
            raise _missing() from None
        if not folder.is_dir() or _owner(folder) != owner or self._expired(folder):
            raise _missing()
        if (folder / COMPLETING).exists():
            raise Conflict("This upload is being completed.", "Wait for the other request.")
        return folder

    def _reserve(self, size: int) -> None:
        with self._lock:
            if self._bytes + size > self._most_bytes:
                self._sweep()
            free = shutil.disk_usage(self._folder).free
            if self._bytes + size > self._most_bytes or free - size < RESERVE_BYTES:
                raise StorageFault("There is no space for more uploads in parts.", "Complete the open ones.")
            self._bytes += size

    def _release(self, size: int) -> None:
        with self._lock:
            self._bytes = max(0, self._bytes - size)

    def _uploads(self) -> Iterator[Path]:
        return (path for path in self._folder.iterdir() if path.is_dir())

    def _expired(self, folder: Path) -> bool:
        try:
            return time.time() - folder.stat().st_mtime > self._expires_after_s
        except FileNotFoundError:
            return True

    def _sweep(self) -> None:
        for folder in list(self._uploads()):
            if self._expired(folder) and not (folder / COMPLETING).exists():
                self._bytes = max(0, self._bytes - _size(folder))
                shutil.rmtree(folder, ignore_errors=True)

    def _forget(self, folder: Path) -> None:
        self._release(_size(folder))
        shutil.rmtree(folder, ignore_errors=True)


def _missing() -> NotFound:
    return NotFound("upload", "There is no such upload; it may have expired.", "Begin another.")


def _owner(folder: Path) -> str:
    try:
        return (folder / OWNER).read_text("utf-8")
    except OSError:
        return ""


def _size(folder: Path) -> int:
    with suppress(OSError):
        return sum(path.stat().st_size for path in folder.iterdir())
    return 0


def _kept(folder: Path) -> list[Path]:
    """Its parts in order. Raises NotFound."""
    try:
        return sorted(path for path in folder.iterdir() if NAME.fullmatch(path.name))
    except FileNotFoundError:
        raise _missing() from None


def _pieces(paths: list[Path]) -> Iterator[bytes]:
    for path in paths:
        with path.open("rb") as file:
            while chunk := file.read(CHUNK):
                yield chunk


def _crc(path: Path) -> int:
    running = 0
    for piece in _pieces([path]):
        running = zlib.crc32(piece, running)
    return running
