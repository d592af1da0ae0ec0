"""Overlay planes: one-bit drawings over a picture, kept apart so that they can be hidden (PS3.3 C.9.2)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from core.imaging.codecs import Array
from core.imaging.elements import Elements
from core.imaging.pixel_module import PixelModule

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


def read_overlays(
    elements: Elements, frame0: int, module: PixelModule, words: Callable[[], Array | None]
) -> tuple[Overlay, ...]:
    """The planes that belong to *frame0*; damaged ones are left out.

    *words* gives the samples with all their bits: old objects hide planes in the unused ones.
    """
    found: list[Overlay] = []
    for group in GROUPS:
        base = group << 16
        if base | 0x3000 in elements:
            plane = _own_plane(elements, base, frame0, module)
        elif base | 0x0102 in elements:
            plane = _hidden_plane(elements, base, module, words)
        else:
            continue
        if plane is not None:
            found.append(_overlay(elements, base, plane))
    return tuple(found)


def _overlay(elements: Elements, base: int, plane: Array) -> Overlay:
    origin = elements.numbers(base | 0x0050, b"SS")
    row, column = (int(origin[0]) - 1, int(origin[1]) - 1) if len(origin) == 2 else (0, 0)
    label = elements.text(base | 0x1500) or elements.text(base | 0x0022)
    return Overlay(plane, row, column, label, elements.code(base | 0x0040) == "R")


def _own_plane(elements: Elements, base: int, frame0: int, module: PixelModule) -> Array | None:
    """A plane with Overlay Data of its own."""
    height = elements.integer(base | 0x0010) or module.rows
    width = elements.integer(base | 0x0011) or module.columns
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
    return bits[first % 8 : first % 8 + size].reshape(height, width).astype(bool)


def _hidden_plane(
    elements: Elements, base: int, module: PixelModule, words: Callable[[], Array | None]
) -> Array | None:
    """A plane in an unused bit of the pixel data (retired)."""
    bit = elements.integer(base | 0x0102)
    used = range(module.high_bit - module.bits_stored + 1, module.high_bit + 1)
    if bit is None or not 0 <= bit < module.bits_allocated or bit in used:
        return None
    samples = words()
    return None if samples is None else (samples >> bit & 1).astype(bool)


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
