"""V3 sessions: login, logout, user, ttl, permissions as the API has them (POST only, refusals are 412)."""

from __future__ import annotations

from urllib.parse import parse_qsl

from core.access.lockout import LockedOut
from core.access.rights import Right
from core.errors import BadInput, Unauthenticated
from server.web.auth import Caller
from server.web.body import MAX_DOCUMENT, chunks, parse_json, read_document
from server.web.call import Call, Headers, Receive, Scope, Send, answer_json, call_of
from server.web.errors import BAD_REQUEST, Kind, Refused
from server.web.intake import Intake
from server.web.multipart import boundary_of, read_form
from server.web.services import Services
from server.web.streaming import Operation

TAG = "V3 session"
BASE = "/api/v3/session"
FORM = ("application/x-www-form-urlencoded", "multipart/form-data", "application/json")
ANSWERS = {200: ("application/json",), 401: ("application/json",), 412: ("application/json",)}


class SessionRefused(Refused):
    """A refusal in the session API's own form: *error_type*, and the fields it is about."""

    def __init__(self, error_type: str, message: str, subtype: list[str] | None = None) -> None:
        super().__init__(Kind(412, BAD_REQUEST.code, error_type), message)
        self.subtype = subtype


class SessionRoutes:
    """Handlers of sessions."""

    def __init__(self, services: Services) -> None:
        self._services = services
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
        fields = await self._fields(call, receive)
        missing = [name for name in ("login", "password") if not fields.get(name)]
        if missing:
            raise SessionRefused("MISSING_FIELDS", f"Missing: {', '.join(missing)}.", missing)
        login, password = fields["login"], fields["password"]
        run, authenticator = self._services.run, self._authenticator
        caller = await self._prove(login, password)
        if new := fields.get("new_password"):
            try:
                await run(lambda: authenticator.change_password(caller, new))
            except BadInput as error:
                raise SessionRefused("BAD_PASSWORD", error.message) from error
        if sid := fields.get("validate_session"):
            if not await authenticator.belongs(sid, caller):
                raise SessionRefused("VALIDATION_FAILED", "The session is not one of this user's.")
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
        fields = await self._fields(call, receive)
        caller = call.caller or await self._by_sid(fields.get("sid", ""))
        namespace = fields.get("namespace_id", "")
        within = not namespace or caller.namespaces is None or namespace in caller.namespaces
        rights = {right.value: int(within and right in caller.rights) for right in Right}
        await answer_json(send, 200, {"status": "OK", "permissions": rights, **_person(caller)})

    async def _prove(self, login: str, password: str) -> Caller:
        try:
            return await self._authenticator.prove(login, password, anew=True)
        except LockedOut as error:
            raise SessionRefused("LOCKOUT", error.message) from error
        except Unauthenticated as error:
            raise SessionRefused("INVALID_CREDENTIALS", error.message) from error

    async def _caller(self, scope: Scope, receive: Receive) -> Caller:
        """Who calls; some clients say their sid in the form."""
        call = call_of(scope)
        if call.caller is not None:
            return call.caller
        return await self._by_sid((await self._fields(call, receive)).get("sid", ""))

    async def _by_sid(self, sid: str) -> Caller:
        found = await self._authenticator.by_sid(sid) if sid else None
        if found is None:
            raise Unauthenticated("There is no such session, or it has ended.", "Log in again.")
        return found

    async def _fields(self, call: Call, receive: Receive) -> dict[str, str]:
        boundary = boundary_of(call.header(b"content-type"))
        if boundary is not None:
            body = chunks(call, receive, limit=MAX_DOCUMENT, limits=self._services.limits)
            return (await read_form(body, boundary, file_field="", intake=_no_files)).fields
        raw = await read_document(call, receive, limits=self._services.limits)
        if raw.lstrip()[:1] == b"{":
            document = parse_json(raw)
            return {key: value for key, value in document.items() if isinstance(value, str)}
        try:
            return dict(parse_qsl(raw.decode("utf-8"), keep_blank_values=True, max_num_fields=100))
        except ValueError as error:
            raise Refused(BAD_REQUEST, "The body is no form.") from error

    def _cookie(self, sid: str) -> Headers:
        parts = [f"sid={sid}", "Path=/", "HttpOnly", "SameSite=Lax"]
        parts += [] if sid else ["Max-Age=0"]
        parts += ["Secure"] if self._services.about.secure else []
        return [(b"set-cookie", "; ".join(parts).encode("latin-1"))]


def _no_files() -> Intake:
    raise Refused(BAD_REQUEST, "A login form has no files.")


def _person(caller: Caller) -> dict[str, object]:
    return {
        "uuid": caller.uuid,
        "name": caller.name,
        "login": caller.login,
        "role": caller.role,
        "namespaces": list(caller.namespaces) if caller.namespaces is not None else None,
    }
