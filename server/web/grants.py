"""Who may look at which study for a while: tokens, and the views they are exchanged for.

Both are random and kept in memory as digests only; a restart ends them, and the link opens the study again.
"""

from __future__ import annotations

import hashlib
import hmac
import secrets
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Generic, TypeVar

T = TypeVar("T")

TOKEN_S = 60.0
"""A token that was not used for so long is dead."""
IDLE_S = 3 * 3600.0
LONGEST_S = 12 * 3600.0
PATIENT, DIAGNOSTIC, LINK = "patient", "diagnostic", "viewer"
"""Roles of a view: read-only; with the objects themselves; and what the study link opens, read-only too."""
MOST = 10_000
"""Tokens, and views, kept at a time; beyond that the oldest end."""


@dataclass(frozen=True, slots=True)
class Grant:
    """One study for one role on behalf of *login*; *phi_namespace* "" shows it as its own namespace does."""

    namespace: str
    study_uid: str
    login: str
    phi_namespace: str = ""
    role: str = LINK


@dataclass(frozen=True, slots=True)
class Opened:
    """A view just opened: *id* goes into addresses, *secret* into the cookie and nowhere else."""

    id: str
    secret: str


@dataclass(slots=True)
class _Kept(Generic[T]):
    value: T
    since: float
    used: float
    lasts: float = TOKEN_S
    once: bool = True
    digest: bytes = b""


class Grants:
    """Tokens and views of one serving process; thread-safe."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._tokens: dict[bytes, _Kept[Grant]] = {}
        self._views: dict[str, _Kept[Grant]] = {}

    def token(self, grant: Grant, seconds: float = TOKEN_S, *, once: bool = True) -> str:
        """A token that opens the study for so many seconds, once unless it may be used again."""
        token = secrets.token_urlsafe(32)
        now = self._clock()
        with self._lock:
            for key in [key for key, kept in self._tokens.items() if _dead(kept, now)]:
                del self._tokens[key]
            _make_room(self._tokens)
            self._tokens[_digest(token)] = _Kept(grant, now, now, seconds, once)
        return token

    def holds(self, token: str) -> bool:
        """Whether *token* would open a study; it stays unused."""
        with self._lock:
            kept = self._tokens.get(_digest(token))
        return kept is not None and not _dead(kept, self._clock())

    def exchange(self, token: str) -> Opened | None:
        """A view for a token, which is used up if it is for one use; None if it opens nothing."""
        now = self._clock()
        opened = Opened(secrets.token_urlsafe(12), secrets.token_urlsafe(32))
        with self._lock:
            kept = self._tokens.get(_digest(token))
            if kept is None:
                return None
            if kept.once or _dead(kept, now):
                del self._tokens[_digest(token)]
            if _dead(kept, now):
                return None
            for view in [view for view, old in self._views.items() if _ended(old, now)]:
                del self._views[view]
            _make_room(self._views)
            self._views[opened.id] = _Kept(kept.value, now, now, digest=_digest(opened.secret))
        return opened

    def find(self, view: str, secret: str) -> Grant | None:
        """What the view shows, None if it has ended or *secret* is not its own; looking keeps it open."""
        now = self._clock()
        with self._lock:
            kept = self._views.get(view)
            if kept is None or not hmac.compare_digest(kept.digest, _digest(secret)):
                return None
            if _ended(kept, now):
                del self._views[view]
                return None
            kept.used = now
            return kept.value

    def end(self, view: str) -> None:
        """End a view; no error if it has ended."""
        with self._lock:
            self._views.pop(view, None)


def _dead(token: _Kept[Grant], now: float) -> bool:
    return now - token.since > token.lasts


def _ended(kept: _Kept[Grant], now: float) -> bool:
    return now - kept.used > IDLE_S or now - kept.since > LONGEST_S


def _make_room(kept: dict[T, _Kept[Grant]]) -> None:
    while len(kept) >= MOST:
        del kept[next(iter(kept))]


def _digest(text: str) -> bytes:
    return hashlib.sha256(text.encode("utf-8", "replace")).digest()
