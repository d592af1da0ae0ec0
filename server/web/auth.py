"""Who calls: `Cookie: sid=`, `?sid=`, Basic and Bearer are equal; and what a caller may do."""

from __future__ import annotations

import asyncio
import base64
import binascii
import hmac
import secrets
import time
import uuid
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Generic, TypeVar

from core.access.accounts import Account, Accounts
from core.access.changes import Changes
from core.access.rights import Right
from core.access.sessions import LIFETIME_S, Sessions
from core.errors import Denied, Unauthenticated
from server.web.call import Call
from server.web.errors import ACCESS_DENIED, Refused

T = TypeVar("T")

FRESH_S = 2.0
"""How long an account is believed before the database is asked again; a change is seen at once."""
PROVEN_S = 5.0
"""How long a proven password is believed: proving one costs tens of milliseconds, on purpose."""
REMEMBERED = 10_000

OPEN = frozenset(
    {"/healthz", "/readyz", "/docs", "/openapi.json", "/api/v3/session/login", "/login.html", "/view"}
)
OPEN_BELOW = ("/docs/", "/pages/", "/view/")
"""A view has a secret of its own; its routes ask for that."""
SAID_INSIDE = ("/api/v3/session/", "/api/v3/study/", "/api/v3/namespace/", "/api/v3/job/")
"""Calls whose sid may stand among the fields of the body; they ask for it themselves."""
NOBODY = "Say who you are: a session (sid), Basic or Bearer credentials."
ANONYMOUS = "anonymous"


