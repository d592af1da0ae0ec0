"""Messages between a render process and its owner, and the headers it keeps."""

from __future__ import annotations

import os
import select
import socket
import threading
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.errors import NotDicom, NotRenderable
from core.imaging import elements, line
from core.imaging.elements import Elements, Encoding, Entries, Walker
from core.imaging.image import ImageObject
from core.imaging.line import ROOM, Line, Message
from core.imaging.opened import Opened
from core.imaging.reading import WHOLE_BELOW, MemoryBytes
from core.media import samples
from tests.core.imaging_objects import ENCODERS, JPEG_LS, STUDY, compressed, file_of, grey_ramp


@pytest.fixture(params=[True, False], ids=["gathers", "sends piece by piece"])
def ends(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[Line, Line]]:
    """Two ends that wait for each other."""
    monkeypatch.setattr(line, "GATHERS", request.param and line.GATHERS)
    one, other = map(Line, socket.socketpair())
    yield one, other
    one.close()
    other.close()


SAID = [(n % 256, os.urandom(size)) for n, size in enumerate((0, 1, 25_000, ROOM - 5, ROOM, 3 << 20, 7))]
"""Small ones, and such as no socket holds at a time."""


def test_messages_arrive_whole_and_in_order(ends: tuple[Line, Line]) -> None:
    def say() -> None:
        for kind, body in SAID:
            assert ends[0].send(kind, body[:3], body[3:])

    speaker = threading.Thread(target=say)
    speaker.start()
    assert [ends[1].receive() for _ in SAID] == SAID
    speaker.join()


def test_an_end_that_does_not_wait_sends_and_takes_what_it_can() -> None:
    pair = socket.socketpair()
    for each in pair:
        each.setblocking(False)
    ours, theirs = map(Line, pair)
    assert theirs.receive() is None
    sent = [ours.send(kind, body) for kind, body in SAID]
    assert sent[:3] == [True] * 3 and not any(sent[5:])
    taken: list[Message] = []
    while len(taken) < len(SAID):
        readable, writable, _ = select.select([theirs], [ours], [], 20)
        assert readable or writable
        ours.flush()
        while (message := theirs.receive()) is not None:
            taken.append(message)
    assert taken == SAID and ours.flush() and not theirs.heard
    for end in (ours, theirs):
        end.close()


def test_who_waits_hears_the_last_word_and_that_the_other_has_gone(ends: tuple[Line, Line]) -> None:
    ends[0].send(1, b"late")
    ends[0].send(2, b"last")
    assert ends[1].receive() == (1, b"late") and ends[1].heard
    ends[0].close()
    assert ends[1].receive() == (2, b"last") and not ends[1].heard
    with pytest.raises((EOFError, OSError)):
        ends[1].receive()


def test_half_a_message_is_waited_for() -> None:
    speaker, listener = socket.socketpair()
    listener.setblocking(False)
    end = Line(listener)
    for piece in (b"\x04\0\0\0", b"\x09ab"):
        speaker.sendall(piece)
        assert end.receive() is None
    speaker.sendall(b"cd\x01\0\0\0\x02e")
    assert [end.receive(), end.receive()] == [(9, b"abcd"), (2, b"e")]
    speaker.close()
    end.close()


class Slow(Walker):
    """Sees every element by itself."""

    def plain(self, pos: int, end: int, entries: Entries, last_group: int = 0) -> int:
        return pos


def outcome(kind: type[Walker], data: bytes) -> dict[int, tuple[bytes, int, int]] | str:
    """What a walker finds in *data*, or why not."""
    try:
        return kind(MemoryBytes(data), Encoding(True, "<")).collect(0, len(data))
    except NotRenderable as error:
        return error.message


