"""WADO-RS frames (PS3.18 10.4.1.1.6): pixel data frame by frame, compressed as stored or not at all."""

from __future__ import annotations

import re
from collections.abc import AsyncGenerator, Callable, Sequence
from typing import TYPE_CHECKING, NamedTuple

from core.archive.nouns import StoredImage
from core.dicom.syntaxes import EXPLICIT_LITTLE_UID, IMPLICIT_LITTLE_UID, transfer_syntax
from core.errors import NotAcceptable, NotFound, NotRenderable, StorageFault
from server.web.call import Call, Receive, Scope, Send, answer, call_of
from server.web.dicomweb.coded import OCTETS, Coding, codings
from server.web.dicomweb.media import RELATED, MediaRange, accepted
from server.web.dicomweb.objects import check_stored
from server.web.dicomweb.parts import Parts
from server.web.dicomweb.places import INSTANCE, at_each, here, images_at
from server.web.errors import BAD_REQUEST, Refused
from server.web.services import Services
from server.web.streaming import Operation

if TYPE_CHECKING:
    from core.imaging.image import ImageObject

TAG = "DICOMweb"
FRAMES = INSTANCE + "/frames/{frames}"
MOST_FRAMES = 10_000
LIST = re.compile(r"[1-9]\d{0,8}(,[1-9]\d{0,8})*")
WOULD_DO = (
    'Ask for multipart/related; type="application/octet-stream", with transfer-syntax=* for the frames as '
    "they are stored; of one frame also application/octet-stream."
)


Location = Callable[[int], str]
"""The Content-Location of a frame, counted from 1."""


class Whole(NamedTuple):
    """An answer that is complete."""

    content_type: str
    body: bytes


class FrameSender:
    """Sends frames of one object, in whatever coding the caller takes."""

    def __init__(self, services: Services) -> None:
        self._services = services

    async def send(
        self,
        call: Call,
        receive: Receive,
        send: Send,
        image: StoredImage,
        frames: Sequence[int],
        *,
        location: Location,
    ) -> None:
        """Answer with *frames*, counted from 1; none means all of them.

        Raises NotFound, NotRenderable, NotAcceptable.
        """
        numbers = _chosen(image, frames)
        coding, opened = await self.opened(accepted(call), image, single=len(numbers) == 1)
        _check(opened.frame_count, numbers)
        if not coding.multipart:
            body = await self._services.run(lambda: opened.coded(numbers[0] - 1))
            await answer(send, 200, body, [(b"content-type", coding.content_type.encode("latin-1"))])
            return
        parts = Parts(coding.media_type)
        await parts.send(call, receive, send, self.pieces(parts, coding, opened, numbers, location))

    @staticmethod
    def at_hand(call: Call, image: StoredImage, frames: Sequence[int], location: Location) -> Whole | None:
        """The whole answer where one frame is wanted as it is stored; None where more is to be done. Blocks.

        Raises as `send`.
        """
        numbers = _chosen(image, frames)
        if len(numbers) != 1:
            return None
        coding = next(codings(accepted(call), image.transfer_syntax_uid, single=True), None)
        if coding is None or not _as_it_is(image, coding.transfer_syntax):
            return None
        opened = _open(image)
        _check(opened.frame_count, numbers)
        data = opened.coded(numbers[0] - 1)
        if not coding.multipart:
            return Whole(coding.content_type, data)
        parts = Parts(coding.media_type)
        return Whole(
            parts.content_type,
            b"".join((parts.head(coding.content_type, len(data), location(numbers[0])), data, parts.end)),
        )

    async def pieces(
        self, parts: Parts, coding: Coding, opened: ImageObject, numbers: Sequence[int], location: Location
    ) -> AsyncGenerator[bytes, None]:
        """Frames as parts with their heads."""
        for number in numbers:
            data = await self._services.run(lambda number=number: opened.coded(number - 1))  # type: ignore[misc] # bound now
            yield parts.head(coding.content_type, len(data), location(number)) + data

    async def opened(
        self, accepts: Sequence[MediaRange], image: StoredImage, *, single: bool
    ) -> tuple[Coding, ImageObject]:
        """The best coding that can be made, and the object in it. Raises NotAcceptable, StorageFault."""
        await self._services.run(lambda: check_stored([image]))
        for coding in codings(accepts, image.transfer_syntax_uid, single=single):
            try:
                found = await self.in_syntax(image, coding.transfer_syntax)
            except (NotAcceptable, NotRenderable):
                continue
            return coding, await self._services.run(lambda found=found: _open(found))  # type: ignore[misc] # bound now
        raise NotAcceptable("The frames cannot be had in any of the accepted media types.", WOULD_DO)

    async def in_syntax(self, image: StoredImage, wanted: str) -> StoredImage:
        """The object with its frames as they are wanted. Raises NotAcceptable, NotRenderable."""
        if _as_it_is(image, wanted):
            return image
        return await self._services.transcoder.image(image, wanted)


