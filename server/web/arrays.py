"""JSON arrays that are sent while they are made: never all of their objects in memory."""

from __future__ import annotations

import zlib
from collections.abc import Callable, Sequence
from typing import TypeVar

from server.web.call import Call, Headers, Send
from server.web.services import Services

T = TypeVar("T")
TOGETHER = 16
"""So many are made in one go and sent in one piece."""
FAST = 1
"""Of zlib's levels: text that repeats itself so is hardly smaller by the others, at many times the cost."""


async def send_array(
    services: Services,
    call: Call,
    send: Send,
    names: Sequence[T],
    some: Callable[[Sequence[T]], bytes],
    *,
    media_type: bytes = b"application/json",
    headers: Headers | None = None,
    packed: bool = False,
    together: int = TOGETHER,
) -> None:
    """Answer with what *some* makes of *names*: JSON with commas between, without brackets.

    What the first one raises is told as an error; after that an answer that breaks off is no valid JSON.
    *packed* compresses it with gzip on the way.
    """
    first = b"" if call.head or not names else await services.run(lambda: some(names[:1]))
    head = [(b"content-type", media_type), *(headers or [])]
    packer = zlib.compressobj(FAST, zlib.DEFLATED, 16 + zlib.MAX_WBITS) if packed else None
    if packer is not None:
        head.append((b"content-encoding", b"gzip"))

    def on_its_way(data: bytes, *, last: bool = False) -> bytes:
        if packer is None:
            return data
        return packer.compress(data) + packer.flush(zlib.Z_FINISH if last else zlib.Z_SYNC_FLUSH)

    await send({"type": "http.response.start", "status": 200, "headers": head})
    if call.head:
        await send({"type": "http.response.body", "body": b""})
        return
    await send({"type": "http.response.body", "body": on_its_way(b"[" + first), "more_body": True})
    for at in range(1, len(names), together):
        chosen = names[at : at + together]
        body = await services.run(
            lambda chosen=chosen: on_its_way(b"," + some(chosen))  # type: ignore[misc] # bound now
        )
        await send({"type": "http.response.body", "body": body, "more_body": True})
    await send({"type": "http.response.body", "body": on_its_way(b"]", last=True)})
