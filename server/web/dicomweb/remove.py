"""Delete (as DICOMweb servers have it) and dcm4chee's reject: into the trash, with an audit entry."""

from __future__ import annotations

import re
from concurrent.futures import Future

from core.access.rights import Right
from core.archive.nouns import By, TrashEntry
from core.errors import NotFound
from server.web.call import Receive, Scope, Send, answer, call_of, caller_of
from server.web.dicomweb.places import BASES, INSTANCE, SERIES, STUDY, at_each, listed_at, namespace_of
from server.web.errors import BAD_REQUEST, Refused
from server.web.services import Services
from server.web.streaming import Operation

TAG = "DICOMweb"
LEVELS = (STUDY, SERIES, INSTANCE)
DCM4CHEE = BASES[1]
CODE = re.compile(r"[\x21-\x5b\x5d\x5f-\x7e]{1,16}\^[\x21-\x5b\x5d\x5f-\x7e]{1,16}")
"""A code value and its scheme, each of VR SH (PS3.5 6.2)."""


class RemoveRoutes:
    """The handlers, over one archive."""

    def __init__(self, services: Services) -> None:
        self._services = services

    def operations(self) -> list[Operation]:
        """Every route of this file."""
        answers = {204: (), 403: ("application/json",), 404: ("application/json",)}
        deletes = [
            Operation(path, "DELETE", self.delete, TAG, answers=answers, documented=documented)
            for resource in LEVELS
            for path, documented in at_each(resource)
        ]
        answers = {**answers, 400: ("application/json",)}
        rejects = [
            Operation(path, "POST", self.reject, TAG, answers=answers, documented=path.startswith(DCM4CHEE))
            for resource in LEVELS
            for path, _ in at_each(f"{resource}/reject/{{code}}")
        ]
        return deletes + rejects

    async def delete(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Delete a study, a series or an instance: it stays in the trash for a while."""
        await self._remove(scope, send)

    async def reject(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Reject a study, a series or an instance for a reason, as 113001^DCM: it is deleted.

        The reason stands in the audit log.
        """
        reason: str = scope["path_params"]["code"]
        if not CODE.fullmatch(reason):
            raise Refused(BAD_REQUEST, "The reason must be a code with its scheme, as 113001^DCM.")
        await self._remove(scope, send, reason)

    async def _remove(self, scope: Scope, send: Send, reason: str = "") -> None:
        namespace = namespace_of(self._services, scope, Right.DELETE)
        study_uid: str = scope["path_params"]["study_uid"]
        by = By(caller_of(scope).login, call_of(scope).silent, reason)

        def start() -> Future[TrashEntry]:
            if "series_uid" in scope["path_params"]:
                uids = [each.sop_uid for each in listed_at(self._services, scope, namespace)]
                return self._services.removals.images(namespace, study_uid, uids, by)
            archive = self._services.archive
            return archive.delete_study(namespace, study_uid, by.actor, silent=by.silent, reason=by.reason)

        try:
            await self._services.durable(start)
        except NotFound as error:
            if error.kind == "namespace" and "namespace" not in scope["path_params"]:
                raise NotFound("study") from error  # nothing has been stored there yet
            raise
        await self._services.run(lambda: self._services.pictures.forget(namespace, study_uid))
        await answer(send, 204)