class FrameRoutes:
    """The handler of frames, over one archive."""

    def __init__(self, services: Services) -> None:
        self._services = services
        self._sender = FrameSender(services)

    def operations(self) -> list[Operation]:
        """Every route of this file."""
        answers = {200: (RELATED, OCTETS), 404: ("application/json",), 406: ("application/json",)}
        query = {"accept": "As the header Accept, for callers that cannot set it."}
        return [
            Operation(path, "GET", self.retrieve, TAG, answers=answers, query=query, documented=documented)
            for path, documented in at_each(FRAMES)
        ]

    async def retrieve(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Frames of an instance: a list of numbers with commas, counted from 1.

        As application/octet-stream uncompressed, or as stored with `transfer-syntax=*`; as image/jpeg,
        image/jls, image/jp2 and so on where they are stored so, or can be made so.
        """
        call, numbers = call_of(scope), numbers_of(scope["path_params"]["frames"])
        before = here(scope).rpartition("/")[0]

        def location(number: int) -> str:
            return f"{before}/{number}"

        def find() -> tuple[StoredImage, Whole | None]:
            (image,) = images_at(self._services, scope)
            return image, self._sender.at_hand(call, image, numbers, location)

        image, whole = await self._services.run(find)
        if whole is None:
            await self._sender.send(call, receive, send, image, numbers, location=location)
            return
        await answer(send, 200, whole.body, [(b"content-type", whole.content_type.encode("latin-1"))])


def numbers_of(text: str) -> list[int]:
    """A list of frames as addresses have it. Raises Refused (400)."""
    if not LIST.fullmatch(text) or text.count(",") >= MOST_FRAMES:
        raise Refused(BAD_REQUEST, "Frames are whole numbers from 1 on, with commas between them.")
    return [int(part) for part in text.split(",")]


def _chosen(image: StoredImage, frames: Sequence[int]) -> Sequence[int]:
    """The frames that are wanted, none for all. Raises NotFound, NotAcceptable."""
    if not image.rows:
        raise NotFound("frame", "This object has no frames.")
    if transfer_syntax(image.transfer_syntax_uid).video:
        raise NotAcceptable("A video has no frames of its own.", "Take it as a whole, by /rendered.")
    numbers = frames or range(1, image.frame_count + 1)
    _check(image.frame_count, numbers)
    return numbers


def _check(count: int, numbers: Sequence[int]) -> None:
    if max(numbers) > count:
        raise NotFound("frame", f"The image has {count} frame(s), counted from 1.")


def _as_it_is(image: StoredImage, wanted: str) -> bool:
    """Whether its frames need not be made: those of native pixel data are given little endian anyway."""
    if transfer_syntax(image.transfer_syntax_uid).encapsulated:
        return wanted == image.transfer_syntax_uid
    return wanted in {EXPLICIT_LITTLE_UID, IMPLICIT_LITTLE_UID}


def _open(image: StoredImage) -> ImageObject:
    from core.imaging.image import ImageObject  # numpy comes with it: not before it is needed

    check_stored([image])
    try:
        return ImageObject.open(image.path)
    except OSError as error:
        raise StorageFault("A stored object cannot be read.", "Run filmjacket check.") from error