@dataclass(frozen=True, slots=True)
class Caller:
    """Who calls and what they may do; *namespaces* None means every one; *sid* is the session, if any."""

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
DESKTOP = Caller("desktop", "admin", EVERYTHING, name="The desktop of this archive")
ACCOUNTS = uuid.UUID("5e1f4c0a-6c0d-5b6b-9d0c-4a8f2f1b7a10")
"""Name space of the accounts' UUIDs."""


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
    """Finds the caller of a request.

    *token* is the desktop's own; *open_door* lets everyone in as an administrator.
    """

    def __init__(
        self,
        accounts: Accounts,
        sessions: Sessions,
        workers: ThreadPoolExecutor,
        *,
        token: str = "",
        open_door: bool = False,
        changes: Changes | None = None,
    ) -> None:
        self._accounts = accounts
        self._sessions = sessions
        self._workers = workers
        self._token = token.encode()
        self._open_door = open_door
        self._by_sid: Remembered[Caller] = Remembered(FRESH_S)
        self._proven: Remembered[Caller] = Remembered(PROVEN_S)
        self._by_login: Remembered[Caller] = Remembered(FRESH_S)
        self._proving: dict[tuple[bytes, int], asyncio.Future[Account]] = {}
        self._salt = secrets.token_bytes(32)
        self._changes = changes
        self._seen = changes.count() if changes else 0

    async def identify(self, call: Call, path: str) -> None:
        """Set `call.caller`. Raises Unauthenticated without credentials, Refused (403) for a dead sid."""
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
        if call.caller is None and not path.startswith(SAID_INSIDE):
            if sids and not authorization:
                raise Refused(ACCESS_DENIED, "The session has ended or never was.", "Log in again.")
            raise Unauthenticated(NOBODY)

    async def by_sid(self, sid: str) -> Caller | None:
        """Whose session it is, None if it is dead."""
        if self._open_door:
            return ADMINISTRATOR
        key, seen = sid.encode("utf-8", "replace"), self._as_of()
        found = self._by_sid.get(key)
        if found is None:
            account = await self._run(lambda: self._sessions.find(sid))
            if account is None:
                return None
            found = caller_from(account, sid)
            self._remember(self._by_sid, key, found, seen)
        return found

    async def prove(self, login: str, password: str, *, anew: bool = False) -> Caller:
        """Who *login* is, believed for a while unless *anew*. Raises Unauthenticated, LockedOut."""
        if self._open_door:
            return ADMINISTRATOR
        key = hmac.digest(self._salt, f"{login}\0{password}".encode("utf-8", "replace"), "sha256")
        seen = self._as_of()
        found = None if anew else self._proven.get(key)
        if found is None:
            proving = None if anew else self._proving.get((key, seen))
            if proving is None:  # a proof takes long: who comes with the same password meanwhile shares it
                proving = self._started(lambda: self._accounts.authenticate(login, password), (key, seen))
            found = caller_from(await asyncio.shield(proving))
            self._remember(self._proven, key, found, seen)
        return found

    def _started(self, prove: Callable[[], Account], place: tuple[bytes, int]) -> asyncio.Future[Account]:
        """A proof that goes on even if nobody waits for it any more."""
        future = asyncio.get_running_loop().run_in_executor(self._workers, prove)
        self._proving[place] = future

        def over(done: asyncio.Future[Account]) -> None:
            if self._proving.get(place) is done:
                del self._proving[place]
            if not done.cancelled():
                done.exception()  # whoever waits hears of it

        future.add_done_callback(over)
        return future

    async def now(self, login: str) -> Caller | None:
        """*login* as its account is now, None if it was removed."""
        if self._open_door:
            return ADMINISTRATOR
        key, seen = login.encode("utf-8", "replace"), self._as_of()
        found = self._by_login.get(key)
        if found is None:
            account = await self._run(lambda: self._accounts.find(login))
            if account is None:
                return None
            found = caller_from(account)
            self._remember(self._by_login, key, found, seen)
        return found

    def _as_of(self) -> int:
        """How many changes of accounts there have been; after a new one nothing is remembered."""
        count = self._changes.count() if self._changes else 0
        if count != self._seen:
            self._seen = count
            for remembered in (self._by_sid, self._proven, self._by_login):
                remembered.forget()
        return count

    def _remember(self, where: Remembered[Caller], key: bytes, caller: Caller, seen: int) -> None:
        """Keep *caller*, unless accounts were changed while they were looked up."""
        if self._as_of() == seen:
            where.put(key, caller)

    async def belongs(self, sid: str, caller: Caller) -> bool:
        """Whether *sid* is a living session of *caller*'s."""
        found = await self.by_sid(sid)
        return found is not None and found.login == caller.login

    def open(self, caller: Caller) -> str:
        """A new session; the oldest of too many is ended. Blocks."""
        if self._open_door:
            return secrets.token_urlsafe(24)
        return self._sessions.open(caller.login)

    def end(self, caller: Caller) -> None:
        """End the session that *caller* came with. Blocks."""
        if caller.sid:
            self._by_sid.forget(caller.sid.encode("utf-8", "replace"))
            self._sessions.close(caller.sid)

    def seconds_left(self, caller: Caller) -> int:
        """How long the session of *caller* lasts from now on; asking is using it."""
        return int(LIFETIME_S)

    def change_password(self, caller: Caller, password: str) -> None:
        """Set *caller*'s own password. Blocks. Raises BadInput."""
        if self._open_door:
            return
        self._accounts.set_password(caller.login, password, actor=caller.login)
        self._proven.forget()
        self._by_sid.forget()

    async def _authorized(self, value: str) -> Caller:
        scheme, _, rest = value.partition(" ")
        rest = rest.strip()
        if scheme.lower() == "basic":
            return await self.prove(*_basic(rest))
        if scheme.lower() == "bearer":
            if self._token and hmac.compare_digest(rest.encode("utf-8", "replace"), self._token):
                return DESKTOP
            found = await self.by_sid(rest)
            if found is not None:
                return found
        raise Unauthenticated(NOBODY)

    async def _run(self, work: Callable[[], T]) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._workers, work)


def caller_from(account: Account, sid: str = "") -> Caller:
    """An account as a caller."""
    return Caller(
        login=account.login,
        role=str(account.role),
        rights=frozenset(account.rights),
        namespaces=tuple(account.namespaces) if account.namespaces else None,
        uuid=str(uuid.uuid5(ACCOUNTS, account.login)),
        name=account.login,
        sid=sid,
    )


def _sids(call: Call) -> list[str]:
    """Sessions named by the request: `?sid=` first, then the cookie."""
    sids = call.queries("sid")
    for pair in call.header(b"cookie").split(";"):
        name, _, value = pair.strip().partition("=")
        if name == "sid":
            sids.append(value.strip('"'))
    return [sid for sid in sids if sid]


def _basic(value: str) -> tuple[str, str]:
    try:
        login, colon, password = base64.b64decode(value, validate=True).decode("utf-8").partition(":")
    except (binascii.Error, UnicodeDecodeError) as error:
        raise Unauthenticated("The Basic credentials cannot be read.") from error
    if not colon:
        raise Unauthenticated("The Basic credentials have no password.")
    return login, password
