"""The video within an MPEG file: a program or transport stream without its packets (ISO 13818-1 2.4, 2.5)."""

from __future__ import annotations

from collections.abc import Iterator
from typing import BinaryIO

import numpy as np
import numpy.typing as npt

PACKET, SYNC = 188, 0x47
PREFIX = b"\0\0\1"
PACK, END = 0xBA, 0xB9
VIDEO = range(0xE0, 0xF0)
CHUNK = 1 << 20
PACKETS_AT_ONCE = 4096
STUFFING, MOST_STUFFING = 0xFF, 16
BEGINS, HAS_ADAPTATION, HAS_PAYLOAD = 0x40, 0x20, 0x10
"""Bits of the second and fourth byte of a transport packet (2.4.3.2)."""


def video_of(stream: BinaryIO) -> Iterator[bytes]:
    """The elementary stream of the first video in *stream*, piece by piece; where packets end, it does.

    A start code may lie in two packets, so that the file itself cannot be searched for it.
    """
    stream.seek(0)
    head = stream.read(PACKET + 1)
    stream.seek(0)
    if head[:4] == PREFIX + bytes([PACK]):
        yield from _of_program(stream)
    elif head[:1] == bytes([SYNC]) and head[PACKET:] == bytes([SYNC]):
        yield from _of_transport(stream)
    else:
        while piece := stream.read(CHUNK):
            yield piece


def _of_program(stream: BinaryIO) -> Iterator[bytes]:
    wanted, size = -1, 0
    pieces: list[bytes] = []
    while (head := stream.read(6))[:3] == PREFIX and len(head) == 6 and head[3] != END:
        if head[3] == PACK:
            _pass_pack(stream, head)
            continue
        body = stream.read(int.from_bytes(head[4:6], "big"))
        if head[3] in VIDEO and wanted in (-1, head[3]):
            wanted = head[3]
            pieces.append(body[_header_length(body) :])
            size += len(pieces[-1])
        if size >= CHUNK:
            yield b"".join(pieces)
            pieces.clear()
            size = 0
    yield b"".join(pieces)


def _pass_pack(stream: BinaryIO, head: bytes) -> None:
    """Go behind a pack header: that of MPEG-1 has 12 bytes, that of MPEG-2 14 and stuffing."""
    if head[4] >> 6 != 1:
        stream.read(6)
        return
    rest = stream.read(8)
    stream.read(rest[7] & 7 if len(rest) == 8 else 0)


def _header_length(body: bytes) -> int:
    """Of what stands in a packet before its payload, behind its length (2.4.3.7; ISO 11172-1 2.4.3.3)."""
    if body and body[0] >> 6 == 2:
        return 3 + body[2] if len(body) > 2 else len(body)
    at = 0
    while at < min(len(body), MOST_STUFFING) and body[at] == STUFFING:
        at += 1
    if at < len(body) and body[at] >> 6 == 1:
        at += 2
    if at >= len(body):
        return at
    return at + {2: 5, 3: 10}.get(body[at] >> 4, 1)


def _of_transport(stream: BinaryIO) -> Iterator[bytes]:
    wanted = -1
    while block := stream.read(PACKET * PACKETS_AT_ONCE):
        whole = len(block) - len(block) % PACKET
        rows = np.frombuffer(block[:whole], np.uint8).reshape(-1, PACKET)
        rows = rows[rows[:, 0] == SYNC]
        pids = (rows[:, 1].astype(np.uint16) & 0x1F) << 8 | rows[:, 2]
        if wanted == -1:
            begins = np.flatnonzero(rows[:, 1] & BEGINS)
            wanted = next((int(pids[at]) for at in begins if _is_video(_payload(rows[at].tobytes()))), -1)
        yield _payloads(rows[pids == wanted])


def _payloads(rows: npt.NDArray[np.uint8]) -> bytes:
    """What packets of one stream hold: most have nothing but payload behind their four bytes."""
    odd = np.flatnonzero((rows[:, 3] & 0x30 != HAS_PAYLOAD) | (rows[:, 1] & BEGINS != 0))
    pieces: list[bytes] = []
    last = 0
    for at in map(int, odd):
        payload = _payload(rows[at].tobytes())
        if rows[at, 1] & BEGINS and _is_video(payload):
            payload = payload[6 + _header_length(payload[6:]) :]
        pieces += [rows[last:at, 4:].tobytes(), payload]
        last = at + 1
    return b"".join([*pieces, rows[last:, 4:].tobytes()])


def _payload(packet: bytes) -> bytes:
    if not packet[3] & HAS_PAYLOAD:
        return b""
    return packet[5 + packet[4] if packet[3] & HAS_ADAPTATION else 4 :]


def _is_video(payload: bytes) -> bool:
    return payload[:3] == PREFIX and len(payload) > 8 and payload[3] in VIDEO
