"""One HTTP call as the handlers see it: headers, caller, and how to answer without a framework."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Mapping, MutableMapping
from dataclasses import dataclass, field
from functools import lru_cache
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs

from server.web.errors import BAD_REQUEST, Refused, encode

if TYPE_CHECKING:
    from server.web.auth import Caller

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]
Headers = list[tuple[bytes, bytes]]

JSON = (b"content-type", b"application/json")
NO_BODY = frozenset({204, 304})
SHORT_QUERY = 512
"""Longer ones are not kept."""
SILENT = b"x-dicomgrid-no-notification"
FLAGS = {"1": True, "true": True, "yes": True, "": False, "0": False, "false": False, "no": False}


@dataclass(slots=True)
class Call:
    """What the gate found out about a request; *head* means the body of the answer is not wanted."""

    method: str
    head: bool
    headers: Mapping[bytes, bytes]
    query_string: bytes
    caller: Caller | None = None
    body_read: bool = False
    _query: Mapping[str, list[str]] | None = field(default=None)

    def header(self, name: bytes) -> str:
        """A request header's value, "" if it is not there."""
        return self.headers.get(name, b"").decode("latin-1")

    def query(self, name: str, default: str = "") -> str:
        """The last value of a query parameter."""
        if self._query is None:
            self._query = parsed(self.query_string)
        values = self._query.get(name)
        return values[-1] if values else default

    @property
    def silent(self) -> bool:
        """Whether the caller wants nobody notified of what this request does."""
        return self.header(SILENT).strip().lower() not in ("", "0", "false", "no")

    def queries(self, name: str) -> list[str]:
        """Every value of a query parameter."""
        self.query(name)
        return list((self._query or {}).get(name, ()))

    def query_names(self) -> list[str]:
        """The names of the query's parameters, in order."""
        self.query("")
        return list(self._query or {})

    def flag(self, name: str) -> bool:
        """A query parameter that is 1/true or 0/false. Raises Refused (400)."""
        value = self.query(name).lower()
        if value not in FLAGS:
            raise Refused(BAD_REQUEST, f"The parameter {name} must be 0 or 1.")
        return FLAGS[value]

    def number(self, name: str, default: int, *, lowest: int = 0, highest: int = 1_000_000_000) -> int:
        """A query parameter that is a whole number. Raises Refused (400)."""
        value = self.query(name)
        if not value:
            return default
        if not value.isascii() or not value.isdigit():
            raise Refused(BAD_REQUEST, f"The parameter {name} must be a whole number.")
        number = int(value) if len(value) <= 12 else highest + 1
        if not lowest <= number <= highest:
            raise Refused(BAD_REQUEST, f"The parameter {name} must be {lowest} to {highest}.")
        return number


def parsed(query_string: bytes) -> Mapping[str, list[str]]:
    """The values of each parameter, for reading only. Raises Refused (400)."""
    try:
        if len(query_string) > SHORT_QUERY:
            return _parsed.__wrapped__(query_string)
        return _parsed(query_string)
    except ValueError as error:
        raise Refused(BAD_REQUEST, "The query has too many parameters.") from error


@lru_cache(maxsize=512)
def _parsed(query_string: bytes) -> Mapping[str, list[str]]:
    """Who goes through a series asks the same of each image."""
    text = query_string.decode("latin-1")
    return parse_qs(text, keep_blank_values=True, max_num_fields=200, errors="replace")


def call_of(scope: Scope) -> Call:
    """The call that the gate put into *scope*."""
    call: Call = scope["state"]["call"]
    return call


def caller_of(scope: Scope) -> Caller:
    """Who calls; the gate let nobody else through."""
    caller = call_of(scope).caller
    if caller is None:  # a route under a protected prefix always has one
        raise RuntimeError("a protected route was reached without a caller")
    return caller


async def answer(
    send: Send, status: int, body: bytes | bytearray = b"", headers: Iterable[tuple[bytes, bytes]] = ()
) -> None:
    """A complete answer in one piece; its length is told where it is that of a body (RFC 9110 8.6)."""
    start = [*headers]
    if status not in NO_BODY and not any(name == b"content-length" for name, _ in start):
        start.append((b"content-length", b"%d" % len(body)))
    await send({"type": "http.response.start", "status": status, "headers": start})
    await send({"type": "http.response.body", "body": body})


async def answer_head(send: Send, status: int, headers: Iterable[tuple[bytes, bytes]]) -> None:
    """The answer to HEAD where nobody knows how long the body of GET would be."""
    await send({"type": "http.response.start", "status": status, "headers": [*headers]})
    await send({"type": "http.response.body", "body": b""})


async def answer_json(
    send: Send, status: int, value: object, headers: Iterable[tuple[bytes, bytes]] = ()
) -> None:
    """A JSON answer."""
    await answer(send, status, encode(value), [JSON, *headers])
