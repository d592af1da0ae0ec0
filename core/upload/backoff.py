"""How long to wait before asking an absent peer again: exponential, with full jitter, within a patience."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass

from core.errors import KnownError


@dataclass(frozen=True, slots=True)
class Pace:
    """How hard an upload tries. *patience_s* None = wait for the network for as long as it takes."""

    connections: int = 4
    patience_s: float | None = 60.0
    attempts: int = 4  # of one file, before it is set aside for the last pass
    first_delay_s: float = 0.5
    longest_delay_s: float = 8.0
    progress_every_s: float = 0.1
    flush_every_s: float = 0.25
    chance: Callable[[], float] = random.random

    def delay_s(self, failures: int, asked_s: float = 0.0) -> float:
        """Wait after the *failures*-th failure in a row; at least what the peer asked for."""
        ceiling = min(self.longest_delay_s, self.first_delay_s * 2.0 ** min(failures - 1, 16))
        return max(asked_s, self.chance() * ceiling)


@dataclass(slots=True)
class Outage:
    """The time since a peer was last known to work: when to try again, and when to give up."""

    error: KnownError
    since: float
    failures: int = 0
    retry_at: float = 0.0
    trial: bool = False  # the peer answers again: one file may try

    def again(self, error: KnownError, now: float, pace: Pace) -> None:
        """Another failure: wait longer."""
        self.error = error
        self.failures += 1
        self.trial = False
        self.retry_at = now + pace.delay_s(self.failures, getattr(error, "retry_after_s", 0.0))

    def hopeless(self, now: float, pace: Pace) -> bool:
        """Whether patience has run out."""
        return pace.patience_s is not None and now - self.since >= pace.patience_s
