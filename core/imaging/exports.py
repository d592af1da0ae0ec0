"""Frames for other programs: stored values as 16-bit PNG, TIFF and lossless JPEG, 8-bit TIFF."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from core.errors import NotRenderable
from core.imaging import codecs, render
from core.imaging.codecs import Array
from core.imaging.image import Frame

BLACK_IS_ZERO, RGB = 1, 2
DEFLATE = 8
SHORT, LONG = 3, 4


class Kind(NamedTuple):
    """How a frame leaves: *values* makes its samples, *encode* the file."""

    values: Callable[[Frame, tuple[int, int] | None], Array]
    encode: Callable[[Array], bytes]


def stored_values(frame: Frame, size: tuple[int, int] | None = None) -> Array:
    """uint16 (rows, columns) or (rows, columns, 3) from which the stored values can be had back exactly.

    Grey values are the stored ones; signed ones are raised by half the range of Bits Stored, those of
    MONOCHROME1 are subtracted from its largest value, so that 0 is black. Colours are spread from
    8 to 16 bits. With *size* they are averaged, and exact no more. Raises NotRenderable for pixels that 16
    bits cannot hold.
    """
    pixels = frame.pixels
    if frame.is_colour:
        return _sized_colour(frame, size).astype(np.uint16) * 257
    if pixels.dtype.kind not in "iu" or pixels.dtype.itemsize > 2:
        raise NotRenderable("The pixels of this picture do not fit into 16 bits.")
    bits = min(frame.grey.bits_stored, 8 * pixels.dtype.itemsize)
    values = pixels.astype(np.int32)
    if pixels.dtype.kind == "i":
        values += 1 << bits - 1
    if values.min() < 0 or values.max() >> bits:
        raise NotRenderable("The pixels of this picture exceed the bits its header speaks of.")
    if frame.grey.inverted:
        values = (1 << bits) - 1 - values
    if size is not None:
        floats = render.fitted(values.astype(np.float32), size, frame.attributes.pixel_aspect)
        values = np.clip(np.rint(floats), 0, 65535)
    return values.astype(np.uint16)


def shown_values(frame: Frame, size: tuple[int, int] | None = None) -> Array:
    """uint8 as the viewer shows the frame."""
    return render.render_frame(frame, size=size)


def _sized_colour(frame: Frame, size: tuple[int, int] | None) -> Array:
    return frame.pixels if size is None else render.fitted(frame.pixels, size, frame.attributes.pixel_aspect)


def tiff(samples: Array) -> bytes:
    """A baseline TIFF 6.0 of uint8 or uint16 grey or RGB samples, one deflated strip."""
    rows, columns = samples.shape[:2]
    colour = samples.ndim == 3
    bits = 8 * samples.dtype.itemsize
    plain = np.ascontiguousarray(samples.astype(samples.dtype.newbyteorder("<"), copy=False)).tobytes()
    strip = zlib.compress(plain, 3)
    extra = struct.pack("<3H2x", *(bits,) * 3)  # BitsPerSample of colours, at offset 8
    entries = [
        (256, LONG, 1, columns),
        (257, LONG, 1, rows),
        (258, SHORT, 3 if colour else 1, 8 if colour else bits),
        (259, SHORT, 1, DEFLATE),
        (262, SHORT, 1, RGB if colour else BLACK_IS_ZERO),
        (273, LONG, 1, 8 + len(extra)),
        (277, SHORT, 1, 3 if colour else 1),
        (278, LONG, 1, rows),
        (279, LONG, 1, len(strip)),
    ]
    padding = b"\0" * (len(strip) % 2)
    directory = struct.pack("<H", len(entries)) + b"".join(struct.pack("<HHII", *e) for e in entries)
    at = 8 + len(extra) + len(strip) + len(padding)
    head = struct.pack("<2sHI", b"II", 42, at)
    return head + extra + strip + padding + directory + b"\0\0\0\0"


KINDS = {
    "jpeg16": Kind(stored_values, codecs.encode_jpeg_lossless),
    "png16": Kind(stored_values, codecs.encode_png),
    "png8": Kind(shown_values, codecs.encode_png),
    "tiff16": Kind(stored_values, tiff),
    "tiff8": Kind(shown_values, tiff),
}
"""What a render worker can make beside pictures for screens."""


def export(frame: Frame, kind: str, size: tuple[int, int] | None) -> bytes:
    """The frame as a file of *kind*, fitted into *size* if given. Raises NotRenderable."""
    made = KINDS[kind]
    return made.encode(made.values(frame, size))
