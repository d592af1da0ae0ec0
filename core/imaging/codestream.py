"""What a compressed frame says of itself before it is decoded: kind, size, depth, sign, colour transform.

A decoder allocates what its stream claims, so the claim is compared with the DICOM header first.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass, replace
from enum import StrEnum

from core.errors import NotRenderable


class Kind(StrEnum):
    """Families of compressed streams, told by their first bytes."""

    JPEG = "JPEG"
    JPEG_LS = "JPEG-LS"
    JPEG_2000 = "JPEG 2000"
    JPEG_XL = "JPEG XL"


@dataclass(frozen=True, slots=True)
class Codestream:
    """Claims of a stream's header; *transform* is None where a JPEG says nothing of its colours."""

    kind: Kind
    rows: int
    columns: int
    components: int = 1
    bits: int = 8
    signed: bool = False
    lossless: bool = False
    transform: bool | None = None


DAMAGED = "The compressed picture is damaged: its header cannot be read."
FRAME_MARKERS = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}  # SOF0..SOF15 (ITU-T T.81 table B.1)
JPEG_LS_FRAME = 0xF7
JP2_SIGNATURE = b"\x00\x00\x00\x0cjP  "
JXL_SIGNATURE = b"\x00\x00\x00\x0cJXL "


def inspect(data: memoryview) -> Codestream | None:
    """The stream's claims, None if its first bytes are of no known kind. Raises NotRenderable if damaged."""
    head = bytes(data[:12])
    try:
        if head.startswith(b"\xff\xd8"):
            return _jpeg(data)
        if head.startswith(b"\xff\x4f\xff\x51"):
            return _jpeg_2000(data)
        if head.startswith(JP2_SIGNATURE):
            return _jpeg_2000(_box(data, b"jp2c"))
        if head.startswith(b"\xff\x0a"):
            return _jpeg_xl(data[2:])
        if head.startswith(JXL_SIGNATURE):
            return _jpeg_xl_in_boxes(data)
    except (struct.error, IndexError) as error:
        raise NotRenderable(DAMAGED) from error
    return None


def _jpeg(data: memoryview) -> Codestream:
    transform: bool | None = None
    pos = 2
    while True:
        while data[pos] != 0xFF:  # junk between segments
            pos += 1
        marker = data[pos + 1]
        if marker == 0xFF:
            pos += 1
            continue
        if 0xD0 <= marker <= 0xD8 or marker == 0x01:
            pos += 2
            continue
        length: int = struct.unpack_from(">H", data, pos + 2)[0]
        if marker in FRAME_MARKERS or marker == JPEG_LS_FRAME:
            return _jpeg_frame(data, pos + 4, marker, transform)
        if marker in (0xD9, 0xDA):
            raise NotRenderable(DAMAGED)
        body = bytes(data[pos + 4 : pos + 2 + length])
        if marker == 0xEE and body.startswith(b"Adobe") and len(body) >= 12:
            transform = body[11] == 1
        elif marker == 0xE0 and body.startswith(b"JFIF\0") and transform is None:
            transform = True
        pos += 2 + length


def _jpeg_frame(data: memoryview, pos: int, marker: int, transform: bool | None) -> Codestream:
    bits, rows, columns, components = struct.unpack_from(">BHHB", data, pos)
    ids = bytes(data[pos + 6 + 3 * n] for n in range(components))
    if components != 3:
        transform = None
    elif ids == b"RGB":
        transform = False
    return Codestream(
        kind=Kind.JPEG_LS if marker == JPEG_LS_FRAME else Kind.JPEG,
        rows=rows,
        columns=columns,
        components=components,
        bits=bits,
        lossless=marker in (0xC3, 0xC7, 0xCB, 0xCF, JPEG_LS_FRAME),
        transform=transform,
    )


def _jpeg_2000(data: memoryview) -> Codestream:
    """SIZ and COD segments (ITU-T T.800 A.5.1, A.6.1), the same for high throughput (T.814)."""
    length, _, width, height, x0, y0 = struct.unpack_from(">HHIIII", data, 4)
    components: int = struct.unpack_from(">H", data, 40)[0]
    depth = data[42]
    found = Codestream(
        Kind.JPEG_2000, height - y0, width - x0, components, (depth & 0x7F) + 1, bool(depth & 0x80)
    )
    pos = 4 + length
    while data[pos] == 0xFF and data[pos + 1] not in (0x90, 0xD9):  # until the first tile
        marker, size = data[pos + 1], struct.unpack_from(">H", data, pos + 2)[0]
        if marker == 0x52:
            found = replace(found, transform=data[pos + 8] == 1)
        pos += 2 + size
    return found


def _box(data: memoryview, wanted: bytes) -> memoryview:
    """The content of the first box of a JP2 or JXL container."""
    pos = 0
    while True:
        length, kind = struct.unpack_from(">I4s", data, pos)
        start = pos + 8
        if length == 1:
            length = struct.unpack_from(">Q", data, start)[0]
            start += 8
        end = len(data) if length == 0 else pos + length
        if kind == wanted:
            return data[start:end]
        if end <= pos:
            raise NotRenderable(DAMAGED)
        pos = end


def _jpeg_xl_in_boxes(data: memoryview) -> Codestream:
    try:
        stream = _box(data, b"jxlc")
    except struct.error:
        stream = _box(data, b"jxlp")[4:]
    return _jpeg_xl(stream[2:])


def _jpeg_xl(data: memoryview) -> Codestream:
    """SizeHeader (ISO/IEC 18181-1 A.3): bits from the low end; the components stay unknown (0)."""
    bits, used = int.from_bytes(data[:16], "little"), 0
    if not len(data):
        raise NotRenderable(DAMAGED)

    def take(count: int) -> int:
        nonlocal used
        value = bits >> used & ((1 << count) - 1)
        used += count
        return value

    def size(small: int) -> int:
        return (take(5) + 1) * 8 if small else take((9, 13, 18, 30)[take(2)]) + 1

    small = take(1)
    rows = size(small)
    ratio = take(3)
    if ratio:
        over, under = ((1, 1), (12, 10), (4, 3), (3, 2), (16, 9), (5, 4), (2, 1))[ratio - 1]
        columns = rows * over // under
    else:
        columns = size(small)
    return Codestream(Kind.JPEG_XL, rows, columns, components=0, bits=0)
