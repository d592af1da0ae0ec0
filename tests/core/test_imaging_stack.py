"""A series as a stack: order, cache within its budget, read-ahead, failures that stay alone."""

from __future__ import annotations

import io
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

import numpy as np
import pytest

from core.dicom.header import read_header
from core.dicom.refs import FileRef, Found
from core.errors import KnownError, NotRenderable, Unreachable
from core.imaging.budget import MOST, SMALLEST_PART, Budget
from core.imaging.stack import Stack
from core.media import samples
from tests.core.imaging_objects import file_of, grey_ramp

STUDY = samples.SampleStudy()


class Memory:
    """A source of bytes; counts what is open."""

    name = "memory"

    def __init__(self, files: dict[str, bytes]) -> None:
        self.files = files
        self.streams: list[BinaryIO] = []
        self.gate = threading.Event()
        self.gate.set()
        self.entered = threading.Event()

    def headers(self) -> Iterator[Found]:
        for name, data in self.files.items():
            yield Found(FileRef(name), read_header(io.BytesIO(data)), len(data))

    def open(self, ref: FileRef) -> BinaryIO:
        self.entered.set()
        assert self.gate.wait(20)
        if self.files[ref.path] == b"":
            raise OSError("device not ready")
        stream = io.BytesIO(self.files[ref.path])
        self.streams.append(stream)
        return stream


def ct(count: int = 12, **elements: object) -> Memory:
    return Memory(
        {
            f"IM{n}": samples.part10(samples.ct_slice(STUDY, instance=n, size=64, **elements))
            for n in range(1, count + 1)
        }
    )


def found(source: Memory) -> list[Found]:
    return list(source.headers())


def test_frames_come_by_instance_number_whatever_order_they_were_found_in() -> None:
    source = ct()
    with Stack(source, found(source)[::-1], threads=0) as stack:
        assert len(stack) == 12
        assert [stack.get(n).attributes.instance_number for n in range(12)] == list(range(1, 13))
        assert stack.peek(3) is stack.get(3)
    assert all(stream.closed for stream in source.streams)


def test_geometry_decides_where_it_is_consistent() -> None:
    source = ct(6)
    files = found(source)
    shuffled = [
        f._replace(header=f.header._replace(instance_number=(n * 5) % 7)) for n, f in enumerate(files)
    ]
    with Stack(source, shuffled, threads=0) as stack:
        first = stack.slot(0)
        order = stack.arrange()
        assert order.by_geometry
        z = [stack.get(n).attributes.position[2] for n in range(6)]  # type: ignore[index]
        assert z in (sorted(z), sorted(z, reverse=True))
        assert stack.slot(stack.index_of(first)) == first


def test_read_ahead_fills_the_stack_and_reports_each_frame() -> None:
    source = ct()
    seen: set[int] = set()
    done = threading.Event()

    def ready(index: int) -> None:
        seen.add(index)
        if len(seen) == 12:
            done.set()

    with Stack(source, found(source), ready=ready) as stack:
        stack.prefetch(5, -1)
        assert done.wait(20)
        assert stack.cached() == 12
        assert all(stack.peek(n) is not None for n in range(12))


def test_the_cache_stays_within_its_budget_and_keeps_what_is_near() -> None:
    source = ct(20)
    one = 64 * 64 * 2 + 1024
    with Stack(source, found(source), budget=5 * one, threads=0) as stack:
        for n in range(20):
            stack.get(n)
        assert stack.cached() <= 5
        assert stack.peek(19) is not None
        assert stack.peek(0) is None
        stack.get(0)
        assert stack.peek(0) is not None


