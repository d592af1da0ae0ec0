"""Waiting on the event loop for threads, and queries that come again."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from core.errors import NotAcceptable
from server.web.call import SHORT_QUERY, Call
from server.web.dicomweb.looks import view_asked
from server.web.errors import Refused
from server.web.pictures import Pictures
from server.web.waiting import outcome


def test_what_a_thread_makes_is_waited_for() -> None:
    async def wait() -> tuple[int, int]:
        made: Future[int] = Future()
        threading.Timer(0.01, made.set_result, (7,)).start()
        first = await asyncio.wait_for(outcome(made), 20)
        return first, await outcome(made)

    assert asyncio.run(wait()) == (7, 7)


def test_an_error_is_raised_where_it_is_waited_for() -> None:
    async def wait() -> None:
        made: Future[int] = Future()
        threading.Timer(0.01, made.set_exception, (KeyError("x"),)).start()
        await asyncio.wait_for(outcome(made), 20)

    with pytest.raises(KeyError):
        asyncio.run(wait())


def test_who_leaves_cancels_what_has_not_begun() -> None:
    async def leave() -> tuple[bool, bool]:
        waiting, running = Future[int](), Future[int]()
        running.set_running_or_notify_cancel()
        tasks = [asyncio.create_task(outcome(each)) for each in (waiting, running)]
        await asyncio.sleep(0)
        for task in tasks:
            task.cancel()
        await asyncio.wait(tasks)
        running.set_result(1)  # nobody hears of it any more
        return waiting.cancelled(), running.cancelled()

    assert asyncio.run(leave()) == (True, False)


@pytest.mark.parametrize("more", [b"", b"&x=" + b"y" * SHORT_QUERY], ids=["short", "long"])
def test_a_query_is_read_alike_again_and_cannot_be_changed(more: bytes) -> None:
    query = b"window=40,400,linear&quality=80&sid=a&sid=b" + more
    for _ in range(2):
        call = Call("GET", False, {}, query)
        sids = call.queries("sid")
        assert sids == ["a", "b"] and call.query("sid") == "b"
        sids.append("c")
        view = view_asked(call, "jpeg")
        assert view.quality == 80 and view.window is not None and view.window.width == 400
    for _ in range(2):
        with pytest.raises(Refused):
            view_asked(Call("GET", False, {}, b"quality=0" + more), "jpeg")
        with pytest.raises(Refused):
            Call("GET", False, {}, b"&".join([b"a=1"] * 300) + more).query("a")


def test_what_many_want_at_once_is_made_once(tmp_path: Path) -> None:
    image: Any = SimpleNamespace(namespace="ns", study_uid="1.2", version="v")
    made: list[Future[bytes]] = []

    def make() -> Future[bytes]:
        made.append(Future())
        return made[-1]

    async def ask() -> None:
        with ThreadPoolExecutor(2) as workers:
            pictures = Pictures(cast(Any, None), cast(Any, None), cast(Any, None), tmp_path, workers)
            asked = [asyncio.create_task(pictures.file(image, "x.dcm", make)) for _ in range(5)]
            await until(lambda: len(made) == 1)
            asked[0].cancel()
            made[0].set_result(b"object")
            paths = await asyncio.gather(*asked[1:])
            assert {path.read_bytes() for path in paths} == {b"object"}
            refused = [asyncio.create_task(pictures.file(image, "y.dcm", make)) for _ in range(2)]
            await until(lambda: len(made) == 2)
            made[1].set_exception(NotAcceptable("no", "no"))
            assert all(
                isinstance(each, NotAcceptable)
                for each in await asyncio.gather(*refused, return_exceptions=True)
            )
            left = asyncio.create_task(pictures.file(image, "z.dcm", make))
            await until(lambda: len(made) == 3)
            left.cancel()
            await until(made[2].cancelled)
            again = asyncio.create_task(pictures.file(image, "z.dcm", make))
            await until(lambda: len(made) == 4)
            made[3].set_result(b"again")
            assert (await again).read_bytes() == b"again"
            pictures.close()

    async def until(true: Callable[[], bool]) -> None:
        async with asyncio.timeout(20):
            while not true():
                await asyncio.sleep(0.001)

    asyncio.run(ask())
    assert len(made) == 4
