"""V3 storage, upload in parts: initiate, parts with their CRC-32, what has come, complete."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import Future

from core.access.rights import Right
from core.archive.nouns import By, StoreResult
from core.archive.parts import LARGEST_PART
from core.dicom.header import read_header
from core.errors import BadInput
from server.web.body import chunks
from server.web.call import Call, Receive, Scope, Send, answer_json, call_of, caller_of
from server.web.errors import BAD_REQUEST, VALIDATION, Refused
from server.web.services import Services
from server.web.streaming import Operation
from server.web.v3 import shapes
from server.web.v3.wrap import FILE_SIZE, LARGEST_FILE, WrapRoutes, file_size, wrapped
from server.web.wrapping import HeldFile

TAG = "V3 storage"
BASE = "/api/v3/storage/multipart"
CHECKSUM, NAME = b"x-ambrahealth-part-checksum", b"x-file-name"
ENDPOINTS = ("image", "wrap")


class PartRoutes:
    """Handlers of uploads in parts."""

    def __init__(self, services: Services) -> None:
        self._services = services
        self._parts = services.parts
        self._archive = services.archive

    def operations(self) -> list[Operation]:
        """Every route of this file."""
        upload = f"{BASE}/{{upload_id}}"
        done = {200: ("application/json",), 202: ("application/json",), 412: ("application/json",)}
        query = {
            "namespace": "Where it belongs.",
            "endpoint": "image: it is a DICOM object; wrap: it is to become one.",
            "study_uid": "The study it belongs to.",
            "tags": "With wrap: JSON as there.",
            "render_wrapped_pdf": "With wrap: 1 stores the pages of a PDF as images as well.",
        }
        return [
            Operation(f"{BASE}/initiate", "GET", self.initiate, TAG),
            Operation(upload, "GET", self.list_parts, TAG),
            Operation(upload, "POST", self.put_part, TAG, body=("application/octet-stream",), answers=done),
            Operation(f"{upload}/complete", "POST", self.complete, TAG, answers=done, query=query),
        ]

    async def initiate(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Open an upload in parts; it expires a day after its last part."""
        caller = caller_of(scope)
        caller.require(Right.STORE)
        if call_of(scope).head:
            await answer_json(send, 200, {})
            return
        upload = await self._services.run(lambda: self._parts.initiate(caller.login))
        await answer_json(send, 200, {"upload_uuid": upload})

    async def list_parts(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Which parts have come, so that an upload can go on: number, size and CRC-32 of each."""
        upload, owner = self._whose(scope)
        found = await self._services.run(lambda: self._parts.list(upload, owner))
        parts = [{"number": p.number, "size": p.size, "checksum": str(p.checksum)} for p in found]
        await answer_json(send, 200, {"upload_uuid": upload, "parts": parts})

    async def put_part(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One part, on disk when answered.

        X-File-Name is its number, X-AmbraHealth-part-checksum its CRC-32, X-File-Size its size.
        """
        call = call_of(scope)
        upload, owner = self._whose(scope)
        checksum, name = _checksum(call), call.header(NAME).strip()
        if not name:
            raise Refused(VALIDATION, "The header X-File-Name is missing.")
        size = file_size(call)
        body = chunks(call, receive, limit=LARGEST_PART, limits=self._services.limits)
        data = b"".join([chunk async for chunk in body])
        if len(data) != size:
            raise Refused(BAD_REQUEST, f"X-File-Size says {size} bytes, and {len(data)} came.")
        await self._services.run(lambda: self._parts.put(upload, owner, name, data, checksum))
        await answer_json(send, 200, {"upload_uuid": upload, "part": name})

    async def complete(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Make the parts one file and store it, as a DICOM object or made into one; else they stay."""
        call, caller = call_of(scope), caller_of(scope)
        upload, owner = self._whose(scope)
        namespace, endpoint = call.query("namespace"), call.query("endpoint", "image")
        if not namespace or endpoint not in ENDPOINTS:
            raise Refused(BAD_REQUEST, "The parameters must name a namespace, and image or wrap as endpoint.")
        caller.require(Right.STORE, namespace)
        size = _whole_size(call, self._services.limits.image_bytes)
        if endpoint == "wrap" and size > LARGEST_FILE:
            size = file_size(call)  # which refuses it
        pieces = await self._services.run(lambda: self._parts.begin(upload, owner, size))
        done = False
        try:
            if endpoint == "image":
                by = By(caller.login, call.silent)
                result = await self._image(namespace, pieces, call.query("study_uid"), by)
                status, value = 200, dict(shapes.stored_image(result))
            else:
                status, value = 202, await self._wrap(scope, namespace, pieces)
            done = True
        finally:
            await self._services.run(lambda: self._parts.end(upload, done=done))
        await answer_json(send, status, value)

    async def _image(self, namespace: str, pieces: Iterator[bytes], study_uid: str, by: By) -> StoreResult:
        def put() -> Future[StoreResult]:
            with self._archive.incoming(namespace) as incoming:
                for piece in pieces:
                    incoming.write(piece)
                if study_uid:
                    incoming.flush()
                    if read_header(incoming.path).study_instance_uid != study_uid:
                        raise BadInput("The image belongs to another study than the one named.")
                return self._archive.store(incoming, actor=by.actor, silent=by.silent)

        return await self._services.durable(put)

    async def _wrap(self, scope: Scope, namespace: str, pieces: Iterator[bytes]) -> dict[str, object]:
        call = call_of(scope)
        pages = call.query("render_wrapped_pdf") != "" and call.flag("render_wrapped_pdf")
        order = await WrapRoutes(self._services).order(
            scope, namespace, call.query("tags"), "", pages=pages, study_uid=call.query("study_uid")
        )
        held = HeldFile(self._services.workers, lambda: self._archive.incoming(namespace))
        try:
            while piece := await self._services.run(lambda: next(pieces, b"")):
                await held.write(piece)
            made = await self._services.wrapper.wrap(await held.settle(), order)
        finally:
            await held.abort()
        return wrapped(namespace, made)

    def _whose(self, scope: Scope) -> tuple[str, str]:
        caller = caller_of(scope)
        caller.require(Right.STORE)
        return str(scope["path_params"]["upload_id"]), caller.login


def _checksum(call: Call) -> int:
    value = call.header(CHECKSUM).strip()
    if not value:
        raise Refused(VALIDATION, "The header X-AmbraHealth-part-checksum is missing.")
    if not value.isascii() or not value.isdigit() or len(value) > 10:
        raise Refused(BAD_REQUEST, "The checksum of a part must be its CRC-32 as a decimal number.")
    return int(value)


def _whole_size(call: Call, limit: int) -> int:
    value = call.header(FILE_SIZE).strip()
    if not value.isascii() or not value.isdigit() or len(value) > 18 or int(value) > limit:
        return file_size(call)  # which says what is wrong
    return int(value)
