"""The one part of a WADO-RS answer, as archives write it, and cut off anywhere."""

from __future__ import annotations

import io

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.errors import KnownError, Unreachable
from core.net.answers import Answer
from core.net.one_part import copy_only_part, only_part

HEAD = (
    b"--b0\r\nContent-Type: image/jpeg; transfer-syntax=1.2.840.10008.1.2.4.50\r\nMIME-Version: 1.0\r\n\r\n"
)
TAIL = b"\r\n--b0--\r\n"
RELATED = 'multipart/related; type="image/jpeg"; boundary=b0'


def answer(content: bytes, content_type: str = RELATED) -> Answer:
    return Answer(200, {"content-type": content_type}, content)


def copied(data: bytes, size: int) -> bytes:
    out = io.BytesIO()
    copy_only_part((data[at : at + size] for at in range(0, len(data), size)), out, "peer")
    return out.getvalue()


@given(st.binary(max_size=3000), st.integers(1, 400), st.booleans())
def test_whatever_is_inside_comes_out(data: bytes, size: int, blank: bool) -> None:
    if b"\r\n--b0" in b"\r\n" + data:
        return
    body = (b"\r\n" if blank else b"") + HEAD + data + TAIL
    part = only_part(answer(body), "peer")
    assert part.data == data and part.media_type == "image/jpeg"
    assert part.parameters["transfer-syntax"].endswith("4.50")
    assert copied(body, size) == data


@given(st.binary(min_size=1, max_size=300), st.integers(1, 90))
def test_a_body_without_parts_is_the_object(data: bytes, size: int) -> None:
    if data.lstrip(b"\r\n").startswith(b"-"):
        return
    assert copied(data, size) == data
    assert only_part(answer(data, "application/octet-stream"), "peer").data == data


def test_what_is_said_of_all_parts_holds_for_each() -> None:
    body = b"--x\r\nContent-Length: 2\r\n\r\nab\r\n--x--"
    kind = (
        'multipart/related; type="application/octet-stream; transfer-syntax=1.2.840.10008.1.2.1"; boundary=x'
    )
    part = only_part(answer(body, kind), "peer")
    assert (part.media_type, part.data) == ("application/octet-stream", b"ab")
    assert part.parameters["transfer-syntax"] == "1.2.840.10008.1.2.1"


def test_what_breaks_off_is_no_image() -> None:
    whole = HEAD + bytes(5000) + TAIL
    for cut in (len(HEAD) + 1, 3000, len(whole) - 9):
        for call in (
            lambda cut=cut: only_part(answer(whole[:cut]), "peer"),
            lambda cut=cut: copied(whole[:cut], 512),
        ):
            with pytest.raises(Unreachable, match="broke off"):
                call()
    with pytest.raises(KnownError):
        only_part(answer(HEAD[:20]), "peer")
    with pytest.raises(KnownError):
        copied(HEAD[:20], 5)
