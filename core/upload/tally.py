"""Counts bytes as they move and tells rate and time left."""

from __future__ import annotations

import threading
from collections import deque

WINDOW_S = 3.0
SETTLED_S = 0.5


class Tally:
    """Bytes moved of *total*; `moved` and `learnt` are called by any thread, the rest by one.

    *total* grows with each file whose size is only known once it is here; *found* counts those.
    """

    def __init__(self, total: int) -> None:
        self.total = total
        self.found = 0
        self._bytes = 0
        self._lock = threading.Lock()
        self._samples: deque[tuple[float, int]] = deque()

    def moved(self, count: int) -> None:
        """*count* more bytes were read; less than zero when some must be read again."""
        with self._lock:
            self._bytes += count

    def learnt(self, size: int) -> None:
        """The size of one more file is known."""
        with self._lock:
            self.total += size
            self.found += 1

    @property
    def bytes(self) -> int:
        """Bytes moved so far, never more than there are."""
        return max(0, min(self._bytes, self.total))

    def sample(self, now: float, waiting: int = 0) -> tuple[float, float | None]:
        """Bytes a second over the last seconds, and seconds left, None while that is not known.

        *waiting*: files not there yet; where sizes are not known each is taken for an average one.
        """
        self._samples.append((now, self.bytes))
        while now - self._samples[0][0] > WINDOW_S:
            self._samples.popleft()
        then, before = self._samples[0]
        if now - then < SETTLED_S:
            return 0.0, None
        rate = max(0.0, (self.bytes - before) / (now - then))
        left = waiting * self.total / self.found if self.found else self.total - self.bytes
        return rate, left / rate if rate > 0 else None

    def rest(self) -> None:
        """Forget the samples, so that a pause does not count as slowness."""
        self._samples.clear()
