"""A multipart body (RFC 2387, or a form) of files and streams, read while it is sent."""

from __future__ import annotations

import os
import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from core.errors import SourceFault
from core.net.post import Body


@dataclass(frozen=True, slots=True)
class Measured:
    """A stream of *size* bytes that can be read again from its beginning; errors it raises are its own."""

    data: Body
    size: int


Content = bytes | Path | Measured


@dataclass(frozen=True, slots=True)
class Part:
    """One part: *content* as it is, or what it is read from."""

    content_type: str
    content: Content
    location: str = ""
    disposition: str = ""


class RelatedBody:
    """The body as a whole, its *size* known; whoever made it closes it."""

    def __init__(self, parts: Sequence[Part]) -> None:
        self._boundary = uuid.uuid4().hex
        self._segments: list[tuple[Content, int]] = []
        for part in parts:
            lines = ["", f"--{self._boundary}", f"Content-Type: {part.content_type}"]
            if part.location:
                lines.append(f"Content-Location: {part.location}")
            if part.disposition:
                lines.append(f"Content-Disposition: {part.disposition}")
            head = "\r\n".join([*lines, "", ""]).encode("ascii")
            self._segments += [(head, len(head)), (part.content, _size(part.content))]
        end = f"\r\n--{self._boundary}--\r\n".encode("ascii")
        self._segments.append((end, len(end)))
        self.size = sum(size for _, size in self._segments)
        self._at = self._within = self._told = 0
        self._file: BinaryIO | None = None

    def content_type(self, inner: str) -> str:
        """The header that belongs to the body, of parts that are *inner* in the main."""
        return f'multipart/related; type="{inner}"; boundary={self._boundary}'

    @property
    def form_type(self) -> str:
        """The same of a form (RFC 7578), each part of which has a disposition."""
        return f"multipart/form-data; boundary={self._boundary}"

    def read(self, size: int, /) -> bytes:
        """At most *size* bytes more, b"" at the end. Raises SourceFault."""
        while self._at < len(self._segments):
            content, whole = self._segments[self._at]
            if self._within >= whole:
                self._at, self._within = self._at + 1, 0
                self.close()
                continue
            data = self._piece(content, min(size, whole - self._within))
            self._within += len(data)
            self._told += len(data)
            return data
        return b""

    def _piece(self, content: Content, size: int) -> bytes:
        if isinstance(content, bytes):
            return content[self._within : self._within + size]
        if isinstance(content, Measured):
            return self._of_stream(content, size)
        try:
            if self._file is None:
                self._file = content.open("rb")
                self._file.seek(self._within)
            data = self._file.read(size)
        except OSError as error:
            raise SourceFault(f"{content.name} cannot be read.", "Check it and send it again.") from error
        if not data:
            raise SourceFault(f"{content.name} became shorter while it was sent.", "Send it again.")
        return data

    def _of_stream(self, content: Measured, size: int) -> bytes:
        if content.data.tell() != self._within:
            content.data.seek(self._within)
        data = content.data.read(size)
        if not data:
            raise SourceFault("The file ended too early.", "Read the source again.", lasting=True)
        return data

    def tell(self) -> int:
        """How much has been read."""
        return self._told

    def seek(self, offset: int, /) -> int:
        """Go to *offset*."""
        self.close()
        self._told, self._at, left = offset, 0, offset
        while self._at < len(self._segments) and left >= self._segments[self._at][1]:
            left -= self._segments[self._at][1]
            self._at += 1
        self._within = left
        return offset

    def close(self) -> None:
        """Close the file that is open."""
        if self._file is not None:
            self._file.close()
            self._file = None


def _size(content: Content) -> int:
    if isinstance(content, bytes):
        return len(content)
    if isinstance(content, Measured):
        return content.size
    try:
        return os.stat(content).st_size
    except OSError as error:
        raise SourceFault(f"{content.name} cannot be read.", "Check that it is there.") from error
