"""Raw elements of a data set, found without reading their values (PS3.5 section 7); sequences open on demand.

It serves pictures: tolerant of mixed encodings, it keeps offsets and decodes only what is asked for.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from typing import NamedTuple

from core.errors import NotRenderable
from core.imaging.reading import MemoryBytes, RandomBytes

WINDOW = 1 << 16
UNDEFINED = 0xFFFFFFFF
DEEPEST = 24
FLOAT_PIXEL_DATA, DOUBLE_FLOAT_PIXEL_DATA, PIXEL_DATA = 0x7FE00008, 0x7FE00009, 0x7FE00010
PIXEL_TAGS = frozenset((FLOAT_PIXEL_DATA, DOUBLE_FLOAT_PIXEL_DATA, PIXEL_DATA))
LONG_VRS = frozenset(
    (b"OB", b"OD", b"OF", b"OL", b"OV", b"OW", b"SQ", b"SV", b"UC", b"UN", b"UR", b"UT", b"UV")
)
SHORT_VRS = frozenset(
    b"AE AS AT CS DA DS DT FD FL IS LO LT PN SH SL SS ST TM UI UL US".split()
)  # PS3.5 table 7.1-2
BINARY = {b"US": "H", b"SS": "h", b"UL": "I", b"SL": "i", b"FL": "f", b"FD": "d", b"UV": "Q", b"SV": "q",
          b"OW": "H", b"AT": "H"}  # fmt: skip
SIZES = {code: struct.calcsize(code) for code in "HhIifdQq"}
HEADS = {order: (struct.Struct(order + "HH2sH"), struct.Struct(order + "I")) for order in "<>"}
PLAIN_GROUPS = 0x7FDF
"""The last group before the pixel data; behind those come paddings and delimiters."""


class Encoding(NamedTuple):
    """How elements are written: with VRs or without, and in which byte order ("<" or ">")."""

    explicit: bool
    order: str


class Entry(NamedTuple):
    """Where one element's value lies; *length* is UNDEFINED only for encapsulated pixel data."""

    vr: bytes
    start: int
    length: int


Entries = dict[int, tuple[bytes, int, int]]
"""What an `Entry` says, by tag: an object for each element would cost more than finding it."""


class Elements:
    """One data set (or sequence item): tag -> value, decoded by the VR found or else the one expected."""

    __slots__ = ("_entries", "_items", "_source", "encoding")

    def __init__(self, source: RandomBytes, entries: Entries, encoding: Encoding) -> None:
        self._source = source
        self._entries = entries
        self._items: dict[int, list[Elements]] = {}
        self.encoding = encoding

    def __contains__(self, tag: int) -> bool:
        return tag in self._entries

    def tags(self) -> Iterator[int]:
        """Every tag of this level."""
        return iter(self._entries)

    def entry(self, tag: int) -> Entry | None:
        """Where the element lies."""
        found = self._entries.get(tag)
        return None if found is None else Entry(*found)

    def raw(self, tag: int) -> bytes:
        """The value's bytes, b"" if absent."""
        entry = self._entries.get(tag)
        if entry is None or not entry[2] or entry[2] == UNDEFINED:
            return b""
        return bytes(self._source.read(entry[1], entry[2]))

    def text(self, tag: int) -> str:
        """A string value without padding, read as Latin-1 (code strings, UIDs, numbers)."""
        return self.raw(tag).decode("latin-1").strip(" \0")

    def code(self, tag: int) -> str:
        """The first value of a code string, upper case."""
        return self.text(tag).split("\\", 1)[0].strip().upper()

    def numbers(self, tag: int, vr: bytes = b"DS") -> list[float]:
        """All values as numbers; *vr* is what to expect where the file does not say. [] if unreadable."""
        entry = self._entries.get(tag)
        if entry is None or not (raw := self.raw(tag)):
            return []
        found = entry[0] if entry[0] in BINARY or entry[0] in (b"DS", b"IS") else vr
        if code := BINARY.get(found):
            return list(struct.unpack_from(f"{self.encoding.order}{len(raw) // SIZES[code]}{code}", raw))
        try:
            return [float(part) for part in raw.decode("latin-1").strip(" \0").split("\\")]
        except ValueError:
            return []

    def number(self, tag: int, vr: bytes = b"DS") -> float | None:
        """The first value as a finite number."""
        values = self.numbers(tag, vr)
        return values[0] if values and abs(values[0]) < float("inf") else None

    def integer(self, tag: int, vr: bytes = b"US") -> int | None:
        """The first value as an integer."""
        entry = self._entries.get(tag)
        if entry is None:
            return None
        if entry[0] == b"US" and entry[2] == 2:  # as most are
            return int.from_bytes(self.raw(tag), "little" if self.encoding.order == "<" else "big")
        value = self.number(tag, vr)
        return None if value is None else int(value)

    def items(self, tag: int) -> list[Elements]:
        """The items of a sequence, [] if absent or damaged."""
        if tag not in self._items:
            entry = self._entries.get(tag)
            self._items[tag] = [] if entry is None else self._parse_items(Entry(*entry))
        return self._items[tag]

    def item(self, tag: int) -> Elements | None:
        """The first item of a sequence."""
        items = self.items(tag)
        return items[0] if items else None

    def _parse_items(self, entry: Entry) -> list[Elements]:
        content = MemoryBytes(self._source.read(entry.start, entry.length))
        encoding = Encoding(False, "<") if entry.vr == b"UN" else self.encoding
        walker = Walker(content, encoding)
        try:
            return [
                Elements(content, walker.collect(start, end), walker.encoding)
                for start, end in walker.item_ranges(0, content.size)
            ]
        except NotRenderable:
            return []


