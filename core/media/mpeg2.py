"""What an MPEG-2 stream says of its video: size, rate, frames, level, from its headers (ISO 13818-2 6.2)."""

from __future__ import annotations

from typing import BinaryIO

from core.errors import Unsupported
from core.media.movie import Movie
from core.media.mpeg_streams import video_of

MAIN_LEVEL = "1.2.840.10008.1.2.4.100"
HIGH_LEVEL = "1.2.840.10008.1.2.4.101"
METHOD = "ISO_13818_2"
SEQUENCE, EXTENSION, PICTURE = b"\0\0\1\xb3", b"\0\0\1\xb5", b"\0\0\1\0"
RATES = (0.0, 24000 / 1001, 24.0, 25.0, 30000 / 1001, 30.0, 50.0, 60000 / 1001, 60.0)
PROFILES = (4, 5)
"""Main and Simple, which a decoder for Main plays, too."""
LEVELS = {10: MAIN_LEVEL, 8: MAIN_LEVEL, 6: HIGH_LEVEL, 4: HIGH_LEVEL}
WITHIN = 4 << 20
WHOLE_PICTURE = 3


def read_mpeg2(stream: BinaryIO) -> Movie:
    """The video of an elementary, program or transport stream. Raises Unsupported."""
    head = _beginning(stream)
    at = head.find(SEQUENCE)
    if at < 0 or len(head) < at + 8:
        raise Unsupported("The video is neither MPEG-2 nor MP4, or it is damaged.", "Save it as an MP4 file.")
    columns, rows = head[at + 4] << 4 | head[at + 5] >> 4, (head[at + 5] & 15) << 8 | head[at + 6]
    rate = head[at + 7] & 15
    if not columns or not rows or not 0 < rate < len(RATES):
        raise Unsupported("The video is damaged: its header makes no sense.")
    syntax, halves = _level(head[at:]), _fields(head[at:])
    frames = max(1, _pictures(stream) // (2 if halves else 1))
    return Movie(rows, columns, frames, frames / RATES[rate], syntax, METHOD)


def _extension(head: bytes, wanted: int) -> bytes:
    at = head.find(EXTENSION)
    while at >= 0:
        body = head[at + 4 : at + 8]
        if len(body) == 4 and body[0] >> 4 == wanted:
            return body
        at = head.find(EXTENSION, at + 4)
    return b""


def _level(head: bytes) -> str:
    """The transfer syntax (PS3.5 8.2.5, 8.2.6); MPEG-1 has none of its own and is played by every decoder."""
    body = _extension(head, 1)
    if not body:
        return MAIN_LEVEL
    profile, level = body[0] & 7, body[1] >> 4
    if profile not in PROFILES or level not in LEVELS:
        raise Unsupported(
            "DICOM has no transfer syntax for this profile of MPEG-2.", "Save it as an MP4 file."
        )
    return LEVELS[level]


def _fields(head: bytes) -> bool:
    """Whether each picture is half a frame."""
    body = _extension(head, 8)
    return bool(body) and body[2] & 3 != WHOLE_PICTURE


def _beginning(stream: BinaryIO) -> bytes:
    pieces: list[bytes] = []
    size = 0
    for piece in video_of(stream):
        pieces.append(piece)
        size += len(piece)
        if size >= WITHIN:
            break
    return b"".join(pieces)[:WITHIN]


def _pictures(stream: BinaryIO) -> int:
    count, tail = 0, b""
    for piece in video_of(stream):
        data = tail + piece
        count += data.count(PICTURE)
        tail = data[-3:]
    return count
