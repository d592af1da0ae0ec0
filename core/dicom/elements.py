"""Data element headers on the wire: value representations, tags, and dialects (PS3.5 7)."""

from __future__ import annotations

import struct
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

UNDEFINED_LENGTH = 0xFFFFFFFF

# PS3.5 7.1.2: after these VRs come two reserved bytes and a 32-bit length.
LONG_VRS = frozenset(b"OB OD OF OL OV OW SQ SV UC UN UR UT UV".split())
SHORT_VRS = frozenset(b"AE AS AT CS DA DS DT FD FL IS LO LT PN SH SL SS ST TM UI UL US".split())
TEXT_VRS = frozenset(
    b"LO LT PN SH ST UC UT".split()
)  # those Specific Character Set applies to (PS3.5 6.1.2.3)
STRING_VRS = TEXT_VRS | frozenset(b"AE AS CS DA DS DT IS TM UI UR".split())
BINARY_VRS = {b"US": "H", b"SS": "h", b"UL": "L", b"SL": "l", b"FL": "f", b"FD": "d", b"UV": "Q", b"SV": "q"}

ITEM = 0xFFFEE000
ITEM_END = 0xFFFEE00D
SEQUENCE_END = 0xFFFEE0DD
PIXEL_DATA = 0x7FE00010
PIXEL_TAGS = (
    0x7FE00008,
    0x7FE00009,
    PIXEL_DATA,
)  # float, double float and integer pixel data (PS3.3 C.7.6.24)

Unpack = Callable[[bytes, int], tuple[Any, ...]]


@lru_cache(maxsize=4096)
def tag_text(tag: int) -> str:
    """A tag as people write it: "(0010,0020)"."""
    return f"({tag >> 16:04X},{tag & 0xFFFF:04X})"


@dataclass(frozen=True, slots=True)
class Dialect:
    """How a data set is laid out: with or without VRs, and its byte order.

    A tag read as one integer of this byte order is its *wire tag*: `wire` and `plain` translate.
    """

    explicit: bool
    little: bool
    short: Unpack  # wire tag, VR, 16-bit length
    long: Unpack  # wire tag, 32-bit length
    u32: Unpack

    def wire(self, tag: int) -> int:
        """The wire tag of a plain one."""
        return (tag & 0xFFFF) << 16 | tag >> 16 if self.little else tag

    plain = wire  # swapping halves undoes itself

    @property
    def order(self) -> str:
        """For struct formats."""
        return "<" if self.little else ">"


def _dialect(explicit: bool, order: str) -> Dialect:
    def unpack(layout: str) -> Unpack:
        return struct.Struct(order + layout).unpack_from

    return Dialect(explicit, order == "<", unpack("I2sH"), unpack("II"), unpack("I"))


EXPLICIT_LITTLE = _dialect(True, "<")
IMPLICIT_LITTLE = _dialect(False, "<")
EXPLICIT_BIG = _dialect(True, ">")
IMPLICIT_BIG = _dialect(False, ">")  # in no standard, but found inside UN elements of big endian files
DIALECTS = (EXPLICIT_LITTLE, IMPLICIT_LITTLE, EXPLICIT_BIG, IMPLICIT_BIG)


def without_vr(dialect: Dialect) -> Dialect:
    """The implicit dialect of the same byte order."""
    return IMPLICIT_LITTLE if dialect.little else IMPLICIT_BIG


def looks_like_vr(vr: bytes) -> bool:
    """Whether two bytes could be a VR at all: lengths below 16 KB never look like two capitals."""
    return len(vr) == 2 and 0x40 < vr[0] < 0x5B and 0x40 < vr[1] < 0x5B
