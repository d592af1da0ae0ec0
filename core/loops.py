"""Event loops, as threads see them."""

from __future__ import annotations

import asyncio


def runs_here(loop: asyncio.AbstractEventLoop) -> bool:
    """Whether this is the thread of *loop*, and called by it."""
    try:
        return asyncio.get_running_loop() is loop
    except RuntimeError:
        return False
