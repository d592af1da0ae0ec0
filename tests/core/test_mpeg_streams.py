"""MPEG-2 videos in packets: wherever a packet ends, the video within is the same, and so are its frames."""

from __future__ import annotations

import io
from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from core.media.mpeg2 import read_mpeg2
from core.media.mpeg_streams import PACKET, video_of
from tests.plain_files import mpeg2

VIDEO = mpeg2()
PACK_2 = b"\0\0\1\xba" + b"\x44" + bytes(8) + b"\xfa\xff\xff"
PACK_1 = b"\0\0\1\xba" + b"\x21" + bytes(7)
PES_2 = b"\x80\x80\5" + bytes(5)
PES_1 = b"\xff\xff\x60\1\x31" + bytes(9)
AUDIO = b"\0\0\1\xc0\0\4\0\0\1\0"
END = b"\0\0\1\xb9"
CUTS = st.lists(st.integers(1, len(VIDEO) - 1), max_size=12)


def pieces_at(cuts: list[int]) -> list[bytes]:
    return [VIDEO[a:b] for a, b in pairwise([0, *sorted(set(cuts)), len(VIDEO)])]


def program(pieces: list[bytes], pack: bytes = PACK_2, header: bytes = PES_2) -> bytes:
    packets = b""
    for piece in pieces:
        body = header + piece
        packets += pack + AUDIO + b"\0\0\1\xe0" + len(body).to_bytes(2, "big") + body
    return packets + END


def transport(pieces: list[bytes], pid: int = 0x101) -> bytes:
    packets = b"\x47\x40\0\x10" + bytes(PACKET - 4)  # of another kind
    first = True
    for piece in pieces:
        for at in range(0, len(piece), 100):
            some = piece[at : at + 100]
            payload = b"\0\0\1\xe0\0\0" + PES_2 + some if first else some
            head = bytes([0x47, (0x40 if first else 0) | pid >> 8, pid & 0xFF, 0x30])
            stuffing = PACKET - 5 - len(payload)
            packets += head + bytes([stuffing]) + b"\xff" * stuffing + payload
            first = False
    return packets


@given(CUTS)
def test_packets_change_nothing(cuts: list[int]) -> None:
    pieces = pieces_at(cuts)
    for packed in (program(pieces), program(pieces, PACK_1, PES_1), transport(pieces)):
        assert b"".join(video_of(io.BytesIO(packed))) == VIDEO
        assert read_mpeg2(io.BytesIO(packed)) == read_mpeg2(io.BytesIO(VIDEO))


@given(CUTS, st.integers(0, 2000))
def test_a_stream_that_is_cut_gives_what_there_is(cuts: list[int], length: int) -> None:
    for packed in (program(pieces_at(cuts)), transport(pieces_at(cuts))):
        if length > PACKET:  # before that it is no stream of packets
            assert VIDEO.startswith(b"".join(video_of(io.BytesIO(packed[:length]))))