ELEMENT = st.builds(
    lambda tag, vr, length, value: (
        tag[0].to_bytes(2, "little") + tag[1].to_bytes(2, "little") + vr + length(value, vr) + value
    ),
    st.tuples(
        st.sampled_from([8, 16, 0x7FDF, 0x7FE0, 0xFFFC, 0xFFFE]), st.sampled_from([0, 16, 0xE000, 0xE0DD])
    ),
    st.sampled_from([b"LO", b"US", b"OB", b"UN", b"SQ", b"zz"]),
    st.sampled_from(
        [
            lambda value, vr: (
                (b"\0\0" if vr in elements.LONG_VRS else b"")
                + len(value).to_bytes(4 if vr in elements.LONG_VRS else 2, "little")
            ),
            lambda value, vr: b"\0\0\xff\xff\xff\xff",
            lambda value, vr: b"\xff\xff",
        ]
    ),
    st.binary(max_size=9),
)


@given(st.lists(ELEMENT, max_size=9).map(b"".join), st.integers(0, 12))
def test_elements_are_found_alike_alone_and_in_passing(data: bytes, cut: int) -> None:
    data = data[: max(0, len(data) - cut)]
    assert outcome(Walker, data) == outcome(Slow, data)


def test_real_headers_are_found_alike(testdata: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def found(path: Path) -> object:
        try:
            image = ImageObject.open(path)
        except (NotDicom, NotRenderable) as error:
            return error.message
        return {tag: image._elements.entry(tag) for tag in image._elements.tags()}, image.transfer_syntax_uid

    paths = [path for path in sorted(testdata.rglob("*")) if path.is_file() and path.stat().st_size < 4 << 20]
    quick = [found(path) for path in paths]
    monkeypatch.setattr(Walker, "plain", Slow.plain)
    assert quick == [found(path) for path in paths]
    assert sum(isinstance(each, tuple) for each in quick) > 20


def test_a_short_integer_is_read_in_its_byte_order() -> None:
    for order, raw in (("<", b"\x02\x01"), (">", b"\x01\x02")):
        assert Elements(MemoryBytes(raw), {1: (b"US", 0, 2)}, Encoding(True, order)).integer(1) == 258


def test_what_is_opened_again_is_the_file_as_it_is(tmp_path: Path) -> None:
    opened, path = Opened(), tmp_path / "image"
    first, second = grey_ramp(64, 64, top=900), grey_ramp(64, 64, top=4000)
    path.write_bytes(file_of(first))
    image = opened.image(str(path))
    np.testing.assert_array_equal(image.frame(0).pixels, first)
    assert opened.image(str(path)) is image
    np.testing.assert_array_equal(image.frame(0).pixels, first)
    (tmp_path / "other").write_bytes(file_of(second))
    (tmp_path / "other").replace(path)
    np.testing.assert_array_equal(opened.image(str(path)).frame(0).pixels, second)
    path.unlink()
    with pytest.raises(FileNotFoundError):
        opened.image(str(path))


@pytest.mark.parametrize("compress", [False, True])
def test_loops_are_opened_once_and_read_frame_by_frame(tmp_path: Path, *, compress: bool) -> None:
    loop = np.stack([grey_ramp(256, 256, top=1000 + 3 * n) for n in range(20)])
    path = tmp_path / "loop"
    frames = [ENCODERS[JPEG_LS](frame) for frame in loop]
    path.write_bytes(compressed(frames, loop[0], JPEG_LS, table=False) if compress else file_of(loop))
    assert compress == (path.stat().st_size <= WHOLE_BELOW)
    opened = Opened()
    for frame0 in (3, 19, 0, 3):
        np.testing.assert_array_equal(opened.image(str(path)).frame(frame0).pixels, loop[frame0])


def test_no_more_headers_are_kept_than_there_is_room_for(tmp_path: Path) -> None:
    paths = [samples.write(samples.ct_slice(STUDY, size=8), tmp_path / str(n)) for n in range(5)]
    header_bytes = ImageObject.open(paths[0]).header_bytes
    opened = Opened(most_header_bytes=header_bytes * 2 + header_bytes // 2)
    kept = [opened.image(str(path)) for path in paths]
    assert opened.image(str(paths[4])) is kept[4] and opened.image(str(paths[3])) is kept[3]
    assert opened.image(str(paths[2])) is not kept[2]
