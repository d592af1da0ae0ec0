"""Colour samples to 8-bit RGB: YBR, deep colour and palettes (PS3.3 C.7.6.3.1.2, C.7.9)."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from core.errors import NotRenderable
from core.imaging.codecs import Array
from core.imaging.elements import Elements

DESCRIPTORS = (0x00281101, 0x00281102, 0x00281103)
DATA = (0x00281201, 0x00281202, 0x00281203)
SEGMENTED = (0x00281221, 0x00281222, 0x00281223)
MOST_ENTRIES = 65536


def to_rgb(samples: Array, photometric: str, bits_stored: int) -> Array:
    """(rows, columns, 3) of any depth as uint8 RGB."""
    deep = samples.dtype.itemsize > 1
    eight = (samples >> (bits_stored - 8)).astype(np.uint8) if deep and bits_stored > 8 else samples
    if not deep and bits_stored < 8:
        eight = eight << (8 - bits_stored)
    eight = np.ascontiguousarray(eight.astype(np.uint8, copy=False))
    if photometric in ("YBR_FULL", "YBR_FULL_422"):
        return _full_range(eight)
    if photometric.startswith("YBR_PARTIAL"):
        return _partial_range(eight)
    if photometric == "RGB":
        return eight
    raise NotRenderable(f"Colours of the kind {photometric or 'unknown'} cannot be shown.")


def _full_range(ybr: Array) -> Array:
    from PIL import Image

    rows, columns = ybr.shape[:2]
    image = Image.frombuffer("YCbCr", (columns, rows), ybr.tobytes(), "raw", "YCbCr", 0, 1)
    return np.asarray(image.convert("RGB"))


def _partial_range(ybr: Array) -> Array:
    """ITU-R BT.601 with headroom: luminance 16 to 235, chrominance 16 to 240."""
    y, cb, cr = np.moveaxis(ybr.astype(np.float32), -1, 0)
    y, cb, cr = (y - 16) * (255 / 219), (cb - 128) * (255 / 224), (cr - 128) * (255 / 224)
    rgb = np.stack([y + 1.402 * cr, y - 0.344136 * cb - 0.714136 * cr, y + 1.772 * cb], axis=-1)
    result: Array = np.clip(rgb + 0.5, 0, 255).astype(np.uint8)
    return result


@dataclass(frozen=True, slots=True, eq=False)
class Palette:
    """Three look-up tables as (entries, 3) uint8; stored value *first* meets entry 0."""

    first: int
    colours: Array

    def apply(self, samples: Array) -> Array:
        """Stored values as RGB; values outside take the nearest end."""
        index = np.clip(samples.astype(np.int64) - self.first, 0, len(self.colours) - 1)
        return self.colours[index]


def read_palette(elements: Elements, *, signed: bool) -> Palette | None:
    """The object's palette, None if it has none. Raises NotRenderable if it is damaged."""
    if not all(tag in elements for tag in DESCRIPTORS):
        return None
    planes: list[Array] = []
    first = 0
    for channel in range(3):
        numbers = elements.numbers(DESCRIPTORS[channel], b"US")
        if len(numbers) < 3:
            raise NotRenderable("The palette of this picture is damaged.")
        entries = int(numbers[0]) & 0xFFFF or MOST_ENTRIES
        first, bits = int(numbers[1]), int(numbers[2])
        if signed and first > 0x7FFF:
            first -= 0x10000
        planes.append(_plane(elements, channel, entries, bits))
    entries = min(plane.size for plane in planes)
    return Palette(first, np.stack([plane[:entries] for plane in planes], axis=-1))


def _plane(elements: Elements, channel: int, entries: int, bits: int) -> Array:
    """One channel's table as uint8."""
    order = elements.encoding.order
    if SEGMENTED[channel] in elements:
        raw = elements.raw(SEGMENTED[channel])
        words = np.frombuffer(
            raw, np.uint8 if bits == 8 else f"{order}u2", len(raw) // (1 if bits == 8 else 2)
        )
        values = _expanded([int(w) for w in words], entries, 4 if bits == 8 else 2)
    else:
        raw = elements.raw(DATA[channel])
        if len(raw) >= 2 * entries:
            values = np.frombuffer(raw, f"{order}u2", entries)
        else:
            values = np.frombuffer(raw, np.uint8)[:entries]
            if order == ">" and values.size % 2 == 0:  # two entries in each big-endian word
                values = values.reshape(-1, 2)[:, ::-1].reshape(-1)
    if not values.size:
        raise NotRenderable("The palette of this picture is damaged.")
    if values.dtype.itemsize > 1 and bits > 8 and int(values.max()) > 255:
        values = values >> 8
    return np.minimum(values, 255).astype(np.uint8)


def _expanded(words: list[int], entries: int, pointer: int) -> Array:
    """Segments as plain entries (PS3.3 C.7.9.2); the offset of an indirect one takes *pointer* words."""
    out: list[int] = []
    starts: list[int] = []
    pos = 0
    try:
        while pos < len(words) and len(out) < entries:
            starts.append(pos)
            if words[pos] == 2:
                count = words[pos + 1]
                step = 32 // pointer
                offset = sum(words[pos + 2 + n] << step * n for n in range(pointer))
                again = starts.index(offset)
                for start in starts[again : again + count]:
                    if len(out) < entries:
                        _segment(words, start, out)
                pos += 2 + pointer
            else:
                pos = _segment(words, pos, out)
    except (IndexError, ValueError) as error:
        raise NotRenderable("The segmented palette of this picture is damaged.") from error
    return np.array(out[:entries], np.uint16)


def _segment(words: list[int], pos: int, out: list[int]) -> int:
    """Append one discrete or linear segment; returns where the next begins."""
    kind, count = words[pos], words[pos + 1]
    if kind == 0:
        values = words[pos + 2 : pos + 2 + count]
        if len(values) < count:
            raise IndexError
        out.extend(values)
        return pos + 2 + count
    if kind != 1 or not out or not count:
        raise ValueError
    begin, end = out[-1], words[pos + 2]
    out.extend(round(begin + (end - begin) * n / count) for n in range(1, count + 1))
    return pos + 3