class Walker:
    """Steps from element to element, seeing only their headers through a sliding window."""

    def __init__(self, source: RandomBytes, encoding: Encoding) -> None:
        self.source = source
        self.encoding = encoding
        self._base = 0
        self._window = b""
        self._head, self._long = HEADS[encoding.order]

    def collect(self, start: int, end: int) -> Entries:
        """The elements between two offsets, up to and with the first pixel data element."""
        entries: Entries = {}
        self._walk(start, end, entries, 0)
        return entries

    def group(self, pos: int, end: int, entries: Entries, group: int) -> int:
        """The elements of one *group* that begins at *pos*; returns the offset behind them."""
        while (pos := self.plain(pos, end, entries, group)) + 8 <= end:
            tag, vr, length, start = self._header(pos, explicit=True)
            if tag >> 16 != group:
                break
            entries[tag] = vr, start, length
            pos = start + length
        return pos

    def item_ranges(self, start: int, end: int, depth: int = 1) -> Iterator[tuple[int, int]]:
        """(start, end) of each item's content in a sequence that lies between two offsets."""
        pos = start
        while pos + 8 <= end:
            tag, _, length, content = self._header(pos, explicit=False)
            if tag != 0xFFFEE000:
                return
            if length == UNDEFINED:
                after = self._walk(content, end, None, depth)
                yield content, after - 8
                pos = after
            else:
                yield content, min(content + length, end)
                pos = content + length

    def _header(self, pos: int, *, explicit: bool) -> tuple[int, bytes, int, int]:
        """(tag, VR, length, offset of the value) of the element at *pos*; reads through the window."""
        off = pos - self._base
        if off < 0 or off + 12 > len(self._window):
            self._window = bytes(self.source.read(pos, WINDOW))
            if len(self._window) < WINDOW:  # the end of the data: a header of 8 bytes may be the last
                self._window += b"\0" * 12
            self._base, off = pos, 0
        group, element, vr, short = self._head.unpack_from(self._window, off)
        tag = group << 16 | element
        if explicit and group != 0xFFFE:
            if vr in SHORT_VRS:
                return tag, vr, short, pos + 8
            if vr in LONG_VRS:
                return tag, vr, self._long.unpack_from(self._window, off + 8)[0], pos + 12
        return tag, b"", self._long.unpack_from(self._window, off + 4)[0], pos + 8

    def plain(self, pos: int, end: int, entries: Entries, last_group: int = PLAIN_GROUPS) -> int:
        """Pass over elements that are as most are: with a VR, of known length, and in the window.

        Returns the offset of the first that is not, or that is of a group behind *last_group*.
        """
        window, base = self._window, self._base
        unpack, unpack_long = self._head.unpack_from, self._long.unpack_from
        off, last = pos - base, min(end - base, len(window)) - 12
        while 0 <= off <= last:
            group, element, vr, length = unpack(window, off)
            if group > last_group:
                break
            if vr in SHORT_VRS:
                start = off + 8
            elif vr in LONG_VRS and (length := unpack_long(window, off + 8)[0]) != UNDEFINED:
                start = off + 12
            else:
                break
            if base + start + length > end:
                break
            entries[group << 16 | element] = vr, base + start, length
            off = start + length
        return base + off

    def _walk(self, pos: int, end: int, entries: Entries | None, depth: int) -> int:
        """Pass over elements; returns the offset behind the item delimiter, the end, or the pixel data."""
        explicit, header = self.encoding.explicit, self._header
        while pos + 8 <= end:
            if explicit and entries is not None and (pos := self.plain(pos, end, entries)) + 8 > end:
                break
            tag, vr, length, start = header(pos, explicit=explicit)
            if tag == 0xFFFEE00D and depth:
                return start
            if depth == 0 and tag in PIXEL_TAGS and entries is not None:
                entries[tag] = vr, start, length
                return start
            if length == UNDEFINED:
                after = self._skip_items(start, end, vr, depth + 1)
                length = max(0, after - 8 - start)
                pos = after
            else:
                pos = start + length
                if pos > end and tag >> 16 != 0xFFFC:
                    raise NotRenderable("The file ends inside its header.")
            if entries is not None:
                entries[tag] = vr, start, length
        return pos

    def _skip_items(self, pos: int, end: int, vr: bytes, depth: int) -> int:
        """The offset behind the delimiter of a sequence of undefined length that starts at *pos*."""
        if depth > DEEPEST:
            raise NotRenderable("The header nests sequences too deeply.")
        walker = self
        if vr == b"UN" and self.encoding != (False, "<"):  # PS3.5 6.2.2 note: implicit within UN
            walker = Walker(self.source, Encoding(False, "<"))
        for _, after in walker.item_ranges(pos, end, depth):
            pos = after
        tag, _, _, start = walker._header(pos, explicit=False)
        if tag == 0xFFFEE00D:  # an item of undefined length leaves its delimiter behind the range
            pos = start
            tag, _, _, start = walker._header(pos, explicit=False)
        if tag != 0xFFFEE0DD:
            raise NotRenderable("A sequence in the header does not end.")
        return start
