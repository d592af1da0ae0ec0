"""The way in: a link with credentials becomes a token, the token a view; neither stays anywhere."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import parse_qsl

from core.access.lockout import LockedOut
from core.access.rights import Right
from core.errors import KnownError, NotFound, Unauthenticated
from server.web.auth import Caller
from server.web.body import read_document
from server.web.call import Headers, Receive, Scope, Send, answer, call_of
from server.web.errors import BAD_REQUEST, UNAUTHORIZED, Refused, kind_of
from server.web.grants import Grant, Grants, Opened
from server.web.pages.assets import send_page
from server.web.services import Services
from server.web.streaming import Operation

TAG = "Study link"
PAGE = {200: ("text/html",), 303: (), 401: ("text/html",), 403: ("text/html",), 404: ("text/html",)}
QUERY = {
    "login": "Login of an account that may view.",
    "password": "Its password.",
    "study": "NAMESPACE/STUDYUID",
    "phinamespace": "Namespace whose PHI overlay is laid on top.",
}
WRONG = "The login or the password is wrong."
NOT_FOR_YOU = "There is no such namespace, or this account may not look into it."
NO_STUDY = "There is no such study in this namespace."
NAME_THE_STUDY = "Say which study, as NAMESPACE/STUDYUID."
USED_UP = "This address was used before, or is too old. Open the study from its link again."


@dataclass(frozen=True, slots=True)
class Asked:
    """What a link or the form says."""

    login: str
    password: str
    study: str
    phi_namespace: str

    @classmethod
    def of(cls, fields: Mapping[str, str]) -> Asked:
        """From query or form."""
        return cls(*(fields.get(name, "") for name in QUERY))


class EntryRoutes:
    """Handlers of the link and of the token it becomes."""

    def __init__(self, services: Services, grants: Grants) -> None:
        self._services = services
        self._grants = grants

    def operations(self) -> list[Operation]:
        """Every route of this file."""
        form = ("application/x-www-form-urlencoded",)
        return [
            Operation("/login.html", "GET", self.link, TAG, answers=PAGE, query=QUERY),
            Operation("/login.html", "POST", self.form, TAG, body=form, answers=PAGE),
            Operation("/view", "GET", self.view, TAG, answers=PAGE, query={"q": "The token."}),
        ]

    async def link(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Sign in and show a study; without credentials a form asks for them."""
        call = call_of(scope)
        asked = Asked.of({name: call.query(name) for name in QUERY})
        if not asked.login and not asked.password:
            await self._ask(send, 200, asked, "")
        else:
            await self._enter(send, asked)

    async def form(self, scope: Scope, receive: Receive, send: Send) -> None:
        """The same from the form, with nothing in the address."""
        raw = await read_document(call_of(scope), receive, limits=self._services.limits)
        try:
            fields = dict(parse_qsl(raw.decode("utf-8"), keep_blank_values=True, max_num_fields=20))
        except ValueError as error:
            raise Refused(BAD_REQUEST, "The body is no form.") from error
        await self._enter(send, Asked.of(fields))

    async def view(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Exchange a token, once, for a view of its study."""
        call = call_of(scope)
        token = call.query("q")
        if call.head:  # looking is not using
            await answer(send, 200 if self._grants.holds(token) else UNAUTHORIZED.status)
            return
        opened = self._grants.exchange(token)
        if opened is None:
            await send_page(send, UNAUTHORIZED.status, "message.html", {"message": USED_UP})
            return
        await _go(send, f"/view/{opened.id}", [self._cookie(opened)])

    async def _enter(self, send: Send, asked: Asked) -> None:
        try:
            grant = await self._grant(asked)
        except LockedOut as error:
            await self._ask(send, UNAUTHORIZED.status, asked, f"{error.message} {error.remedy}")
        except Unauthenticated:
            await self._ask(send, UNAUTHORIZED.status, asked, WRONG)
        except KnownError as error:
            status = kind_of(error).status
            message = NOT_FOR_YOU if status == 403 else error.message
            if isinstance(error, NotFound) and error.kind == "study":
                message = NO_STUDY
            await self._ask(send, status, asked, message)
        else:
            await _go(send, f"/view?q={self._grants.token(grant)}")

    async def _grant(self, asked: Asked) -> Grant:
        """What *asked* may see. Raises Unauthenticated first, so that nobody else learns more."""
        caller: Caller = await self._services.authenticator.prove(asked.login, asked.password, anew=True)
        namespace, _, study_uid = asked.study.strip().partition("/")
        if not namespace or not study_uid:
            raise Refused(BAD_REQUEST, NAME_THE_STUDY)
        caller.require(Right.VIEW, namespace)
        if asked.phi_namespace:
            caller.require(Right.VIEW, asked.phi_namespace)
        archive, phi_namespace = self._services.archive, asked.phi_namespace or None
        await self._services.run(lambda: archive.study_phi(namespace, study_uid, phi_namespace))
        return Grant(namespace, study_uid, caller.login, asked.phi_namespace)

    async def _ask(self, send: Send, status: int, asked: Asked, message: str) -> None:
        """The form, with what was said before except the password."""
        values = {
            "message": message,
            "login": asked.login,
            "study": asked.study,
            "phinamespace": asked.phi_namespace,
        }
        await send_page(send, status, "login.html", values)

    def _cookie(self, opened: Opened) -> tuple[bytes, bytes]:
        parts = [f"view={opened.secret}", f"Path=/view/{opened.id}", "HttpOnly", "SameSite=Lax"]
        parts += ["Secure"] if self._services.about.secure else []
        return b"set-cookie", "; ".join(parts).encode("latin-1")


async def _go(send: Send, where: str, headers: Headers | None = None) -> None:
    """See there instead: the address asked for does not stay in the browser's history."""
    await answer(send, 303, b"", [(b"location", where.encode("latin-1")), *(headers or ())])
