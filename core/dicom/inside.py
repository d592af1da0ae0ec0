"""What lies inside an object as a file of its own: an encapsulated PDF, a video stream; where, not what."""

from __future__ import annotations

import io
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO, NamedTuple

from core.dicom.charset import plain
from core.dicom.elements import EXPLICIT_LITTLE, ITEM, PIXEL_DATA, UNDEFINED_LENGTH
from core.dicom.file_format import HEAD_BYTES, Raw, data_set, read_file_meta, syntax_of
from core.dicom.nested import Cut, Damaged, elements
from core.dicom.syntaxes import transfer_syntax
from core.dicom.view import View, of_stream
from core.errors import KnownError, NotDicom, SourceFault

ENCAPSULATED_PDF = "1.2.840.10008.5.1.4.1.1.104.1"
SOP_CLASS_UID, DOCUMENT, DOCUMENT_LENGTH, DOCUMENT_TYPE = 0x00080016, 0x00420011, 0x00420015, 0x00420012
MPEG2, MP4, TRANSPORT, BARE_264, BARE_265 = (
    "video/mpeg",
    "video/mp4",
    "video/mp2t",
    "video/h264",
    "video/h265",
)
BOX_FTYP = b"ftyp"

Span = tuple[int, int]
"""Offset and length of some bytes of a file."""


class NotPdf(KnownError):
    """The object encapsulates no PDF."""


class NotVideo(KnownError):
    """The object holds no video."""


class Inside(NamedTuple):
    """A file inside an object: its pieces in order, and its media type."""

    spans: tuple[Span, ...]
    media_type: str

    @property
    def size(self) -> int:
        """Its length in bytes."""
        return sum(length for _, length in self.spans)


class Pieces(io.RawIOBase):
    """Some spans of a file as one seekable file; closing it closes the file."""

    def __init__(self, file: BinaryIO, spans: tuple[Span, ...]) -> None:
        super().__init__()
        self._file = file
        self._spans = spans
        self._at = 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        size = sum(length for _, length in self._spans)
        self._at = max(0, offset + {io.SEEK_SET: 0, io.SEEK_CUR: self._at, io.SEEK_END: size}[whence])
        return self._at

    def read(self, size: int | None = -1) -> bytes:
        before = 0
        for start, length in self._spans:
            if self._at < before + length:
                skip = self._at - before
                left = length - skip
                self._file.seek(start + skip)
                data = self._file.read(left if size is None or size < 0 else min(left, size))
                self._at += len(data)
                return data
            before += length
        return b""

    def fileno(self) -> int:
        return self._file.fileno()

    def close(self) -> None:
        self._file.close()
        super().close()


def pdf_in(path: Path) -> Inside:
    """The PDF an object encapsulates (PS3.3 A.45.1). Raises NotPdf, SourceFault, OSError."""
    with path.open("rb") as stream:
        found = _read(stream)
        sop_class_uid = plain(found.value(SOP_CLASS_UID))
        media = plain(found.value(DOCUMENT_TYPE)).lower()
        if sop_class_uid != ENCAPSULATED_PDF or media not in ("", "application/pdf"):
            raise NotPdf("This object is no encapsulated PDF.")
        if found.deflated or DOCUMENT not in found.places:
            raise NotPdf("The PDF of this object cannot be taken out.", "Take the whole object.")
        start, length = found.places[DOCUMENT]
        said = int.from_bytes(found.value(DOCUMENT_LENGTH)[:4], "little" if found.little else "big")
        if 0 < said <= length:
            length = said
        elif length and found.value_at(start + length - 1) == b"\0":
            length -= 1  # an element has an even length (PS3.5 7.1.1)
    return Inside(((start, length),), "application/pdf")


def video_in(path: Path) -> Inside:
    """The MPEG stream an object holds (PS3.5 8.2.5 and on). Raises NotVideo, SourceFault, OSError."""
    with path.open("rb") as stream:
        found = _read(stream)
        syntax = transfer_syntax(found.transfer_syntax_uid)
        if not syntax.video or PIXEL_DATA not in found.places:
            raise NotVideo("This object holds no video.")
        spans = tuple(_fragments(found.view, *found.places[PIXEL_DATA]))
        if not spans:
            raise NotVideo("The video of this object is empty.")
        head = found.view.take(spans[0][0], 12)
    return Inside(spans, _media_type(syntax.uid, head))


def places(path: Path) -> dict[int, Span]:
    """Where the values of an object's own elements lie in its data set. Raises SourceFault, OSError."""
    with path.open("rb") as stream:
        return _read(stream).places


def _media_type(transfer_syntax_uid: str, head: bytes) -> str:
    """By the transfer syntax, and for MPEG-4 by what the stream begins with."""
    number = int(transfer_syntax_uid.split(".")[7])
    if number < 102:
        return MPEG2
    if head[4:8] == BOX_FTYP:
        return MP4
    if head[:1] == b"\x47":
        return TRANSPORT
    return BARE_264 if number < 107 else BARE_265


class _Found:
    """Where the elements of one object lie."""

    def __init__(self, view: View, transfer_syntax_uid: str, *, little: bool, deflated: bool) -> None:
        self.view = view
        self.transfer_syntax_uid = transfer_syntax_uid
        self.little = little
        self.deflated = deflated
        self.places: dict[int, Span] = {}

    def value(self, tag: int) -> bytes:
        """A short value, b"" if it is not there."""
        start, length = self.places.get(tag, (0, 0))
        return self.view.take(start, min(length, 256))

    def value_at(self, position: int) -> bytes:
        """One byte."""
        return self.view.take(position, 1)


def _read(stream: BinaryIO) -> _Found:
    view = of_stream(stream, HEAD_BYTES)
    file_meta: Raw = {}
    try:
        begin = read_file_meta(view, file_meta)
        start = data_set(view, begin, syntax_of(file_meta))
        found = _Found(
            start.view,
            plain(syntax_of(file_meta)),
            little=start.dialect.little,
            deflated=start.view is not view,
        )
        for element in elements(start.view, start.position, start.dialect):
            undefined = element.length == UNDEFINED_LENGTH
            length = element.end - element.start if undefined else element.length
            found.places[element.tag] = (element.start, length)
    except (Cut, Damaged, NotDicom) as error:
        raise SourceFault("A stored object makes no sense.", "Run filmjacket check.", lasting=True) from error
    return found


def _fragments(view: View, start: int, length: int) -> Iterator[Span]:
    """The values of the fragments behind the offset table (PS3.5 A.4), which are little endian always."""
    position, first = start, True
    while position + 8 <= start + length:
        wire, size = EXPLICIT_LITTLE.long(view.take(position, 8), 0)
        if EXPLICIT_LITTLE.wire(wire) != ITEM:
            return
        position += 8
        if not first and size:
            yield position, size
        first = False
        position += size
