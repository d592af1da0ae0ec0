"""V3 storage, attachments of a study: post, by version, the latest."""

from __future__ import annotations

import mimetypes
import re
from collections.abc import Callable
from typing import Any

from core.access.rights import Right
from core.archive.nouns import CURRENT, Attachment, StoredAttachment
from core.errors import BadInput
from server.web.body import chunks
from server.web.call import Receive, Scope, Send, answer_json, call_of, caller_of
from server.web.call import answer as send_answer
from server.web.errors import BAD_REQUEST, Refused, encode
from server.web.files import MEDIA_TYPE, Stored, disposition_for, send_stored
from server.web.intake import Intake
from server.web.multipart import Part, boundary_of, clean_name, part_of, read_form
from server.web.services import Services
from server.web.streaming import Operation
from server.web.v3 import shapes
from server.web.v3.study import ATTACHMENT
from server.web.v3.wrap import STATIC_IDS, by_of, images_if_any, wrapped
from server.web.wrapping import HeldFile

TAG = "V3 storage"
MAX_UPLOADER = 256
PAGES = frozenset(("text/html", "application/xhtml+xml"))
CHARSET = re.compile(r"charset=\"?([A-Za-z0-9_.:-]{1,40})", re.IGNORECASE)
HTML = (b"content-type", b"text/html; charset=utf-8")


