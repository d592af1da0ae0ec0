"""What an MP4 file says of its video: size, frames, codec and level, from its boxes (ISO 14496-12, -15)."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from typing import BinaryIO

from core.errors import Unsupported

LARGEST_INDEX = 64 << 20
H264_HIGH_41 = "1.2.840.10008.1.2.4.102"
H264_HIGH_42 = "1.2.840.10008.1.2.4.104"
HEVC_MAIN_51 = "1.2.840.10008.1.2.4.107"
HEVC_MAIN_10_51 = "1.2.840.10008.1.2.4.108"
H264_PROFILES = (77, 100)
"""Main and High: a decoder for High plays both (ISO 14496-10 A.2.4)."""
CONSTRAINED_BASELINE = (66, 0x40)
MEDIA_DATA = 86
"""Where the boxes inside of a visual sample entry begin."""


@dataclass(frozen=True, slots=True)
class Movie:
    """One video track; *transfer_syntax_uid* is the one that allows its profile and level (PS3.5 8.2.7-8)."""

    rows: int
    columns: int
    frames: int
    seconds: float
    transfer_syntax_uid: str
    method: str


def read_movie(stream: BinaryIO, size: int) -> Movie:
    """The first video track of a file that is whole. Raises Unsupported with the reason."""
    try:
        boxes = {kind: (start, end) for kind, start, end in _file_boxes(stream, size)}
        if b"moov" in boxes:
            start, end = boxes[b"moov"]
            if end - start > LARGEST_INDEX:
                raise Unsupported("The index of the video is too large.")
            stream.seek(start)
            return _movie(stream.read(end - start))
    except (struct.error, IndexError) as error:
        raise Unsupported("The video is damaged: its index makes no sense.") from error
    raise Unsupported("The video has no index; it may be cut off.", "Save it as an MP4 file anew.")


def _file_boxes(stream: BinaryIO, size: int) -> Iterator[tuple[bytes, int, int]]:
    at = 0
    while at + 8 <= size:
        stream.seek(at)
        head = stream.read(16)
        length, kind = struct.unpack_from(">I4s", head)
        start = at + 8
        if length == 1:
            length, start = struct.unpack_from(">Q", head, 8)[0], at + 16
        end = size if length == 0 else at + length
        if end > size or end < start:
            raise Unsupported("The video is cut off or damaged.", "Copy it again from its origin.")
        yield kind, start, end
        at = end


def _boxes(data: memoryview, at: int = 0) -> Iterator[tuple[bytes, memoryview]]:
    while at + 8 <= len(data):
        length, kind = struct.unpack_from(">I4s", data, at)
        start = at + 8
        if length == 1:
            length, start = struct.unpack_from(">Q", data, start)[0], at + 16
        end = len(data) if length == 0 else at + length
        if end < start or end > len(data):
            raise IndexError("a box is longer than what it lies in")
        yield kind, data[start:end]
        at = end


def _inside(data: memoryview, *path: bytes) -> memoryview | None:
    """The first box at the end of *path*."""
    for wanted in path:
        found = next((body for kind, body in _boxes(data) if kind == wanted), None)
        if found is None:
            return None
        data = found
    return data


def _movie(index: bytes) -> Movie:
    for kind, track in _boxes(memoryview(index)):
        handler = _inside(track, b"mdia", b"hdlr") if kind == b"trak" else None
        if handler is not None and bytes(handler[8:12]) == b"vide":
            return _track(track)
    raise Unsupported("The file has no video track.")


def _track(track: memoryview) -> Movie:
    table = _inside(track, b"mdia", b"minf", b"stbl")
    header = _inside(track, b"mdia", b"mdhd")
    description = _inside(table, b"stsd") if table is not None else None
    times = _inside(table, b"stts") if table is not None else None
    if header is None or description is None or times is None:
        raise IndexError("a box is missing")
    frames = sum(
        struct.unpack_from(">I", times, 8 + 8 * n)[0] for n in range(struct.unpack_from(">I", times, 4)[0])
    )
    if not frames:
        raise Unsupported("The video comes in fragments, which cannot be wrapped.", "Save it as one piece.")
    scale, length = (
        struct.unpack_from(">IQ", header, 20) if header[0] else struct.unpack_from(">II", header, 12)
    )
    entry = description[8:]
    columns, rows = struct.unpack_from(">HH", entry, 32)
    if not rows or not columns or not scale or not length:
        raise IndexError("a video without size or length")
    syntax, method = _syntax(bytes(entry[4:8]), entry)
    return Movie(rows, columns, frames, length / scale, syntax, method)


def _syntax(codec: bytes, entry: memoryview) -> tuple[str, str]:
    boxes = dict(_boxes(entry[: struct.unpack_from(">I", entry)[0]], MEDIA_DATA))
    if codec in (b"avc1", b"avc3") and b"avcC" in boxes:
        _, profile, limits, level = bytes(boxes[b"avcC"][:4])
        baseline = profile == CONSTRAINED_BASELINE[0] and limits & CONSTRAINED_BASELINE[1]
        if (profile in H264_PROFILES or baseline) and level <= 42:
            return (H264_HIGH_41 if level <= 41 else H264_HIGH_42), "ISO_14496_10"
    if codec in (b"hvc1", b"hev1") and b"hvcC" in boxes:
        profile, level = boxes[b"hvcC"][1] & 0x1F, boxes[b"hvcC"][12]
        if profile in (1, 2) and level <= 153:
            return (HEVC_MAIN_51 if profile == 1 else HEVC_MAIN_10_51), "ISO_23008_2"
    raise Unsupported(
        "DICOM has no transfer syntax for the way this video is compressed.",
        "Convert it to H.264, High profile, level 4.2 at most.",
    )
