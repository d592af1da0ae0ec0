"""V3 storage, image level, where bytes stream: upload, DICOM payload, thumbnail, full-resolution JPEG."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Mapping
from typing import Any

from core.access.rights import Right
from core.archive.nouns import CURRENT, Routing, StoredImage
from core.archive.overlays import Overlays
from core.errors import BadInput
from server.web.body import chunks
from server.web.call import Call, Receive, Scope, Send, answer_json, call_of, caller_of
from server.web.errors import BAD_REQUEST, Refused
from server.web.files import Stored, send_stored
from server.web.intake import Intake
from server.web.multipart import boundary_of, read_form
from server.web.pictures import DIAGNOSTIC, FULL, THUMBNAIL, TIFF, Place, Wanted
from server.web.services import Services
from server.web.streaming import Operation
from server.web.transcoding import AS_STORED
from server.web.v3 import shapes
from server.web.v3.frames import FrameRoutes
from server.web.v3.overlaid import Exchange, send_overlaid
from server.web.v3.study import STUDY

TAG = "V3 storage"
STORE = "/api/v3/storage/namespace/{namespace}/image"
SPELLINGS = ("/image/{image_uid}", "/image{image_uid}")
"""The API's document leaves the slash out in places; both are served."""
SOURCE_AE = b"x-dicomgrid-routing-source-aetitle"
DESTINATION_AE = b"x-dicomgrid-routing-destination-aetitle"
VIA = b"x-filmjacket-via"
MAX_AE_TITLE = 64
DICOM = {
    200: ("application/dicom",),
    206: ("application/dicom",),
    404: ("application/json",),
    406: ("application/json",),
}
JPEG = {200: ("image/jpeg",), 404: ("application/json",), 415: ("application/json",)}
FRAME = re.compile(r"(\d{1,9})(?:\.(?:jpe?g|png|tiff?))?")


