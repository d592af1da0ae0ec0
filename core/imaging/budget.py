"""Memory that all open stacks share: each may keep an equal part of it, whatever their number."""

from __future__ import annotations

import threading
from typing import Protocol

MOST = 768 << 20
SMALLEST_PART = 32 << 20


class Member(Protocol):
    """Whoever keeps decoded frames."""

    def allow(self, budget: int) -> None:
        """Keep at most *budget* bytes from now on."""


class Budget:
    """*total* bytes, by default 768 MB or a quarter of this machine's memory if that is less. Thread-safe."""

    def __init__(self, total: int | None = None) -> None:
        self.total = _of_this_machine() if total is None else total
        self._members: list[Member] = []
        self._lock = threading.Lock()

    def join(self, member: Member) -> None:
        """One more; the others give way."""
        with self._lock:
            if member not in self._members:
                self._members.append(member)
            self._share()

    def leave(self, member: Member) -> None:
        """One less; the others may keep more."""
        with self._lock:
            if member in self._members:
                self._members.remove(member)
                self._share()

    def _share(self) -> None:
        if self._members:
            part = max(SMALLEST_PART, self.total // len(self._members))
            for member in self._members:
                member.allow(part)


def _of_this_machine() -> int:
    import psutil

    return min(MOST, int(psutil.virtual_memory().total) // 4)
