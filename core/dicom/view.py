"""A window over the bytes of one file: starts with its head and moves on when asked for more."""

from __future__ import annotations

import os
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import BinaryIO

STEP = 8192  # bytes read at a time when a header is longer than the first read

ReadAt = Callable[[int, int], bytes]


class View:
    """`data` holds the bytes from `base` on; `size` is the whole file's length; `read_at` fetches more."""

    __slots__ = ("base", "data", "read_at", "size")

    def __init__(self, data: bytes, size: int, read_at: ReadAt) -> None:
        self.data = data
        self.base = 0
        self.size = size
        self.read_at = read_at

    def at(self, position: int, count: int) -> int:
        """Where in `data` the *count* bytes at file *position* are, reading on if needed; -1 past the end."""
        if position + count > self.size:
            return -1
        offset = position - self.base
        if offset >= 0 and offset + count <= len(self.data):
            return offset
        self.data = self.read_at(position, max(count, STEP))
        self.base = position
        return 0 if len(self.data) >= count else -1

    def take(self, position: int, count: int) -> bytes:
        """*count* bytes at file *position*, fewer at the end of the file."""
        offset = position - self.base
        if offset >= 0 and offset + count <= len(self.data):
            return self.data[offset : offset + count]
        return self.read_at(position, count)


def of_bytes(data: bytes) -> View:
    """A view of bytes in memory."""
    return View(data, len(data), lambda position, count: data[position : position + count])


def of_stream(stream: BinaryIO, head: int, size: int | None = None) -> View:
    """A view of a seekable stream, which stays open and is the caller's to close."""

    def read_at(position: int, count: int) -> bytes:
        stream.seek(position)
        return stream.read(count)

    if size is None:
        size = stream.seek(0, os.SEEK_END)
    return View(read_at(0, head), size, read_at)


def of_descriptor(descriptor: int, head: int, size: int) -> View:
    """A view of an open file descriptor, read from its start; the caller closes it."""

    def read_at(position: int, count: int) -> bytes:
        os.lseek(descriptor, position, os.SEEK_SET)
        return os.read(descriptor, count)

    return View(os.read(descriptor, head), size, read_at)


def opened(file: Path | BinaryIO) -> AbstractContextManager[BinaryIO]:
    """The file as a stream: a path is opened and closed, a stream stays its owner's."""
    return file.open("rb") if isinstance(file, Path) else nullcontext(file)
