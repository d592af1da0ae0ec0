"""Stored objects as the parts of one body (PS3.18 8.6.1.2), read straight into the bytes that are sent."""

from __future__ import annotations

import os
import uuid
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from io import FileIO

from core.archive.nouns import StoredImage
from core.errors import StorageFault
from server.web.dicomweb.media import DICOM, RELATED

PIECE_BYTES = 1 << 22
"""So much is read at once, and sent at once: small objects together, large ones bit by bit."""
AFTER = b"\r\n"
"""Ends a part. Nothing comes before the first boundary, not even a line's end: not every client bears it."""


@dataclass(frozen=True, slots=True)
class _Span:
    """Some bytes of an object between *head* and *tail*."""

    image: StoredImage
    head: bytes
    offset: int
    count: int
    tail: bytes

    @property
    def size(self) -> int:
        return len(self.head) + self.count + len(self.tail)


class ObjectParts:
    """One body whose parts are DICOM objects."""

    def __init__(self) -> None:
        self._boundary = uuid.uuid4().hex.encode("ascii")
        self._end = b"--%b--\r\n" % self._boundary

    @property
    def content_type(self) -> bytes:
        """Of the whole body."""
        return b'%b; type="%b"; boundary=%b' % (RELATED.encode(), DICOM.encode(), self._boundary)

    def length(self, images: Sequence[StoredImage]) -> int:
        """Bytes of the body that *images* make."""
        return sum(len(self._head(image)) + image.bytes + len(AFTER) for image in images) + len(self._end)

    def pieces(self, images: Sequence[StoredImage], *, last: bool = True) -> Iterator[bytearray]:
        """The body piece by piece, without its end unless *last*.

        Raises StorageFault where an object cannot be read: the body is cut, and nobody takes it for whole.
        """
        waiting: list[_Span] = []
        size = 0
        for image in images:
            for span in self._spans(image):
                if waiting and size + span.size > PIECE_BYTES:
                    yield _read(waiting, size, b"")
                    waiting, size = [], 0
                waiting.append(span)
                size += span.size
        yield _read(waiting, size, self._end if last else b"")

    def _spans(self, image: StoredImage) -> Iterator[_Span]:
        head = self._head(image)
        for offset in range(0, max(1, image.bytes), PIECE_BYTES):
            count = min(PIECE_BYTES, image.bytes - offset)
            tail = AFTER if offset + count == image.bytes else b""
            yield _Span(image, b"" if offset else head, offset, count, tail)

    def _head(self, image: StoredImage) -> bytes:
        syntax = image.transfer_syntax_uid.encode("latin-1")
        return (
            b"--%b\r\nContent-Type: application/dicom; transfer-syntax=%b\r\nContent-Length: %d\r\n\r\n"
            % (self._boundary, syntax, image.bytes)
        )


def check_stored(images: Sequence[StoredImage]) -> None:
    """Raises StorageFault unless every object is on the disk, as long as it must be: before anything is sent.

    There is no answer with some of the objects: PS3.18 has taken 206 away from retrieval (CP-2418), and a
    reader that takes such an answer for whole would miss images.
    """
    missing = sum(not _is_stored(image) for image in images)
    if missing:
        raise StorageFault(
            f"{missing} of the {len(images)} objects asked for cannot be read from the disk."
            if len(images) > 1
            else "A stored object cannot be read from the disk.",
            "Run filmjacket check; what is there can be had by series or instance.",
        )


def _is_stored(image: StoredImage) -> bool:
    try:
        return os.stat(image.path).st_size == image.bytes
    except OSError:
        return False


def _read(spans: Sequence[_Span], size: int, end: bytes) -> bytearray:
    body = bytearray(size + len(end))
    view, at = memoryview(body), 0
    try:
        for span in spans:
            start = at + len(span.head)
            view[at:start] = span.head
            at = start + span.count
            with FileIO(str(span.image.path)) as file:
                if span.offset:
                    file.seek(span.offset)
                while start < at:
                    got = file.readinto(view[start:at])
                    if not got:
                        raise StorageFault(
                            "A stored object is shorter than it should be.", "Run filmjacket check."
                        )
                    start += got
            at += len(span.tail)
            view[start:at] = span.tail
    except OSError as error:
        raise StorageFault("A stored object cannot be read.", "Run filmjacket check.") from error
    view[at:] = end
    return body
