"""Where the files of a medium go: a ZIP file written while it is read, a folder, an ISO image."""

from __future__ import annotations

import tempfile
from collections.abc import Iterable, Iterator
from contextlib import suppress
from datetime import datetime
from pathlib import Path
from typing import IO, Protocol, cast
from zipfile import ZIP_STORED, ZipFile, ZipInfo

from core.errors import KnownError, StorageFault

CHUNK = 1 << 20


class Target(Protocol):
    """Takes files one after the other; what comes out is sent on at once, if anything does."""

    def put(self, path: str, size: int, chunks: Iterable[bytes]) -> Iterator[bytes]:
        """One file; nothing of it stays if *chunks* raises a KnownError. Raises StorageFault."""

    def finish(self) -> Iterator[bytes]:
        """What comes after the last file."""

    def close(self) -> None:
        """Let go of temporary space."""


class _Pipe:
    """A file that cannot be sought: keeps what was written until it is taken."""

    def __init__(self) -> None:
        self._pieces: list[bytes] = []

    def write(self, data: bytes) -> int:
        self._pieces.append(bytes(data))
        return len(data)

    def flush(self) -> None:
        """Nothing is held back."""

    def taken(self) -> Iterator[bytes]:
        pieces, self._pieces = self._pieces, []
        if pieces:
            yield b"".join(pieces)


class ZipTarget:
    """A ZIP file of stored members, ZIP64 where it must be; never more than a chunk in memory."""

    def __init__(self) -> None:
        self._pipe = _Pipe()
        self._zip = ZipFile(cast(IO[bytes], self._pipe), "w", ZIP_STORED)
        now = datetime.now()
        self._date = (max(now.year, 1980), now.month, now.day, now.hour, now.minute, now.second)

    def put(self, path: str, size: int, chunks: Iterable[bytes]) -> Iterator[bytes]:
        """One member; one that fails half-way is left out of the table of contents."""
        entry = ZipInfo(path, self._date)
        entry.external_attr = 0o644 << 16
        entry.file_size = size
        try:
            with self._zip.open(entry, "w") as out:
                for chunk in chunks:
                    out.write(chunk)
                    yield from self._pipe.taken()
        except KnownError:
            self._zip.filelist.remove(entry)
            del self._zip.NameToInfo[entry.filename]
            raise
        yield from self._pipe.taken()

    def finish(self) -> Iterator[bytes]:
        """The table of contents."""
        self._zip.close()
        yield from self._pipe.taken()

    def close(self) -> None:
        """Nothing is kept."""
        with suppress(ValueError):  # given up in the middle of a member
            self._zip.close()


class FolderTarget:
    """Files in *folder*, which is there and empty."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def put(self, path: str, size: int, chunks: Iterable[bytes]) -> Iterator[bytes]:
        """One file in its folders."""
        place = self.folder.joinpath(*path.split("/"))
        try:
            place.parent.mkdir(parents=True, exist_ok=True)
            with place.open("xb") as out:
                for chunk in chunks:
                    out.write(chunk)
                    yield b""
        except KnownError:
            place.unlink(missing_ok=True)
            raise
        except OSError as error:
            raise StorageFault(
                "The files cannot be written.", "Make room, or choose another place."
            ) from error

    def finish(self) -> Iterator[bytes]:
        """Nothing comes after the last file."""
        return iter(())

    def close(self) -> None:
        """Nothing is kept elsewhere."""


class IsoTarget:
    """An ISO 9660 image, made from files kept under *space* until it is complete."""

    def __init__(self, label: str, space: Path) -> None:
        self._label = label
        try:
            space.mkdir(mode=0o700, parents=True, exist_ok=True)
            self._temporary = tempfile.TemporaryDirectory(dir=space, ignore_cleanup_errors=True)
        except OSError as error:
            raise StorageFault("There is no room for a disc image.", "Make room.") from error
        self._files = Path(self._temporary.name) / "files"
        self._files.mkdir()
        self._folder = FolderTarget(self._files)

    def put(self, path: str, size: int, chunks: Iterable[bytes]) -> Iterator[bytes]:
        """One file; names are in capitals."""
        from core.media.iso import check_size

        check_size(size)
        return self._folder.put(path.upper(), size, chunks)

    def finish(self) -> Iterator[bytes]:
        """The whole image."""
        from core.media.iso import write_iso

        image = Path(self._temporary.name) / "image.iso"
        yield from write_iso(self._files, self._label, image)
        with image.open("rb") as file:
            while chunk := file.read(CHUNK):
                yield chunk
        self.close()

    def close(self) -> None:
        """Remove what was kept."""
        self._temporary.cleanup()
