"""V3 sessions: login, logout, user, ttl, permissions as the API has them (POST only, refusals are 412)."""

from __future__ import annotations

from core.access.lockout import LockedOut
from core.access.rights import Right
from core.errors import BadInput, Unauthenticated
from server.web.auth import Caller
from server.web.call import Headers, Receive, Scope, Send, answer_json, call_of
from server.web.services import Services
from server.web.streaming import Operation
from server.web.v3.forms import ANSWERS, FORM, Forms, ServiceRefused, required

TAG = "V3 session"
BASE = "/api/v3/session"


class SessionRoutes:
    """Handlers of sessions."""

    def __init__(self, services: Services) -> None:
        self._services = services
        self._forms = Forms(services)
        self._authenticator = services.authenticator

    def operations(self) -> list[Operation]:
        """Every route of this file."""
        return [
            Operation(f"{BASE}/login", "POST", self.login, TAG, body=FORM, answers=ANSWERS),
            Operation(f"{BASE}/logout", "POST", self.logout, TAG, answers=ANSWERS),
            Operation(f"{BASE}/user", "POST", self.user, TAG, answers=ANSWERS),
            Operation(f"{BASE}/ttl", "POST", self.ttl, TAG, answers=ANSWERS),
            Operation(f"{BASE}/permissions", "POST", self.permissions, TAG, body=FORM, answers=ANSWERS),
        ]

    async def login(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Open a session; its sid comes in the answer and as a cookie.

        Fields login and password; new_password changes the password, validate_session checks a sid instead.
        """
        call = call_of(scope)
        fields = await self._forms.fields(call, receive)
        login, password = required(fields, "login", "password")
        run, authenticator = self._services.run, self._authenticator
        caller = await self._prove(login, password)
        if new := fields.get("new_password"):
            try:
                await run(lambda: authenticator.change_password(caller, new))
            except BadInput as error:
                raise ServiceRefused("BAD_PASSWORD", error.message) from error
        if sid := fields.get("validate_session"):
            if not await authenticator.belongs(sid, caller):
                raise ServiceRefused("VALIDATION_FAILED", "The session is not one of this user's.")
        else:
            sid = await run(lambda: authenticator.open(caller))
        await answer_json(send, 200, {"status": "OK", "sid": sid, **_person(caller)}, self._cookie(sid))

    async def logout(self, scope: Scope, receive: Receive, send: Send) -> None:
        """End the session."""
        caller = await self._caller(scope, receive)
        await self._services.run(lambda: self._authenticator.end(caller))
        await answer_json(send, 200, {"status": "OK"}, self._cookie(""))

    async def user(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Who the session belongs to."""
        await answer_json(send, 200, {"status": "OK", **_person(await self._caller(scope, receive))})

    async def ttl(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Seconds until the session ends if it is not used."""
        caller = await self._caller(scope, receive)
        seconds = self._authenticator.seconds_left(caller)
        await answer_json(send, 200, {"status": "OK", "ttl": seconds})

    async def permissions(self, scope: Scope, receive: Receive, send: Send) -> None:
        """What the user may do, each right 1 or 0; field namespace_id asks for one namespace."""
        call = call_of(scope)
        fields = await self._forms.fields(call, receive)
        caller = await self._forms.caller(call, fields)
        namespace = fields.get("namespace_id", "")
        within = not namespace or caller.namespaces is None or namespace in caller.namespaces
        rights = {right.value: int(within and right in caller.rights) for right in Right}
        await answer_json(send, 200, {"status": "OK", "permissions": rights, **_person(caller)})

    async def _prove(self, login: str, password: str) -> Caller:
        try:
            return await self._authenticator.prove(login, password, anew=True)
        except LockedOut as error:
            raise ServiceRefused("LOCKOUT", error.message) from error
        except Unauthenticated as error:
            raise ServiceRefused("INVALID_CREDENTIALS", error.message) from error

    async def _caller(self, scope: Scope, receive: Receive) -> Caller:
        """Who calls; some clients say their sid in the form."""
        call = call_of(scope)
        if call.caller is not None:
            return call.caller
        return await self._forms.caller(call, await self._forms.fields(call, receive))

    def _cookie(self, sid: str) -> Headers:
        parts = [f"sid={sid}", "Path=/", "HttpOnly", "SameSite=Lax"]
        parts += [] if sid else ["Max-Age=0"]
        parts += ["Secure"] if self._services.about.secure else []
        return [(b"set-cookie", "; ".join(parts).encode("latin-1"))]


def _person(caller: Caller) -> dict[str, object]:
    return {
        "uuid": caller.uuid,
        "name": caller.name,
        "login": caller.login,
        "role": caller.role,
        "namespaces": list(caller.namespaces) if caller.namespaces is not None else None,
    }
