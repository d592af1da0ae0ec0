"""Bodies of several parts on their way out (multipart/related, PS3.18 8.6.1.2), made while they are sent."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import AsyncGenerator
from contextlib import aclosing

from server.web.body import ClientGone
from server.web.call import Call, Headers, Receive, Send, answer_head
from server.web.dicomweb.media import RELATED
from server.web.files import gone


class Parts:
    """One body whose parts are of the media type *inner*."""

    def __init__(self, inner: str, status: int = 200) -> None:
        self._boundary = uuid.uuid4().hex
        self._inner = inner
        self._status = status
        self._begun = False

    @property
    def content_type(self) -> str:
        """Of the whole body."""
        return f'{RELATED}; type="{self._inner}"; boundary={self._boundary}'

    @property
    def end(self) -> bytes:
        """What comes after the last part."""
        return f"\r\n--{self._boundary}--\r\n".encode("latin-1")

    def head(self, content_type: str, length: int, location: str = "", content_range: str = "") -> bytes:
        """What comes before a part's content; nothing comes before the first: not every client bears it."""
        lines = [
            *([""] if self._begun else []),
            f"--{self._boundary}",
            f"Content-Type: {content_type}",
            f"Content-Length: {length}",
        ]
        self._begun = True
        lines += [f"Content-Location: {location}"] if location else []
        lines += [f"Content-Range: {content_range}"] if content_range else []
        return "\r\n".join([*lines, "", ""]).encode("latin-1")

    async def send(
        self,
        call: Call,
        receive: Receive,
        send: Send,
        pieces: AsyncGenerator[bytes, None],
        headers: Headers | None = None,
    ) -> None:
        """Send *pieces*: heads and contents. What the first of them raises is told as an error.

        Raises ClientGone when nobody takes them any more; then, and when one cannot be made, the body is cut.
        """
        async with aclosing(pieces):  # what is under way for them ends with the answer
            await self._send(call, receive, send, pieces, headers or [])

    async def _send(
        self,
        call: Call,
        receive: Receive,
        send: Send,
        pieces: AsyncGenerator[bytes, None],
        headers: Headers,
    ) -> None:
        start = [(b"content-type", self.content_type.encode("latin-1")), *headers]
        first = await anext(pieces)
        if call.head:
            await answer_head(send, self._status, start)
            return
        leaving = asyncio.ensure_future(gone(receive))
        try:
            await send({"type": "http.response.start", "status": self._status, "headers": start})
            await send({"type": "http.response.body", "body": first, "more_body": True})
            async for piece in pieces:
                if leaving.done():
                    raise ClientGone
                await send({"type": "http.response.body", "body": piece, "more_body": True})
            await send({"type": "http.response.body", "body": self.end})
        finally:
            leaving.cancel()
