"""Bytes are found where `bytes.find` finds them."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from server.web import finding
from server.web.finding import find

FEW = st.binary(max_size=200).map(lambda data: bytes(each % 3 for each in data))


@given(FEW, FEW.map(lambda data: data[:4]).filter(bool), st.integers(0, 210))
def test_as_the_stock_method_finds_it(data: bytes, wanted: bytes, start: int) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(finding, "SHORT", 1)
        assert find(data, wanted, start) == data.find(wanted, start)
        patch.setattr(finding, "memmem", None)
        assert find(data, wanted, start) == data.find(wanted, start)


def test_far_behind_and_at_both_ends() -> None:
    data = b"\0end" + bytes(3 << 20) + b"\0end"
    assert [find(data, b"\0end"), find(data, b"\0end", 1), find(data, b"none")] == [0, 4 + (3 << 20), -1]
