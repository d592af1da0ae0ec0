"""What the archive asks of one object when it comes in: its header and its elements as text."""

from __future__ import annotations

import struct
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path
from typing import BinaryIO

from core.dicom import charset
from core.dicom.elements import (
    BINARY_VRS,
    PIXEL_TAGS,
    SHORT_VRS,
    STRING_VRS,
    TEXT_VRS,
    UNDEFINED_LENGTH,
    Dialect,
    tag_text,
)
from core.dicom.file_format import HEAD_BYTES, Raw, data_set, read_file_meta, syntax_of
from core.dicom.nested import Cut, Damaged, element_at, more_elements, skip_undefined
from core.dicom.reader import (
    META_WANTED,
    SLOTS,
    WANTED,
    check_rest,
    decoded,
    second_opinion,
)
from core.dicom.refs import Header
from core.dicom.view import View, of_bytes, of_stream, opened
from core.dicom.walker import ENDS, cut_or_damaged
from core.errors import NotDicom

GROUPS = frozenset((0x0008, 0x0010, 0x0018, 0x0020, 0x0028, 0x0032, 0x0040))
PIXEL_GROUP = 0x7FE0
UNSAID = frozenset((b"", b"UN"))
"""Implicit VR, and what a writer did not know: the dictionary may (PS3.5 6.2.2)."""
MAX_BYTES = 4096
MAX_CHARACTERS = 1024
CHARSET = 0x00080005
SOP_SLOT, NUMBER_SLOT = WANTED[0x00080018], WANTED[0x00200013]


@dataclass(frozen=True, slots=True)
class HeaderResult:
    """One object read for keeping; keys of the mappings are tags as "(0010,0020)".

    *attributes* are the top-level elements of groups 0008 to 0040 that are neither sequences nor bulk data,
    decoded; several values are joined by a backslash. *file_meta* is group 0002 in the same form.
    """

    header: Header
    truncated: bool
    attributes: dict[str, str]
    file_meta: dict[str, str]

    @property
    def media_storage_sop_class_uid(self) -> str:
        """As the file meta say it (0002,0002)."""
        return self.file_meta.get("(0002,0002)", "")


@dataclass(frozen=True, slots=True)
class Head:
    """What stands before the pixel data, which begin at *position*: read while these still arrive.

    An object of *whole_bytes* ends with them, and so all of it is there; 0 if only its end can tell.
    """

    read: HeaderResult
    position: int
    dialect: Dialect
    whole_bytes: int


def read_head(data: bytes) -> Head | None:
    """What the first bytes of an object say; None where they end before the pixel data, or are odd."""
    view, file_meta, found = of_bytes(data), Raw(), Raw()
    try:
        start = data_set(view, read_file_meta(view, file_meta), syntax_of(file_meta))
        if start.view is not view:
            return None
        end = _collect(view, start.position, start.dialect, found)
        if not more_elements(view, end):
            return None
        tag, _, length, begin = element_at(view, end, start.dialect)
        if tag not in ENDS:
            return None
    except (Cut, Damaged, NotDicom):
        return None
    little = start.dialect.little
    texts = _all_texts(found, file_meta, little)
    whole = begin + length if tag in PIXEL_TAGS and length != UNDEFINED_LENGTH else 0
    return Head(HeaderResult(_header(found, file_meta, little), False, *texts), end, start.dialect, whole)


def read_object(file: Path | BinaryIO, size: int | None = None, head: Head | None = None) -> HeaderResult:
    """Header, attributes and file meta of one object of *size* bytes; a file cut off is no error here.

    *head* is what its first bytes said, if they were read. Raises NotDicom, DamagedObject, OSError.
    """
    with opened(file) as stream:
        view = of_stream(stream, HEAD_BYTES, size)
        if head is not None:
            return _with_rest(view, head)
        file_meta: Raw = {}
        found: Raw = {}
        truncated, little = False, True
        try:
            start = data_set(view, read_file_meta(view, file_meta), syntax_of(file_meta))
            little = start.dialect.little
            end = _collect(start.view, start.position, start.dialect, found)
            if start.cut:
                raise Cut
            check_rest(start.view, end, start.dialect)
        except Cut:
            truncated = True
        except Damaged as damage:
            header = second_opinion(view, damage)
            return HeaderResult(header, False, *_all_texts(found, file_meta, little))
        return HeaderResult(
            _header(found, file_meta, little), truncated, *_all_texts(found, file_meta, little)
        )


def _with_rest(view: View, head: Head) -> HeaderResult:
    """What *head* said, and whether the rest is there."""
    try:
        check_rest(view, head.position, head.dialect)
    except Cut:
        return replace(head.read, truncated=True)
    except Damaged as damage:
        return replace(head.read, header=second_opinion(view, damage))
    return head.read


