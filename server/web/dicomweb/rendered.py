"""WADO-RS rendered and thumbnail (PS3.18 10.4.1.1.3 and 4): pictures, a PDF, a video, for anybody to show."""

from __future__ import annotations

import asyncio
import json
from collections import deque
from collections.abc import AsyncGenerator, Sequence

from core.archive.models import model_here
from core.archive.nouns import CURRENT, StoredImage
from core.dicom.inside import ENCAPSULATED_PDF, pdf_in, video_in
from core.dicom.report_text import REPORTS, as_html, as_text
from core.dicom.syntaxes import transfer_syntax
from core.errors import KnownError, NotAcceptable, NotFound, StorageFault
from server.web.call import Call, Receive, Scope, Send, answer, call_of
from server.web.dicomweb.frames import FRAMES, numbers_of
from server.web.dicomweb.looks import KINDS, QUERY, View, picture_form, view_asked
from server.web.dicomweb.media import EVERYTHING, RELATED, accepted
from server.web.dicomweb.moving import KINDS as MOVING
from server.web.dicomweb.moving import MovingSender, moving_form
from server.web.dicomweb.objects import check_stored
from server.web.dicomweb.parts import Parts
from server.web.dicomweb.places import INSTANCE, SERIES, STUDY, at_each, found_at, images_at, objects_at
from server.web.files import ASK_AGAIN, Stored, check_match, send_stored
from server.web.frames import tag_of
from server.web.pictures import THUMBNAIL
from server.web.services import Services
from server.web.streaming import Operation

TAG = "DICOMweb"
LEVELS = (STUDY, SERIES, INSTANCE, FRAMES)
AHEAD = 3
"""Pictures being made while earlier ones are sent."""
THUMBNAIL_QUALITY = 75
WOULD_DO = (
    'Ask for image/jpeg or image/png, of several pictures as multipart/related; type="image/jpeg", of one '
    "instance also image/gif, or video/mp4 with Motion JPEG: there is no encoder of other videos here."
)

TEXTS = {"text/html": as_html, "text/plain": as_text}
STILL = (b"content-security-policy", b"default-src 'none'; style-src 'unsafe-inline'; sandbox")

Picture = tuple[StoredImage, int]
"""An object and the 0-based frame of it."""


