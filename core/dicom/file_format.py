"""Where the data set of a file starts and in which dialect: preamble, file meta, deflating (PS3.10 7)."""

from __future__ import annotations

import zlib
from typing import BinaryIO, Literal, NamedTuple

from core.dicom.charset import plain
from core.dicom.elements import (
    EXPLICIT_BIG,
    EXPLICIT_LITTLE,
    IMPLICIT_LITTLE,
    LONG_VRS,
    SHORT_VRS,
    UNDEFINED_LENGTH,
    Dialect,
    looks_like_vr,
    without_vr,
)
from core.dicom.nested import Cut, Damaged, Hopeless, element_at, more_elements
from core.dicom.syntaxes import DEFLATED_UID, EXPLICIT_BIG_UID, EXPLICIT_LITTLE_UID, IMPLICIT_LITTLE_UID
from core.dicom.view import View, of_stream
from core.errors import NotDicom

HEAD_BYTES = 8192  # read of every file at first: holds most headers whole
META_BYTES = 1024  # holds most file meta
MAX_INFLATED_HEAD = 16 << 20
MAX_INFLATED = 1 << 30

META_GROUP = 0x0002
MAX_META_VALUE = 4096
LAST_OPENING_GROUP = 0x0040
"""Objects open with group 0002 or 0008; some let another come first."""
SHORT_VALUE = 0x4000
_FIRST_GROUPS = frozenset((b"\x02\0", b"\0\x02", b"\x08\0", b"\0\x08"))
_COMMON = {
    uid.encode("ascii") + b"\0" * (len(uid) % 2): dialect  # as written, padded to even length
    for uid, dialect in ((EXPLICIT_LITTLE_UID, EXPLICIT_LITTLE), (IMPLICIT_LITTLE_UID, IMPLICIT_LITTLE))
}
_BY_SYNTAX = {IMPLICIT_LITTLE_UID: IMPLICIT_LITTLE, EXPLICIT_BIG_UID: EXPLICIT_BIG}


Raw = dict[int, tuple[bytes, bytes]]  # tag -> VR, value


class Start(NamedTuple):
    """A data set about to be read; *cut* says that its deflated form ends too early."""

    view: View
    position: int
    dialect: Dialect
    cut: bool = False


def has_preamble(head: bytes) -> bool:
    """Whether the file says that it is DICOM."""
    return head[128:132] == b"DICM"


_USUAL, _IDENTIFYING = b"DICM\x02\0\0\0UL\4\0", b"\x08\0"
"""What most files have before the length of their file meta, and what behind that: group 0008."""


def check_beginning(head: bytes) -> None:
    """Raises NotDicom if a file that begins with *head*, META_BYTES or all there are, can be no DICOM file.

    It says so by its opening: the file meta, and the first element of its data set.
    """
    if head.startswith(_USUAL, 128):
        behind = 144 + int.from_bytes(head[140:144], "little")
        if head[behind : behind + 2] == _IDENTIFYING:
            return
    if not has_preamble(head):
        if not _could_start(head):
            raise NotDicom("This is no DICOM file.")
        return
    file_meta: Raw = {}
    view = View(head, len(head), lambda start, count: head[start : start + count])
    try:
        _check_opening(head[132:140])
        position = read_file_meta(view, file_meta)
    except (Cut, Damaged):
        return  # whoever reads on finds out
    if syntax_of(file_meta).rstrip(b"\0") != DEFLATED_UID.encode():
        _check_opening(head[position : position + 8])


def _check_opening(element: bytes) -> None:
    """Raises NotDicom if the head of an element is none in any dialect, nor one of the first groups."""
    if len(element) < 8:
        return
    orders: tuple[Literal["little", "big"], ...] = ("little", "big")
    group = min(int.from_bytes(element[:2], order) for order in orders)
    length = min(int.from_bytes(element[4:], order) for order in orders)
    vr = element[4:6]
    if group > LAST_OPENING_GROUP and length >= SHORT_VALUE and vr not in SHORT_VRS and vr not in LONG_VRS:
        raise NotDicom("This is no DICOM file.")


def meta_position(view: View) -> int:
    """Where the file meta, or a data set without it, starts. Raises NotDicom, Cut, Damaged."""
    head = view.data
    if has_preamble(head):
        if view.size < 140:
            raise Cut
        if head[132:134] not in _FIRST_GROUPS:
            raise Damaged("what follows its opening makes no sense")
        return 132
    if not _could_start(head):
        raise NotDicom("This is no DICOM file.")
    return 0


