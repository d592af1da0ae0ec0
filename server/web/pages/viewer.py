"""What the viewer page asks for, limited to the one study of its view."""

from __future__ import annotations

import asyncio
import mimetypes
import re
from collections.abc import Coroutine, Mapping
from typing import Any

from core.access.rights import Right
from core.archive.nouns import Attachment, SeriesRow, StoredImage, StudyDetail
from core.errors import NotFound
from server.web.auth import Caller
from server.web.body import ClientGone
from server.web.call import Call, Headers, Receive, Scope, Send, answer, answer_json, call_of
from server.web.errors import ACCESS_DENIED, BAD_REQUEST, UNAUTHORIZED, Refused
from server.web.files import Stored, disposition_for, gone, send_stored
from server.web.frames import FORMATS, Look
from server.web.grants import DIAGNOSTIC, Grant, Grants
from server.web.pages.assets import send_page
from server.web.pictures import THUMBNAIL, Place
from server.web.services import Services
from server.web.streaming import Handler, Operation

VIEW = "/view/{view}"
FRAME = VIEW + "/image/{image_uid}/version/{version}/frame/{frame}"
OBJECT = VIEW + "/image/{image_uid}/version/{version}/object"
DOCUMENT = VIEW + "/image/{image_uid}/version/{version}/document"
ATTACHMENT = VIEW + "/attachment/{attachment_id}/version/{version}"
NUMBER = re.compile(r"\d{1,9}")
HOUR = b"private, max-age=3600"
ENCAPSULATED_PDF = "1.2.840.10008.5.1.4.1.1.104.1"
ENDED = "This view has ended. Open the study from its link again."
PHI = {
    "patient_name": "(0010,0010)",
    "patient_id": "(0010,0020)",
    "patient_birth_date": "(0010,0030)",
    "patient_sex": "(0010,0040)",
    "accession_number": "(0008,0050)",
    "study_description": "(0008,1030)",
    "study_date": "(0008,0020)",
}


