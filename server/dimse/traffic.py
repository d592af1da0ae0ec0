"""What goes on at the DICOM door: who is there, what came last, who was turned away, and counts of today."""

from __future__ import annotations

import threading
import time
from collections import OrderedDict, deque
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import date, datetime

from core.archive.nouns import StoreResult
from core.net.dimse.command import RESPONSE, Field
from core.net.dimse.negotiation import CALLED_UNKNOWN, CALLING_UNKNOWN, TOO_MANY, Proposal, Rejection
from server.dimse.admission import Caller

MOST_RECEIVED = 20
MOST_REFUSED = 50
LONGEST_TITLE = 16
NAMES = {int(each): each.name.replace("_", "-") for each in Field}
WHY = {CALLING_UNKNOWN: "calling-unknown", CALLED_UNKNOWN: "called-unknown", TOO_MANY: "too-many"}


@dataclass(frozen=True, slots=True)
class Visit:
    """An open association since *since* (seconds since 1970); *service* is the command it gave last."""

    calling: str
    called: str
    address: str
    since: float
    service: str = ""


@dataclass(frozen=True, slots=True)
class Received:
    """Objects of one study that came over the door."""

    namespace: str
    study_uid: str
    calling: str
    called: str
    count: int
    last: float


@dataclass(frozen=True, slots=True)
class Turned:
    """An association that was not accepted; *why* is a key of WHY's values or "other"."""

    time: float
    calling: str
    called: str
    address: str
    why: str
    words: str


@dataclass(frozen=True, slots=True)
class Today:
    """Counts since midnight, or since the door opened if that was later (*since*)."""

    since: float
    associations: int = 0
    refused: int = 0
    received: int = 0


class Traffic:
    """Hears of everything at the door; safe from any thread."""

    def __init__(self, now: Callable[[], float] = time.time) -> None:
        self._now = now
        self._lock = threading.Lock()
        self._visits: dict[int, Visit] = {}
        self._received: OrderedDict[tuple[str, str, str], Received] = OrderedDict()
        self._turned: deque[Turned] = deque(maxlen=MOST_REFUSED)
        self._today = Today(now())
        self.admissions = self.rejections = 0
        self.last = ("", 0.0)

    def admitted(self, caller: Caller) -> None:
        """An association was accepted."""
        now = self._now()
        with self._lock:
            self._visits[id(caller)] = Visit(caller.calling, caller.called, caller.address, now)
            self.admissions += 1
            self.last = (caller.calling, now)
            self._count(now, associations=1)

    def serving(self, caller: Caller, field: int) -> None:
        """It gives a command."""
        visit = self._visits.get(id(caller))
        name = NAMES.get(field & ~RESPONSE, "")
        if visit is not None and visit.service != name:
            with self._lock:
                self._visits[id(caller)] = replace(visit, service=name)

    def ended(self, caller: Caller) -> None:
        """It is over."""
        with self._lock:
            self._visits.pop(id(caller), None)

    def rejected(self, proposal: Proposal, address: str, why: Rejection) -> None:
        """One was not accepted."""
        calling, called = _title(proposal.calling), _title(proposal.called)
        self.turn(Turned(self._now(), calling, called, address, WHY.get(why, "other"), why.words))

    def turn(self, one: Turned) -> None:
        """Somebody could not be let in."""
        with self._lock:
            self._turned.append(one)
            self.rejections += 1
            self._count(one.time, refused=1)

    def received(self, caller: Caller, result: StoreResult) -> None:
        """An object came and is on disk."""
        now = self._now()
        key = (result.namespace, result.study_uid, caller.calling)
        with self._lock:
            before = self._received.pop(key, None)
            count = before.count + 1 if before is not None else 1
            self._received[key] = Received(*key, caller.called, count, now)
            while len(self._received) > MOST_RECEIVED:
                self._received.popitem(last=False)
            self._count(now, received=1)

    def visits(self) -> list[Visit]:
        """Open associations, the oldest first."""
        with self._lock:
            return sorted(self._visits.values(), key=lambda each: each.since)

    def arrivals(self) -> list[Received]:
        """What came lately, the newest first."""
        with self._lock:
            return list(reversed(self._received.values()))

    def refusals(self) -> list[Turned]:
        """Who was turned away lately, the newest first."""
        with self._lock:
            return list(reversed(self._turned))

    def today(self) -> Today:
        """Counts of today."""
        with self._lock:
            self._count(self._now())
            return self._today

    def _count(self, now: float, *, associations: int = 0, refused: int = 0, received: int = 0) -> None:
        then = self._today
        day = date.fromtimestamp(now)
        if date.fromtimestamp(then.since) != day:
            then = Today(datetime(day.year, day.month, day.day).timestamp())
        self._today = Today(
            then.since, then.associations + associations, then.refused + refused, then.received + received
        )


def _title(text: str) -> str:
    """An AE title as a stranger gave it, fit to be shown."""
    return "".join(sign for sign in text.strip()[:LONGEST_TITLE] if sign.isascii() and sign.isprintable())
