"""Request bodies as they arrive: in chunks, with a size limit, and never waiting for ever."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any

from core.errors import FilmjacketError
from server.web.call import Call, Receive
from server.web.errors import BAD_JSON, BAD_REQUEST, TIMEOUT, TOO_LARGE, UNSUPPORTED, Refused

MAX_DOCUMENT = 1 << 20


class ClientGone(FilmjacketError):
    """The client vanished before its request was complete; there is nobody to answer."""


@dataclass(frozen=True, slots=True)
class Limits:
    """What a body may be: bytes at most, seconds without a byte, average bytes a second after a minute."""

    image_bytes: int = 8 << 30
    attachment_bytes: int = 4 << 30
    idle_s: float = 30.0
    slowest_bytes_per_s: int = 1000


async def chunks(call: Call, receive: Receive, *, limit: int, limits: Limits) -> AsyncIterator[bytes]:
    """The body's bytes as they arrive. Raises Refused (400, 408, 413, 415), ClientGone."""
    _refuse_early(call, limit)
    call.body_read = True
    started = time.monotonic()
    total = 0
    more = True
    while more:
        try:
            async with asyncio.timeout(limits.idle_s):
                message = await receive()
        except TimeoutError as error:
            raise Refused(
                TIMEOUT,
                f"No byte of the request's body came for {limits.idle_s:.0f} seconds.",
                headers=_close(),
            ) from error
        if message["type"] != "http.request":
            raise ClientGone
        chunk: bytes = message.get("body", b"")
        more = message.get("more_body", False)
        total += len(chunk)
        if total > limit:
            raise _too_large(limit)
        if chunk:
            yield chunk
        elapsed = time.monotonic() - started
        if more and elapsed > 60 and total < (elapsed - 60) * limits.slowest_bytes_per_s:
            raise Refused(TIMEOUT, "The request's body came too slowly.", headers=_close())


async def read_document(call: Call, receive: Receive, *, limits: Limits, limit: int = MAX_DOCUMENT) -> bytes:
    """A small body as a whole. Raises as `chunks`."""
    parts = [chunk async for chunk in chunks(call, receive, limit=limit, limits=limits)]
    return b"".join(parts)


def parse_json(body: bytes) -> Any:
    """*body* as JSON, whatever its Content-Type said. Raises Refused naming the place."""
    try:
        return json.loads(body)
    except json.JSONDecodeError as error:
        raise Refused(
            BAD_JSON, f"The body is no valid JSON: {error.msg} at line {error.lineno}, column {error.colno}."
        ) from error
    except UnicodeDecodeError as error:
        raise Refused(BAD_JSON, f"The body is no valid UTF-8 at byte {error.start}.") from error
    except (RecursionError, ValueError) as error:
        raise Refused(BAD_JSON, "The body's JSON is nested too deeply or holds a number too long.") from error


def _refuse_early(call: Call, limit: int) -> None:
    encoding = call.header(b"content-encoding").strip().lower()
    if encoding not in ("", "identity"):
        raise Refused(UNSUPPORTED, "Compressed request bodies (Content-Encoding) are not accepted.")
    length = call.header(b"content-length")
    if length and not length.isdigit():
        raise Refused(BAD_REQUEST, "The Content-Length is no number.", headers=_close())
    if length and int(length) > limit:
        raise _too_large(limit)


def _too_large(limit: int) -> Refused:
    return Refused(TOO_LARGE, f"The body is larger than the {limit} bytes accepted here.", headers=_close())


def _close() -> list[tuple[bytes, bytes]]:
    return [(b"connection", b"close")]
