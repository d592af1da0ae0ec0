"""The gate every request passes: where it came from, who calls, how it is logged, how it fails.

Access lines name the route's template, never the path, the query, a name or an identifier.
"""

from __future__ import annotations

import logging
import re
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

from starlette.exceptions import HTTPException

from server.web.auth import SAID_INSIDE
from server.web.body import ClientGone
from server.web.call import JSON, App, Call, Headers, Message, Receive, Scope, Send, answer
from server.web.cors import Cors
from server.web.errors import (
    BAD_REQUEST,
    FORBIDDEN,
    METHOD_NOT_ALLOWED,
    OF_STATUS,
    UNAUTHORIZED,
    UNKNOWN,
    Kind,
    Refused,
    document,
    encode,
    kind_of,
)
from server.web.guard import Guard
from server.web.jobs import Jobs
from server.web.metrics import Metrics

access_log = logging.getLogger("filmjacket.access")
logger = logging.getLogger("filmjacket.web")

IDENTIFIERS = ("namespace", "study_uid", "series_uid", "image_uid", "attachment_id", "version")
VERBOSE = b"x-ambrahealth-verbose-errors"
ALWAYS: Headers = [(b"x-content-type-options", b"nosniff"), (b"referrer-policy", b"no-referrer")]
NO_STORE = (b"cache-control", b"no-store")
CHALLENGE = (b"www-authenticate", b'Basic realm="Filmjacket", charset="UTF-8"')
SENTENCES = {404: "There is nothing at this address.", 405: "This address does not take that method."}
JOB = b"x-ambrahealth-job-id"
CLIENT_GONE = 499  # never sent: what the log says of a request whose client vanished


class Authenticates(Protocol):
    """What tells who calls."""

    async def identify(self, call: Call, path: str) -> None:
        """Set `call.caller` if *path* needs one. Raises Unauthenticated, Denied."""


@dataclass(frozen=True, slots=True)
class Gate:
    """ASGI middleware around everything a listener serves."""

    app: App
    guard: Guard
    authenticator: Authenticates
    metrics: Metrics
    jobs: Jobs = field(default_factory=Jobs)
    sockets: Mapping[str, App] = field(default_factory=dict)
    """What serves a WebSocket, by its path as a regular expression."""
    cors: Cors = field(default_factory=Cors)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request; every error becomes an answer here."""
        if scope["type"] != "http":
            if scope["type"] == "websocket":
                await self._socket(scope, receive, send)
            return
        call, scope = _open(scope, direct=not self.guard.behind_proxy)
        reply = _Reply(send, call)
        started = time.perf_counter()
        try:
            if await self._checked(call, scope["path"], reply):
                return
            await self.authenticator.identify(call, scope["path"])
            if call.caller is not None and (job := call.header(JOB).strip()):
                with self.jobs.running(call.caller.login, job):
                    await self.app(scope, receive, reply.send)
            else:
                await self.app(scope, receive, reply.send)
        except ClientGone:
            reply.status = CLIENT_GONE
        except (
            Exception
        ) as error:  # a known one is the caller's to hear; any other is our bug, told without details
            await _fail(error, scope, reply)
        finally:
            seconds = time.perf_counter() - started
            template = getattr(scope.get("route"), "path", "-")
            self.metrics.count(call.method, template, reply.status, seconds, reply.bytes)
            access_log.info(
                "%s %s %d %.1f ms %d B", call.method, template, reply.status, seconds * 1000, reply.bytes
            )

    async def _socket(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve a WebSocket, if one is served there to whoever asks; else it is not opened."""
        path: str = scope["path"].rstrip("/")
        template = next((each for each in self.sockets if re.fullmatch(each, path)), "")
        serve = self.sockets.get(template)
        started = time.perf_counter()
        try:
            if serve is None or self.guard.refusal("POST", dict(scope["headers"])):
                await send({"type": "websocket.close", "code": 1000})
            else:
                await serve(scope, receive, send)
        finally:
            access_log.info("WEBSOCKET %s %.1f s", template or "-", time.perf_counter() - started)

    async def _checked(self, call: Call, path: str, reply: _Reply) -> bool:
        """Whether the request is answered already. Raises Refused if it may not come from where it does."""
        origin = self.cors.allowed(call, path)
        if reason := self.guard.refusal(call.method, call.headers, invited=bool(origin)):
            raise Refused(FORBIDDEN, reason, "Use the address the archive was given.")
        if not origin:
            return False
        reply.more = self.cors.headers(origin)
        asked = self.cors.preflight(call)
        if asked is not None:  # browsers ask without credentials
            await answer(reply.send, 204, b"", asked)
        return asked is not None