def _could_start(head: bytes) -> bool:
    """A file without preamble is taken for DICOM only if it opens with an element of group 2 or 8."""
    if len(head) < 16:
        return False
    vr = head[4:6]
    known = vr in SHORT_VRS or vr in LONG_VRS
    if head[:2] in (b"\x02\0", b"\x08\0"):
        return known or int.from_bytes(head[4:8], "little") < SHORT_VALUE
    return head[:2] == b"\0\x08" and known


def read_file_meta(view: View, found: Raw) -> int:
    """Put the elements of group 2 into *found*; where the data set starts. Raises NotDicom, Cut, Damaged."""
    position = meta_position(view)
    while more_elements(view, position):
        tag, vr, length, start = element_at(view, position, EXPLICIT_LITTLE)
        if tag >> 16 != META_GROUP or length == UNDEFINED_LENGTH:
            break
        if length <= MAX_META_VALUE:
            found[tag] = vr, view.take(start, length)
        position = start + length
    return position


def data_set_position(file: BinaryIO, size: int) -> int:
    """Where the data set of a file of *size* bytes starts; 0 in what is no DICOM file. Raises OSError."""
    try:
        return read_file_meta(of_stream(file, META_BYTES, size), {})
    except (NotDicom, Cut, Damaged):
        return 0


def syntax_of(file_meta: Raw) -> bytes:
    """The raw Transfer Syntax UID."""
    return file_meta.get(0x00020010, (b"", b""))[1]


def data_set(view: View, position: int, raw_syntax: bytes) -> Start:
    """The data set after the file meta that named *raw_syntax*. Raises Damaged."""
    said = _COMMON.get(raw_syntax)
    at = position - view.base
    if said is not None and looks_like_vr(view.data[at + 4 : at + 6]) is said.explicit:
        return Start(view, position, said)
    syntax = plain(raw_syntax)
    if syntax == DEFLATED_UID:
        inflated, cut = _inflate(view, position)
        return Start(inflated, 0, _as_found(inflated, 0, EXPLICIT_LITTLE), cut)
    if not syntax:
        return Start(view, position, _guess(view, position))
    return Start(view, position, _as_found(view, position, _BY_SYNTAX.get(syntax, EXPLICIT_LITTLE)))


def _as_found(view: View, position: int, said: Dialect) -> Dialect:
    """The dialect the first element shows, where it contradicts the file meta."""
    at = view.at(position, 8)
    if at < 0 or view.data[at : at + 2] == b"\xe0\x7f":
        return said
    explicit = looks_like_vr(view.data[at + 4 : at + 6])
    if explicit == said.explicit:
        return said
    return EXPLICIT_LITTLE if explicit else without_vr(said)


def _guess(view: View, position: int) -> Dialect:
    """The dialect of a data set whose file names none."""
    at = view.at(position, 8)
    if at < 0:
        return IMPLICIT_LITTLE
    vr = view.data[at + 4 : at + 6]
    if vr not in SHORT_VRS and vr not in LONG_VRS:
        return IMPLICIT_LITTLE
    return EXPLICIT_BIG if int.from_bytes(view.data[at : at + 2], "little") >= 0x0400 else EXPLICIT_LITTLE


def _inflate(view: View, position: int) -> tuple[View, bool]:
    """The inflated data set (PS3.5 A.5), its head kept and its length counted, and whether it was cut."""
    engine = zlib.decompressobj(-zlib.MAX_WBITS)
    head, total = bytearray(), 0
    try:
        while not engine.eof:
            packed = engine.unconsumed_tail
            if not packed:
                packed = view.take(position, min(1 << 16, max(0, view.size - position)))
                if not packed:
                    break
                position += len(packed)
            piece = engine.decompress(packed, 1 << 20)
            total += len(piece)
            if len(head) < MAX_INFLATED_HEAD:
                head += piece
            if total > MAX_INFLATED:
                raise Hopeless("a deflated data set unpacks to more than any real one")
    except zlib.error as error:
        raise Hopeless("the deflated data set is damaged") from error
    kept = bytes(head)
    return View(kept, total, lambda start, count: kept[start : start + count]), not engine.eof
