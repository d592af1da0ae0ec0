"""Who calls: `Cookie: sid=`, `?sid=`, Basic and Bearer are equal; and what a caller may do."""

from __future__ import annotations

import asyncio
import base64
import binascii
import hashlib
import hmac
import secrets
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Generic, TypeVar

from core.access.accounts import Account, Accounts, Right
from core.access.sessions import Sessions
from core.errors import Denied, Unauthenticated
from server.web.call import Call
from server.web.errors import ACCESS_DENIED, Refused

T = TypeVar("T")

FRESH_S = 2.0
"""How long an account is believed before the database is asked again."""
PROVEN_S = 60.0
"""How long a proven password is remembered: proving one costs tens of milliseconds, on purpose."""
REMEMBERED = 10_000

OPEN = frozenset({"/healthz", "/readyz", "/docs", "/openapi.json", "/api/v3/session/login"})
OPEN_BELOW = "/docs/"
SESSIONS = "/api/v3/session/"
NOBODY = "Say who you are: a session (sid), Basic or Bearer credentials."
ANONYMOUS = "anonymous"


@dataclass(frozen=True, slots=True)
class Caller:
    """Who calls and what they may do; *namespaces* None means every one; *sid* is the session used, if any."""

    login: str
    role: str
    rights: frozenset[Right]
    namespaces: tuple[str, ...] | None = None
    uuid: str = ""
    name: str = ""
    sid: str = ""

    def require(self, right: Right, namespace: str = "") -> None:
        """Raises Denied unless they have *right*, in *namespace* if it is named."""
        if right not in self.rights:
            raise Denied("Your account may not do this.", "Ask an administrator for the right.")
        if namespace and self.namespaces is not None and namespace not in self.namespaces:
            raise Denied("There is no such namespace, or you may not use it.")


EVERYTHING = frozenset(Right)
ADMINISTRATOR = Caller(ANONYMOUS, "admin", EVERYTHING, name="Anyone")


class Remembered(Generic[T]):
    """Values by key for a few seconds, at most REMEMBERED of them."""

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._values: dict[bytes, tuple[float, T]] = {}

    def get(self, key: bytes) -> T | None:
        """The value if it is fresh."""
        found = self._values.get(key)
        return found[1] if found is not None and found[0] > time.monotonic() else None

    def put(self, key: bytes, value: T) -> None:
        """Keep it; everything is forgotten when there are too many."""
        if len(self._values) >= REMEMBERED:
            self._values.clear()
        self._values[key] = (time.monotonic() + self._seconds, value)

    def forget(self, key: bytes | None = None) -> None:
        """Drop one, or all."""
        if key is None:
            self._values.clear()
        else:
            self._values.pop(key, None)


class Authenticator:
    """Finds the caller of a request. *token* is the desktop's own, *open_door* lets everyone in as administrator."""

    def __init__(
        self,
        accounts: Accounts,
        sessions: Sessions,
        workers: ThreadPoolExecutor,
        *,
        token: str = "",
        open_door: bool = False,
        on_password: Callable[[str], None] = lambda login: None,
    ) -> None:
        self._accounts = accounts
        self._sessions = sessions
        self._workers = workers
        self._token = token.encode()
        self._open_door = open_door
        self._on_password = on_password
        self._by_sid: Remembered[Caller] = Remembered(FRESH_S)
        self._proven: Remembered[Caller] = Remembered(PROVEN_S)
        self._salt = secrets.token_bytes(32)

    async def identify(self, call: Call, path: str) -> None:
        """Set `call.caller`. Raises Unauthenticated (401) without credentials, Denied (403) for a dead sid."""
        if path in OPEN or path.startswith(OPEN_BELOW):
            return
        if self._open_door:
            call.caller = ADMINISTRATOR
            return
        authorization, sids = call.header(b"authorization"), _sids(call)
        if authorization:
            call.caller = await self._authorized(authorization)
        for sid in sids:
            if call.caller is None:
                call.caller = await self.by_sid(sid)
        if call.caller is None and not path.startswith(SESSIONS):
            if sids and not authorization:
                raise Refused(ACCESS_DENIED, "The session has ended or never was.", "Log in again.")
            raise Unauthenticated(NOBODY)

    async def by_sid(self, sid: str) -> Caller | None:
        """Whose session it is, None if it is dead."""
        if self._open_door:
            return ADMINISTRATOR
        key = sid.encode("utf-8", "replace")
        found = self._by_sid.get(key)
        if found is None:
            account = await self._run(lambda: self._sessions.find(sid))
            if account is None:
                return None
            found = caller_from(account, sid)
            self._by_sid.put(key, found)
        return found

    async def prove(self, login: str, password: str) -> Caller:
        """Who *login* is. Raises Unauthenticated, and Locked after too many failures."""
        if self._open_door:
            return ADMINISTRATOR
        key = hmac.digest(self._salt, f"{login}\0{password}".encode("utf-8", "replace"), "sha256")
        ...