class RenderedRoutes:
    """The handlers, over one archive."""

    def __init__(self, services: Services) -> None:
        self._services = services

    def operations(self) -> list[Operation]:
        """Every route of this file."""
        refusals = {status: ("application/json",) for status in (404, 406)}
        pictures: dict[int, tuple[str, ...]] = {200: (*KINDS, *MOVING, RELATED, "application/pdf", *TEXTS)}
        small: dict[int, tuple[str, ...]] = {200: tuple(KINDS)}
        return [
            Operation(
                path, "GET", handler, TAG, answers=answers | refusals, query=QUERY, documented=documented
            )
            for ending, handler, answers in (
                ("rendered", self.rendered, pictures),
                ("thumbnail", self.thumbnail, small),
            )
            for resource in LEVELS
            for path, documented in at_each(f"{resource}/{ending}")
        ]

    async def rendered(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pictures of a study, a series, an instance or frames of it: JPEG or PNG.

        As parts one for each frame, alone the first of an instance or the middle one of a series or study.
        Frames of an instance are also one GIF, or an MP4 file with Motion JPEG.
        An encapsulated PDF is a PDF, a video is a video, a structured report text/html or text/plain.
        """
        call = call_of(scope)
        images = await found_at(self._services, scope)
        if "image_uid" in scope["path_params"] and own_type(images[0]):
            await self.send_document(call, receive, send, images[0])
            return
        if (
            "image_uid" in scope["path_params"]
            and "frames" not in scope["path_params"]
            and is_report(images[0])
        ):
            text = next((found for each in accepted(call) if (found := text_form(each.type))), "")
            await self.send_report(scope, send, text)
            return
        moving = moving_form(accepted(call), (*KINDS, RELATED))
        if moving and "image_uid" in scope["path_params"]:
            await self._send_moving(call, receive, send, pictures_of(images, scope), moving)
            return
        form = picture_form(accepted(call))
        if form is None:
            raise NotAcceptable("The pictures cannot be had in any of the accepted media types.", WOULD_DO)
        media_type, multipart = form
        view = view_asked(call, KINDS[media_type])
        pictures = pictures_of(images, scope)
        if multipart is None:
            multipart = len(pictures) > 1 and scope["path_params"].keys().isdisjoint({"image_uid"})
        if multipart:
            await self.send_all(call, receive, send, pictures, view)
            return
        if "frames" in scope["path_params"] and len(pictures) > 1:
            raise NotAcceptable("Several pictures cannot be one.", WOULD_DO)
        first = pictures[0] if "image_uid" in scope["path_params"] else pictures[len(pictures) // 2]
        await self.send_one(call, send, first, view)

    async def _send_moving(
        self, call: Call, receive: Receive, send: Send, pictures: Sequence[Picture], media_type: str
    ) -> None:
        """Answer with frames of one object as a moving picture."""
        view, image = view_asked(call, MOVING[media_type]), pictures[0][0]

        async def render(frame0: int) -> bytes:
            return await self._picture((image, frame0), view)

        frames = [frame0 for _, frame0 in pictures]
        await MovingSender(self._services, media_type, image, render).send(call, receive, send, frames)

    async def thumbnail(self, scope: Scope, receive: Receive, send: Send) -> None:
        """A small picture: of a frame, of the first one, or of the middle image of a series or study."""
        call, params = call_of(scope), scope["path_params"]
        form = picture_form(accepted(call))
        if form is None or form[1]:
            raise NotAcceptable("A thumbnail is image/jpeg or image/png.", "Ask for image/jpeg.")
        view = view_asked(call, KINDS[form[0]])
        image = await self._services.run(lambda: self._showing(scope))
        frame = (numbers_of(params["frames"])[0] if "frames" in params else 1) - 1
        if frame >= image.frame_count:
            raise NotFound("frame", f"The image has {image.frame_count} frame(s), counted from 1.")
        if form[0] == "image/jpeg" and view == View("jpeg"):
            place = (image.namespace, image.study_uid, image.sop_instance_uid, CURRENT)
            try:
                await self._services.pictures.send(call, send, place, THUMBNAIL.at(frame), pinned=False)
            except KnownError:
                await self._services.run(lambda: check_stored([image]))
                raise
            return
        size = view.size or THUMBNAIL.size
        small = View(view.kind, view.window, size, view.part, call.number("quality", THUMBNAIL_QUALITY))
        await self.send_one(call, send, (image, frame), small)

    def _showing(self, scope: Scope) -> StoredImage:
        """The object that stands for what the address names. Raises NotFound."""
        images = images_at(self._services, scope)
        middle = len(images) // 2
        for image in (*images[middle:], *reversed(images[:middle])):
            if shows(image):
                return image
        raise NotFound("image", "There is no picture here.")

    async def send_all(
        self,
        call: Call,
        receive: Receive,
        send: Send,
        pictures: Sequence[Picture],
        view: View,
    ) -> None:
        """Answer with *pictures* as parts.

        Raises NotRenderable if the first one cannot be made, StorageFault if an object is not on the disk.
        """
        images = {image.path: image for image, _ in pictures}
        await self._services.run(lambda: check_stored([*images.values()]))
        parts = Parts(view.media_type)
        await parts.send(call, receive, send, self._pieces(parts, pictures, view))

    async def _pieces(
        self, parts: Parts, pictures: Sequence[Picture], view: View
    ) -> AsyncGenerator[bytes, None]:
        making: deque[asyncio.Task[bytes]] = deque()
        waiting = deque(pictures)
        try:
            while making or waiting:
                while waiting and len(making) < AHEAD:
                    making.append(asyncio.create_task(self._picture(waiting.popleft(), view)))
                data = await making.popleft()
                yield parts.head(view.media_type, len(data)) + data
        finally:
            for task in making:
                task.cancel()
            await asyncio.gather(*making, return_exceptions=True)

    async def _picture(self, picture: Picture, view: View) -> bytes:
        image, frame0 = picture
        try:
            return await self._services.frames.picture(image, view.of(image, frame0))
        except KnownError:
            await self._services.run(lambda: check_stored([image]))  # that its file is harmed says more
            raise

    async def send_one(self, call: Call, send: Send, picture: Picture, view: View) -> None:
        """Answer with one of *picture*."""
        name = view.of(*picture).name(picture[0].version)
        check_match(call, tag_of(name))
        known = f'"{tag_of(name)}"' in call.header(b"if-none-match")
        body = b"" if known else await self._picture(picture, view)
        await self._answer_one(send, name, body, view.media_type)

    @staticmethod
    async def _answer_one(send: Send, name: str, body: bytes, media_type: str) -> None:
        """With a picture, or without one for who has it."""
        headers = [(b"etag", f'"{tag_of(name)}"'.encode("latin-1")), (b"cache-control", ASK_AGAIN)]
        if not body:
            await answer(send, 304, b"", headers)
            return
        await answer(send, 200, body, [(b"content-type", media_type.encode()), *headers])

    async def send_document(self, call: Call, receive: Receive, send: Send, image: StoredImage) -> None:
        """The PDF or video of *image*. Raises NotAcceptable."""

        def find() -> Stored:
            try:
                inside = (pdf_in if own_type(image) == "application/pdf" else video_in)(image.path)
            except OSError as error:
                raise StorageFault("A stored object cannot be read.", "Run filmjacket check.") from error
            group = inside.media_type.partition("/")[0]
            would_do = {inside.media_type, f"{group}/*", EVERYTHING}
            if not any(each.type in would_do for each in accepted(call)):
                raise NotAcceptable(
                    f"This object can be shown as {inside.media_type} only.", f"Ask for {inside.media_type}."
                )
            version = f"{image.version}-rendered"
            return Stored(
                image.path, inside.size, version, inside.media_type, pinned=False, spans=inside.spans
            )

        await send_stored(call, receive, send, self._services.workers, find)

    async def send_report(self, scope: Scope, send: Send, media_type: str) -> None:
        """The structured report at an instance address as text, as the caller's view shows it.

        Raises NotAcceptable, SourceFault, StorageFault.
        """
        if media_type not in TEXTS:
            raise NotAcceptable("A structured report is text.", "Ask for text/html or text/plain.")

        def write() -> bytes:
            (image,) = objects_at(self._services, scope)
            check_stored([image])
            return TEXTS[media_type](json.loads(model_here(image.path, "")))

        body = await self._services.run(write)
        headers = [(b"content-type", f"{media_type}; charset=utf-8".encode()), STILL]
        await answer(send, 200, body, headers)


def text_form(asked: str) -> str:
    """The form of text a media type means, "" for none."""
    return asked if asked in TEXTS else "text/html" if asked in {"text/*", EVERYTHING} else ""


def is_report(image: StoredImage) -> bool:
    """Whether it is a structured report or a key object selection."""
    return image.sop_class_uid.startswith(REPORTS)


def pictures_of(images: Sequence[StoredImage], scope: Scope) -> list[Picture]:
    """Every frame the address names, of what can be shown as a picture. Raises NotFound, NotAcceptable."""
    shown = [image for image in images if shows(image)]
    if not shown:
        raise NotAcceptable("There is no picture here.", "Take the objects themselves.")
    if "frames" not in scope["path_params"]:
        return [(image, frame) for image in shown for frame in range(image.frame_count)]
    numbers = numbers_of(scope["path_params"]["frames"])
    (image,) = shown
    if max(numbers) > image.frame_count:
        raise NotFound("frame", f"The image has {image.frame_count} frame(s), counted from 1.")
    return [(image, number - 1) for number in numbers]


def shows(image: StoredImage) -> bool:
    return image.rows > 0 and not transfer_syntax(image.transfer_syntax_uid).video


def own_type(image: StoredImage) -> str:
    """What an object is that is no picture, "" if it is one."""
    if image.sop_class_uid == ENCAPSULATED_PDF:
        return "application/pdf"
    return "video" if transfer_syntax(image.transfer_syntax_uid).video else ""
