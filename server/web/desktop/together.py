"""Many images in one request: what the desktop sends a study of small files with."""

from __future__ import annotations

import logging
from concurrent.futures import Future
from typing import Any

from core.access.rights import Right
from core.errors import KnownError
from server.web.batch import Batch, Result, Sender
from server.web.body import chunks
from server.web.call import Call, Receive, Scope, Send, answer_json, call_of, caller_of
from server.web.desktop.routes import BASE
from server.web.errors import BAD_REQUEST, Refused, document, kind_of
from server.web.multipart import boundary_of
from server.web.related import read_parts
from server.web.services import Services
from server.web.streaming import Operation

logger = logging.getLogger("filmjacket.web")

IMAGES = BASE + "/namespaces/{namespace}/images"


class TogetherRoutes:
    """The one handler, over one archive."""

    def __init__(self, services: Services) -> None:
        self._services = services

    def operations(self) -> list[Operation]:
        """Every route of this file."""
        return [Operation(IMAGES, "POST", self.store_images, "Desktop", body=("multipart/related",))]

    async def store_images(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Store DICOM images, each a part of a multipart/related body.

        The answer lists what became of each part, in order, when all of them are on disk: `status` as for the
        upload of a single image, with `image_uid` and `image_version`, or with its `error`. A body that
        breaks off is refused; the parts that were complete are kept.
        """
        call, caller = call_of(scope), caller_of(scope)
        namespace: str = scope["path_params"]["namespace"]
        caller.require(Right.STORE, namespace)
        boundary = boundary_of(call.header(b"content-type"))
        if boundary is None:
            raise Refused(BAD_REQUEST, "The Content-Type names no boundary.", "Send multipart/related.")
        limits = self._services.limits
        body = chunks(call, receive, limit=limits.image_bytes, limits=limits)
        batch = Batch(self._services, namespace, Sender(caller.login, "desktop", silent=call.silent))
        await batch.read(read_parts(body, boundary))
        await answer_json(send, 200, {"images": [_row(each, call) for each in batch.results]})


def _row(result: Result, call: Call) -> dict[str, Any]:
    error = result if isinstance(result, Exception) else result.exception()
    if error is None and isinstance(result, Future):
        stored = result.result()
        return {
            "status": 200,
            "study_uid": stored.study_uid,
            "image_uid": stored.sop_uid,
            "image_version": stored.version,
        }
    if error is None:
        raise RuntimeError("an image neither stored nor refused")
    if not isinstance(error, KnownError):
        logger.error("unforeseen error in %s", IMAGES, exc_info=error)
    kind = kind_of(error)
    return {"status": kind.status, "error": document(error, kind, verbose=True)}
