"""A stored object with other values in some elements: the changed pieces are made, the rest is copied."""

from __future__ import annotations

import tempfile
import zlib
from bisect import bisect_right
from collections.abc import Callable, Iterator, Mapping
from itertools import accumulate
from typing import BinaryIO, NamedTuple

from core.dicom import charset
from core.dicom.elements import STRING_VRS, Dialect
from core.dicom.file_format import HEAD_BYTES, MAX_INFLATED, Raw, Start, data_set, read_file_meta, syntax_of
from core.dicom.nested import Cut, Damaged, Element, Hopeless, elements
from core.dicom.recoding import (
    CHARSET,
    UTF8,
    UTF8_TERM,
    dictionary_vr,
    encoded,
    header_of,
    is_sequence,
    is_text,
    padded,
    recoded_element,
)
from core.dicom.syntaxes import DEFLATED_UID, EXPLICIT_LITTLE_UID
from core.dicom.view import View, of_stream
from core.errors import NotDicom, SourceFault, Unsupported

Span = tuple[int, int]
Piece = bytes | Span
"""New bytes, or from where to where they are copied."""

LENGTH_TO_END = 0x00080001  # retired; counts the bytes after itself
IN_MEMORY = 16 << 20
CHUNK = 1 << 20


class Overlaid:
    """The object as bytes by position; *size* is known beforehand. Close it; the stream stays its owner's."""

    def __init__(
        self, stream: BinaryIO, pieces: list[Piece], close: Callable[[], None] | None = None
    ) -> None:
        self._stream = stream
        self._pieces = [piece for piece in pieces if _length(piece)]
        self._starts = [0, *accumulate(map(_length, self._pieces))]
        self._close = close
        self.size = self._starts[-1]

    def read(self, start: int, count: int) -> bytes:
        """*count* bytes from *start* on, fewer at the end. Raises SourceFault."""
        out = bytearray()
        position, end = start, min(self.size, start + count)
        index = bisect_right(self._starts, position) - 1
        while position < end:
            piece, skip = self._pieces[index], position - self._starts[index]
            take = min(_length(piece) - skip, end - position)
            out += (
                piece[skip : skip + take] if isinstance(piece, bytes) else self._copy(piece[0] + skip, take)
            )
            position += take
            index += 1
        return bytes(out)

    def chunks(self) -> Iterator[bytes]:
        """Everything in order."""
        for start in range(0, self.size, CHUNK):
            yield self.read(start, CHUNK)

    def close(self) -> None:
        """Let go of temporary space; calling it again does nothing."""
        close, self._close = self._close, None
        if close is not None:
            close()

    def _copy(self, start: int, count: int) -> bytes:
        self._stream.seek(start)
        data = b""
        while len(data) < count:
            more = self._stream.read(count - len(data))
            if not more:
                raise SourceFault("A stored object is shorter than it should be.", "Run filmjacket check.")
            data += more
        return data


def overlaid(stream: BinaryIO, size: int, values: Mapping[int, str]) -> Overlaid:
    """The object in *stream* with *values* by tag at its top level; everything else is as it was.

    Its character set stays if it can hold the values; if not, the object becomes UTF-8 (ISO_IR 192) as a
    whole. Private elements without a VR keep their bytes. Raises Unsupported for what makes no sense.
    """
    view = of_stream(stream, HEAD_BYTES, size)
    file_meta: Raw = {}
    try:
        begin = read_file_meta(view, file_meta)
        syntax = syntax_of(file_meta)
        if charset.plain(syntax) == DEFLATED_UID:
            return _deflated(stream, size, begin, values)
        return Overlaid(stream, _pieces(data_set(view, begin, syntax), values))
    except (Cut, Damaged, NotDicom) as error:
        raise Unsupported(
            "Other values cannot be laid over this object: its elements make no sense.",
            "Ask for it without phi_namespace.",
        ) from error


class _Found(NamedTuple):
    """A top-level element with where its header starts."""

    at: int
    element: Element


def _pieces(start: Start, values: Mapping[int, str]) -> list[Piece]:
    view, dialect = start.view, start.dialect
    found: list[_Found] = []
    at = start.position
    for element in elements(view, start.position, dialect):
        found.append(_Found(at, element))
        at = element.end
    encodings = charset.codecs_of(_raw_charset(view, found))
    vrs = {each.element.tag: each.element.vr for each in found}
    new = {tag: _element(tag, vrs.get(tag), text, dialect, encodings) for tag, text in values.items()}
    changed = {tag: raw for tag, raw in new.items() if raw is not None}
    recoding = len(changed) < len(new)
    if recoding:
        new = {tag: _element(tag, vrs.get(tag), text, dialect, UTF8) for tag, text in values.items()}
        changed = {tag: raw for tag, raw in new.items() if raw is not None}
        changed[CHARSET] = _raw_element(CHARSET, vrs.get(CHARSET), UTF8_TERM, dialect)
    made: dict[int, bytes] = {}
    for index, (at, element) in enumerate(found):
        if element.tag in changed:
            made[index] = changed[element.tag]
        elif recoding and element.length and _has_text(element):
            raw = view.take(at, element.end - at)
            again = recoded_element(raw, dialect, encodings)
            if again != raw:
                made[index] = again
    missing = sorted(tag for tag in changed if tag not in vrs)
    return _joined(start, found, made, [(tag, changed[tag]) for tag in missing])


