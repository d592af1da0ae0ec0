"""The header walker: from element to element of a data set's top level, without an object for any of them.

Files of one series have almost the same element headers. The walker learns *runs* of headers that it has
met before: one struct call then reads all headers of a run, one comparison proves that they are what is
expected, and the values lie where they lay the last time. Whatever differs is walked element by element,
so a run changes nothing but the time.
"""

from __future__ import annotations

import struct
from typing import Any

from core.dicom.elements import ITEM_END, LONG_VRS, PIXEL_TAGS, SHORT_VRS, UNDEFINED_LENGTH, Dialect
from core.dicom.nested import Cut, Damaged, element_at, more_elements, skip_undefined
from core.dicom.view import View

MAX_RUNS = 2000
MAX_SEEN = 20_000
MAX_WANTED = 1 << 16  # a longer value of a wanted element is nonsense

ENDS = frozenset((0, ITEM_END, *PIXEL_TAGS))
_Step = tuple[int, int, int, int]  # offset of an element's header, header length, value length, slot or -1


class Run:
    """Headers that followed each other before, from a given first one on."""

    __slots__ = ("expected", "headers", "length", "need", "slots", "steps")

    def __init__(self, data: bytes, steps: list[_Step]) -> None:
        start = steps[0][0]
        self.steps = steps
        layout, slots, reach = [], [], 0
        for offset, header, length, slot in steps:
            layout.append(f"{header}s{length}x")
            reach = offset - start + header
            if slot >= 0:
                slots.append((slot, reach, reach + length))
        layout[-1] = f"{steps[-1][1]}s"
        reader = struct.Struct("<" + "".join(layout))
        self.headers = reader.unpack_from
        self.expected: tuple[Any, ...] = reader.unpack_from(data, start)
        self.slots = slots
        self.length = reach + steps[-1][2]
        self.need = max([reach, *(end for _, _, end in slots)])


class Walker:
    """Walks data sets of one dialect and puts wanted values into slots; remembers runs between files."""

    def __init__(self, dialect: Dialect, wanted: dict[int, int], *, only_group: int = 0) -> None:
        self.dialect = dialect
        self._wanted = wanted
        self._ends = frozenset(
            struct.pack(dialect.order + "HH", tag >> 16, tag & 0xFFFF) for tag in PIXEL_TAGS
        )
        self._only_group = only_group
        self._group = struct.pack(dialect.order + "H", only_group) if only_group else b""
        self._runs: dict[bytes, Run] = {}
        self._seen: set[bytes] = set()

    def walk(self, view: View, position: int, values: list[bytes]) -> int:
        """Fill *values*; where the pixel data start, or the elements end. Raises Cut, Damaged."""
        data, base = view.data, view.base
        end, at = len(data), position - base
        runs = self._runs
        steps: list[_Step] = []
        while True:
            run = runs.get(data[at : at + 8])
            if run is not None and at + run.need <= end:
                if run.headers(data, at) == run.expected:
                    for slot, start, stop in run.slots:
                        values[slot] = data[at + start : at + stop]
                    if steps:
                        self._learn(data, steps)
                    at += run.length
                    continue
                self._shorten(data, at, run)
            if data[at : at + 4] in self._ends or (self._group and self._group != data[at : at + 2] != b""):
                break
            if at + 12 > end and base + end < view.size:
                self._learn(data, steps)
                view.at(base + at, min(12, max(0, view.size - base - at)))
                at, base, data = at + base - view.base, view.base, view.data
                end = len(data)
            step = self._step(view, base + at, values)
            if step is None:
                break
            header, length, slot, known = step
            if known:
                steps.append((at, header, length, slot))
            else:
                self._learn(data, steps)
            if view.base != base:  # a long sequence moved the window on
                at, base, data = at + base - view.base, view.base, view.data
                end = len(data)
            at += header + length
        self._learn(data, steps)
        return base + at

    def _step(self, view: View, position: int, values: list[bytes]) -> tuple[int, int, int, bool] | None:
        """Header length, value length, slot, and whether it may be part of a run; None at the end."""
        if not more_elements(view, position):
            return None
        tag, vr, length, start = element_at(view, position, self.dialect)
        if tag in ENDS or (self._only_group and tag >> 16 != self._only_group):
            return None
        if length == UNDEFINED_LENGTH:
            return start - position, skip_undefined(view, start, self.dialect, vr) - start, -1, False
        if start + length > view.size:
            raise cut_or_damaged(tag, vr, self.dialect)
        slot = self._wanted.get(tag, -1)
        if slot >= 0:
            if length > MAX_WANTED:
                raise Damaged("an identifying element is longer than any can be")
            values[slot] = view.take(start, length)
        return start - position, length, slot, True

    def _learn(self, data: bytes, steps: list[_Step]) -> None:
        """Make a run of these steps, if their beginning was met before; forgets the steps."""
        if steps:
            self._remember(data, steps.copy())
            steps.clear()

    def _remember(self, data: bytes, steps: list[_Step]) -> None:
        first = steps[0][0]
        key = data[first : first + 8]
        if key in self._runs:
            return
        if key not in self._seen:
            if len(self._seen) >= MAX_SEEN:
                self._seen.clear()
            self._seen.add(key)
            return
        if len(self._runs) >= MAX_RUNS:
            self._runs.clear()
        self._runs[key] = Run(data, steps)

    def _shorten(self, data: bytes, at: int, run: Run) -> None:
        """Cut a run before the first header that differs here."""
        key = data[at : at + 8]
        found = run.headers(data, at)
        same = next(n for n, (one, other) in enumerate(zip(found, run.expected, strict=True)) if one != other)
        if same == 0:
            del self._runs[key]
        else:
            first = run.steps[0][0]
            steps = [(offset - first + at, one, two, slot) for offset, one, two, slot in run.steps[:same]]
            self._runs[key] = Run(data, steps)


def cut_or_damaged(tag: int, vr: bytes, dialect: Dialect) -> Cut | Damaged:
    """What it means that an element is longer than its file: a cut, if its header looks meant at all."""
    if dialect.explicit and vr not in SHORT_VRS and vr not in LONG_VRS:
        return Damaged("an element has no proper type")
    return Cut() if 0x0002 <= tag >> 16 <= 0x7FE0 else Damaged("an element is longer than the file")
