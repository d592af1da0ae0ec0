"""Stored bytes on their way out: in one piece or in chunks, whole or a range, cached by their digest."""

from __future__ import annotations

import asyncio
import os
import re
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from email.utils import formatdate
from pathlib import Path
from typing import BinaryIO, cast
from urllib.parse import quote

from core.dicom.inside import Pieces
from core.errors import StorageFault
from server.web.body import ClientGone
from server.web.call import Call, Headers, Receive, Send, answer
from server.web.errors import BAD_RANGE, CHANGED, Refused

WHOLE_BYTES = 2 << 20
"""Up to this size one read and one send are fastest (four times over a framework's file answer)."""
CHUNK_BYTES = 1 << 20
FOREVER = b"private, max-age=31536000, immutable"
ASK_AGAIN = b"private, no-cache"
MEDIA_TYPE = re.compile(r"[A-Za-z0-9!#$&^_.+-]+/[A-Za-z0-9!#$&^_.+-]+(?:\s*;[\x20-\x7e]*)?")
INLINE_TYPES = re.compile(
    r"(application/(pdf|dicom)|image/(png|jpeg|gif|webp|tiff|bmp)|text/plain|(audio|video)/.+)", re.IGNORECASE
)


@dataclass(frozen=True, slots=True)
class Stored:
    """Stored bytes with their digest; *pinned* means the address names the version, so they never change."""

    path: Path
    bytes: int
    version: str
    content_type: str
    pinned: bool
    file_name: str = ""
    disposition: str = "inline"
    spans: tuple[tuple[int, int], ...] = ()
    """Offsets and lengths, if only some pieces of the file are meant."""

    def open(self) -> BinaryIO:
        """The bytes for reading; the caller closes it. Raises OSError."""
        file = self.path.open("rb", buffering=0)
        return (
            cast(BinaryIO, Pieces(cast(BinaryIO, file), self.spans)) if self.spans else cast(BinaryIO, file)
        )


async def send_stored(
    call: Call, receive: Receive, send: Send, workers: ThreadPoolExecutor, find: Callable[[], Stored]
) -> None:
    """Answer with what *find* finds; it runs, as all reading does, on a worker thread.

    Raises what *find* raises, StorageFault, and ClientGone when nobody takes the bytes any more.
    """
    loop = asyncio.get_running_loop()
    opened = await loop.run_in_executor(workers, _open, call, find)
    stored, file, span, whole = opened.stored, opened.file, opened.span, opened.whole
    status = 304 if opened.unchanged else 200 if span is None else 206
    headers = _headers(stored, opened)
    if file is None:
        headers += [] if opened.unchanged else [(b"content-length", b"%d" % opened.length)]
        await answer(send, status, whole, headers)
        return
    leaving = asyncio.ensure_future(gone(receive))
    try:
        headers.append((b"content-length", b"%d" % opened.length))
        await send({"type": "http.response.start", "status": status, "headers": headers})
        left = opened.length
        while left:
            if leaving.done():
                raise ClientGone
            chunk = await loop.run_in_executor(workers, file.read, min(CHUNK_BYTES, left))
            if not chunk:  # shorter than the catalog says: cut the answer, so that nobody takes it for whole
                raise StorageFault("A stored object is shorter than it should be.", "Run filmjacket check.")
            left -= len(chunk)
            await send({"type": "http.response.body", "body": chunk, "more_body": left > 0})
    finally:
        leaving.cancel()
        await loop.run_in_executor(workers, file.close)


async def gone(receive: Receive) -> None:
    """Returns when the client has gone."""
    while (await receive())["type"] != "http.disconnect":
        pass


@dataclass(slots=True)
class _Opened:
    stored: Stored
    modified: float
    unchanged: bool = False
    span: tuple[int, int] | None = None
    length: int = 0
    whole: bytes = b""
    file: BinaryIO | None = None


