"""Text from one Specific Character Set to another: single values, and whole sequences (PS3.5 6.1, 7.5)."""

from __future__ import annotations

import re
from typing import Literal

from core.dicom import charset
from core.dicom.elements import (
    ITEM,
    LONG_VRS,
    SEQUENCE_END,
    TEXT_VRS,
    UNDEFINED_LENGTH,
    Dialect,
    looks_like_vr,
    without_vr,
)
from core.dicom.nested import MAX_DEPTH, Cut, Damaged, element_at, elements
from core.dicom.view import of_bytes

CHARSET = 0x00080005
UTF8 = ("UTF8",)
UTF8_TERM = b"ISO_IR 192"
_ESCAPE_OF = {codec: escape for escape, codec in reversed(charset.ESCAPES.items())}
_NAME_PARTS = re.compile(r"([\\^=])")  # each ends a code extension (PS3.5 6.1.2.5.3)
_TEXT_PARTS = re.compile(r"([\\\t\n\f\r])")
_BEYOND_ASCII = re.compile(rb"[\x80-\xff\x1b]")


def dictionary_vr(tag: int) -> bytes:
    """The VR PS3.6 gives an element, UN for one it does not have or leaves open."""
    from pydicom.datadict import dictionary_VR

    try:
        vr = dictionary_VR(tag)
    except KeyError:
        return b"UN"
    return vr.encode("ascii") if len(vr) == 2 else b"UN"


def padded(value: bytes) -> bytes:
    """*value* with a space more if its length is odd (PS3.5 6.2)."""
    return value + b" " if len(value) % 2 else value


def encoded(text: str, vr: bytes, encodings: tuple[str, ...]) -> bytes | None:
    """A value in the given character sets, unpadded; None if they cannot hold it."""
    if text.isascii():
        return text.encode("ascii")
    if vr not in TEXT_VRS:
        return None
    split = (_NAME_PARTS if vr == b"PN" else _TEXT_PARTS).split(text)
    parts = [_encoded_part(part, encodings) for part in split]
    known = [part for part in parts if part is not None]
    if len(known) < len(parts):
        return None
    value = b"".join(known)
    return value if charset.decode(value, encodings) == text else None


def _encoded_part(text: str, encodings: tuple[str, ...]) -> bytes | None:
    """Text between two delimiters: in the first set, else in one that an escape sequence switches to."""
    if text.isascii():
        return text.encode("ascii")
    for codec in encodings if encodings[0] != charset.DEFAULT else encodings[1:]:
        try:
            value = text.encode(codec)
        except (UnicodeError, LookupError):
            continue
        if codec == "shift_jis" and len(value) != len(text):
            continue  # JIS X 0201 has one byte a character (PS3.3 C.12-2)
        if codec == encodings[0] or codec in charset.SELF_ESCAPED:
            return value
        if codec in _ESCAPE_OF:
            return _ESCAPE_OF[codec] + value
    return None


def recoded(value: bytes, encodings: tuple[str, ...]) -> bytes:
    """A raw text value as UTF-8; what cannot be decoded becomes what every reader shows for it."""
    if not _BEYOND_ASCII.search(value):
        return value
    return padded(charset.decode(value, encodings).encode("utf-8", "replace"))


def is_text(tag: int, vr: bytes) -> bool:
    """Whether the character set applies to an element; one without VR is looked up."""
    return (dictionary_vr(tag) if vr in (b"", b"UN") else vr) in TEXT_VRS


def is_sequence(tag: int, vr: bytes, length: int) -> bool:
    """Whether an element holds items with elements."""
    if vr in (b"SQ", b"UN", b""):
        return vr == b"SQ" or length == UNDEFINED_LENGTH or dictionary_vr(tag) == b"SQ"
    return False


def recoded_sequence(value: bytes, dialect: Dialect, encodings: tuple[str, ...], depth: int = 0) -> bytes:
    """The value of a sequence with the text of its items as UTF-8. Raises Cut, Damaged.

    An item that names its own character set keeps it, and everything below.
    """
    if not _BEYOND_ASCII.search(value):
        return value
    if depth > MAX_DEPTH:
        raise Damaged("sequences are nested too deeply")
    out = bytearray()
    position = 0
    while position + 8 <= len(value):
        header = value[position : position + 8]
        wire, length = dialect.long(header, 0)
        tag = dialect.wire(wire)
        position += 8
        if tag == SEQUENCE_END:
            return bytes(out) + header
        if tag != ITEM:
            raise Damaged("a sequence holds something that is no item")
        known = length != UNDEFINED_LENGTH
        content = value[position : position + length] if known else value[position:]
        if known and len(content) < length:
            raise Cut
        read, new = _recoded_item(content, dialect, encodings, depth)
        if known:
            new += content[read:]
            out += header[:4] + len(new).to_bytes(4, "little" if dialect.little else "big") + new
            position += length
        else:
            out += header + new + content[read : read + 8]
            position += read + 8
    return bytes(out)


def _recoded_item(
    content: bytes, dialect: Dialect, encodings: tuple[str, ...], depth: int
) -> tuple[int, bytes]:
    """How much of *content* the elements of the item take, and these recoded."""
    if dialect.explicit and not looks_like_vr(content[4:6]):
        dialect = without_vr(dialect)  # as in UN elements (PS3.5 6.2.2)
    view = of_bytes(content)
    found = list(elements(view, 0, dialect))
    end = found[-1].end if found else 0
    if any(each.tag == CHARSET for each in found):
        return end, content[:end]
    out, at = bytearray(), 0
    for each in found:
        out += recoded_element(content[at : each.end], dialect, encodings, depth)
        at = each.end
    return end, bytes(out)


def recoded_element(raw: bytes, dialect: Dialect, encodings: tuple[str, ...], depth: int = 0) -> bytes:
    """One element, header and value, with its text as UTF-8; unchanged if it holds none beyond ASCII."""
    tag, vr, length, start = element_at(of_bytes(raw + b"\0" * 12), 0, dialect)
    value = raw[start:]
    if is_sequence(tag, vr, length):
        inner = without_vr(dialect) if vr == b"UN" and dialect.explicit else dialect
        new = recoded_sequence(value, inner, encodings, depth + 1)
    elif is_text(tag, vr) and length != UNDEFINED_LENGTH:
        new = recoded(value, encodings)
    else:
        return raw
    if new == value:
        return raw
    return header_of(tag, vr, UNDEFINED_LENGTH if length == UNDEFINED_LENGTH else len(new), dialect) + new


def header_of(tag: int, vr: bytes, length: int, dialect: Dialect) -> bytes:
    """The header of an element (PS3.5 7.1); an empty VR gives the implicit form. Raises Damaged."""
    order: Literal["little", "big"] = "little" if dialect.little else "big"
    start = (tag >> 16).to_bytes(2, order) + (tag & 0xFFFF).to_bytes(2, order)
    if not dialect.explicit or not vr:
        return start + length.to_bytes(4, order)
    if vr in LONG_VRS:
        return start + vr + b"\0\0" + length.to_bytes(4, order)
    if length > 0xFFFF:
        raise Damaged("a value grew too long for its element")
    return start + vr + length.to_bytes(2, order)
