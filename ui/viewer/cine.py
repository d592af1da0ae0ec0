"""Playing frames by the clock: frames are dropped rather than time stretched."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from itertools import accumulate

FALLBACK_FPS = 20.0
SLOWEST, FASTEST = 1.0, 120.0


class Cine:
    """A loop over *count* frames. Pure: the caller says what time it is, in seconds of any clock.

    *times_ms* says how long frames last: one for all, one a frame (FrameTimeVector: the time before each
    frame, PS3.3 C.7.6.5), or nothing.
    """

    def __init__(self, count: int, times_ms: Sequence[float] = ()) -> None:
        self.count = count
        self.fps = FALLBACK_FPS
        if times_ms and sum(times_ms) > 0:
            self.fps = min(FASTEST, max(SLOWEST, 1000 * len(times_ms) / sum(times_ms)))
        self._starts = self._vector(times_ms)
        self._origin = 0.0
        self._first = 0
        self._shown: deque[tuple[float, int]] = deque(maxlen=64)

    def start(self, now: float, index: int) -> None:
        """Play on from *index*."""
        self._origin, self._first = now, index
        self._shown.clear()

    def set_fps(self, fps: float, now: float) -> None:
        """Change speed without a jump; from now on every frame lasts equally long."""
        index = self.index(now)
        self._starts = ()
        self.fps = min(FASTEST, max(SLOWEST, fps))
        self._origin, self._first = now, index

    def index(self, now: float) -> int:
        """The frame that is due."""
        elapsed = max(0.0, now - self._origin)
        if self._starts:
            return self._index_by_vector(elapsed)
        return (self._first + int(elapsed * self.fps + 1e-9)) % self.count

    def next_due(self, now: float) -> float:
        """Seconds until the next frame is due."""
        if self._starts:
            return 1 / self.fps
        elapsed = max(0.0, now - self._origin)
        steps = int(elapsed * self.fps + 1e-9) + 1
        return max(0.001, self._origin + steps / self.fps - now)

    def painted(self, now: float, index: int) -> None:
        """Take note that a frame was really shown."""
        if not self._shown or self._shown[-1][1] != index:
            self._shown.append((now, index))

    def true_fps(self, now: float) -> float | None:
        """Frames really shown a second, over the last second; None until there are two."""
        recent = [at for at, _ in self._shown if now - at <= 1.0]
        if len(recent) < 2 or recent[-1] <= recent[0]:
            return None
        return (len(recent) - 1) / (recent[-1] - recent[0])

    def _vector(self, times_ms: Sequence[float]) -> tuple[float, ...]:
        if len(times_ms) != self.count or self.count < 2 or min(times_ms) < 0 or sum(times_ms) <= 0:
            return ()
        shown_for = [*times_ms[1:], times_ms[0]]
        return tuple(accumulate(shown_for, initial=0.0))

    def _index_by_vector(self, elapsed: float) -> int:
        whole = self._starts[-1]
        at = (elapsed * 1000 + self._starts[self._first]) % whole
        for index in range(self.count):
            if at < self._starts[index + 1]:
                return index
        return self.count - 1
