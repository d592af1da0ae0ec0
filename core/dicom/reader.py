"""Reads headers: what an object is, whose it is, and whether its file is whole."""

from __future__ import annotations

from core.dicom import charset, lenient
from core.dicom.elements import (
    DIALECTS,
    EXPLICIT_LITTLE,
    LONG_VRS,
    PIXEL_DATA,
    SHORT_VRS,
    UNDEFINED_LENGTH,
    Dialect,
)
from core.dicom.file_format import META_GROUP, Start, data_set, has_preamble, meta_position
from core.dicom.nested import Cut, Damaged, Hopeless, element_at, more_elements, skip_fragments
from core.dicom.refs import Header
from core.dicom.view import View
from core.dicom.walker import Walker
from core.errors import BadInput, NotDicom

# Slots 0-24 are the fields of Header in order; the rest help to make it.
WANTED = {
    0x00080016: 0,
    0x00080018: 1,
    0x0020000D: 2,
    0x0020000E: 3,
    0x00100010: 5,
    0x00100020: 6,
    0x00100021: 7,
    0x00100030: 8,
    0x00100040: 9,
    0x00080020: 10,
    0x00080030: 11,
    0x00200010: 12,
    0x00081030: 13,
    0x00080050: 14,
    0x00080090: 15,
    0x00080080: 16,
    0x00080060: 17,
    0x00200011: 18,
    0x0008103E: 19,
    0x00180015: 20,
    0x00200013: 21,
    0x00280008: 22,
    0x00280010: 23,
    0x00280011: 24,
    0x00080005: 25,
}
META_WANTED = {0x00020010: 4, 0x00020002: 26}
SLOTS = 27
MAX_REMEMBERED = 4096
_PIXEL_VRS = (b"OW", b"OB", b"OF", b"OD")


class TruncatedObject(BadInput):
    """The file ends before its elements do; *header* is what could be read of it."""

    def __init__(self, header: Header | None = None) -> None:
        super().__init__(
            "The file is cut off: it ends before its contents do.", "Copy it again from its origin."
        )
        self.header = header


class DamagedObject(BadInput):
    """The file says it is DICOM but its structure makes no sense."""

    def __init__(self, why: str) -> None:
        super().__init__(f"The file is damaged: {why}.", "Copy it again from its origin.")


class HeaderReader:
    """Reads headers of many files; remembers what they have in common. Not for several threads at once."""

    def __init__(self) -> None:
        self._meta = Walker(EXPLICIT_LITTLE, META_WANTED, only_group=META_GROUP)
        self._walkers = {id(dialect): Walker(dialect, WANTED) for dialect in DIALECTS}
        self._shared: dict[tuple[bytes, ...], Header] = {}

    def read(self, view: View) -> Header:
        """The header of a whole object. Raises NotDicom, TruncatedObject, DamagedObject."""
        values = [b""] * SLOTS
        little = True
        try:
            position = self._meta.walk(view, meta_position(view), values)
            start = data_set(view, position, values[4])
            little = start.dialect.little
            self._body(start, values)
        except Cut:
            raise TruncatedObject(self._header(values, little)) from None
        except Damaged as damage:
            return second_opinion(view, damage)
        return self._header(values, little)

    def _body(self, start: Start, values: list[bytes]) -> None:
        view = start.view
        walker = self._walkers[id(start.dialect)]
        end = walker.walk(view, start.position, values)
        if start.cut:
            raise Cut
        if end < view.size and not _ends_with_pixels(view, end, start.dialect):
            check_rest(view, end, start.dialect)

    def _header(self, values: list[bytes], little: bool) -> Header:
        sop_instance_uid, instance_number = values[1], values[21]
        values[1] = values[21] = b""
        key = tuple(values)
        shared = self._shared.get(key)
        if shared is None:
            if len(self._shared) >= MAX_REMEMBERED:
                self._shared.clear()
            shared = self._shared[key] = decoded(values, little)
        return Header._make(
            (
                shared[0],
                charset.plain(sop_instance_uid),
                *shared[2:21],
                charset.integer(instance_number),
                *shared[22:],
            )
        )


def second_opinion(view: View, damage: Damaged) -> Header:
    """What the lenient reader makes of a file that makes no sense. Raises DamagedObject, NotDicom."""
    header = None if isinstance(damage, Hopeless) else lenient.read(view)
    if header is not None and header.sop_instance_uid and header.study_instance_uid:
        return header
    if has_preamble(view.take(0, 132)):
        raise DamagedObject(str(damage))
    raise NotDicom("This is no DICOM file.")


def decoded(values: list[bytes], little: bool) -> Header:
    """The Header of the raw values in their slots."""
    encodings = charset.codecs_of(values[25])

    def text(slot: int) -> str:
        return charset.text(values[slot], encodings)

    def name(slot: int) -> str:
        return charset.person_name(values[slot], encodings)

    def plain(slot: int) -> str:
        return charset.plain(values[slot])

    def number(slot: int) -> int:
        return int.from_bytes(values[slot][:2], "little" if little else "big")

    frames = charset.integer(values[22])
    return Header(
        plain(0) or plain(26),
        plain(1),
        plain(2),
        plain(3),
        plain(4),
        name(5),
        text(6),
        text(7),
        plain(8),
        plain(9),
        plain(10),
        plain(11),
        text(12),
        text(13),
        text(14),
        name(15),
        text(16),
        plain(17),
        charset.integer(values[18]),
        text(19),
        plain(20),
        charset.integer(values[21]),
        frames if frames and frames > 0 else 1,
        number(23),
        number(24),
    )


def _ends_with_pixels(view: View, position: int, dialect: Dialect) -> bool:
    """Whether native pixel data of the stated length end the file: so most files do."""
    at, data = position - view.base, view.data
    if len(data) < at + 12:
        return False
    if not dialect.explicit:
        return bool(dialect.u32(data, at + 4)[0] == view.size - position - 8)
    return data[at + 4 : at + 6] in _PIXEL_VRS and bool(
        dialect.u32(data, at + 8)[0] == view.size - position - 12
    )


def check_rest(view: View, position: int, dialect: Dialect) -> None:
    """Whether the pixel data and what follows them are all there; padding after them is no fault.

    Raises Cut, Damaged.
    """
    last = 0
    while view.size - position >= 8 if last else more_elements(view, position):
        tag, vr, length, start = element_at(view, position, dialect)
        if tag <= last or (dialect.explicit and vr not in SHORT_VRS and vr not in LONG_VRS):
            return
        if length == UNDEFINED_LENGTH:
            if tag != PIXEL_DATA:
                return
            position = skip_fragments(view, start, dialect)
        else:
            position = start + length
        if position > view.size:
            raise Cut
        last = tag