class AttachmentRoutes:
    """Handlers of attachments over one archive."""

    def __init__(self, services: Services) -> None:
        self._services = services
        self._archive = services.archive

    def operations(self) -> list[Operation]:
        """Every route of this file."""
        phi = {"phi_namespace": "Accepted as on every read."}
        answers = {200: ("application/octet-stream",), 404: ("application/json",)}
        version = f"{ATTACHMENT}/{{attachment_id}}/version/{{version}}"
        latest = f"{ATTACHMENT}/latest"
        return [
            Operation(
                ATTACHMENT,
                "POST",
                self.post_attachment,
                TAG,
                body=("multipart/form-data", "application/pdf", "application/octet-stream"),
                query={
                    "uploaded_by": "Who uploads it, if the body is not a form.",
                    "name": "Its file name, likewise.",
                    "wrap_images": "1 makes a PDF's pages, or a picture, into images of a new series too.",
                    "synchronous_wrap": "The same; it is done before the answer in either case.",
                    "wrap_html_as_pdf": "1 attaches an HTML page as a PDF instead.",
                    "return_html": "1 answers the same JSON as text/html, for forms that need it.",
                    "static_ids": STATIC_IDS,
                },
            ),
            Operation(version, "GET", self.attachment, TAG, answers=answers, query=phi),
            Operation(version + "/{name}", "GET", self.attachment, TAG, answers=answers, query=phi),
            Operation(latest, "GET", self.latest, TAG, answers=answers, query=phi),
            Operation(latest + ".{name}", "GET", self.latest, TAG, answers=answers, documented=False),
            Operation(latest + "/{name}", "GET", self.latest, TAG, answers=answers, query=phi),
        ]

    async def post_attachment(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Attach a file to a study.

        As form field `data` (with `uploaded_by`), or as the body itself with its Content-Type.
        """
        call, caller = call_of(scope), caller_of(scope)
        namespace: str = scope["path_params"]["namespace"]
        caller.require(Right.ATTACH, namespace)
        content_type = call.header(b"content-type").strip()
        wrap_images = call.flag("wrap_images") | call.flag("synchronous_wrap")
        as_pdf = call.flag("wrap_html_as_pdf")
        static_ids, as_html = call.flag("static_ids"), call.flag("return_html")
        body = chunks(
            call, receive, limit=self._services.limits.attachment_bytes, limits=self._services.limits
        )

        def new() -> Intake:
            kind = HeldFile if as_pdf else Intake
            return kind(self._services.workers, lambda: self._archive.incoming(namespace))

        boundary = boundary_of(content_type)
        if boundary is not None:
            form = await read_form(body, boundary, file_field="data", intake=new)
            if form.intake is None or form.file is None:
                raise Refused(BAD_REQUEST, "The form has no field called data with the file.")
            intake, part, uploaded_by = form.intake, form.file, form.fields.get("uploaded_by", "")
            part.content_type = part.content_type or outer_type(content_type)
        else:
            intake, part = new(), part_of(call.header(b"content-disposition"), content_type)
            part.file_name = part.file_name or clean_name(call.query("name"))
            uploaded_by = call.query("uploaded_by")
            try:
                async for chunk in body:
                    await intake.write(chunk)
            except BaseException:
                await intake.abort()
                raise
        uploaded_by = "".join(c for c in uploaded_by if c.isprintable())[:MAX_UPLOADER] or caller.login
        if isinstance(intake, HeldFile) and content_type_of(part).split(";")[0].strip().lower() in PAGES:
            intake, part = await self._printed(intake, part, namespace)
        kept = await self._keep(scope, intake, part, uploaded_by)
        study_uid = scope["path_params"]["study_uid"]
        answer: dict[str, Any] = {**shapes.stored_attachment(namespace, study_uid, kept)}
        if wrap_images:
            made = await images_if_any(
                self._services, namespace, study_uid, kept, static=static_ids, by=by_of(scope)
            )
            answer["images"] = wrapped(namespace, made)["images"] if made else []
        if as_html:
            await send_answer(send, 200, _harmless(answer), [HTML])
        else:
            await answer_json(send, 200, answer)

    async def _printed(self, page: HeldFile, part: Part, namespace: str) -> tuple[Intake, Part]:
        """The PDF of an HTML page, to be attached instead. Raises Unsupported (415); then nothing is."""
        charset = CHARSET.search(part.content_type)
        try:
            pdf = await self._services.wrapper.pdf_of(await page.settle(), charset[1] if charset else "")
        finally:
            await page.abort()
        made = Intake(self._services.workers, lambda: self._archive.incoming(namespace))
        await made.write(pdf)
        name = re.sub(r"\.x?html?$", "", part.file_name or "", flags=re.IGNORECASE) or "page"
        return made, Part(part.name, f"{name}.pdf", "application/pdf")

    async def _keep(self, scope: Scope, intake: Intake, part: Part, uploaded_by: str) -> Attachment:
        namespace, study_uid = scope["path_params"]["namespace"], scope["path_params"]["study_uid"]
        try:
            if not intake.size:
                raise BadInput("The attachment is empty: nothing was sent.", "Send a file.")
            return await intake.finish(
                lambda incoming: self._archive.attach(
                    namespace,
                    study_uid,
                    incoming,
                    name=part.file_name or "",
                    content_type=content_type_of(part),
                    uploaded_by=uploaded_by,
                    actor=caller_of(scope).login,
                    silent=call_of(scope).silent,
                )
            )
        except BaseException:
            await intake.abort()
            raise

    async def attachment(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One version of an attachment, with the content type and file name it came with."""
        params = scope["path_params"]
        await self._send(
            scope,
            receive,
            send,
            lambda: self._archive.attachment(
                params["namespace"], params["study_uid"], params["attachment_id"], params["version"]
            ),
            pinned=params["version"] != CURRENT,
        )

    async def latest(self, scope: Scope, receive: Receive, send: Send) -> None:
        """The attachment that came last."""
        params = scope["path_params"]
        await self._send(
            scope,
            receive,
            send,
            lambda: self._archive.latest_attachment(params["namespace"], params["study_uid"]),
            pinned=False,
        )

    async def _send(
        self,
        scope: Scope,
        receive: Receive,
        send: Send,
        look_up: Callable[[], StoredAttachment],
        *,
        pinned: bool,
    ) -> None:
        caller = caller_of(scope)
        caller.require(Right.VIEW, scope["path_params"]["namespace"])
        if phi_namespace := call_of(scope).query("phi_namespace"):
            caller.require(Right.VIEW, phi_namespace)

        def find() -> Stored:
            found = look_up()
            kept = found.attachment
            return Stored(
                path=found.path,
                bytes=kept.bytes,
                version=kept.version,
                content_type=kept.content_type,
                pinned=pinned,
                file_name=kept.name or f"attachment{mimetypes.guess_extension(kept.content_type) or ''}",
                disposition=disposition_for(kept.content_type),
            )

        await send_stored(call_of(scope), receive, send, self._services.workers, find)


def _harmless(value: object) -> bytes:
    """JSON that no browser takes for markup: `<`, `>` and `&` are written as JSON escapes."""
    text = encode(value)
    for sign in (b"<", b">", b"&"):
        text = text.replace(sign, b"\\u%04x" % ord(sign))
    return text


def outer_type(content_type: str) -> str:
    """The type that was written before `boundary`, if it is the file's and not the form's own."""
    bare = re.split(r"\s*;", content_type, maxsplit=1)[0]
    return "" if bare.lower().startswith("multipart/") else bare


def content_type_of(part: Part) -> str:
    """The file's type as sent, else by its name, else unknown bytes."""
    if MEDIA_TYPE.fullmatch(part.content_type):
        return part.content_type
    return mimetypes.guess_type(part.file_name or "")[0] or "application/octet-stream"
