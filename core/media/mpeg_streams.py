"""The video within an MPEG file: a program or transport stream without its packets (ISO 13818-1 2.4, 2.5)."""

from __future__ import annotations

from collections.abc import Iterator
from typing import BinaryIO

PACKET, SYNC = 188, 0x47
PREFIX = b"\0\0\1"
PACK, END = 0xBA, 0xB9
VIDEO = range(0xE0, 0xF0)
CHUNK = 1 << 20
PACKETS_AT_ONCE = 4096
STUFFING, MOST_STUFFING = 0xFF, 16


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
    wanted = -1
    while (head := stream.read(6))[:3] == PREFIX and len(head) == 6 and head[3] != END:
        if head[3] == PACK:
            _pass_pack(stream, head)
            continue
        body = stream.read(int.from_bytes(head[4:6], "big"))
        if head[3] in VIDEO and wanted in (-1, head[3]):
            wanted = head[3]
            yield body[_header_length(body) :]


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
        payloads: list[bytes] = []
        for at in range(0, len(block) - PACKET + 1, PACKET):
            packet = block[at : at + PACKET]
            pid = (packet[1] & 0x1F) << 8 | packet[2]
            start = 4 if not packet[3] & 0x20 else 5 + packet[4]
            payload = packet[start:] if packet[0] == SYNC and packet[3] & 0x10 else b""
            begins = bool(packet[1] & 0x40) and payload[:3] == PREFIX and len(payload) > 8
            if begins and wanted == -1 and payload[3] in VIDEO:
                wanted = pid
            if pid == wanted:
                payloads.append(payload[6 + _header_length(payload[6:]) :] if begins else payload)
        yield b"".join(payloads)
