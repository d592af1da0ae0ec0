"""Waiting on the event loop for what a thread makes: at half of what the library's wrapper of it costs."""

from __future__ import annotations

import asyncio
import contextlib
from concurrent.futures import Future
from typing import Any, TypeVar

from core.loops import runs_here

T = TypeVar("T")


async def done(future: Future[Any]) -> None:
    """Until it is done, whoever does it on whatever thread; who stops waiting changes nothing."""
    if future.done():
        return
    loop = asyncio.get_running_loop()
    woken = loop.create_future()

    def wake() -> None:
        if not woken.done():
            woken.set_result(None)

    def wake_here(_: Future[Any]) -> None:
        if runs_here(loop):
            wake()
            return
        with contextlib.suppress(RuntimeError):  # the loop has ended meanwhile
            loop.call_soon_threadsafe(wake)

    future.add_done_callback(wake_here)
    await woken


async def outcome(future: Future[T]) -> T:
    """The result, once it is there; raises what *future* does. Who stops waiting cancels it."""
    try:
        await done(future)
    except asyncio.CancelledError:
        future.cancel()
        raise
    return future.result()
