"""From element to element, one at a time: sequences, items, encapsulated data (PS3.5 7.5, A.4)."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from core.dicom.elements import (
    ITEM,
    ITEM_END,
    LONG_VRS,
    PIXEL_DATA,
    SEQUENCE_END,
    SHORT_VRS,
    UNDEFINED_LENGTH,
    Dialect,
    looks_like_vr,
    without_vr,
)
from core.dicom.view import View

MAX_DEPTH = 60  # nested sequences deeper than any real object; bounds recursion on hostile files


class Cut(Exception):
    """The file ends where an element says it goes on."""


class Damaged(Exception):
    """The bytes do not make sense as DICOM elements; a more lenient reader may still find its way."""


class Hopeless(Damaged):
    """Damaged, and no other reader should be let near it."""


class Element(NamedTuple):
    """One top-level element: its value lies from *start* to *end*, unless its length is undefined."""

    tag: int
    vr: bytes  # b"" where the file does not say
    length: int
    start: int
    end: int


def element_at(view: View, position: int, dialect: Dialect) -> tuple[int, bytes, int, int]:
    """Plain tag, VR (b"" if none), length and where the value starts. Raises Cut."""
    at = position - view.base
    if at < 0 or at + 12 > len(view.data):
        at = view.at(position, 8)
        if at < 0:
            raise Cut
    data = view.data
    if dialect.explicit:
        wire, vr, length = dialect.short(data, at)
        if vr in SHORT_VRS:
            return dialect.wire(wire), vr, length, position + 8
        if vr in LONG_VRS:
            at = view.at(position, 12)
            if at < 0:
                raise Cut
            return dialect.wire(wire), vr, dialect.u32(view.data, at + 8)[0], position + 12
        if looks_like_vr(vr):
            return dialect.wire(wire), vr, length, position + 8
    wire, length = dialect.long(data, at)  # some writers switch to implicit VR half-way
    return dialect.wire(wire), b"", length, position + 8


def elements(view: View, position: int, dialect: Dialect) -> Iterator[Element]:
    """The elements of a data set in order, until its end or its padding. Raises Cut, Damaged."""
    last = 0
    while more_elements(view, position):
        tag, vr, length, start = element_at(view, position, dialect)
        if tag in (0, ITEM_END):
            return
        if length != UNDEFINED_LENGTH:
            end = start + length
        elif tag == PIXEL_DATA:
            end = skip_fragments(view, start, dialect)
        else:
            end = skip_undefined(view, start, dialect, vr)
        if end > view.size:
            if tag < last:
                raise Damaged("an element is out of order and longer than the file")
            raise Cut
        yield Element(tag, vr, length, start, end)
        position, last = end, tag


def more_elements(view: View, position: int) -> bool:
    """Whether an element starts here, and not the end of the file or its padding. Raises Cut."""
    left = view.size - position
    if left >= 8:
        return True
    if left < 0 or any(view.take(position, left)):
        raise Cut
    return False


def skip_undefined(view: View, position: int, dialect: Dialect, vr: bytes, depth: int = 0) -> int:
    """Where an element of undefined length ends that is no pixel data. Raises Cut, Damaged."""
    if vr in (b"OB", b"OW", b"OF", b"OD", b"OL", b"OV"):
        return skip_fragments(view, position, dialect)
    return skip_sequence(view, position, dialect, depth)


def skip_sequence(view: View, position: int, dialect: Dialect, depth: int = 0) -> int:
    """Where a sequence of undefined length ends. Raises Cut, Damaged."""
    if depth > MAX_DEPTH:
        raise Damaged("sequences are nested too deeply")
    while True:
        at = view.at(position, 8)
        if at < 0:
            raise Cut
        wire, length = dialect.long(view.data, at)
        tag = dialect.wire(wire)
        position += 8
        if tag == SEQUENCE_END:
            return position
        if tag != ITEM:
            raise Damaged("a sequence holds something that is no item")
        if length == UNDEFINED_LENGTH:
            position = _skip_item(view, position, dialect, depth)
        else:
            position += length
            if position > view.size:
                raise Cut


def _skip_item(view: View, position: int, dialect: Dialect, depth: int) -> int:
    if dialect.explicit:
        at = view.at(position, 6)
        if at >= 0 and not looks_like_vr(view.data[at + 4 : at + 6]):
            dialect = without_vr(dialect)  # as in UN elements (PS3.5 6.2.2)
    while True:
        tag, vr, length, position = element_at(view, position, dialect)
        if tag == ITEM_END:
            return position
        if length == UNDEFINED_LENGTH:
            position = skip_undefined(view, position, dialect, vr, depth + 1)
        else:
            position += length
            if position > view.size:
                raise Cut


def skip_fragments(view: View, position: int, dialect: Dialect) -> int:
    """Where encapsulated data end, by the lengths of the items, whatever these hold. Raises Cut, Damaged."""
    while True:
        header = view.take(position, 8)
        if len(header) < 8:
            raise Cut
        wire, length = dialect.long(header, 0)
        tag = dialect.wire(wire)
        position += 8
        if tag == SEQUENCE_END:
            return position
        if tag != ITEM or length == UNDEFINED_LENGTH:
            raise Damaged("the picture data are not in proper pieces")
        position += length
        if position > view.size:
            raise Cut
