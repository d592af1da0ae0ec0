"""Where each frame's bytes lie: native, or encapsulated with or without an offset table (PS3.5 A.4)."""

from __future__ import annotations

import struct
from itertools import pairwise
from typing import Protocol

from core.errors import NotRenderable
from core.imaging.elements import UNDEFINED, Elements, Entry
from core.imaging.pixel_module import PixelModule
from core.imaging.reading import RandomBytes

EXTENDED_OFFSET_TABLE, EXTENDED_OFFSET_TABLE_LENGTHS = 0x7FE00001, 0x7FE00002
ITEM, SEQUENCE_END = b"\xfe\xff\x00\xe0", b"\xfe\xff\xdd\xe0"
STARTS = (b"\xff\xd8\xff", b"\xff\x4f\xff\x51", b"\x00\x00\x00\x0cjP  ", b"\xff\x0a", b"\x00\x00\x00\x0cJXL ")
CUT_SHORT = "The file ends inside its picture."

Fragment = tuple[int, int]  # offset of the value, its length


class FrameTable(Protocol):
    """Finds the bytes of one frame."""

    @property
    def count(self) -> int:
        """How many frames there are."""

    def frame(self, index0: int) -> tuple[memoryview, int]:
        """The frame's bytes, and how many bits to skip in the first (1-bit frames). Raises NotRenderable."""


def frame_table(source: RandomBytes, elements: Elements, entry: Entry, module: PixelModule) -> FrameTable:
    """The table for an object's pixel data."""
    if entry.length == UNDEFINED:
        return EncapsulatedFrames(source, elements, entry.start, module.frame_count or 1)
    length = min(entry.length, max(0, source.size - entry.start))
    words = module.bits_allocated == 8 and elements.encoding.order == ">" and entry.vr != b"OB"
    return NativeFrames(source, entry.start, length, module, words=words)