def test_open_stacks_share_one_budget() -> None:
    source = ct(20)
    one = 64 * 64 * 2
    budget = Budget(40 * SMALLEST_PART)
    first, second = Stack(source, found(source), threads=0), Stack(source, found(source), threads=0)
    with first, second:
        first.share(budget)
        assert first.allowed == 40 * SMALLEST_PART
        second.share(budget)
        second.share(budget)  # twice is once
        assert first.allowed == second.allowed == 20 * SMALLEST_PART
        for n in range(20):
            first.get(n)
        first.allow(4 * one + 100)
        assert 1 <= first.cached() <= 4 and first.peek(19) is not None and first.peek(0) is None
        second.close()
        assert first.allowed == 40 * SMALLEST_PART


def test_however_many_are_open_each_may_keep_something() -> None:
    source = ct(1)
    budget = Budget(2 * SMALLEST_PART)
    stacks = [Stack(source, found(source), threads=0) for _ in range(5)]
    for stack in stacks:
        stack.share(budget)
    assert {stack.allowed for stack in stacks} == {SMALLEST_PART}
    for stack in stacks:
        stack.close()
    assert 0 < Budget().total <= MOST


def test_read_ahead_with_a_small_budget_comes_to_rest() -> None:
    source = ct(20)
    one = 64 * 64 * 2 + 1024
    with Stack(source, found(source), budget=6 * one) as stack:
        for n in (0, 10, 19, 3):
            stack.prefetch(n)
            assert stack.get(n).rows == 64
        with stack._changed:
            assert stack._changed.wait_for(
                lambda: not stack._in_flight and stack._wanted() is None, timeout=20
            )
        assert stack.cached() <= 6
        assert stack.peek(3) is not None


def test_a_bad_frame_fails_alone_and_an_unreadable_one_is_tried_again() -> None:
    source = ct(4)
    files = found(source)
    good = source.files["IM3"]
    source.files["IM2"] = source.files["IM2"][:-500]
    source.files["IM3"] = b""
    with Stack(source, files) as stack:
        stack.prefetch(0)
        assert stack.get(0).rows == stack.get(3).rows == 64
        with pytest.raises(NotRenderable, match="ends inside its picture"):
            stack.get(1)
        assert stack.failure(1) is not None
        assert stack.failure(0) is None
        with pytest.raises(Unreachable):
            stack.get(2)
        source.files["IM3"] = good
        assert stack.get(2).rows == 64
        assert stack.failure(2) is None


def test_frames_of_a_large_loop_share_one_open_stream(tmp_path: Path) -> None:
    loop = np.stack([grey_ramp(512, 512, top=1000 + n) for n in range(8)])
    source = Memory(
        {"loop": file_of(loop, InstanceNumber=2), "still": file_of(grey_ramp(8, 8), InstanceNumber=1)}
    )
    with Stack(source, found(source)) as stack:
        assert len(stack) == 9
        assert [stack.slot(n).frame0 for n in range(4)] == [0, 0, 1, 2]
        stack.prefetch(1)
        for n in range(8):
            np.testing.assert_array_equal(stack.get(n + 1).pixels, loop[n])
        assert len(source.streams) <= 4
    assert all(stream.closed for stream in source.streams)


def test_closing_wakes_those_who_wait() -> None:
    source = ct(3)
    files = found(source)
    source.gate.clear()
    stack = Stack(source, files, threads=1)
    stack.prefetch(0)
    assert source.entered.wait(20)
    outcome: list[BaseException] = []

    def wait() -> None:
        try:
            stack.get(0)
        except KnownError as error:
            outcome.append(error)

    waiter = threading.Thread(target=wait)
    waiter.start()
    closer = threading.Thread(target=stack.close)
    closer.start()
    waiter.join(20)
    source.gate.set()
    closer.join(20)
    assert [type(e) for e in outcome] == [NotRenderable]
    assert all(stream.closed for stream in source.streams)


def test_many_readers_get_the_same_frame() -> None:
    source = ct(4)
    results: list[object] = []
    with Stack(source, found(source)) as stack:
        threads = [threading.Thread(target=lambda: results.append(stack.get(2))) for _ in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(20)
        assert len(results) == 8
        assert len({id(r) for r in results}) == 1
