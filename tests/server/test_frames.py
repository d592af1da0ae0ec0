"""Frames for pages: rendered once for all who ask at once, kept within a budget, not begun for nobody."""

from __future__ import annotations

import asyncio
from concurrent.futures import Future
from pathlib import Path
from typing import Any

import pytest

from core.archive.nouns import StoredImage
from core.errors import NotRenderable
from server.web.frames import Frames, Look, Window

IMAGE = StoredImage("ns", "1", "2", "3", "v", 1, "", "", 9, 4, 4, "CT", Path("picture"))


class Slow:
    """A renderer whose pictures are done when the test says so."""

    def __init__(self) -> None:
        self.asked: list[tuple[int, str, Any, bool]] = []
        self.futures: list[Future[bytes]] = []

    def render(
        self, source: Path, frame0: int, kind: str, *rest: Any, voi: Any, invert: bool, region: Any
    ) -> Future[bytes]:
        self.asked.append((frame0, kind, voi, invert))
        self.futures.append(Future())
        return self.futures[-1]

    def live_on(self, loop: asyncio.AbstractEventLoop) -> None:
        assert loop is asyncio.get_running_loop()


def test_asked_twice_at_once_it_is_rendered_once() -> None:
    async def run() -> None:
        slow = Slow()
        frames = Frames(slow)
        look = Look(2, "png", Window(40, 400), invert=True)
        both = [asyncio.ensure_future(frames.picture(IMAGE, look)) for _ in range(2)]
        await asyncio.sleep(0)
        ((frame, kind, voi, invert),) = slow.asked
        assert (frame, kind, voi.center, voi.width, invert) == (2, "png", 40, 400, True)
        slow.futures[0].set_result(b"picture")
        assert await asyncio.gather(*both) == [b"picture", b"picture"]
        assert await frames.picture(IMAGE, look) == b"picture" and len(slow.asked) == 1

    asyncio.run(run())


def test_it_is_called_off_when_the_last_one_leaves() -> None:
    async def run() -> None:
        slow = Slow()
        frames = Frames(slow)
        first, second = (asyncio.ensure_future(frames.picture(IMAGE, Look(0))) for _ in range(2))
        await asyncio.sleep(0)
        first.cancel()
        await asyncio.wait([first])
        assert not slow.futures[0].cancelled()
        second.cancel()
        await asyncio.wait([second])
        await asyncio.sleep(0)
        assert slow.futures[0].cancelled()
        again = asyncio.ensure_future(frames.picture(IMAGE, Look(0)))
        await asyncio.sleep(0)
        slow.futures[1].set_result(b"now")
        assert await again == b"now"

    asyncio.run(run())


def test_a_failure_is_told_and_not_kept() -> None:
    async def run() -> None:
        slow = Slow()
        frames = Frames(slow)
        for _ in range(2):
            asking = asyncio.ensure_future(frames.picture(IMAGE, Look(0)))
            await asyncio.sleep(0)
            slow.futures[-1].set_exception(NotRenderable("No."))
            with pytest.raises(NotRenderable):
                await asking
        assert len(slow.asked) == 2

    asyncio.run(run())


def test_the_oldest_go_when_there_are_too_many() -> None:
    async def run() -> None:
        slow = Slow()
        frames = Frames(slow, budget=250)
        for number in (0, 1, 0, 2, 0, 1):
            asking = asyncio.ensure_future(frames.picture(IMAGE, Look(number)))
            await asyncio.sleep(0)
            if not slow.futures[-1].done():
                slow.futures[-1].set_result(bytes(100))
            assert len(await asking) == 100
        assert [frame for frame, *_ in slow.asked] == [0, 1, 2, 1]

    asyncio.run(run())


def test_what_has_begun_when_the_last_one_leaves_is_kept() -> None:
    async def run() -> None:
        slow = Slow()
        frames = Frames(slow)
        asking = asyncio.ensure_future(frames.picture(IMAGE, Look(0)))
        await asyncio.sleep(0)
        slow.futures[0].set_running_or_notify_cancel()
        asking.cancel()
        await asyncio.wait([asking])
        again = asyncio.ensure_future(frames.picture(IMAGE, Look(0)))
        await asyncio.sleep(0)
        slow.futures[0].set_result(b"picture")
        assert await again == await frames.picture(IMAGE, Look(0)) == b"picture"
        assert len(slow.asked) == 1

    asyncio.run(run())