class ViewerRoutes:
    """Handlers below /view/ID; the cookie of that path says who may."""

    def __init__(self, services: Services, grants: Grants) -> None:
        self._services = services
        self._grants = grants

    def operations(self) -> list[Operation]:
        """Every route of this file."""
        routes: tuple[tuple[str, str, Handler], ...] = (
            (VIEW, "GET", self.page),
            (VIEW + "/study", "GET", self.study),
            (FRAME, "GET", self.frame),
            (FRAME + "/description", "GET", self.description),
            (DOCUMENT, "GET", self.document),
            (OBJECT, "GET", self.object),
            (FRAME + "/thumbnail", "GET", self.thumbnail),
            (ATTACHMENT, "GET", self.attachment),
            (VIEW + "/end", "POST", self.end),
        )
        return [
            Operation(path, method, handler, "Pages", documented=False) for path, method, handler in routes
        ]

    async def page(self, scope: Scope, receive: Receive, send: Send) -> None:
        """The viewer."""
        if await self._granted(scope) is None:
            await send_page(send, UNAUTHORIZED.status, "message.html", {"message": ENDED})
        else:
            await send_page(send, 200, "view.html")

    async def study(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Patient, series with their images, attachments."""
        grant, archive = await self._grant(scope), self._services.archive
        detail, phi = await self._services.run(
            lambda: (
                archive.study(grant.namespace, grant.study_uid),
                archive.study_phi(grant.namespace, grant.study_uid, grant.phi_namespace or None),
            )
        )
        await answer_json(send, 200, {**_study(detail, phi), "role": grant.role})

    async def frame(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One frame through `window=CENTER,WIDTH`, `function`, `invert`, as `format` png or jpeg."""
        number = _frame_number(scope)
        await self._look(scope, receive, send, Look.asked(call_of(scope), number))

    async def description(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Size, windows, orientation and timing of one frame."""
        await self._look(scope, receive, send, Look(_frame_number(scope), "description"))

    async def thumbnail(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One frame, small."""
        place, wanted = await self._place(scope), THUMBNAIL.at(_frame_number(scope))
        await self._services.pictures.send(call_of(scope), send, place, wanted, pinned=True)

    async def document(self, scope: Scope, receive: Receive, send: Send) -> None:
        """The PDF inside an image that is none."""
        image = await self._image(scope, 0)
        if image.sop_class_uid != ENCAPSULATED_PDF:
            raise NotFound("document", "There is no PDF in this object.")
        body = await self._services.run(lambda: _document(image))
        headers = [(b"content-type", b"application/pdf"), (b"content-disposition", b"inline")]
        await answer(send, 200, body, headers)

    async def object(self, scope: Scope, receive: Receive, send: Send) -> None:
        """The DICOM object as it was stored; who is to look only (any role but diagnostic) gets none."""
        if (await self._grant(scope)).role != DIAGNOSTIC:
            raise Refused(ACCESS_DENIED, "This view is for looking only.")
        place = await self._place(scope)

        def find() -> Stored:
            image = self._services.archive.image(*place)
            return Stored(
                path=image.path,
                bytes=image.bytes,
                version=image.version,
                content_type=image.content_type,
                pinned=False,
                file_name=f"{image.sop_instance_uid}.dcm",
                disposition="attachment",
            )

        await send_stored(call_of(scope), receive, send, self._services.workers, find)

    async def attachment(self, scope: Scope, receive: Receive, send: Send) -> None:
        """An attachment: shown if a browser can without running it, else saved."""
        grant, params = await self._grant(scope), scope["path_params"]
        archive = self._services.archive

        def find() -> Stored:
            found = archive.attachment(
                grant.namespace, grant.study_uid, params["attachment_id"], params["version"]
            )
            kept = found.attachment
            return Stored(
                path=found.path,
                bytes=kept.bytes,
                version=kept.version,
                content_type=kept.content_type,
                pinned=False,
                file_name=kept.name or f"attachment{mimetypes.guess_extension(kept.content_type) or ''}",
                disposition=disposition_for(kept.content_type),
            )

        await send_stored(call_of(scope), receive, send, self._services.workers, find)

    async def end(self, scope: Scope, receive: Receive, send: Send) -> None:
        """End the view."""
        await self._grant(scope)
        self._grants.end(scope["path_params"]["view"])
        await answer(send, 204)

    async def _look(self, scope: Scope, receive: Receive, send: Send, look: Look) -> None:
        image = await self._image(scope, look.frame)
        tag = f'"{look.name(image.version)}"'.encode()
        headers: Headers = [(b"etag", tag), (b"cache-control", HOUR)]
        if tag in call_of(scope).headers.get(b"if-none-match", b""):
            await answer(send, 304, headers=headers)
            return
        body = await _unless_gone(receive, self._services.frames.picture(image, look))
        await answer(send, 200, body, [(b"content-type", FORMATS[look.kind]), *headers])

    async def _image(self, scope: Scope, frame: int) -> StoredImage:
        place = await self._place(scope)
        image = await self._services.run(lambda: self._services.archive.image(*place))
        if frame >= image.frame_count:
            raise NotFound("frame", f"The image has {image.frame_count} frames, counted from 0.")
        return image

    async def _place(self, scope: Scope) -> Place:
        """Which image the path names, once the view may look at it."""
        grant, params = await self._grant(scope), scope["path_params"]
        return grant.namespace, grant.study_uid, params["image_uid"], params["version"]

    async def _grant(self, scope: Scope) -> Grant:
        """Raises Refused (403: a 401 would make the browser ask for a password)."""
        grant = await self._granted(scope)
        if grant is None:
            raise Refused(ACCESS_DENIED, ENDED)
        return grant

    async def _granted(self, scope: Scope) -> Grant | None:
        """What the view of this request shows, if its account may still look; sets the caller."""
        call = call_of(scope)
        view: str = scope["path_params"]["view"]
        for secret in _secrets(call):
            grant = self._grants.find(view, secret)
            account = await self._services.authenticator.now(grant.login) if grant else None
            if grant is None or account is None:
                continue
            spaces = tuple(space for space in (grant.namespace, grant.phi_namespace) if space)
            if Right.VIEW in account.rights and (
                account.namespaces is None or set(spaces) <= set(account.namespaces)
            ):
                call.caller = Caller(grant.login, grant.role, frozenset({Right.VIEW}), spaces)
                return grant
        return None


async def _unless_gone(receive: Receive, work: Coroutine[Any, Any, bytes]) -> bytes:
    """What *work* gives; who scrolls on takes their requests back. Raises ClientGone."""
    making, leaving = asyncio.ensure_future(work), asyncio.ensure_future(gone(receive))
    try:
        await asyncio.wait((making, leaving), return_when=asyncio.FIRST_COMPLETED)
        if not making.done():
            raise ClientGone
        return making.result()
    finally:
        making.cancel()
        leaving.cancel()


def _document(image: StoredImage) -> bytes:
    from core.dicom.encapsulated import (
        encapsulated_document,
    )  # it needs pydicom, which nothing else here does

    with image.open() as file:
        return encapsulated_document(file)


def _secrets(call: Call) -> list[str]:
    pairs = (pair.strip().partition("=") for pair in call.header(b"cookie").split(";"))
    return [value for name, _, value in pairs if name == "view"][:4]


def _frame_number(scope: Scope) -> int:
    value: str = scope["path_params"]["frame"]
    if not NUMBER.fullmatch(value):
        raise Refused(BAD_REQUEST, "The frame must be a whole number, counted from 0.")
    return int(value)


def _study(detail: StudyDetail, phi: Mapping[str, str]) -> dict[str, Any]:
    row = detail.row
    said = {name: phi.get(tag, "") for name, tag in PHI.items()}
    return {
        **said,
        "study_date": said["study_date"] or row.study_date,
        "study_uid": row.study_uid,
        "receiving": str(row.state) == "receiving",
        "series": [_series(each) for each in detail.series if each.images],
        "attachments": [_attachment(each) for each in detail.attachments],
    }


def _series(row: SeriesRow) -> dict[str, Any]:
    return {
        "uid": row.series_uid,
        "number": row.number,
        "modality": row.modality,
        "description": row.description,
        "images": [
            {
                "uid": image.sop_instance_uid,
                "version": image.version,
                "number": image.instance_number,
                "frames": max(1, image.frame_count),
                "conflict": image.conflict,
                "document": image.sop_class_uid == ENCAPSULATED_PDF,
            }
            for image in row.images
        ],
    }


def _attachment(each: Attachment) -> dict[str, Any]:
    return {
        "id": each.guid,
        "version": each.version,
        "name": each.name,
        "content_type": each.content_type,
        "bytes": each.bytes,
        "created": each.created.isoformat(),
    }
