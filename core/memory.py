"""What is kept in memory: bytes used lately, and freed pages for the next large picture or object."""

from __future__ import annotations

import contextlib
import ctypes
import gc
import sys
import threading
from collections import OrderedDict

M_TRIM_THRESHOLD, M_MMAP_THRESHOLD = -1, -3  # malloc.h
LARGEST_MMAP_THRESHOLD = 32 << 20  # mallopt(3)


def keep_freed(kept_bytes: int, largest_block: int) -> None:
    """Have glibc keep up to *kept_bytes* of freed blocks of up to *largest_block*: new pages cost faults."""
    if sys.platform != "linux":
        return
    with contextlib.suppress(OSError, AttributeError):  # another C library has no such knob, nor the need
        mallopt = ctypes.CDLL(None).mallopt
        mallopt(M_TRIM_THRESHOLD, kept_bytes)
        mallopt(M_MMAP_THRESHOLD, min(largest_block, LARGEST_MMAP_THRESHOLD))


def collect_rarely() -> None:
    """Let the garbage collector leave alone what is there now, and look at more new objects at once.

    An answer of some thousand small objects is no garbage, and looking through them took half of its time.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(50_000, 20, 20)


class Recent:
    """Bytes by name in memory, the latest used; safe from any thread."""

    def __init__(self, budget: int) -> None:
        self._left = budget
        self._kept: OrderedDict[str, bytes] = OrderedDict()
        self._lock = threading.Lock()

    def get(self, name: str) -> bytes:
        """What is kept, b"" if nothing is."""
        with self._lock:
            found = self._kept.get(name, b"")
            if found:
                self._kept.move_to_end(name)
            return found

    def put(self, name: str, body: bytes) -> None:
        """Keep it in the place of those that were not used for longest."""
        with self._lock:
            self._left += len(self._kept.pop(name, b"")) - len(body)
            self._kept[name] = body
            while self._left < 0:
                self._left += len(self._kept.popitem(last=False)[1])
