"""V3 storage, files that become DICOM objects: wrap, and the images of an attachment."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from core.access.rights import Right
from core.archive.nouns import Attachment, By, StoredAttachment, StoreResult
from core.dicom.editable import checked, tag_of
from core.errors import BadInput, KnownError, NotFound, Unsupported
from core.media.wrap import Place, fresh_uid, steady_uids
from server.web.body import chunks, parse_json
from server.web.call import Call, Receive, Scope, Send, answer_json, call_of, caller_of
from server.web.errors import BAD_JSON, BAD_REQUEST, TOO_LARGE, VALIDATION, Refused
from server.web.multipart import boundary_of, read_form
from server.web.services import Services
from server.web.streaming import Operation
from server.web.v3.study import ATTACHMENT
from server.web.wrapping import HeldFile, Order, kind_of
from server.web.wrapping import Kind as Wrappable

TAG = "V3 storage"
WRAP = "/api/v3/storage/namespace/{namespace}/wrap"
FILE_SIZE = b"x-file-size"
LARGEST_FILE = 2 << 30
FORM_AROUND = 1 << 20
STUDY_UID, SERIES_UID = 0x0020000D, 0x0020000E
UID = re.compile(r"(0|[1-9]\d*)(\.(0|[1-9]\d*))+")
STATIC_IDS = "1 makes the same UIDs each time."


class WrapRoutes:
    """Handlers of wrapping over one archive."""

    def __init__(self, services: Services) -> None:
        self._services = services
        self._archive = services.archive

    def operations(self) -> list[Operation]:
        """Every route of this file."""
        made = {202: ("application/json",), 412: ("application/json",), 415: ("application/json",)}
        image = f"{ATTACHMENT}/{{attachment_id}}/version/{{version}}/image"
        pages = {"render_wrapped_pdf": "1 stores the pages of a PDF as images as well."}
        return [
            Operation(WRAP, "POST", self.wrap, TAG, body=("multipart/form-data",), answers=made, query=pages),
            Operation(image, "POST", self.image, TAG, answers=made, query={"static_ids": STATIC_IDS}),
        ]

    async def wrap(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Make a JPEG, PNG, PDF or MP4 file into a DICOM object.

        Form field `file`, and `tags`: JSON like {"(0010,0010)": "..."}. X-File-Size says its size.
        """
        call, caller = call_of(scope), caller_of(scope)
        namespace: str = scope["path_params"]["namespace"]
        caller.require(Right.STORE, namespace)
        size = file_size(call)
        boundary = boundary_of(call.header(b"content-type"))
        if boundary is None:
            raise Refused(BAD_REQUEST, "The body must be a form with a field called file.")
        body = chunks(call, receive, limit=LARGEST_FILE + FORM_AROUND, limits=self._services.limits)
        form = await read_form(body, boundary, file_field="file", intake=lambda: self._held(namespace))
        if not isinstance(form.intake, HeldFile) or form.file is None:
            raise Refused(BAD_REQUEST, "The form has no field called file.")
        try:
            if form.intake.size != size:
                raise Refused(BAD_REQUEST, f"X-File-Size says {size} bytes, and {form.intake.size} came.")
            tags = form.fields.get("tags") or call.query("tags")
            title = form.file.file_name or ""
            order = await self.order(scope, namespace, tags, title, pages=call.flag("render_wrapped_pdf"))
            made = await self._services.wrapper.wrap(await form.intake.settle(), order)
        finally:
            await form.intake.abort()
        await answer_json(send, 202, wrapped(namespace, made))

    async def order(
        self, scope: Scope, namespace: str, tags: str, title: str, *, pages: bool, study_uid: str = ""
    ) -> Order:
        """What to do with a file that came with *tags*; a study that is there lends its own."""
        said = elements_of(tags)
        if study_uid:
            said["StudyInstanceUID"] = _uid("study_uid", study_uid)
        study: Mapping[str, Any] = said
        if uid := said.get("StudyInstanceUID"):
            try:
                study = {**await self._services.wrapper.study(namespace, uid), **said}
            except NotFound:
                study = said  # it is the first of its study
        if not study.get("StudyInstanceUID"):
            study = {**said, "StudyInstanceUID": fresh_uid("study")}
        names = {name: fresh_uid(name) for name in ("series file", "series file pages")}

        def uid_of(name: str) -> str:
            return names.get(name) or fresh_uid(name)

        place = Place(study, uid_of, "file", datetime.now(UTC), title)
        return Order(namespace, by_of(scope), place, pages=pages)

    async def image(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Make the pages of a PDF attachment, or the picture it is, into images of a new series."""
        params = scope["path_params"]
        namespace, study_uid = params["namespace"], params["study_uid"]
        caller_of(scope).require(Right.ATTACH, namespace)
        found = await self._services.run(
            lambda: self._archive.attachment(namespace, study_uid, params["attachment_id"], params["version"])
        )
        made = await images_of(
            self._services,
            namespace,
            study_uid,
            found,
            static=call_of(scope).flag("static_ids"),
            by=by_of(scope),
        )
        await answer_json(send, 202, wrapped(namespace, made))

    def _held(self, namespace: str) -> HeldFile:
        return HeldFile(self._services.workers, lambda: self._archive.incoming(namespace, limit=LARGEST_FILE))


async def images_if_any(
    services: Services, namespace: str, study_uid: str, kept: Attachment, *, static: bool, by: By
) -> Sequence[StoreResult]:
    """The same for one that was just attached: what is no PDF or picture stays an attachment only.

    One that cannot be read is taken back, so that the request has done nothing. Raises Unsupported.
    """
    found = await services.run(
        lambda: services.archive.attachment(namespace, study_uid, kept.guid, kept.version)
    )
    try:
        if await services.run(lambda: kind_of(found.path)) is Wrappable.VIDEO:
            return []
    except Unsupported:
        return []
    try:
        return await images_of(services, namespace, study_uid, found, static=static, by=by)
    except KnownError:
        await services.durable(
            lambda: services.removals.attachment(namespace, study_uid, kept.guid, kept.version, by)
        )
        raise


async def images_of(
    services: Services,
    namespace: str,
    study_uid: str,
    found: StoredAttachment,
    *,
    static: bool,
    by: By,
) -> Sequence[StoreResult]:
    """Store an attachment as images of its study, a new series each time unless *static*."""
    kept = found.attachment
    study = await services.wrapper.study(namespace, study_uid)
    seed = (namespace, study_uid, kept.guid, kept.version)
    make = steady_uids(*seed if static else (*seed, fresh_uid("")))
    created = kept.created if static else datetime.now(UTC)
    place = Place(study, make, "attachment", created, kept.name)
    return await services.wrapper.wrap(found.path, Order(namespace, by, place, document=False, pages=True))


def wrapped(namespace: str, made: Sequence[StoreResult]) -> dict[str, Any]:
    """The answer: what was made of the file."""
    return {
        "namespace": namespace,
        "study_uid": made[0].study_uid,
        "images": [
            {"image_uid": one.sop_uid, "image_version": one.version, "series_uid": one.series_uid}
            for one in made
        ],
    }


def by_of(scope: Scope) -> By:
    """Who asks for a change, and whether anybody is to hear of it."""
    return By(caller_of(scope).login, call_of(scope).silent)


def file_size(call: Call) -> int:
    """What X-File-Size says. Raises Refused (412 without one, 413 over 2 GiB)."""
    value = call.header(FILE_SIZE).strip()
    if not value:
        raise Refused(VALIDATION, "The header X-File-Size is missing.")
    if not value.isascii() or not value.isdigit() or len(value) > 18:
        raise Refused(BAD_REQUEST, "The header X-File-Size is no number.")
    if int(value) > LARGEST_FILE:
        raise Refused(TOO_LARGE, f"The file is larger than the {LARGEST_FILE} bytes that can be wrapped.")
    return int(value)


def elements_of(tags: str) -> dict[str, str]:
    """Values by keyword from JSON like {"(0010,0010)": "..."}. Raises Refused, BadInput naming it."""
    from pydicom.datadict import keyword_for_tag

    document = parse_json(tags.encode()) if tags.strip() else {}
    if not isinstance(document, dict):
        raise Refused(BAD_JSON, "The tags must be a JSON object.")
    found = {}
    for name, value in document.items():
        tag = tag_of(name)
        if not isinstance(value, str):
            raise Refused(BAD_JSON, f"The value of {name} must be a string.")
        keyword = keyword_for_tag(tag)
        if not keyword:
            raise BadInput(f"{name} is not an element of PS3.6.")
        found[keyword] = _uid(name, value) if tag in (STUDY_UID, SERIES_UID) else checked(tag, value)
    return found


def _uid(name: str, value: str) -> str:
    if len(value) > 64 or not UID.fullmatch(value):
        raise BadInput(f"The value of {name} is no UID.")
    return value
