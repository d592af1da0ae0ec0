"""Frames for pages: rendered once for all who ask at once, kept within a budget, not begun for nobody."""

from __future__ import annotations

import asyncio
from concurrent.futures import Future
from pathlib import Path
from typing import Any

import pytest

from core.archive.nouns import StoredImage
from core.errors import NotRenderable
from core.imaging.hand import Prepare
from core.imaging.worker import Task
from server.web.frames import Frames, Look, Window, tag_of

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

    def prepared(self, prepare: Prepare) -> Future[bytes]:
        future: Future[bytes] = Future()
        found = prepare(future)
        if isinstance(found, Task):
            self.asked.append((found.frame0, found.kind, found.voi, False))
            self.futures.append(future)
        elif isinstance(found, Future):
            return found
        else:
            future.set_result(found)
        return future


def test_what_is_found_twice_at_once_is_rendered_once_even_if_the_first_leaves() -> None:
    async def run() -> None:
        slow = Slow()
        frames = Frames(slow)
        askings = [
            asyncio.ensure_future(frames.found(lambda: (IMAGE, Look(1, "jpeg")), "")) for _ in range(3)
        ]
        await asyncio.sleep(0)
        slow.futures[0].set_running_or_notify_cancel()
        askings[0].cancel()
        await asyncio.wait(askings[:1])
        slow.futures[0].set_result(b"picture")
        assert [body for _, body in await asyncio.gather(*askings[1:])] == [b"picture"] * 2
        assert len(slow.asked) == 1
        failing = [asyncio.ensure_future(frames.found(lambda: (IMAGE, Look(2)), "")) for _ in range(2)]
        await asyncio.sleep(0)
        slow.futures[1].set_exception(NotRenderable("No."))
        told = await asyncio.gather(*failing, return_exceptions=True)
        assert len(slow.asked) == 2 and all(isinstance(each, NotRenderable) for each in told)
        alone = asyncio.ensure_future(frames.found(lambda: (IMAGE, Look(3)), ""))
        await asyncio.sleep(0)
        slow.futures[2].set_running_or_notify_cancel()
        alone.cancel()
        await asyncio.wait([alone])
        slow.futures[2].set_exception(NotRenderable("No."))
        again = asyncio.ensure_future(frames.found(lambda: (IMAGE, Look(3)), ""))
        await asyncio.sleep(0)
        slow.futures[3].set_result(b"now")
        assert (await again)[1] == b"now"

    asyncio.run(run())


def test_what_is_found_is_rendered_kept_and_not_sent_to_who_has_it() -> None:
    async def run() -> None:
        slow = Slow()
        frames = Frames(slow)
        first = asyncio.ensure_future(frames.found(lambda: (IMAGE, Look(1, "jpeg")), ""))
        await asyncio.sleep(0)
        slow.futures[0].set_result(b"picture")
        name, body = await first
        assert body == b"picture" and name == Look(1, "jpeg").name("v")
        assert await frames.found(lambda: (IMAGE, Look(1, "jpeg")), "") == (name, b"picture")
        assert await frames.found(lambda: (IMAGE, Look(1, "jpeg")), f'"{tag_of(name)}"') == (name, b"")
        assert await frames.found(lambda: None, "") == ("", b"")
        assert len(slow.asked) == 1

    asyncio.run(run())


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


def test_what_two_ways_made_at_once_counts_once() -> None:
    async def run() -> None:
        slow = Slow()
        frames = Frames(slow, budget=250)
        for number in range(3):
            look = Look(number, "jpeg")
            one = asyncio.ensure_future(frames.picture(IMAGE, look))
            other = asyncio.ensure_future(frames.found(lambda look=look: (IMAGE, look), ""))  # type: ignore[misc] # bound now
            await asyncio.sleep(0)
            for future, asking in zip(reversed(slow.futures[-2:]), (other, one), strict=True):
                future.set_result(bytes(100))
                await asking
        again = frames.picture(IMAGE, Look(1, "jpeg"))  # two fit
        assert await asyncio.wait_for(again, 5) == bytes(100)

    asyncio.run(run())


def test_what_was_found_again_is_the_latest() -> None:
    async def run() -> None:
        slow = Slow()
        frames = Frames(slow, budget=250)
        for number in (0, 1, 0, 2, 0, 1):
            look = Look(number)
            asking = asyncio.ensure_future(frames.found(lambda look=look: (IMAGE, look), ""))  # type: ignore[misc] # bound now
            await asyncio.sleep(0)
            if not slow.futures[-1].done():
                slow.futures[-1].set_result(bytes(100))
            assert len((await asking)[1]) == 100
        assert [frame for frame, *_ in slow.asked] == [0, 1, 2, 1]

    asyncio.run(run())