def _joined(
    start: Start, found: list[_Found], made: dict[int, bytes], missing: list[tuple[int, bytes]]
) -> list[Piece]:
    """Everything in order of tags, with the lengths of its groups set right (PS3.5 7.2)."""
    grown: dict[int, int] = {}
    for index, raw in made.items():
        group = found[index].element.tag >> 16
        grown[group] = grown.get(group, 0) + len(raw) - (found[index].element.end - found[index].at)
    for tag, raw in missing:
        grown[tag >> 16] = grown.get(tag >> 16, 0) + len(raw)
    pieces: list[Piece] = []
    copied = 0
    for index, (at, element) in enumerate(found):
        raw = made.get(index, b"")
        while missing and missing[0][0] < element.tag:
            pieces += [(copied, at), missing.pop(0)[1]]
            copied = at
        if more := _growth(element, grown):
            raw = _lengthened(start, at, element, more)
        if raw:
            pieces += [(copied, at), raw]
            copied = element.end
    last = found[-1].element.end if found else start.position
    pieces += [(copied, last), *(raw for _, raw in missing), (last, start.view.size)]
    return pieces


def _growth(element: Element, grown: Mapping[int, int]) -> int:
    """By how much the value of a length element must grow."""
    if element.length != 4:
        return 0
    if element.tag == LENGTH_TO_END:
        return sum(grown.values())
    return grown.get(element.tag >> 16, 0) if not element.tag & 0xFFFF else 0


def _lengthened(start: Start, at: int, element: Element, more: int) -> bytes:
    order = "little" if start.dialect.little else "big"
    value = int.from_bytes(start.view.take(element.start, 4), order) + more  # type: ignore[arg-type]
    head = start.view.take(at, element.start - at)
    return head + (value & 0xFFFFFFFF).to_bytes(4, order)  # type: ignore[arg-type]


def _raw_charset(view: View, found: list[_Found]) -> bytes:
    for _, element in found:
        if element.tag == CHARSET:
            return view.take(element.start, element.length)
    return b""


def _has_text(element: Element) -> bool:
    tag, vr = element.tag, element.vr
    return tag >> 16 != 0x7FE0 and (is_text(tag, vr) or is_sequence(tag, vr, element.length))


def _element(
    tag: int, vr: bytes | None, text: str, dialect: Dialect, encodings: tuple[str, ...]
) -> bytes | None:
    """The element with its new value, None if the character sets cannot hold it."""
    value = encoded(text, _text_vr(tag, vr), encodings)
    return None if value is None else _raw_element(tag, vr, value, dialect)


def _raw_element(tag: int, vr: bytes | None, value: bytes, dialect: Dialect) -> bytes:
    """*vr* is what the file says now: None if the element is not there, empty if it gives none."""
    value = padded(value)
    return header_of(tag, b"" if vr == b"" else _text_vr(tag, vr), len(value), dialect) + value


def _text_vr(tag: int, vr: bytes | None) -> bytes:
    """What the file says if that holds text, else what PS3.6 says, else LO."""
    known = vr if vr in STRING_VRS else dictionary_vr(tag)
    return known if known in STRING_VRS else b"LO"


def _deflated(stream: BinaryIO, size: int, begin: int, values: Mapping[int, str]) -> Overlaid:
    """The data set unpacked, changed, and packed again (PS3.5 A.5)."""
    out = tempfile.SpooledTemporaryFile(IN_MEMORY)  # noqa: SIM115 # the result keeps it open
    try:
        stream.seek(0)
        out.write(stream.read(begin))
        with tempfile.SpooledTemporaryFile(IN_MEMORY) as plain:
            total = _inflate(stream, plain)
            view = of_stream(plain, HEAD_BYTES, total)  # type: ignore[arg-type]
            syntax = EXPLICIT_LITTLE_UID.encode() + b"\0"
            changed = Overlaid(plain, _pieces(data_set(view, 0, syntax), values))  # type: ignore[arg-type]
            engine = zlib.compressobj(wbits=-zlib.MAX_WBITS)
            for chunk in changed.chunks():
                out.write(engine.compress(chunk))
            out.write(engine.flush())
        if out.tell() % 2:
            out.write(b"\0")
    except BaseException:
        out.close()
        raise
    return Overlaid(out, [(0, out.tell())], out.close)  # type: ignore[arg-type]


def _inflate(stream: BinaryIO, plain: tempfile.SpooledTemporaryFile[bytes]) -> int:
    """Unpack from where *stream* is; how many bytes came of it. Raises Cut, Hopeless."""
    engine = zlib.decompressobj(-zlib.MAX_WBITS)
    total = 0
    try:
        while not engine.eof:
            packed = engine.unconsumed_tail or stream.read(1 << 16)
            if not packed:
                raise Cut
            piece = engine.decompress(packed, CHUNK)
            total += len(piece)
            if total > MAX_INFLATED:
                raise Hopeless("a deflated data set unpacks to more than any real one")
            plain.write(piece)
    except zlib.error as error:
        raise Hopeless("the deflated data set is damaged") from error
    return total


def _length(piece: Piece) -> int:
    return len(piece) if isinstance(piece, bytes) else piece[1] - piece[0]
