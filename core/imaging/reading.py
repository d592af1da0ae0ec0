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
HEAD_BYTES = 64 << 10
"""Of a larger file, kept: its header is there, as a rule, and read value by value."""
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
    """A file on disk, opened for each read behind its *head*: nothing to close, a disc can be ejected."""

    def __init__(self, path: Path, size: int, head: bytes = b"") -> None:
        self._path = path
        self._head = memoryview(head)
        self.size = size

    @classmethod
    def open(cls, path: Path) -> FileBytes:
        """With all of a small file, else HEAD_BYTES of it. Raises OSError."""
        with open(path, "rb", buffering=0) as file:
            size = os.fstat(file.fileno()).st_size
            return cls(path, size, _read_fully(file, HEAD_BYTES if size > WHOLE_BELOW else size))

    def shorten(self, count: int) -> None:
        """Keep no more than *count* bytes of the head."""
        self._head = memoryview(bytes(self._head[:count]))

    def read(self, offset: int, count: int) -> memoryview:
        """Read from the file. Raises OSError."""
        if min(offset + count, self.size) <= len(self._head):
            return self._head[offset : offset + count]
        with open(self._path, "rb", buffering=0) as file:
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
        return FileBytes.open(data)
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
