"""Data sets that lie in pieces: cut into PDUs that fit, whatever the system takes at a time."""

from __future__ import annotations

import io
import socket
import threading
from contextlib import closing

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.errors import SourceFault
from core.net.dimse.association import SEND_BYTES, Association, Context
from core.net.dimse.command import DATA_SET, Element, Field
from core.net.dimse.link import Link, Patience

CONTEXT = Context(1, "1.2.840.10008.5.1.4.1.1.2", "1.2.840.10008.1.2.1")
PATIENCE = Patience(10, 10)


def sent(data: bytes, most: int, *, room: int, size: int = -1) -> tuple[bytes, list[int]]:
    """What the other side gets of a file, and the lengths of its PDUs."""
    here, there = socket.socketpair()
    here.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, room)
    contexts = {1: CONTEXT}
    got = bytearray()
    lengths: list[int] = []

    def read() -> None:
        link = Link(there, PATIENCE, pdu_bytes=128 << 10)
        association = Association(link, contexts, calling="A", called="B")
        message = association.receive()
        for fragment in association.data_set(message):
            got.extend(fragment)
            lengths.append(len(fragment) + 6)

    reader = threading.Thread(target=read)
    with closing(here), closing(there):
        reader.start()
        association = Association(
            Link(here, PATIENCE, pdu_bytes=1 << 17), contexts, calling="A", called="B", peer_pdu_bytes=most
        )
        command: dict[Element, int | str] = {
            Element.COMMAND_FIELD: Field.C_STORE, Element.MESSAGE_ID: 1, Element.DATA_SET_TYPE: DATA_SET,
        }  # fmt: skip
        association.send_file(1, command, io.BytesIO(data), len(data) if size < 0 else size)
        reader.join(20)
    assert not reader.is_alive()
    return bytes(got), lengths


STEP = 16384 - 6
EDGES = (0, 1, STEP - 1, STEP, STEP + 1, 2 * STEP, SEND_BYTES // STEP * STEP + STEP, SEND_BYTES + 5)


@given(
    size=st.sampled_from(EDGES) | st.integers(0, 3 * SEND_BYTES),
    most=st.sampled_from((1024, 4097, 16384, 128 << 10)),
    room=st.sampled_from((1, 1 << 20)),
)
def test_every_size_arrives_whole_in_pdus_that_fit(size: int, most: int, room: int) -> None:
    data = bytes(range(251)) * (size // 251 + 1)
    got, lengths = sent(data[:size], most, room=room)
    assert got == data[:size]
    assert max(lengths) <= most and (size == 0 or min(lengths) > 6), "no PDU too long, none empty"


def test_a_file_that_ends_early_is_a_fault_of_the_source() -> None:
    here, there = socket.socketpair()
    with closing(here), closing(there):
        association = Association(Link(here, PATIENCE, pdu_bytes=1 << 17), {}, calling="A", called="B")
        with pytest.raises(SourceFault, match="shorter"):
            association.send_file(1, {Element.COMMAND_FIELD: Field.C_STORE}, io.BytesIO(b"abc"), 4)
