"""WADO-RS bulk data (PS3.18 10.4.1.1.5): what metadata names by address, whole or a range of it."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Sequence
from contextlib import suppress
from dataclasses import replace

from core.archive.nouns import StoredImage
from core.dicom.bulk import bulk_in, way_of
from core.dicom.inside import DOCUMENT, NotPdf, pdf_in, video_in
from core.dicom.syntaxes import EXPLICIT_LITTLE_UID, transfer_syntax
from core.errors import NotAcceptable, NotRenderable, StorageFault
from server.web.call import Call, Receive, Scope, Send, answer, call_of
from server.web.dicomweb.coded import OCTETS, codings
from server.web.dicomweb.frames import FrameSender
from server.web.dicomweb.media import ANY_SYNTAX, EVERYTHING, RELATED, MediaRange, accepted
from server.web.dicomweb.objects import check_stored
from server.web.dicomweb.parts import Parts
from server.web.dicomweb.places import INSTANCE, at_each, here, images_at
from server.web.files import ASK_AGAIN, Stored, check_match, parse_range, send_stored
from server.web.services import Services
from server.web.streaming import Operation

TAG = "DICOMweb"
CHUNK_BYTES = 1 << 20
PIXEL_DATA = 0x7FE00010
UNCOMPRESSED = ("", ANY_SYNTAX, EXPLICIT_LITTLE_UID)
WOULD_DO = 'Ask for application/octet-stream, alone or as multipart/related; type="application/octet-stream".'


class BulkRoutes:
    """The handler of bulk data, over one archive."""

    def __init__(self, services: Services) -> None:
        self._services = services
        self._frames = FrameSender(services)

    def operations(self) -> list[Operation]:
        """Every route of this file."""
        answers: dict[int, tuple[str, ...]] = {status: (OCTETS, RELATED) for status in (200, 206)}
        answers |= {status: ("application/json",) for status in (404, 406, 416)}
        query = {"accept": "As the header Accept, for callers that cannot set it."}
        return [
            Operation(path, "GET", self.retrieve, TAG, answers=answers, query=query, documented=documented)
            for path, documented in at_each(INSTANCE + "/bulkdata/{way:path}")
        ]

    async def retrieve(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One binary value of an instance, by the address metadata gives it; `Range` takes a piece.

        Compressed pixel data come as their frames do, a video and a PDF as what they are.
        """
        call, way = call_of(scope), way_of(scope["path_params"]["way"])

        def find() -> StoredImage:
            (image,) = images_at(self._services, scope)
            check_stored([image])  # of one that is cut off a value would be cut off, too
            return image

        image = await self._services.run(find)
        location = here(scope)
        if way == (PIXEL_DATA,) and not transfer_syntax(image.transfer_syntax_uid).video:
            if not await self._is_one_value(call, image):
                await self._frames.send(call, receive, send, image, (), location=lambda _: location)
                return
            image = await self._frames.in_syntax(image, EXPLICIT_LITTLE_UID)
        found = await self._services.run(lambda: found_at(image, way))
        media_type, multipart = form_of(accepted(call), found.own_type)
        if multipart:
            await self._send_part(call, receive, send, found, media_type=media_type, location=location)
        elif found.stored is not None:
            stored = found.as_type(media_type)
            await send_stored(call, receive, send, self._services.workers, lambda: stored)
        else:
            await _send_value(call, send, found, media_type)

    async def _is_one_value(self, call: Call, image: StoredImage) -> bool:
        """Whether the pixel data are to come uncompressed and as a whole, else they come frame by frame."""
        compressed = transfer_syntax(image.transfer_syntax_uid).encapsulated
        for each in accepted(call):
            alone = each.type not in {RELATED, "multipart/*", EVERYTHING}
            octets = {OCTETS, "application/*"} | (set() if compressed else {"", EVERYTHING})
            if each.inner in octets and each.transfer_syntax in UNCOMPRESSED and (alone or not compressed):
                return not compressed or await self._can_be_decoded(image)
            if any(codings([each], image.transfer_syntax_uid, single=image.frame_count == 1)):
                return False
        return False

    async def _can_be_decoded(self, image: StoredImage) -> bool:
        try:
            await self._frames.in_syntax(image, EXPLICIT_LITTLE_UID)
        except (NotAcceptable, NotRenderable):
            return False
        return True

    async def _send_part(
        self, call: Call, receive: Receive, send: Send, found: Found, *, media_type: str, location: str
    ) -> None:
        """The value, or the range of it that is asked for, as the only part."""
        span = parse_range(call.header(b"range"), found.size)
        first, last = span or (0, found.size - 1)
        parts, length = Parts(media_type, 206 if span else 200), last + 1 - first
        content_range = f"bytes {first}-{last}/{found.size}" if span else ""
        head = parts.head(media_type, length, location, content_range)
        pieces = pieces_of(self._services, found, head, first, last + 1)
        await parts.send(call, receive, send, pieces)


