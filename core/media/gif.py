"""Moving pictures as GIF (version 89a), a frame at a time: each has colours of its own."""

from __future__ import annotations

import io
import struct

from core.errors import NotRenderable

EXTENSION, IMAGE, TRAILER = 0x21, 0x2C, b";"
FOREVER = b"\x21\xff\x0bNETSCAPE2.0\x03\x01\x00\x00\x00"
OWN_COLOURS = 0x80
FASTEST_CS = 2
"""Hundredths of a second: viewers show shorter ones at a tenth of a second."""
WIDEST = 0xFFFF


class Gif:
    """Makes the pieces of one file: `start`, a `frame` for each picture, END. *rate* is frames a second."""

    END = TRAILER

    def __init__(self, rate: float) -> None:
        self._delay_cs = min(WIDEST, max(FASTEST_CS, round(100 / rate)))

    def start(self, columns: int, rows: int) -> bytes:
        """The file's head: its size, and that it is shown over and over."""
        if max(columns, rows) > WIDEST:
            raise NotRenderable("The picture is too large for a GIF.")
        return b"GIF89a" + struct.pack("<HHBBB", columns, rows, 0x70, 0, 0) + FOREVER

    def frame(self, png: bytes) -> tuple[bytes, tuple[int, int]]:
        """A picture as a frame, and its columns and rows."""
        from PIL import Image

        with Image.open(io.BytesIO(png), formats=("PNG",)) as picture:
            shape = picture.size
            few = picture if picture.mode in {"L", "P"} else picture.convert("RGB").quantize(256)
            made = io.BytesIO()
            few.save(made, "GIF", interlace=0, optimize=False)
        colours, descriptor, data = _taken_apart(made.getvalue())
        control = struct.pack("<BBBBHBB", EXTENSION, 0xF9, 4, 0x04, self._delay_cs, 0, 0)
        return control + descriptor + colours + data, shape


def _taken_apart(gif: bytes) -> tuple[bytes, bytes, bytes]:
    """Colours, descriptor (that says they follow it) and the compressed pixels of a GIF with one picture."""
    flags, at = gif[10], 13
    colours = gif[at : at + (3 << (flags & 7) + 1)] if flags & OWN_COLOURS else b""
    at += len(colours)
    while gif[at] == EXTENSION:
        at += 2
        while size := gif[at]:
            at += size + 1
        at += 1
    descriptor, own = bytearray(gif[at : at + 10]), gif[at + 9]
    at += 10
    if own & OWN_COLOURS:
        flags, length = own, 3 << (own & 7) + 1
        colours, at = gif[at : at + length], at + length
    descriptor[9] = OWN_COLOURS | flags & 7
    return colours, bytes(descriptor), gif[at:].removesuffix(TRAILER)