def _open(scope: Scope, *, direct: bool) -> tuple[Call, Scope]:
    """The call, and a scope of our own: HEAD runs as GET, a trailing slash is dropped.

    *direct* means that nothing stands between us and the caller.
    """
    method: str = scope["method"]
    call = Call(method, method == "HEAD", dict(scope["headers"]), scope["query_string"])
    path: str = scope["path"]
    if len(path) > 1 and path.endswith("/"):
        path = path.rstrip("/") or "/"
    state: dict[str, Any] = {**scope.get("state", {}), "call": call, "direct": direct}
    return call, {**scope, "path": path, "method": "GET" if call.head else method, "state": state}


class _Reply:
    """The answer on its way out: remembers its status and size, adds what every answer carries."""

    __slots__ = ("_call", "_send", "bytes", "complete", "more", "status")

    def __init__(self, send: Send, call: Call) -> None:
        self._send = send
        self._call = call
        self.status = 0
        self.bytes = 0
        self.complete = False
        self.more: Headers = []

    async def send(self, message: Message) -> None:
        """ASGI send."""
        if message["type"] == "http.response.start":
            self.status = message["status"]
            headers = [*message.get("headers", ()), *ALWAYS, *self.more]
            if not any(name == b"cache-control" for name, _ in headers):
                headers.append(NO_STORE)
            message = {**message, "headers": headers}
        else:
            self.complete = not message.get("more_body", False)
            if self._call.head:
                message = {**message, "body": b""}
            self.bytes += len(message.get("body", b""))
        await self._send(message)


async def _fail(error: Exception, scope: Scope, reply: _Reply) -> None:
    refusal = refuse(error, scope)
    if refusal.status == UNKNOWN.status:
        logger.error("unforeseen error in %s", getattr(scope.get("route"), "path", "-"), exc_info=error)
    if reply.complete:
        return  # the framework has answered already
    if reply.status:
        raise error  # the answer has begun: the server cuts the connection, so nobody takes it for complete
    await answer(reply.send, refusal.status, refusal.body, refusal.headers)


@dataclass(frozen=True, slots=True)
class Refusal:
    """An error as an answer."""

    status: int
    headers: Headers
    body: bytes


def refuse(error: Exception, scope: Scope) -> Refusal:
    """The answer to *error*, with the identifiers of the request's path."""
    if isinstance(error, HTTPException):
        error = _from_http(error, scope)
    kind = kind_of(error)
    headers = [JSON, *(error.headers if isinstance(error, Refused) else ())]
    if kind.status == UNAUTHORIZED.status:
        headers.append(CHALLENGE)
    return Refusal(kind.status, headers, encode(error_document(error, scope, kind)))


def error_document(error: Exception, scope: Scope, kind: Kind) -> dict[str, Any]:
    """The error's JSON."""
    params = scope.get("path_params") or {}
    data = {name: params[name] for name in IDENTIFIERS if name in params}
    call: Call = scope["state"]["call"]
    value = document(error, kind, data=data, verbose=call.header(VERBOSE) == "1")
    if scope["path"].startswith(SAID_INSIDE):  # this corner of the API has a form of its own as well
        value = {"status": "ERROR", "error_type": value["kind"]["readable_status"], **value}
        for name in ("subtype", "data"):
            if (more := getattr(error, name, None)) is not None:
                value[f"error_{name}"] = more
    return value


def _from_http(error: HTTPException, scope: Scope) -> Refused:
    """A framework's own refusal (no such route, method not allowed) as ours."""
    kind = OF_STATUS.get(error.status_code) or Kind(
        error.status_code, BAD_REQUEST.code, BAD_REQUEST.readable_status
    )
    headers = [(k.lower().encode(), v.encode()) for k, v in (error.headers or {}).items()]
    if kind is METHOD_NOT_ALLOWED and (allowed := scope["state"].get("allowed")):
        headers = [(b"allow", allowed().encode())]  # a route knows its own methods only
    return Refused(kind, SENTENCES.get(error.status_code, str(error.detail)), headers=headers)
