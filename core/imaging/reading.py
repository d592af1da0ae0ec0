"""Random access to the bytes of one object: memory, a file on disk, or an open stream."""

from __future__ import annotations

import io
import os
import threading
import zlib
from pathlib import Path
from typing import BinaryIO, Protocol

from core.errors import NotRenderable

WHOLE_BELOW = 2 << 20  # files up to this size are read at once: one open, one read
INFLATED_AT_MOST = 1 << 30


class RandomBytes(Protocol):
    """Bytes that can be read from any offset; a read past the end comes back short."""

    @property
    def size(self) -> int:
        """How many bytes there are."""

    def read(self, offset: int, count: int) -> memoryview:
        """At most *count* bytes from *offset*. Raises OSError."""


class MemoryBytes:
    """Bytes already in memory; reads copy nothing."""

    def __init__(self, data: bytes | bytearray | memoryview) -> None:
        self._data = memoryview(data).toreadonly()
        self.size = len(self._data)

    def read(self, offset: int, count: int) -> memoryview:
        """A view of the bytes."""
        return self._data[offset : offset + count]


class FileBytes:
    """A file on disk, opened for each read, so that nothing has to be closed and a disc can be ejected."""

    def __init__(self, path: Path, size: int) -> None:
        self._path = path
        self.size = size

    def read(self, offset: int, count: int) -> memoryview:
        """Read from the file. Raises OSError."""
        with self._path.open("rb", buffering=0) as file:
            file.seek(offset)
            return memoryview(_read_fully(file, min(count, max(0, self.size - offset))))


class StreamBytes:
    """An open, seekable stream that its owner closes; reads from several threads take turns."""

    def __init__(self, stream: BinaryIO, size: int) -> None:
        self._stream = stream
        self._lock = threading.Lock()
        self.size = size

    def read(self, offset: int, count: int) -> memoryview:
        """Seek and read. Raises OSError, and ValueError once the stream is closed."""
        with self._lock:
            self._stream.seek(offset)
            return memoryview(_read_fully(self._stream, min(count, max(0, self.size - offset))))


def random_bytes(data: bytes | bytearray | memoryview | Path | BinaryIO) -> RandomBytes:
    """The right kind for *data*; small files and streams are read whole. Raises OSError."""
    if isinstance(data, (bytes, bytearray, memoryview)):
        return MemoryBytes(data)
    if isinstance(data, Path):
        with data.open("rb", buffering=0) as file:
            size = os.fstat(file.fileno()).st_size
            if size > WHOLE_BELOW:
                return FileBytes(data, size)
            return MemoryBytes(_read_fully(file, size))
    size = data.seek(0, os.SEEK_END)
    if size > WHOLE_BELOW:
        return StreamBytes(data, size)
    data.seek(0)
    return MemoryBytes(_read_fully(data, size))


def inflated(data: memoryview) -> MemoryBytes:
    """A deflated data set (PS3.5 A.5) unpacked. Raises NotRenderable when it is damaged or a bomb."""
    unpacker = zlib.decompressobj(-zlib.MAX_WBITS)
    try:
        plain = unpacker.decompress(data, INFLATED_AT_MOST)
    except zlib.error as error:
        raise NotRenderable("The deflated contents of this file are damaged.") from error
    if unpacker.unconsumed_tail:
        raise NotRenderable("The deflated contents of this file unpack to over 1 GiB.")
    return MemoryBytes(plain)


def _read_fully(stream: BinaryIO | io.FileIO, count: int) -> bytes:
    data = stream.read(count) or b""
    if len(data) == count:
        return data
    parts = [data]
    missing = count - len(data)
    while missing > 0 and (data := stream.read(missing) or b""):
        parts.append(data)
        missing -= len(data)
    return b"".join(parts)