def _open(call: Call, find: Callable[[], Stored]) -> _Opened:
    stored = find()
    try:
        file = stored.open()
    except OSError as error:
        raise StorageFault(
            "A stored object cannot be read from the disk.", "Run filmjacket check."
        ) from error
    keep = False
    try:
        opened = _Opened(stored, os.fstat(file.fileno()).st_mtime)
        check_match(call, stored.version)
        if _unchanged(call, stored, opened.modified):
            opened.unchanged = True
            return opened
        opened.span = parse_range(call.header(b"range"), stored.bytes) if _range_holds(call, stored) else None
        first, last = opened.span or (0, stored.bytes - 1)
        opened.length = last - first + 1
        if call.head:
            return opened
        if first:
            file.seek(first)
        if opened.length <= WHOLE_BYTES:
            opened.whole = _read_whole(file, opened.length)
            return opened
        opened.file, keep = file, True
        return opened
    finally:
        if not keep:
            file.close()


def _read_whole(file: BinaryIO, length: int) -> bytes:
    data = file.read(length)
    while len(data) < length:
        more = file.read(length - len(data))
        if not more:
            raise StorageFault("A stored object is shorter than it should be.", "Run filmjacket check.")
        data += more
    return data


def _headers(stored: Stored, opened: _Opened) -> Headers:
    headers: Headers = [
        (b"etag", b'"' + stored.version.encode() + b'"'),
        (b"last-modified", formatdate(opened.modified, usegmt=True).encode()),
        (b"cache-control", FOREVER if stored.pinned else ASK_AGAIN),
    ]
    if opened.unchanged:
        return headers
    headers += [(b"content-type", media_type(stored.content_type)), (b"accept-ranges", b"bytes")]
    if stored.file_name:
        headers.append((b"content-disposition", content_disposition(stored.disposition, stored.file_name)))
    if opened.span is not None:
        headers.append((b"content-range", b"bytes %d-%d/%d" % (*opened.span, stored.bytes)))
    return headers


def _unchanged(call: Call, stored: Stored, modified: float) -> bool:
    wanted = call.header(b"if-none-match")
    if wanted:
        tags = {tag.strip().removeprefix("W/") for tag in wanted.split(",")}
        return "*" in tags or f'"{stored.version}"' in tags
    since = call.header(b"if-modified-since")
    return bool(since) and since == formatdate(modified, usegmt=True)


def check_match(call: Call, tag: str) -> None:
    """Raises Refused (412) where If-Match names other entity tags than *tag* (RFC 9110 13.1.1)."""
    wanted = call.header(b"if-match").strip()
    if wanted and wanted != "*" and f'"{tag}"' not in wanted:
        raise Refused(CHANGED, "What is there is not what If-Match names any more.")


def _range_holds(call: Call, stored: Stored) -> bool:
    condition = call.header(b"if-range")
    return not condition or condition == f'"{stored.version}"'


def parse_range(value: str, size: int) -> tuple[int, int] | None:
    """First and last byte of a single `bytes=` range (RFC 9110 14.2), None to send everything.

    Raises Refused (416) when it lies outside. Several ranges, or another unit, are answered with everything.
    """
    match = re.fullmatch(r"bytes\s*=\s*(\d{0,18})\s*-\s*(\d{0,18})", value.strip(), re.IGNORECASE)
    if not match or not (match[1] or match[2]):
        return None
    if match[1]:
        first, last = int(match[1]), min(int(match[2] or size - 1), size - 1)
        if match[2] and int(match[2]) < first:
            return None
    else:
        first, last = max(0, size - int(match[2])), size - 1
    if first >= size or first > last:
        raise Refused(
            BAD_RANGE,
            f"The range lies outside of the {size} bytes there are.",
            headers=[(b"content-range", b"bytes */%d" % size)],
        )
    return first, last


def media_type(value: str) -> bytes:
    """*value* as a header, if it is a media type at all."""
    return value.encode("latin-1") if MEDIA_TYPE.fullmatch(value) else b"application/octet-stream"


def disposition_for(content_type: str) -> str:
    """How a browser should take it: what it might run as a page is for saving only."""
    return "inline" if INLINE_TYPES.fullmatch(content_type.split(";", 1)[0].strip()) else "attachment"


def content_disposition(kind: str, name: str) -> bytes:
    """RFC 6266: the name in ASCII as far as it goes, and in full."""
    plain = re.sub(r'[^\x20-\x7e]|["\\%]', "_", name)
    extended = f"; filename*=UTF-8''{quote(name, safe='')}" if plain != name else ""
    return f'{kind}; filename="{plain}"{extended}'.encode("latin-1")
