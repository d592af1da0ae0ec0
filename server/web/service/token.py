"""DICOM Service, viewer tokens: what opens the web viewer on one study, in a role, for whoever holds it."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Future

from core.access.rights import Right
from core.audit.log import Event
from core.dicom.uids import is_uid
from core.errors import NotFound
from server.web.auth import Caller
from server.web.call import Receive, Scope, Send, answer_json, call_of, caller_of
from server.web.errors import BAD_REQUEST, Refused
from server.web.grants import DIAGNOSTIC, PATIENT, Grant
from server.web.service.asked import NAMESPACE, TAG, parameter
from server.web.services import Services
from server.web.streaming import Operation

JSON = ("application/json",)
ROLES = (PATIENT, DIAGNOSTIC)
LONGEST_USER = 128


class TokenRoutes:
    """The handler, over the grants that the viewer's pages honour."""

    def __init__(self, services: Services) -> None:
        self._services = services

    def operations(self) -> list[Operation]:
        """Every route of this file."""
        query = {
            "studyUID": "Study Instance UID. It must be there.",
            "patientID": "Patient ID; if given, it must be the study's.",
            "user": "Who will look, for the audit log.",
            "role": "patient (read-only, as without it) or diagnostic.",
        }
        answers = {status: JSON for status in (200, 400, 404)}
        return [Operation("/token", "GET", self.token, TAG, query=query, answers=answers)]

    async def token(self, scope: Scope, receive: Receive, send: Send) -> None:
        """A token that opens a study at `/view?q=TOKEN`, once and soon, never more than its caller may."""
        call, caller = call_of(scope), caller_of(scope)
        caller.require(Right.VIEW, NAMESPACE)
        study_uid = parameter(call, "studyUID").strip()
        if not is_uid(study_uid):
            raise Refused(BAD_REQUEST, "The parameter studyUID is missing or no UID.")
        role = parameter(call, "role").strip().lower() or PATIENT
        if role not in ROLES:
            raise Refused(BAD_REQUEST, f"The parameter role must be {' or '.join(ROLES)}.")
        user = parameter(call, "user").strip()
        if not user.isprintable() or len(user) > LONGEST_USER:
            raise Refused(BAD_REQUEST, f"The parameter user must be {LONGEST_USER} characters at most.")
        await self._services.run(lambda: self._check(study_uid, parameter(call, "patientID").strip()))
        about, grants = self._services.about, self._services.grants
        grant = Grant(NAMESPACE, study_uid, caller.login, role=role)
        if not call.head:  # looking makes none
            await self._services.durable(self._noted(caller, study_uid, role, user))
        token = grants.token(grant, about.viewer_token_s, once=about.viewer_token_once)
        await answer_json(send, 200, {"token": token})

    def _check(self, study_uid: str, patient_id: str) -> None:
        """Raises NotFound("study") where there is no such study, or it is another patient's."""
        try:
            row = self._services.archive.study(NAMESPACE, study_uid).row
        except NotFound as error:
            raise NotFound("study") from error
        if patient_id and patient_id != row.patient_id.strip():
            raise NotFound("study")

    def _noted(self, caller: Caller, study_uid: str, role: str, user: str) -> Callable[[], Future[None]]:
        archive = self._services.archive
        return lambda: archive.db.write(
            lambda connection: archive.audit.record(
                connection,
                Event.INSTANCES_ACCESSED,
                "viewer token made",
                actor=caller.login,
                namespace=NAMESPACE,
                study_uid=study_uid,
                detail={"role": role, "user": user},
            )
        )