def _collect(view: View, position: int, dialect: Dialect, found: Raw) -> int:
    """Keep the elements wanted; where the pixel data start, or the elements end."""
    while True:
        if dialect.explicit:
            position = _collect_short(view, position, dialect, found)
        if not more_elements(view, position):
            return position
        tag, vr, length, start = element_at(view, position, dialect)
        if tag in ENDS:
            return position
        if length == UNDEFINED_LENGTH:
            position = skip_undefined(view, start, dialect, vr)
            continue
        position = start + length
        if position > view.size:
            raise cut_or_damaged(tag, vr, dialect)
        if tag >> 16 in GROUPS and length <= MAX_BYTES:
            found[tag] = _known_vr(tag) if vr in UNSAID else vr, view.take(start, length)


def _collect_short(view: View, position: int, dialect: Dialect, found: Raw) -> int:
    """The same for elements with a 16-bit length, nearly all of most headers, as far as these are at hand."""
    data, short, little = view.data, dialect.short, dialect.little
    at, last = position - view.base, min(len(view.data), view.size - view.base)
    if at < 0:
        return position
    while at + 12 <= last:
        wire, vr, length = short(data, at)
        end = at + 8 + length
        if vr not in SHORT_VRS or end > last:
            break
        group = wire & 0xFFFF if little else wire >> 16
        if not 0 < group < PIXEL_GROUP:
            break
        if group in GROUPS and length <= MAX_BYTES:
            found[group << 16 | (wire >> 16 if little else wire & 0xFFFF)] = vr, data[at + 8 : end]
        at = end
    return view.base + at


def _header(found: Raw, file_meta: Raw, little: bool) -> Header:
    values = [b""] * SLOTS
    for wanted, kept in ((WANTED, found), (META_WANTED, file_meta)):
        for tag, slot in wanted.items():
            if tag in kept:
                values[slot] = kept[tag][1]
    sop_instance_uid, instance_number = values[SOP_SLOT], values[NUMBER_SLOT]
    values[SOP_SLOT] = values[NUMBER_SLOT] = b""
    return _shared(tuple(values), little)._replace(
        sop_instance_uid=charset.plain(sop_instance_uid), instance_number=charset.integer(instance_number)
    )


@lru_cache(maxsize=256)
def _shared(values: tuple[bytes, ...], little: bool) -> Header:
    """What the objects of a series have in common."""
    return decoded(list(values), little)


def _all_texts(found: Raw, file_meta: Raw, little: bool) -> tuple[dict[str, str], dict[str, str]]:
    encodings = charset.codecs_of(found.get(CHARSET, (b"", b""))[1])
    return _texts(found, encodings, little), _texts(file_meta, encodings, True)


def _known_vr(tag: int) -> bytes:
    """The VR of an element that does not say it: from our own table, else pydicom's dictionary."""
    if tag in WANTED:
        return _WANTED_VRS[tag]
    from pydicom.datadict import dictionary_VR

    try:
        return dictionary_VR(tag).encode("ascii")
    except KeyError:
        return b"UN"


_WANTED_VRS = {
    **dict.fromkeys((0x00080016, 0x00080018, 0x0020000D, 0x0020000E), b"UI"),
    **dict.fromkeys((0x00100010, 0x00080090), b"PN"),
    **dict.fromkeys((0x00100020, 0x00100021, 0x00081030, 0x00080080, 0x0008103E), b"LO"),
    **dict.fromkeys((0x00100030, 0x00080020), b"DA"),
    **dict.fromkeys((0x00100040, 0x00080060, 0x00180015, 0x00080005), b"CS"),
    **dict.fromkeys((0x00200010, 0x00080050), b"SH"),
    **dict.fromkeys((0x00200011, 0x00200013, 0x00280008), b"IS"),
    **dict.fromkeys((0x00280010, 0x00280011), b"US"),
    0x00080030: b"TM",
}


def _texts(found: Raw, encodings: tuple[str, ...], little: bool) -> dict[str, str]:
    signed = found.get(0x00280103, (b"US", b""))[1][:2].strip(b"\0") != b""
    texts = {}
    for tag, (vr, value) in found.items():
        text = _text(vr, value, encodings, little, signed)
        if text is not None:
            texts[tag_text(tag)] = text[:MAX_CHARACTERS]
    return texts


@lru_cache(maxsize=2048)
def _text(vr: bytes, value: bytes, encodings: tuple[str, ...], little: bool, signed: bool) -> str | None:
    """A value as text, or None if its VR holds no text or number; most are alike within a series."""
    if vr == b"PN":
        return charset.person_name(value, encodings)
    if vr in TEXT_VRS:
        return charset.text(value, encodings)
    if vr in STRING_VRS:
        return "\\".join(one.strip() for one in charset.plain(value).split("\\"))
    order = "<" if little else ">"
    if vr == b"AT":
        numbers = struct.unpack(f"{order}{len(value) // 4 * 2}H", value[: len(value) // 4 * 4])
        pairs = zip(numbers[::2], numbers[1::2], strict=True)
        return "\\".join(tag_text(group << 16 | element) for group, element in pairs)
    code = BINARY_VRS.get(vr) or (("h" if signed else "H") if vr == b"US or SS" else None)
    if code is None:
        return None
    width = struct.calcsize("=" + code)
    count = len(value) // width
    return "\\".join(str(one) for one in struct.unpack(f"{order}{count}{code}", value[: count * width]))
