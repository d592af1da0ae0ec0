"""Overlay planes: one-bit drawings over a picture, kept apart so that they can be hidden (PS3.3 C.9.2)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from core.imaging.codecs import Array
from core.imaging.elements import Elements

GROUPS = range(0x6000, 0x6020, 2)
LARGEST = 1 << 28  # bits of one plane


@dataclass(frozen=True, slots=True, eq=False)
class Overlay:
    """One plane: bool (rows, columns), its top left corner at 0-based *row*, *column* of the picture."""

    plane: Array
    row: int
    column: int
    label: str = ""
    region_of_interest: bool = False


def read_overlays(elements: Elements, frame0: int, rows: int, columns: int) -> tuple[Overlay, ...]:
    """The planes that belong to *frame0*; damaged ones are left out, as are those hidden in pixel bits."""
    found: list[Overlay] = []
    for group in GROUPS:
        base = group << 16
        if base | 0x3000 in elements and (overlay := _read(elements, base, frame0, rows, columns)):
            found.append(overlay)
    return tuple(found)


def _read(elements: Elements, base: int, frame0: int, rows: int, columns: int) -> Overlay | None:
    height = elements.integer(base | 0x0010) or rows
    width = elements.integer(base | 0x0011) or columns
    frames = elements.integer(base | 0x0015, b"IS") or 1
    origin_frame = elements.integer(base | 0x0051) or 1
    index = frame0 + 1 - origin_frame if frames > 1 else 0
    size = height * width
    if not 0 <= index < frames or size <= 0 or size * frames > LARGEST:
        return None
    raw = np.frombuffer(elements.raw(base | 0x3000), np.uint8)
    if raw.size * 8 < size * (index + 1):
        return None
    if elements.encoding.order == ">" and raw.size % 2 == 0:
        raw = raw.reshape(-1, 2)[:, ::-1].reshape(-1)  # written as 16-bit words
    first = index * size
    bits = np.unpackbits(raw[first // 8 : (first + size + 7) // 8], bitorder="little")
    plane = bits[first % 8 : first % 8 + size].reshape(height, width).astype(bool)
    origin = elements.numbers(base | 0x0050, b"SS")
    row, column = (int(origin[0]) - 1, int(origin[1]) - 1) if len(origin) == 2 else (0, 0)
    label = elements.text(base | 0x1500) or elements.text(base | 0x0022)
    return Overlay(plane, row, column, label, elements.code(base | 0x0040) == "R")


def burned(picture: Array, overlays: Sequence[Overlay], value: int = 255) -> Array:
    """A copy of a rendered picture (not scaled) with the planes drawn on it."""
    out = picture.copy()
    rows, columns = out.shape[:2]
    for overlay in overlays:
        height, width = overlay.plane.shape
        top, left = max(0, overlay.row), max(0, overlay.column)
        bottom, right = min(rows, overlay.row + height), min(columns, overlay.column + width)
        if bottom <= top or right <= left:
            continue
        part = overlay.plane[
            top - overlay.row : bottom - overlay.row, left - overlay.column : right - overlay.column
        ]
        out[top:bottom, left:right][part] = value
    return out