async def pieces_of(
    services: Services, found: Found, head: bytes, start: int, end: int
) -> AsyncGenerator[bytes, None]:
    """The bytes of a value from *start* to *end*, after *head*. Raises StorageFault."""
    if found.stored is None:
        yield head + found.data[start:end]
        return
    try:
        file = await services.run(found.stored.open)
    except OSError as error:
        raise StorageFault("A stored object cannot be read.", "Run filmjacket check.") from error
    try:
        left = end - start
        yield head
        if start:
            await services.run(lambda: file.seek(start))
        while left:
            size = min(left, CHUNK_BYTES)
            data = await services.run(lambda size=size: file.read(size))  # type: ignore[misc] # bound now
            if not data:
                raise StorageFault("A stored object is shorter than it should be.", "Run filmjacket check.")
            left -= len(data)
            yield data
    finally:
        file.close()


class Found:
    """A value: pieces of a stored file, or bytes; *own_type* is the media type it has by itself."""

    def __init__(self, version: str, own_type: str, stored: Stored | None, data: bytes = b"") -> None:
        self.version = version
        self.own_type = own_type
        self.stored = stored
        self.data = data

    @property
    def size(self) -> int:
        """Its length in bytes."""
        return len(self.data) if self.stored is None else self.stored.bytes

    def as_type(self, media_type: str) -> Stored:
        """The pieces of the file under *media_type*."""
        if self.stored is None:
            raise ValueError("the value is in memory")
        version = self.version if media_type == self.own_type else f"{self.version}-octets"
        return replace(self.stored, content_type=media_type, version=version)


def found_at(image: StoredImage, way: Sequence[int]) -> Found:
    """The value at *way*. Raises NotFound, SourceFault, StorageFault."""
    version = f"{image.version}-" + "-".join(f"{part:X}" for part in way)
    try:
        if way == (PIXEL_DATA,) and transfer_syntax(image.transfer_syntax_uid).video:
            video = video_in(image.path)
            return Found(version, video.media_type, _stored(image, version, video.spans))
        if way == (DOCUMENT,):
            with suppress(NotPdf):
                return Found(version, "application/pdf", _stored(image, version, pdf_in(image.path).spans))
        bulk = bulk_in(image.path, way, image.transfer_syntax_uid)
    except OSError as error:
        raise StorageFault("A stored object cannot be read.", "Run filmjacket check.") from error
    return Found(version, OCTETS, _stored(image, version, bulk.spans) if bulk.spans else None, bulk.data)


def _stored(image: StoredImage, version: str, spans: tuple[tuple[int, int], ...]) -> Stored:
    size = sum(length for _, length in spans)
    return Stored(image.path, size, version, OCTETS, pinned=False, spans=spans)


def form_of(accepts: Sequence[MediaRange], own_type: str) -> tuple[str, bool]:
    """Media type, and whether as a part. Raises NotAcceptable."""
    for each in accepts:
        multipart = each.type in {RELATED, "multipart/*"}
        inner = each.inner if each.type == RELATED else "" if multipart else each.type
        if inner in {"", EVERYTHING, own_type, own_type.partition("/")[0] + "/*"}:
            return own_type, multipart
        if inner in {OCTETS, "application/*"}:
            return OCTETS, multipart
    raise NotAcceptable("The bulk data cannot be had in any of the accepted media types.", WOULD_DO)


async def _send_value(call: Call, send: Send, found: Found, media_type: str) -> None:
    """Bytes in memory, or a range of them."""
    check_match(call, found.version)
    span = parse_range(call.header(b"range"), found.size)
    headers = [
        (b"content-type", media_type.encode("latin-1")),
        (b"etag", f'"{found.version}"'.encode()),
        (b"cache-control", ASK_AGAIN),
        (b"accept-ranges", b"bytes"),
    ]
    if span is None:
        await answer(send, 200, found.data, headers)
        return
    headers.append((b"content-range", b"bytes %d-%d/%d" % (*span, found.size)))
    await answer(send, 206, found.data[span[0] : span[1] + 1], headers)
