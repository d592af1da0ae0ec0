"""Lockout: who fails too often must wait, twice as long each time."""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Callable

from core.errors import Unauthenticated

FREE_FAILURES = 5
LONGEST_WAIT_S = 300.0
FORGOTTEN_AFTER_S = 3600.0
MOST_LOGINS = 10_000


class LockedOut(Unauthenticated):
    """Too many failures: even the right password is refused until *wait_s* are over."""

    def __init__(self, wait_s: float) -> None:
        seconds = math.ceil(wait_s)
        super().__init__("Too many failed logins.", f"Wait {seconds} seconds, then try again.")
        self.wait_s = wait_s


class Lockout:
    """Failures by login, known or not, in this process; forgotten after an hour of quiet."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._gate = threading.Lock()
        self._failures: dict[str, tuple[int, float]] = {}

    def check(self, login: str) -> None:
        """Raises LockedOut while *login* has to wait."""
        with self._gate:
            count, last = self._failures.get(login, (0, 0.0))
        if count < FREE_FAILURES:
            return
        wait_s = last + min(LONGEST_WAIT_S, 2.0 ** (count - FREE_FAILURES)) - self._clock()
        if wait_s > 0:
            raise LockedOut(wait_s)

    def failed(self, login: str) -> None:
        """Count a failure."""
        now = self._clock()
        with self._gate:
            count, last = self._failures.pop(login, (0, 0.0))
            if len(self._failures) >= MOST_LOGINS:
                del self._failures[next(iter(self._failures))]  # the one that failed longest ago
            self._failures[login] = (1 if now - last > FORGOTTEN_AFTER_S else count + 1, now)

    def forget(self, login: str) -> None:
        """The right password was given."""
        with self._gate:
            self._failures.pop(login, None)
