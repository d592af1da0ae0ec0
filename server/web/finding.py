"""Finding bytes among many by the C library's `memmem`: in half of the time of `bytes.find`, and aside."""

from __future__ import annotations

import ctypes
import sys
from collections.abc import Callable
from contextlib import suppress

SHORT = 4096
"""Among fewer bytes the call costs more than it saves."""

_Memmem = Callable[[int, int, bytes, int], int | None]


def _memmem() -> _Memmem | None:
    """The one of glibc, which also lets other threads run meanwhile; those of other systems are slow."""
    if not sys.platform.startswith("linux"):
        return None
    with suppress(OSError, AttributeError):  # another C library may have none
        found = ctypes.CDLL(None).memmem
        found.restype = ctypes.c_void_p
        found.argtypes = (ctypes.c_void_p, ctypes.c_size_t, ctypes.c_char_p, ctypes.c_size_t)
        return found
    return None


memmem = _memmem()


def find(data: bytes, wanted: bytes, start: int = 0) -> int:
    """Where *wanted* is in *data* from *start* on, -1 if it is not there; as `bytes.find`."""
    left = len(data) - start
    if memmem is None or left < SHORT:
        return data.find(wanted, start)
    first = ctypes.cast(ctypes.c_char_p(data), ctypes.c_void_p).value or 0
    at = memmem(first + start, left, wanted, len(wanted))
    return -1 if at is None else at - first
