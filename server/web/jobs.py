"""What became of requests that came with a job's name; all of them are done when they are answered."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterator
from contextlib import contextmanager

MOST = 10_000
LONGEST_NAME = 128


class Jobs:
    """States by login and name, the latest MOST of them, until the process ends."""

    def __init__(self) -> None:
        self._states: OrderedDict[tuple[str, str], str] = OrderedDict()

    @contextmanager
    def running(self, login: str, name: str) -> Iterator[None]:
        """The job is RUNNING within, then DONE, or ERROR if it raised."""
        self._put(login, name, "RUNNING")
        try:
            yield
        except BaseException:
            self._put(login, name, "ERROR")
            raise
        self._put(login, name, "DONE")

    def state(self, login: str, name: str) -> str | None:
        """SCHEDULED is never seen; None if there is no such job of this login."""
        return self._states.get((login, name))

    def _put(self, login: str, name: str, state: str) -> None:
        if 0 < len(name) <= LONGEST_NAME:
            self._states[login, name] = state
            self._states.move_to_end((login, name))
            while len(self._states) > MOST:
                self._states.popitem(last=False)
