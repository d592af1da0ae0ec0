"""Rows of plain values as data sets of answers, where most of each answer is known before the first."""

from __future__ import annotations

import struct
from collections.abc import Callable, Sequence
from typing import Any

from core.dicom.elements import LONG_VRS, STRING_VRS
from core.dicom.identifier import Answering, vr_of
from core.dicom.json_model import Model, element_of

VALUES_KEPT = 4096
"""Dates, sexes, descriptions come again and again: so many elements are kept for each attribute."""


class AnswerRows:
    """Writes rows as `Answering` would write their models: by its own way where a row is not plain ASCII."""

    def __init__(self, answering: Answering, tags: Sequence[int], always: Model) -> None:
        """*tags* of the values of a row, ascending; *always* is what every answer has beside."""
        self._answering = answering
        self._always = always
        self._tags = tags
        self._elements: list[Callable[[Any], bytes]] = []
        known = b""
        for tag in answering.tags:
            if tag in tags:
                self._elements.append(
                    _writer(known + answering.head(tag, vr_of(tag)), tag, answering.explicit)
                )
                known = b""
            else:
                known += answering.element(tag, always.get(f"{tag:08X}"))
        self._end = known

    def data_set(self, row: Sequence[Any]) -> bytes:
        """The data set of one row, what is behind its *tags* left out."""
        try:
            found = [write(value) for write, value in zip(self._elements, row, strict=False)]
        except _Odd:
            return self._answering.data_set(self._model(row))
        found.append(self._end)
        return b"".join(found)

    def _model(self, row: Sequence[Any]) -> Model:
        values = zip(self._tags, row, strict=False)
        return self._always | {f"{tag:08X}": element_of(vr_of(tag), [value]) for tag, value in values}


def writable(tag: int) -> bool:
    """Whether an attribute's values are texts, with 16 bits for their length in explicit VR."""
    return vr_of(tag).encode() in STRING_VRS - LONG_VRS


class _Odd(Exception):
    """A value is not written the short way."""


def _writer(before: bytes, tag: int, explicit: bool) -> Callable[[Any], bytes]:
    """Writes the element of a value behind what is always *before* its length."""
    length = struct.Struct("<H" if explicit else "<L").pack
    padding = b"\0" if vr_of(tag) == "UI" else b" "
    has_groups = vr_of(tag) == "PN"
    kept: dict[Any, bytes] = {}

    def write(value: Any) -> bytes:
        element = kept.get(value)
        if element is not None:
            return element
        text = "" if value is None else str(value)
        if not text.isascii() or len(text) > 0xFFFE or (has_groups and "=" in text):
            raise _Odd
        raw = text.encode("ascii")
        if len(raw) % 2:
            raw += padding
        element = before + length(len(raw)) + raw
        if len(kept) < VALUES_KEPT:
            kept[value] = element
        return element

    return write
