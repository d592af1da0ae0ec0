"""Bodies of several parts, cut into pieces at any place."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from server.web.errors import Refused
from server.web.related import Event, PartBegins, PartData, PartEnds, Splitter

BOUNDARY = b"a boundary"


def parts_of(pieces: list[bytes], boundary: bytes = BOUNDARY) -> list[tuple[dict[str, str], bytes]]:
    splitter = Splitter(boundary)
    events: list[Event] = [event for piece in pieces for event in splitter.feed(piece)]
    splitter.finish()
    found: list[tuple[dict[str, str], bytes]] = []
    ended = 0
    for event in events:
        match event:
            case PartBegins(headers):
                found.append((dict(headers), b""))
            case PartData(data):
                found[-1] = found[-1][0], found[-1][1] + data
            case PartEnds():
                ended += 1
                assert ended == len(found)
    assert ended == len(found)
    return found


def with_lengths(parts: list[tuple[dict[str, str], bytes]]) -> list[tuple[dict[str, str], bytes]]:
    return [({**headers, "content-length": str(len(data))}, data) for headers, data in parts]


def body_of(parts: list[tuple[dict[str, str], bytes]], *, lead: bytes = b"", padding: bytes = b"") -> bytes:
    text = lead
    for headers, data in parts:
        lines = b"".join(f"{name}: {value}\r\n".encode("latin-1") for name, value in headers.items())
        text += b"\r\n--" + BOUNDARY + padding + b"\r\n" + lines + b"\r\n" + data
    return text + b"\r\n--" + BOUNDARY + b"--\r\n"


def cut(data: bytes, at: list[int]) -> list[bytes]:
    marks = [0, *sorted({n % (len(data) + 1) for n in at}), len(data)]
    return [data[a:b] for a, b in pairwise(marks)]


HEADERS = st.dictionaries(
    st.sampled_from(["content-type", "content-location", "x-a"]),
    st.sampled_from(["", "application/dicom", "b c"]),
)
DATA = st.lists(
    st.sampled_from([b"\r\n", b"--", b"\r\n--a boundar", b"\r", b"-", b"DICM", b"\r\n\r\n", b"a boundary"]),
    max_size=8,
).map(b"".join)
DATA = DATA.filter(lambda data: b"\r\n--" + BOUNDARY not in b"\r\n" + data)  # what no part may hold


@given(
    parts=st.lists(st.tuples(HEADERS, DATA), min_size=1, max_size=4)
    | st.lists(st.tuples(HEADERS, DATA), min_size=1, max_size=4).map(with_lengths),
    at=st.lists(st.integers(0, 10_000), max_size=12),
    lead=st.sampled_from([b"", b"to be passed over"]),
    padding=st.sampled_from([b"", b" ", b"\t \t"]),
)
def test_any_cut_gives_the_same_parts(
    parts: list[tuple[dict[str, str], bytes]], at: list[int], lead: bytes, padding: bytes
) -> None:
    body = body_of(parts, lead=lead, padding=padding)
    assert parts_of(cut(body, at)) == parts
    assert parts_of([bytes([byte]) for byte in body]) == parts


def test_a_part_may_end_with_its_headers() -> None:
    body = b"--a boundary\r\nx: y\r\n\r\n--a boundary\r\n\r\nz\r\n--a boundary--"
    assert parts_of([body]) == [({"x": "y"}, b""), ({}, b"z")]
    assert parts_of([bytes([byte]) for byte in body]) == [({"x": "y"}, b""), ({}, b"z")]


def test_the_first_boundary_may_stand_at_the_very_beginning() -> None:
    assert parts_of([body_of([({}, b"x")])[2:]]) == [({}, b"x")]


def test_what_follows_the_end_is_passed_over() -> None:
    assert parts_of([body_of([({}, b"x")]), b"and more\r\n--a boundary\r\n"]) == [({}, b"x")]


@pytest.mark.parametrize(
    ("body", "said"),
    [
        (b"", "no part"),
        (b"nothing of the kind", "no part"),
        (b"--a boundary", "no part"),
        (b"--a boundary\r\nx: y\r\n\r\nhalf", "ends within part 1"),
        (b"--a boundary\r\nx: y", "ends within part 1"),
        (b"--a boundary\r\n\r\n1\r\n--a boundary-", "ends within part 1"),
        (b"--a boundaryX\r\n\r\n1\r\n--a boundary--", "malformed"),
        (b"--a boundary" + b" " * 300, "malformed"),
        (b"--a boundary\r\nno name\r\n\r\n1\r\n--a boundary--", "without a name"),
        (b"--a boundary\r\ncontent-length: 1\r\n\r\n12\r\n--a boundary--", "longer than its"),
        (b"--a boundary\r\ncontent-length: 9\r\n\r\n12\r\n--a boundary--", "longer than its"),
        (b"--a boundary\r\ncontent-length: 99\r\n\r\n12\r\n--a boundary--", "ends within part 1"),
        (b"--a boundary\r\ncontent-length: -1\r\n\r\n12\r\n--a boundary--", "no number"),
        (b"--a boundary\r\nx: " + b"y" * 20_000, "too long"),
    ],
)
def test_a_malformed_body_is_refused(body: bytes, said: str) -> None:
    for pieces in ([body], [bytes([byte]) for byte in body]):
        with pytest.raises(Refused, match=said):
            parts_of(pieces)


@pytest.mark.parametrize("boundary", [b"", b"x" * 300])
def test_a_boundary_must_be_usable(boundary: bytes) -> None:
    with pytest.raises(Refused, match="not usable"):
        Splitter(boundary)