class ImageRoutes:
    """Handlers of image bytes over one archive."""

    def __init__(self, services: Services) -> None:
        self._services = services
        self._archive = services.archive
        self._overlays = Overlays(services.archive.db, services.archive.audit)

    def operations(self) -> list[Operation]:
        """Every route of this file."""
        phi = {"phi_namespace": "Namespace whose PHI overlay is laid on top."}
        whole = {
            **phi,
            "transfer_syntax": "UID of the transfer syntax wanted.",
            "pretranscode": "Accepted; what was made once is kept for a while anyway.",
        }
        exact = {
            **phi,
            "size": "max, or WIDTHxHEIGHT to fit into.",
            "depth": "Bits a sample: 8 as shown, 16 as stored.",
        }
        picture = {**exact, "quality": "JPEG quality, 0 to 1."}
        found = [
            Operation(
                STORE,
                "POST",
                self.store_image,
                TAG,
                body=("application/dicom", "multipart/form-data"),
                query={"study_uid": "The study the image must belong to."},
            )
        ]
        for spelling in SPELLINGS:
            image, plain = f"{STUDY}{spelling}/version/{{version}}", spelling == SPELLINGS[0]
            frame = f"{image}/frame/{{frame}}"
            found += [
                FrameRoutes(self._services, self._find).operation(image, exact, documented=plain),
                Operation(image, "GET", self.payload, TAG, answers=DICOM, query=whole, documented=plain),
                Operation(frame, "GET", self.frame, TAG, answers=JPEG, query=picture, documented=plain),
                Operation(
                    f"{frame}/thumbnail",
                    "GET",
                    self.thumbnail,
                    TAG,
                    answers=JPEG,
                    query=picture,
                    documented=plain,
                ),
                Operation(
                    f"{frame}/diagnostic",
                    "GET",
                    self.diagnostic,
                    TAG,
                    answers={**JPEG, 200: ("image/png",)},
                    query=exact,
                    documented=plain,
                ),
                Operation(
                    f"{frame}/tiff",
                    "GET",
                    self.tiff,
                    TAG,
                    answers={**JPEG, 200: ("image/tiff",)},
                    query=exact,
                    documented=plain,
                ),
            ]
        return found

    async def store_image(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Store a DICOM image.

        Answered when bytes and index are on disk; with `study_uid` only an image of that study is taken.
        X-Dicomgrid-Routing-Source-AETitle and X-Dicomgrid-Routing-Destination-AETitle are recorded with it.
        """
        call, caller = call_of(scope), caller_of(scope)
        namespace: str = scope["path_params"]["namespace"]
        caller.require(Right.STORE, namespace)
        via = "desktop" if call.header(VIA).lower() == "desktop" else "api"
        routing = _routing(call)
        limit = self._services.limits.image_bytes
        body = chunks(call, receive, limit=limit, limits=self._services.limits)
        intake = await self._receive(call, body, namespace)
        try:
            if not intake.size:
                raise BadInput("The request has no body: nothing was sent.", "Send a DICOM object.")
            result = await intake.finish(
                lambda incoming: self._archive.store(
                    incoming,
                    actor=caller.login,
                    via=via,
                    routing=routing,
                    silent=call.silent,
                    study_uid=call.query("study_uid"),
                )
            )
        except BaseException:
            await intake.abort()
            raise
        await answer_json(send, 200, shapes.stored_image(result))

    async def _receive(self, call: Call, body: AsyncIterator[bytes], namespace: str) -> Intake:
        def new() -> Intake:
            return Intake(self._services.workers, lambda: self._archive.incoming(namespace))

        boundary = boundary_of(call.header(b"content-type"))
        if boundary is not None:
            form = await read_form(body, boundary, file_field="data", intake=new)
            if form.intake is None:
                raise Refused(BAD_REQUEST, "The multipart body has no file.")
            return form.intake
        intake = new()
        try:
            async for chunk in body:
                await intake.write(chunk)
        except BaseException:
            await intake.abort()
            raise
        return intake

    async def payload(self, scope: Scope, receive: Receive, send: Send) -> None:
        """The stored DICOM object: byte for byte, or with the values of `phi_namespace`."""
        call, params = call_of(scope), scope["path_params"]
        recoded = await self._recoded(scope)
        if phi_namespace := call.query("phi_namespace"):
            found = await self._services.run(lambda: self._seen_as(scope, phi_namespace))
            if found[1]:
                exchange = Exchange(call, receive, send, self._services.workers)
                await send_overlaid(exchange, recoded or found[0], found[1])
                return

        def find() -> Stored:
            image = recoded or self._find(scope)
            return Stored(
                path=image.path,
                bytes=image.bytes,
                version=image.version,
                content_type=image.content_type,
                pinned=params["version"] != CURRENT and not phi_namespace,  # an overlay may come
                file_name=f"{image.sop_instance_uid}.dcm",
                disposition="attachment",
            )

        await send_stored(call, receive, send, self._services.workers, find)

    async def _recoded(self, scope: Scope) -> StoredImage | None:
        """The object in the transfer syntax asked for, None to take it as stored."""
        target = call_of(scope).query("transfer_syntax")
        call_of(scope).flag("pretranscode")
        if target in AS_STORED:
            return None
        image = await self._services.run(lambda: self._find(scope))
        return await self._services.transcoder.image(image, target)

    async def frame(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One frame as a JPEG in its original size, quality 95 %. Frames count from 0."""
        await self._picture(scope, send, FULL)

    async def thumbnail(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One frame as a JPEG that fits 512x512, quality 75 %. Frames count from 0."""
        await self._picture(scope, send, THUMBNAIL)

    async def diagnostic(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One frame as a PNG that loses nothing, 16 bits a sample. Frames count from 0."""
        await self._picture(scope, send, DIAGNOSTIC)

    async def tiff(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One frame as a TIFF, 8 bits as shown or 16 as stored. Frames count from 0."""
        await self._picture(scope, send, TIFF)

    async def _picture(self, scope: Scope, send: Send, wanted: Wanted) -> None:
        params: dict[str, Any] = scope["path_params"]
        number = FRAME.fullmatch(params["frame"])
        if number is None:
            raise Refused(BAD_REQUEST, "The frame must be a whole number, counted from 0.")
        wanted = wanted.at(int(number[1])).asked(call_of(scope))
        pinned = params["version"] != CURRENT
        place = self._place(scope)
        await self._services.pictures.send(call_of(scope), send, place, wanted, pinned=pinned)

    def _seen_as(self, scope: Scope, phi_namespace: str) -> tuple[StoredImage, Mapping[str, str]]:
        params = scope["path_params"]
        image = self._find(scope)
        return image, self._overlays.of(params["namespace"], params["study_uid"], phi_namespace)

    def _find(self, scope: Scope) -> StoredImage:
        return self._archive.image(*self._place(scope))

    def _place(self, scope: Scope) -> Place:
        """Which image the path names, once the caller may see it. Raises Denied."""
        params, caller = scope["path_params"], caller_of(scope)
        namespace: str = params["namespace"]
        caller.require(Right.VIEW, namespace)
        if phi_namespace := call_of(scope).query("phi_namespace"):
            caller.require(Right.VIEW, phi_namespace)
        return namespace, params["study_uid"], params["image_uid"], params["version"]


def _routing(call: Call) -> Routing | None:
    source, destination = call.header(SOURCE_AE).strip(), call.header(DESTINATION_AE).strip()
    if not source and not destination:
        return None
    if max(len(source), len(destination)) > MAX_AE_TITLE:
        raise Refused(BAD_REQUEST, "An AE title in the routing headers is too long.")
    return Routing(source, destination)
