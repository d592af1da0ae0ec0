"""Freed memory, kept for the next large picture or object: new pages cost a fault each."""

from __future__ import annotations

import contextlib
import ctypes
import sys

M_TRIM_THRESHOLD, M_MMAP_THRESHOLD = -1, -3  # malloc.h
LARGEST_MMAP_THRESHOLD = 32 << 20  # mallopt(3)


def keep_freed(kept_bytes: int, largest_block: int) -> None:
    """Have glibc keep up to *kept_bytes* of freed memory, of blocks of up to *largest_block* bytes."""
    if sys.platform != "linux":
        return
    with contextlib.suppress(OSError, AttributeError):  # another C library has no such knob, nor the need
        mallopt = ctypes.CDLL(None).mallopt
        mallopt(M_TRIM_THRESHOLD, kept_bytes)
        mallopt(M_MMAP_THRESHOLD, min(largest_block, LARGEST_MMAP_THRESHOLD))
