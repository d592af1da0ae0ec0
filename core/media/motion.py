"""Moving pictures out of JPEG frames: Motion JPEG in an AVI file, or in an MP4 file (ISO/IEC 14496-12, -14).

Both need no encoder but that of the pictures. AVI plays nearly everywhere; MP4 is for players that know JPEG
as a visual stream (object type 6C), which browsers do not.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator, Sequence
from typing import BinaryIO, NamedTuple

MOST_BYTES = 1 << 30
"""Of one file: RIFF and the offsets of MP4 have 32 bits."""
MATRIX = struct.pack(">9I", 0x10000, 0, 0, 0, 0x10000, 0, 0, 0, 0x40000000)
JPEG_STREAM, VISUAL = 0x6C, 0x11


class Film(NamedTuple):
    """Frames one after the other in *file*, their sizes in bytes; *rate* is frames a second."""

    file: BinaryIO
    sizes: Sequence[int]
    width: int
    height: int
    rate: float


class Made(NamedTuple):
    """A file: its size, and its bytes in order."""

    size: int
    chunks: Iterator[bytes]


def avi(film: Film) -> Made:
    """*film* as an AVI file."""
    count, largest = len(film.sizes), max(film.sizes)
    scale, rate = 1000, round(film.rate * 1000)
    edges = film.width, film.height
    pause = 1_000_000 * scale // rate
    main = struct.pack("<14I", pause, 0, 0, 0x10, count, 0, 1, largest, *edges, 0, 0, 0, 0)
    stream = b"vidsMJPG" + struct.pack(
        "<IHHIIIIIIII4H", 0, 0, 0, 0, scale, rate, 0, count, largest, 0xFFFFFFFF, 0, 0, 0, *edges
    )
    picture = struct.pack("<IiiHH4sIiiII", 40, *edges, 1, 24, b"MJPG", 3 * edges[0] * edges[1], 0, 0, 0, 0)
    header = _list(
        b"hdrl",
        _chunk(b"avih", main) + _list(b"strl", _chunk(b"strh", stream) + _chunk(b"strf", picture)),
    )
    frames = sum(8 + size + size % 2 for size in film.sizes)
    index, at = [], 4
    for size in film.sizes:
        index.append(struct.pack("<4sIII", b"00dc", 0x10, at, size))
        at += 8 + size + size % 2
    tail = _chunk(b"idx1", b"".join(index))
    whole = 4 + len(header) + 12 + frames + len(tail)
    start = struct.pack("<4sI4s", b"RIFF", whole, b"AVI ") + header
    start += struct.pack("<4sI4s", b"LIST", 4 + frames, b"movi")

    def chunks() -> Iterator[bytes]:
        yield start
        for data in _frames(film):
            yield struct.pack("<4sI", b"00dc", len(data)) + data + b"\0" * (len(data) % 2)
        yield tail

    return Made(8 + whole, chunks())


def mp4(film: Film) -> Made:
    """*film* as an MP4 file."""
    kind = _box(b"ftyp", b"isom" + struct.pack(">I", 0x200) + b"isommp41")
    movie = _movie(film, 0)
    movie = _movie(film, len(kind) + len(movie) + 8)
    data = struct.pack(">I4s", 8 + sum(film.sizes), b"mdat")

    def chunks() -> Iterator[bytes]:
        yield kind + movie + data
        yield from _frames(film)

    return Made(len(kind) + len(movie) + len(data) + sum(film.sizes), chunks())


def _movie(film: Film, first_at: int) -> bytes:
    """The box that describes everything; frames begin at *first_at* of the file."""
    tick, each = round(film.rate * 1000), 1000
    length = each * len(film.sizes)
    offsets, at = [], first_at
    for size in film.sizes:
        offsets.append(at)
        at += size
    count = len(film.sizes)
    table = (
        _full(b"stsd", struct.pack(">I", 1) + _sample_entry(film))
        + _full(b"stts", struct.pack(">III", 1, count, each))
        + _full(b"stsc", struct.pack(">IIII", 1, 1, 1, 1))
        + _full(b"stsz", struct.pack(f">II{count}I", 0, count, *film.sizes))
        + _full(b"stco", struct.pack(f">I{count}I", count, *offsets))
    )
    where = _box(b"dinf", _full(b"dref", struct.pack(">I", 1) + _full(b"url ", b"", flags=1)))
    information = _full(b"vmhd", b"\0" * 8, flags=1) + where + _box(b"stbl", table)
    media = (
        _full(b"mdhd", struct.pack(">IIIIHH", 0, 0, tick, length, 0x55C4, 0))
        + _full(b"hdlr", struct.pack(">I4s12x", 0, b"vide") + b"Video\0")
        + _box(b"minf", information)
    )
    track = _full(
        b"tkhd",
        struct.pack(">IIIII8xHHHH", 0, 0, 1, 0, length, 0, 0, 0, 0)
        + MATRIX
        + struct.pack(">II", film.width << 16, film.height << 16),
        flags=7,
    )
    head = struct.pack(">IIIIIH10x", 0, 0, tick, length, 0x10000, 0) + MATRIX + struct.pack(">24xI", 2)
    return _box(b"moov", _full(b"mvhd", head) + _box(b"trak", track + _box(b"mdia", media)))


def _sample_entry(film: Film) -> bytes:
    decoder = struct.pack(">BB", JPEG_STREAM, VISUAL) + max(film.sizes).to_bytes(3, "big") + b"\0" * 8
    descriptor = struct.pack(">HB", 1, 0) + _described(0x04, decoder) + _described(0x06, b"\x02")
    return _box(
        b"mp4v",
        struct.pack(">6xH16xHHIII", 1, film.width, film.height, 0x480000, 0x480000, 0)
        + struct.pack(">H32xHh", 1, 24, -1)
        + _full(b"esds", _described(0x03, descriptor)),
    )


def _frames(film: Film) -> Iterator[bytes]:
    film.file.seek(0)
    for size in film.sizes:
        yield film.file.read(size)


def _chunk(name: bytes, data: bytes) -> bytes:
    return struct.pack("<4sI", name, len(data)) + data


def _list(name: bytes, data: bytes) -> bytes:
    return _chunk(b"LIST", name + data)


def _box(name: bytes, data: bytes) -> bytes:
    return struct.pack(">I4s", 8 + len(data), name) + data


def _full(name: bytes, data: bytes, *, flags: int = 0) -> bytes:
    return _box(name, struct.pack(">I", flags) + data)


def _described(tag: int, data: bytes) -> bytes:
    return struct.pack(">BB", tag, len(data)) + data
