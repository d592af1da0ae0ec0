"""A stored object on its way out with an overlay's values: its length known, whole or a range."""

from __future__ import annotations

import asyncio
import hashlib
import json
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from typing import BinaryIO, NamedTuple

from core.archive.nouns import StoredImage
from core.dicom.editable import tag_of
from core.dicom.overlaying import CHUNK, Overlaid, overlaid
from core.errors import StorageFault
from server.web.body import ClientGone
from server.web.call import Call, Headers, Receive, Send, answer
from server.web.files import ASK_AGAIN, content_disposition, parse_range


class Exchange(NamedTuple):
    """One request with the way its answer goes, and the threads that read for it."""

    call: Call
    receive: Receive
    send: Send
    workers: ThreadPoolExecutor


async def send_overlaid(exchange: Exchange, image: StoredImage, values: Mapping[str, str]) -> None:
    """Answer with *image* as *values* would have it. Raises Unsupported, StorageFault, ClientGone."""
    call, send = exchange.call, exchange.send
    tag = _tag(image.version, values)
    headers: Headers = [(b"etag", tag), (b"cache-control", ASK_AGAIN)]
    if tag.decode() in {one.strip().removeprefix("W/") for one in call.header(b"if-none-match").split(",")}:
        await answer(send, 304, b"", headers)
        return
    loop = asyncio.get_running_loop()
    file, changed = await loop.run_in_executor(exchange.workers, _open, image, values)
    try:
        condition = call.header(b"if-range")
        span = parse_range(call.header(b"range"), changed.size) if condition in ("", tag.decode()) else None
        first, last = span or (0, changed.size - 1)
        headers += [
            (b"content-type", image.content_type.encode("latin-1")),
            (b"accept-ranges", b"bytes"),
            (b"content-length", b"%d" % (last + 1 - first)),
            (b"content-disposition", content_disposition("attachment", f"{image.sop_instance_uid}.dcm")),
        ]
        if span is not None:
            headers.append((b"content-range", b"bytes %d-%d/%d" % (first, last, changed.size)))
        await send({"type": "http.response.start", "status": 206 if span else 200, "headers": headers})
        if call.head:
            await send({"type": "http.response.body", "body": b""})
        else:
            await _send_all(exchange, changed, first, last + 1)
    finally:
        await loop.run_in_executor(exchange.workers, _close, file, changed)


async def _send_all(exchange: Exchange, changed: Overlaid, position: int, end: int) -> None:
    loop = asyncio.get_running_loop()
    gone = asyncio.ensure_future(_gone(exchange.receive))
    try:
        while position < end:
            if gone.done():
                raise ClientGone
            count = min(CHUNK, end - position)
            chunk = await loop.run_in_executor(exchange.workers, changed.read, position, count)
            position += len(chunk)
            message = {"type": "http.response.body", "body": chunk, "more_body": position < end}
            await exchange.send(message)
    finally:
        gone.cancel()
        with suppress(asyncio.CancelledError):
            await gone


async def _gone(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass


def _open(image: StoredImage, values: Mapping[str, str]) -> tuple[BinaryIO, Overlaid]:
    try:
        file = image.path.open("rb")
    except OSError as error:
        raise StorageFault(
            "A stored object cannot be read from the disk.", "Run filmjacket check."
        ) from error
    try:
        return file, overlaid(file, image.bytes, {tag_of(tag): value for tag, value in values.items()})
    except BaseException:
        file.close()
        raise


def _close(file: BinaryIO, changed: Overlaid) -> None:
    changed.close()
    file.close()


def _tag(version: str, values: Mapping[str, str]) -> bytes:
    digest = hashlib.sha256(json.dumps(dict(values), sort_keys=True).encode()).hexdigest()[:16]
    return f'"{version}-{digest}"'.encode()
