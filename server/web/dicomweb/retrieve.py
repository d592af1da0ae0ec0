"""WADO-RS, retrieval of DICOM objects (PS3.18 10.4): a study, a series or an instance, streamed."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial

from core.archive.nouns import StoredImage
from core.dicom.syntaxes import EXPLICIT_LITTLE_UID, TRANSFER_SYNTAXES
from core.errors import NotAcceptable, NotRenderable
from server.web.body import ClientGone
from server.web.call import Call, Receive, Scope, Send, answer, answer_head, call_of
from server.web.dicomweb.all_bulk import AllBulkRoutes, is_octets
from server.web.dicomweb.looks import KINDS, picture_form, view_asked
from server.web.dicomweb.media import ANY_SYNTAX, DICOM, EVERYTHING, RELATED, MediaRange, accepted
from server.web.dicomweb.objects import PIECE_BYTES, ObjectParts, check_stored
from server.web.dicomweb.places import INSTANCE, SERIES, STUDY, at_each, images_at, objects_at, view_of
from server.web.dicomweb.rendered import RenderedRoutes, pictures_of
from server.web.dicomweb.zipped import ZIP, ZipSender
from server.web.files import Stored, gone, send_stored
from server.web.services import Services
from server.web.streaming import Operation

TAG = "DICOMweb"
COMPRESSED = frozenset(uid for uid, each in TRANSFER_SYNTAXES.items() if each.encapsulated)
WOULD_DO = (
    'Ask for multipart/related; type="application/dicom", application/zip, or of one instance '
    "application/dicom, in the transfer syntax it has (transfer-syntax=*) or one that can be made."
)


@dataclass(frozen=True, slots=True)
class Form:
    """How objects are to come: as parts, alone or in a ZIP file.

    Each in the first of *transfer_syntaxes* it can be had in: "*" as stored, "" without a wish.
    """

    multipart: bool
    transfer_syntaxes: tuple[str, ...]
    zipped: bool = False


@dataclass(slots=True)
class _Found:
    """Objects to be sent with *values* laid over them, and the whole *body* if it has been read."""

    images: Sequence[StoredImage]
    values: Mapping[int, str] = field(default_factory=dict)
    parts: ObjectParts = field(default_factory=ObjectParts)
    body: bytes | bytearray = b""


class RetrieveRoutes:
    """Handlers of whole objects, over one archive."""

    def __init__(self, services: Services) -> None:
        self._services = services

    def operations(self) -> list[Operation]:
        """Every route of this file."""
        answers = {200: (RELATED, DICOM, ZIP), 404: ("application/json",), 406: ("application/json",)}
        query = {"accept": "As the header Accept, for callers that cannot set it."}
        return [
            Operation(path, "GET", self.retrieve, TAG, answers=answers, query=query, documented=documented)
            for resource in (STUDY, SERIES, INSTANCE)
            for path, documented in at_each(resource)
        ]

    async def retrieve(self, scope: Scope, receive: Receive, send: Send) -> None:
        """The DICOM objects of a study, of a series, or one instance.

        As multipart/related; type="application/dicom" or application/zip, one instance also as
        application/dicom. Without a `transfer-syntax` compressed objects come in Explicit VR Little Endian
        where they can be decoded, with `*` everything comes as it was stored, byte for byte. As
        multipart/related; type="image/jpeg" there is a picture of each frame instead, as
        multipart/related; type="application/octet-stream" every binary value (see bulkdata).
        """
        call, params = call_of(scope), scope["path_params"]
        try:
            forms = chosen(accepted(call), single="image_uid" in params)
        except NotAcceptable:
            if await self._send_pictures(scope, receive, send):
                return
            if not any(each.type == RELATED and is_octets(each) for each in accepted(call)):
                raise
            await AllBulkRoutes(self._services).bulk_data(scope, receive, send)
            return
        found = await self._services.run(lambda: self._found(scope, forms[0]))
        if found.body:
            await answer(send, 200, found.body, [(b"content-type", found.parts.content_type)])
            return
        form = await self._best(found.images, forms)
        if form.zipped:
            made = partial(self._made, found, wanted=form.transfer_syntaxes)
            await ZipSender(self._services).send(call, receive, send, found.images, made)
        elif form.multipart:
            await self._send_parts(call, receive, send, found, form.transfer_syntaxes)
        else:
            await self.send_object(call, receive, send, found.images[0], *form.transfer_syntaxes)

    def _found(self, scope: Scope, form: Form) -> _Found:
        """The objects, and the whole body if it is a small one: of a single object as it is stored.

        Values are laid over each object of several when its turn comes.
        """
        if "image_uid" not in scope["path_params"]:
            images = images_at(self._services, scope)
            check_stored(images)
            views, first = self._services.views, images[0]
            values = views.values(first.namespace, first.study_uid, view_of(self._services, scope))
            views.check(images, values)
            return _Found(images, values)
        found = _Found(objects_at(self._services, scope))
        (image,) = found.images
        if form.multipart and is_in(image, form.transfer_syntaxes[0]) and image.bytes <= PIECE_BYTES:
            found.body = next(found.parts.pieces(found.images))
        else:
            check_stored(found.images)
        return found

    async def _best(self, images: Sequence[StoredImage], forms: Sequence[Form]) -> Form:
        """The first of *forms* in which the first image there is can be had. Raises NotAcceptable."""
        first = next((image for image in images if image.rows), images[0])
        for number, form in enumerate(forms, 1):
            try:
                await self.in_syntax(first, *form.transfer_syntaxes)
            except NotAcceptable:
                if number == len(forms):
                    raise
            except NotRenderable:
                if len(images) == 1:
                    raise
                return form  # that it is damaged says nothing of the others
            else:
                return form
        raise ValueError("no form is wanted")

    async def _made(self, found: _Found, image: StoredImage, wanted: Sequence[str]) -> StoredImage:
        """*image* as it is to be sent; what does not fit the wanted syntaxes comes without a wish.

        A report between images has no pixels to compress, and of a damaged image nothing can be made. Raises
        as `Views.image`, and StorageFault.
        """
        if found.values:
            image = await self._services.run(lambda: self._services.views.image(image, found.values))
        try:
            return await self.in_syntax(image, *wanted)
        except (NotAcceptable, NotRenderable):
            return await self.in_syntax(image, "")

    async def send_object(
        self, call: Call, receive: Receive, send: Send, image: StoredImage, *wanted: str
    ) -> None:
        """Answer with one object in the first of the *wanted* syntaxes that can be. Raises NotAcceptable."""
        image = await self.in_syntax(image, *wanted)
        stored = Stored(
            path=image.path,
            bytes=image.bytes,
            version=image.version,
            content_type=f"{DICOM}; transfer-syntax={image.transfer_syntax_uid}",
            pinned=False,
            file_name=f"{image.sop_instance_uid}.dcm",
            disposition="attachment",
        )
        await send_stored(call, receive, send, self._services.workers, lambda: stored)

    async def _send_pictures(self, scope: Scope, receive: Receive, send: Send) -> bool:
        """A picture of each frame, for who wants parts that are pictures; False if nobody does."""
        call = call_of(scope)
        form = picture_form([each for each in accepted(call) if each.type == RELATED])
        if form is None:
            return False
        images = await self._services.run(lambda: images_at(self._services, scope))
        view = view_asked(call, KINDS[form[0]])
        pictures = pictures_of(images, scope)
        await RenderedRoutes(self._services).send_all(call, receive, send, pictures, view)
        return True

    async def in_syntax(self, image: StoredImage, *wanted: str) -> StoredImage:
        """The object in the first of the *wanted* syntaxes it can be had in. Raises NotAcceptable.

        Compressed ones are for images (PS3.18 8.7.3.2): what has no pixels comes as if none were wanted.
        """
        if not image.rows:
            wanted = tuple("" if each in COMPRESSED else each for each in wanted)
        for number, transfer_syntax in enumerate(wanted, 1):
            if is_in(image, transfer_syntax):
                return image
            try:
                return await self._services.transcoder.image(image, transfer_syntax or EXPLICIT_LITTLE_UID)
            except (NotAcceptable, NotRenderable) as error:
                if not transfer_syntax:
                    return image  # nobody here can decode it: as it is, it is still of use
                if number == len(wanted) or isinstance(error, NotRenderable):
                    raise
        raise ValueError("no transfer syntax is wanted")

    async def _send_parts(
        self, call: Call, receive: Receive, send: Send, found: _Found, wanted: Sequence[str]
    ) -> None:
        images, parts = found.images, found.parts
        first = await self._made(found, images[0], wanted)  # refused, if at all, before the answer
        head = [(b"content-type", parts.content_type)]
        stored = not found.values and all(is_in(image, wanted[0]) for image in images)
        if stored:
            head.append((b"content-length", b"%d" % parts.length(images)))
        if call.head:
            await answer_head(send, 200, head)
            return
        leaving = asyncio.ensure_future(gone(receive))
        try:
            await send({"type": "http.response.start", "status": 200, "headers": head})
            if stored:
                await self._send_pieces(parts.pieces(images), send, leaving)
            else:
                await self._send_made(found, first, wanted, send, leaving)
            await send({"type": "http.response.body", "body": b""})
        finally:
            leaving.cancel()

    async def _send_made(
        self,
        found: _Found,
        first: StoredImage,
        wanted: Sequence[str],
        send: Send,
        leaving: asyncio.Future[None],
    ) -> None:
        """Objects of which some have yet to be made."""
        ready: list[StoredImage] = []
        for number, image in enumerate(found.images, 1):
            ready.append(first if number == 1 else await self._made(found, image, wanted))
            last = number == len(found.images)
            if sum(each.bytes for each in ready) >= PIECE_BYTES or last:
                await self._send_pieces(found.parts.pieces(ready, last=last), send, leaving)
                ready = []

    async def _send_pieces(
        self, pieces: Iterator[bytearray], send: Send, leaving: asyncio.Future[None]
    ) -> None:
        """Send them, each while the next one is read."""
        loop, workers = asyncio.get_running_loop(), self._services.workers
        reading = loop.run_in_executor(workers, next, pieces, b"")
        try:
            while piece := await reading:
                reading = loop.run_in_executor(workers, next, pieces, b"")
                if leaving.done():
                    raise ClientGone
                await send({"type": "http.response.body", "body": piece, "more_body": True})
        finally:
            await asyncio.wait((reading,))
            reading.exception()  # heard of already, or nobody is there to hear of it


def is_in(image: StoredImage, transfer_syntax: str) -> bool:
    """Whether the object is sent as it is stored where *transfer_syntax* is asked for, "" for no wish."""
    return transfer_syntax in {ANY_SYNTAX, image.transfer_syntax_uid} or (
        not transfer_syntax and image.transfer_syntax_uid == EXPLICIT_LITTLE_UID
    )


def chosen(accepts: Sequence[MediaRange], *, single: bool) -> list[Form]:
    """The forms there are, the best first, each in all transfer syntaxes accepted. Raises NotAcceptable."""
    found: dict[tuple[bool, bool], Form] = {}
    for form in (_form(each, single=single) for each in accepts):
        if form is not None:
            kind = form.multipart, form.zipped
            before = found[kind].transfer_syntaxes if kind in found else ()
            found[kind] = replace(form, transfer_syntaxes=(*before, *form.transfer_syntaxes))
    if not found:
        raise NotAcceptable("The objects cannot be had in any of the accepted media types.", WOULD_DO)
    return [*found.values()]


def _form(accepts: MediaRange, *, single: bool) -> Form | None:
    """What a media range means, None if it cannot be had."""
    wanted = (accepts.transfer_syntax,)
    if accepts.type == EVERYTHING:
        return Form(multipart=True, transfer_syntaxes=(ANY_SYNTAX,))
    if accepts.type in {RELATED, "multipart/*"} and accepts.inner in {"", DICOM}:
        return Form(multipart=True, transfer_syntaxes=wanted)
    if accepts.type == ZIP:
        return Form(multipart=False, transfer_syntaxes=wanted, zipped=True)
    if single and accepts.type in {DICOM, "application/*"}:
        return Form(multipart=False, transfer_syntaxes=wanted)
    return None