class NativeFrames:
    """Uncompressed frames lie one behind the other; *words*: bytes written as big-endian 16-bit words."""

    def __init__(
        self, source: RandomBytes, start: int, length: int, module: PixelModule, *, words: bool = False
    ) -> None:
        self._source = source
        self._start = start
        self._length = length
        self._bits = module.frame_bits
        self._words = words
        self.count = module.frame_count or max(1, length * 8 // self._bits)

    def frame(self, index0: int) -> tuple[memoryview, int]:
        """Just that frame's bytes."""
        first_bit = index0 * self._bits
        first, last = first_bit // 8, (first_bit + self._bits + 7) // 8
        if last > self._length:
            raise NotRenderable(CUT_SHORT)
        if self._words:
            data = self._swapped(first, last)
        else:
            data = self._source.read(self._start + first, last - first)
        if len(data) < last - first:
            raise NotRenderable(CUT_SHORT)
        return data, first_bit % 8

    def _swapped(self, first: int, last: int) -> memoryview:
        """Bytes of the words that hold them, in their proper order."""
        begin, end = first - first % 2, last + last % 2
        pairs = bytearray(self._source.read(self._start + begin, end - begin))
        if len(pairs) % 2:
            raise NotRenderable(CUT_SHORT)
        pairs[0::2], pairs[1::2] = pairs[1::2], pairs[0::2]
        return memoryview(pairs).toreadonly()[first - begin : last - begin]


class EncapsulatedFrames:
    """Compressed frames of one or more fragments; offset tables are believed only where they prove right."""

    def __init__(self, source: RandomBytes, elements: Elements, start: int, count: int) -> None:
        self._source = source
        self.count = count
        self._fragments: list[Fragment] | None = None
        self._frames: list[list[Fragment]] | None = None
        tag, length = self._item(start)
        if tag != ITEM:
            raise NotRenderable("The compressed pictures do not begin as they must.")
        self._first = start + 8 + length
        self._offsets = self._basic_offsets(start + 8, length)
        self._extended = self._extended_fragments(elements)

    def frame(self, index0: int) -> tuple[memoryview, int]:
        """The frame's fragments joined."""
        if self._extended:
            return self._joined([self._extended[index0]]), 0
        if self._frames is None and (fragments := self._by_offset(index0)):
            return self._joined(fragments), 0
        if self._frames is None:
            self._frames = self._grouped()
        if index0 >= len(self._frames):
            raise NotRenderable(f"The file claims {self.count} frames and holds {len(self._frames)}.")
        return self._joined(self._frames[index0]), 0

    def _item(self, pos: int) -> tuple[bytes, int]:
        head = bytes(self._source.read(pos, 8))
        if len(head) < 8:
            raise NotRenderable(CUT_SHORT)
        return head[:4], struct.unpack("<I", head[4:])[0]

    def _basic_offsets(self, start: int, length: int) -> list[int]:
        """The Basic Offset Table if it can be right: one offset a frame, rising from 0."""
        if length != 4 * self.count or self.count == 1:
            return []
        raw = bytes(self._source.read(start, length))
        offsets = list(struct.unpack(f"<{len(raw) // 4}I", raw[: len(raw) // 4 * 4]))
        rising = all(a < b for a, b in pairwise(offsets))
        return offsets if len(offsets) == self.count and offsets[0] == 0 and rising else []

    def _extended_fragments(self, elements: Elements) -> list[Fragment]:
        """The Extended Offset Table if its first and last entries meet items of the stated length."""
        raw, sizes = elements.raw(EXTENDED_OFFSET_TABLE), elements.raw(EXTENDED_OFFSET_TABLE_LENGTHS)
        if len(raw) != 8 * self.count or len(sizes) != len(raw):
            return []
        offsets = struct.unpack(f"<{self.count}Q", raw)
        lengths = struct.unpack(f"<{self.count}Q", sizes)
        for n in range(self.count):
            pos = self._first + offsets[n]
            if pos + 8 + lengths[n] > self._source.size:
                return []
            if n in (0, self.count - 1):
                tag, length = self._item(pos)
                if tag != ITEM or not lengths[n] <= length <= lengths[n] + 1:
                    return []
        return [(self._first + o + 8, n) for o, n in zip(offsets, lengths, strict=True)]

    def _by_offset(self, index0: int) -> list[Fragment]:
        """Fragments between two entries of the Basic Offset Table; [] if it lies."""
        if not self._offsets:
            return []
        pos = self._first + self._offsets[index0]
        last = index0 + 1 == self.count
        end = self._source.size if last else self._first + self._offsets[index0 + 1]
        fragments: list[Fragment] = []
        while pos < end and pos + 8 <= self._source.size:
            tag, length = self._item(pos)
            if tag == SEQUENCE_END and last and fragments:
                return fragments
            if tag != ITEM or length == UNDEFINED:
                return []
            fragments.append((pos + 8, length))
            pos += 8 + length
        return fragments if pos == end and not last else []

    def _walk(self) -> list[Fragment]:
        """Every fragment, by stepping from item to item."""
        fragments: list[Fragment] = []
        pos, size = self._first, self._source.size
        while pos + 8 <= size:
            tag, length = self._item(pos)
            if tag != ITEM:
                break
            fragments.append((pos + 8, length))
            pos += 8 + length
        return fragments

    def _grouped(self) -> list[list[Fragment]]:
        """Fragments shared out to frames: all to one, one each, else by where compressed streams begin."""
        fragments = self._walk()
        if self.count == 1:
            return [fragments] if fragments else []
        if len(fragments) <= self.count:
            return [[fragment] for fragment in fragments]
        frames: list[list[Fragment]] = []
        for fragment in fragments:
            head = bytes(self._source.read(fragment[0], 8))
            if not frames or head.startswith(STARTS):
                frames.append([])
            frames[-1].append(fragment)
        return frames

    def _joined(self, fragments: list[Fragment]) -> memoryview:
        parts = []
        for start, length in fragments:
            part = (
                self._source.read(start, length) if length <= self._source.size - start else memoryview(b"")
            )
            if len(part) < length:
                raise NotRenderable(CUT_SHORT)
            parts.append(part)
        if len(parts) == 1:
            return parts[0]
        return memoryview(b"".join(parts))
