"""Associations to one peer, kept from object to object, and no more of them than it serves at once."""

from __future__ import annotations

import threading
from collections.abc import Callable, Generator, Sequence
from contextlib import contextmanager
from time import monotonic
from typing import NamedTuple

from core.errors import Unreachable
from core.net.dimse.association import Association
from core.net.dimse.link import Patience
from core.net.dimse.requestor import ANSWER_S, MOST_CONTEXTS, Peer, Wish, associate
from core.net.dimse.store_scu import PLAIN

MOST_OPEN = 8
BESIDE_S = 5.0
"""So long a peer may take to answer while it serves an association of ours; some serve one at a time."""

GROW_S = 30.0
"""So long a peer that refused one more association is taken to serve no more than it had then."""
AGAIN_S, SOON_S = 0.2, 2.0
"""A peer that refuses is asked again after so long, if one of ours ended no longer ago than that."""


class Kind(NamedTuple):
    """What is negotiated for an object: its SOP class, and how its data set is written."""

    sop_class_uid: str
    transfer_syntax_uid: str


class Lines:
    """The associations of one peer; for any number of threads. One that failed is not used again."""

    def __init__(
        self,
        peer: Peer,
        patience: Patience,
        *,
        most: int = MOST_OPEN,
        beside_s: float = BESIDE_S,
        grow_s: float = GROW_S,
    ) -> None:
        self._peer = peer
        self._patience = patience
        self._beside_s = beside_s
        self._grow_s = grow_s
        self._changed = threading.Condition()
        self._idle: list[tuple[Association, frozenset[Kind]]] = []
        self._open = 0
        self._most = self._limit = most
        self._refused = 0.0
        self._ended = -SOON_S

    @contextmanager
    def taken(
        self, kind: Kind, kinds: Sequence[Kind], meanwhile: Callable[[], None] = lambda: None
    ) -> Generator[Association, None, None]:
        """An association that has asked for *kind*; a new one asks for all of *kinds*, the latest last.

        Where one must be waited for, *meanwhile* is done first; what it raises is raised here.
        """
        ready = self._ready(kind, meanwhile)
        if ready is None:
            wishes, asked = _wishes(kinds)
            ready = self._opened(wishes), asked
        try:
            yield ready[0]
        except BaseException:
            ready[0].close()
            self._gone()
            raise
        with self._changed:
            kept = self._open <= self._most
            if kept:
                self._idle.append(ready)
                self._changed.notify()
        if not kept:
            self._end(ready[0])
            self._gone()

    @contextmanager
    def alone(self, wishes: Sequence[Wish]) -> Generator[Association, None, None]:
        """An association for one use; those that are idle are released first."""
        self.close()
        association = self._opened(wishes)
        try:
            yield association
            association.release()
        finally:
            association.close()
            self._ended = monotonic()
            self._gone()

    def one_at_a_time(self) -> None:
        """From now on no more than one; those that are in use are released as they come back."""
        with self._changed:
            self._most = self._limit = 1
        self.close()

    def close(self) -> None:
        """Release those that are idle."""
        while (spare := self._spare()) is not None:
            self._end(spare)
            self._gone()

    def _ready(self, kind: Kind, meanwhile: Callable[[], None]) -> tuple[Association, frozenset[Kind]] | None:
        """One that is kept and asked for *kind*; None if a new one may be opened. Waits for either."""
        done = False
        while True:
            with self._changed:
                found = next((each for each in reversed(self._idle) if kind in each[1]), None)
                if found is not None:
                    self._idle.remove(found)
                elif self._idle or self._room():
                    return None
                elif done:
                    self._changed.wait(self._grow_s)
                    continue
            if found is None:
                meanwhile()
                done = True
                continue
            if not found[0].waiting():
                return found
            found[0].close()  # the peer has ended it meanwhile
            self._gone()

    def _opened(self, wishes: Sequence[Wish]) -> Association:
        """A new one. A peer that serves no more beside those it has is asked again when one is free."""
        while True:
            with self._changed:
                while not self._room() and not self._idle:
                    self._changed.wait(self._grow_s)
                others = self._open
                spare = self._idle.pop(0)[0] if self._idle else None
                self._open += spare is None
            if spare is not None:
                self._end(spare)
                others -= 1
            try:
                return associate(
                    self._peer,
                    wishes,
                    patience=self._patience,
                    answer_s=self._beside_s if others else ANSWER_S,
                )
            except BaseException as error:
                with self._changed:
                    self._open -= 1
                    self._changed.notify_all()
                    beside = others or self._open  # one that was asked for later may have come first
                    if not isinstance(error, Unreachable) or not (beside or self._just_ended()):
                        raise
                    if beside:
                        self._most = max(1, min(self._most, self._open))
                        self._refused = monotonic()
                    self._changed.wait(AGAIN_S)

    def _room(self) -> bool:
        """Whether one more may be open; a peer that took no more is asked for one more after a while."""
        if self._open == self._most < self._limit and monotonic() - self._refused > self._grow_s:
            self._most += 1
            self._refused = monotonic()
        return self._open < self._most

    def _spare(self) -> Association | None:
        with self._changed:
            return self._idle.pop(0)[0] if self._idle else None

    def _just_ended(self) -> bool:
        """Whether the peer may still count an association that is over."""
        return monotonic() - self._ended < SOON_S

    def _end(self, association: Association) -> None:
        association.release()
        association.close()
        self._ended = monotonic()

    def _gone(self) -> None:
        with self._changed:
            self._open -= 1
            self._changed.notify()


def _wishes(kinds: Sequence[Kind]) -> tuple[list[Wish], frozenset[Kind]]:
    """A context for each of the latest kinds, and for their SOP classes one for each plain syntax."""
    wishes: dict[tuple[str, str], None] = {}
    asked: set[Kind] = set()
    for kind in reversed(kinds):
        some = dict.fromkeys((kind.sop_class_uid, each) for each in (kind.transfer_syntax_uid, *PLAIN))
        if len(wishes | some) > MOST_CONTEXTS:
            break
        wishes |= some
        asked.add(kind)
    return [Wish(sop_class, (syntax,)) for sop_class, syntax in wishes], frozenset(asked)
