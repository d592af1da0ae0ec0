"""V3 storage, removing parts of a study: images, attachments, what is cached of it."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Future

from core.access.rights import Right
from core.archive.nouns import By, TrashEntry
from server.web.body import read_document
from server.web.call import Receive, Scope, Send, answer, call_of, caller_of
from server.web.errors import BAD_REQUEST, Refused
from server.web.services import Services
from server.web.streaming import Operation
from server.web.v3.study import ATTACHMENT, STUDY

TAG = "V3 storage"
GONE = {202: (), 404: ("application/json",)}
LONGEST_UID = 64
MOST_BODY = 16 << 20


class RemovalRoutes:
    """Handlers of removing; every one moves into the trash and answers when it is durable."""

    def __init__(self, services: Services) -> None:
        self._services = services
        self._removals = services.removals

    def operations(self) -> list[Operation]:
        """Every route of this file."""
        version = f"{ATTACHMENT}/{{attachment_id}}/version/{{version}}"
        return [
            Operation(f"{STUDY}/image/{{image_uid}}", "DELETE", self.image, TAG, answers=GONE),
            Operation(f"{STUDY}/images", "DELETE", self.images, TAG, body=("text/plain",), answers=GONE),
            Operation(version, "DELETE", self.attachment, TAG, answers=GONE),
            Operation(f"{STUDY}/cache", "DELETE", self.cache, TAG, answers=GONE),
        ]

    async def image(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Delete one image with all its versions; with the last one the study goes."""
        uid = scope["path_params"]["image_uid"]
        await self._remove(scope, send, lambda n, s, by: self._removals.images(n, s, [uid], by))

    async def images(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Delete several images, all or none of them; the body holds their UIDs with commas."""
        call = call_of(scope)
        caller_of(scope).require(Right.DELETE, scope["path_params"]["namespace"])
        body = await read_document(call, receive, limits=self._services.limits, limit=MOST_BODY)
        uids = [uid.strip() for uid in body.decode("latin-1").split(",")]
        uids = [uid for uid in uids if uid]
        if not uids or any(len(uid) > LONGEST_UID for uid in uids):
            raise Refused(BAD_REQUEST, "The body must hold the UIDs of images, with commas between them.")
        await self._remove(scope, send, lambda n, s, by: self._removals.images(n, s, uids, by))

    async def attachment(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Delete one version of an attachment."""
        guid, version = scope["path_params"]["attachment_id"], scope["path_params"]["version"]
        await self._remove(scope, send, lambda n, s, by: self._removals.attachment(n, s, guid, version, by))

    async def cache(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Forget what was made of a study's images ahead of time; it is made again when asked for."""
        namespace, study_uid = scope["path_params"]["namespace"], scope["path_params"]["study_uid"]
        caller_of(scope).require(Right.EDIT, namespace)
        await self._services.run(lambda: self._services.archive.study_tags(namespace, study_uid))
        await self._services.run(lambda: self._services.pictures.forget(namespace, study_uid))
        await answer(send, 202)

    async def _remove(
        self, scope: Scope, send: Send, start: Callable[[str, str, By], Future[TrashEntry]]
    ) -> None:
        namespace, study_uid = scope["path_params"]["namespace"], scope["path_params"]["study_uid"]
        caller = caller_of(scope)
        caller.require(Right.DELETE, namespace)
        by = By(caller.login, call_of(scope).silent)
        await self._services.durable(lambda: start(namespace, study_uid, by))
        await self._services.run(lambda: self._services.pictures.forget(namespace, study_uid))
        await answer(send, 202)
