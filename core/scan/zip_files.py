"""Opened ZIP files: members are fetched one by one without reading a ZIP file's directory again for each.

No file is held open between two members, so that the disc can be ejected. Nested ZIP files, which must be
unpacked to be read, are kept unpacked in memory or a nameless temporary file for as long as they are in use.
"""

from __future__ import annotations

import io
import os
import threading
import weakref
from collections import OrderedDict
from pathlib import Path
from typing import IO, BinaryIO, NamedTuple, cast
from zipfile import ZipFile, ZipInfo

from core.errors import BadInput, NotFound
from core.scan import sentences
from core.scan.zips import FAULTS, MAX_NESTED, NESTED, entry_of, unpacked

KEPT = 4  # ZIP files, nested ones counted; more than the levels of one path


class _Stamp(NamedTuple):
    """What tells a ZIP file from another one put in its place."""

    size: int
    mtime_ns: int
    inode: int


class _Passing(io.RawIOBase):
    """A file that is open only while it is read. One reader at a time."""

    def __init__(self, path: Path, size: int) -> None:
        self._path = path
        self._size = size
        self._at = 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._at

    def seek(self, offset: int, whence: int = os.SEEK_SET, /) -> int:
        start = {os.SEEK_SET: 0, os.SEEK_CUR: self._at, os.SEEK_END: self._size}[whence]
        if start + offset < 0:
            raise OSError("before the start of the file")  # as a file does; it means a damaged directory
        self._at = start + offset
        return self._at

    def read(self, size: int | None = -1, /) -> bytes:
        with open(self._path, "rb", buffering=0) as file:
            file.seek(self._at)
            wanted = self._size - self._at if size is None or size < 0 else size
            piece = file.read(max(0, wanted))
        self._at += len(piece)
        return piece


class ZipFiles:
    """Members of any ZIP files, for any number of threads; `close` lets go of what was unpacked."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._kept: OrderedDict[tuple[Path, str], tuple[_Stamp, ZipFile]] = OrderedDict()

    def open(self, path: Path, member: str) -> BinaryIO:
        """One member of the ZIP file at *path*, nested ones too ("inner.zip!/member"); the caller closes it.

        It is seekable and was checked against its CRC. Raises OSError, BadInput, NotFound.
        """
        try:
            with self._lock:
                packed, entry = self._find(path, member)
            return unpacked(packed, entry)
        except FAULTS as error:
            raise BadInput(sentences.ZIP_FAULT, "Unpack the ZIP file with another program.") from error

    def close(self) -> None:
        """Free the memory and the temporary files; it can be used again afterwards."""
        with self._lock:
            self._kept.clear()

    def _find(self, path: Path, member: str) -> tuple[ZipFile, ZipInfo]:
        status = path.stat()
        stamp = _Stamp(status.st_size, status.st_mtime_ns, status.st_ino)
        packed = self._known(path, "", stamp) or self._keep(path, "", stamp, _Passing(path, stamp.size))
        entry, rest = entry_of(packed, member)
        inside = ""
        for _ in range(1, MAX_NESTED):
            if not rest:
                break
            inside += entry.filename + NESTED
            inner = self._known(path, inside, stamp)
            packed = inner or self._keep(path, inside, stamp, unpacked(packed, entry))
            entry, rest = entry_of(packed, rest)
        if rest:
            raise NotFound("file", sentences.ZIP_DEEP)
        return packed, entry

    def _known(self, path: Path, inside: str, stamp: _Stamp) -> ZipFile | None:
        then, packed = self._kept.get((path, inside), (None, None))
        if packed is None or then != stamp:
            return None
        self._kept.move_to_end((path, inside))
        return packed

    def _keep(self, path: Path, inside: str, stamp: _Stamp, stream: io.RawIOBase | BinaryIO) -> ZipFile:
        """Read the directory of the ZIP file in *stream*, which is closed when nobody uses it any more."""
        try:
            packed = ZipFile(cast(IO[bytes], stream))
        except BaseException:
            stream.close()
            raise
        weakref.finalize(packed, stream.close)
        self._kept[path, inside] = stamp, packed
        self._kept.move_to_end((path, inside))
        while len(self._kept) > KEPT:
            self._kept.popitem(last=False)
        return packed
