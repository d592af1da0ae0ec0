"""DICOM Service, worklist: items are made, listed by patient, removed; and UIDs for whoever needs one."""

from __future__ import annotations

from core.dicom.uids import is_uid
from core.worklist.entries import entry_model
from core.worklist.fields import FIELDS, read_fields
from core.worklist.worklist import MOST
from server.web.body import parse_json, read_document
from server.web.call import Receive, Scope, Send, answer, answer_json, call_of, caller_of
from server.web.errors import BAD_REQUEST, Refused
from server.web.service.asked import NAMESPACE, TAG, parameter, require_one
from server.web.services import Services
from server.web.streaming import Operation
from server.web.worklist_rights import PLANNERS, READERS

JSON = ("application/json",)


class WorkitemRoutes:
    """Handlers over the worklist of one archive."""

    def __init__(self, services: Services) -> None:
        self._services = services

    def operations(self) -> list[Operation]:
        """Every route of this file."""
        query = {
            "patientID": "Patient ID, exactly; without it the items of all patients.",
            "limit": f"Items at most, {MOST} without it.",
            "offset": "Leave out so many items.",
        }
        made = {200: JSON, 400: JSON, 409: JSON}
        gone = {204: (), 404: JSON}
        return [
            Operation("/workitems", "POST", self.create, TAG, body=JSON, answers=made, fields=_described()),
            Operation("/workitems", "GET", self.listed, TAG, query=query, answers={200: JSON, 400: JSON}),
            Operation("/workitems/{study_uid}", "DELETE", self.remove, TAG, answers=gone),
            Operation("/uid", "GET", self.uid, TAG),
        ]

    async def create(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Put an item on the worklist; its StudyInstanceUID comes back, made if none was given.

        400 names the field that is missing or wrong; 409 where the study has an item already.
        """
        call, caller = call_of(scope), caller_of(scope)
        require_one(caller, PLANNERS)
        said = read_fields(parse_json(await read_document(call, receive, limits=self._services.limits)))
        item = await self._services.durable(
            lambda: self._services.worklist.create(NAMESPACE, said, actor=caller.login)
        )
        await answer_json(send, 200, {"StudyInstanceUID": item.study_uid, "WorkitemUID": item.uid})

    async def listed(self, scope: Scope, receive: Receive, send: Send) -> None:
        """The items of a patient that are not finished, in the order they start."""
        call = call_of(scope)
        require_one(caller_of(scope), READERS)
        patient_id = parameter(call, "patientID").strip()
        limit = call.number("limit", MOST, lowest=1, highest=MOST)
        offset = call.number("offset", 0)
        found = await self._services.run(
            lambda: self._services.worklist.listed(
                NAMESPACE, patient_id=patient_id, limit=limit, offset=offset
            )
        )
        await answer_json(send, 200, [entry_model(item.said) for item in found])

    async def remove(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Take the items of a study off the worklist."""
        caller, study_uid = caller_of(scope), scope["path_params"]["study_uid"]
        require_one(caller, PLANNERS)
        if not is_uid(study_uid):
            raise Refused(BAD_REQUEST, "The StudyInstanceUID in the address is no UID.")
        await self._services.durable(
            lambda: self._services.worklist.remove_study(NAMESPACE, study_uid, actor=caller.login)
        )
        await answer(send, 204)

    async def uid(self, scope: Scope, receive: Receive, send: Send) -> None:
        """A UID nobody has, below the root that was set (FILMJACKET_UID_ROOT), else below 2.25."""
        await answer_json(send, 200, {"uid": self._services.uids.new()})


def _described() -> dict[str, bool]:
    return {name: field.needed for name, field in FIELDS.items()}
