"""V3 storage, operations on a study as a whole: split, merge, clone, anonymize, crop."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable
from typing import TypeVar

from core.access.rights import Right
from core.archive.operations import Invalid, Operations, Target
from core.dicom.regions import BadRegions, read_colour, read_regions
from core.dicom.structures import Senseless, read_structures
from server.web.body import parse_json, read_document
from server.web.call import Call, Receive, Scope, Send, answer, answer_json, call_of, caller_of
from server.web.errors import (
    ANONYMIZE_FORMAT,
    BAD_REQUEST,
    FORBIDDEN,
    METHOD_NOT_ALLOWED,
    VALIDATION,
    Refused,
)
from server.web.services import Services
from server.web.streaming import Operation
from server.web.v3 import shapes
from server.web.v3.study import STUDY

T = TypeVar("T")

TAG = "V3 storage"
JSON = ("application/json",)
PLAIN = (b"content-type", b"text/plain; charset=utf-8")
LARGEST_STRUCTURES = 64 << 20
REFUSED = {404: JSON, 409: JSON, 412: JSON}
UID = re.compile(r"(0|[1-9]\d*)(\.(0|[1-9]\d*))+")
LONGEST_UID = 64
AT_ONCE = 2
"""So many operations run at a time: each holds an object in memory."""
COPY = {
    "to_namespace": "Namespace of the new study.",
    "phi_namespace": "Namespace whose PHI overlay is burned into the copy.",
}
DERIVED = {
    **COPY,
    "new_study_uid": "Study Instance UID of the new study.",
    "keep_image_uids": "1 keeps SOP Instance UIDs, in another namespace.",
}


class RestructuringRoutes:
    """Handlers of study operations; each answers when the new study is durable."""

    def __init__(self, services: Services, operations: Operations) -> None:
        self._services = services
        self._study = operations
        self._turn = asyncio.Semaphore(AT_ONCE)

    def operations(self) -> list[Operation]:
        """Every route of this file."""
        text = {200: ("text/plain",), **REFUSED}
        later = {202: ("text/plain",), **REFUSED}
        split = {
            **COPY,
            "series_uid": "Series, with commas; all if missing.",
            "delete_series_from_original": "1 deletes them here.",
        }
        clone = {
            "phi_namespace": COPY["phi_namespace"],
            "new_image_uids": "Must be true: two studies cannot share images.",
            "new_series_uids": "false keeps Series Instance UIDs.",
        }
        merge = {
            "secondary_study_uid": "Studies to merge into this one, with commas.",
            "series_uids": "Only these series of theirs.",
            "delete_secondary_study": "1 deletes those studies.",
        }
        colour = {"color": "rrggbb of covered regions; a checkerboard if missing."}
        return [
            Operation(f"{STUDY}/split", "POST", self.split, TAG, answers=text, query=split),
            Operation(f"{STUDY}/clone", "POST", self.clone, TAG, answers=text, query=clone),
            Operation(f"{STUDY}/merge", "GET", self.merge, TAG, answers=later, query=merge),
            Operation(
                f"{STUDY}/anonymize",
                "POST",
                self.anonymize,
                TAG,
                body=JSON,
                answers=later,
                query=DERIVED | colour,
            ),
            Operation(
                f"{STUDY}/hl7/{{uuid}}/sr", "POST", self.report, TAG, answers={202: (), 404: JSON, 400: JSON}
            ),
            Operation(f"{STUDY}/rt", "POST", self.structures, TAG, body=JSON, answers={200: JSON, **REFUSED}),
            Operation(f"{STUDY}/crop", "POST", self.crop, TAG, body=JSON, answers=later, query=DERIVED),
        ]

    async def split(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Make some series of a study a study of their own; its Study Instance UID comes back."""
        call, target = call_of(scope), self._target(scope)
        series, delete = _uids(call, "series_uid"), call.flag("delete_series_from_original")
        if delete:
            caller_of(scope).require(Right.DELETE, target.namespace)
        uid = await self._do(lambda: self._study.split(target, series, delete=delete))
        if delete:
            await self._forget(target.namespace, target.study_uid)
        await answer(send, 200, uid.encode(), [PLAIN])

    async def clone(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Make a study once more in its namespace; the new Study Instance UID comes back."""
        call, target = call_of(scope), self._target(scope)
        images = not call.query("new_image_uids") or call.flag("new_image_uids")
        series = not call.query("new_series_uids") or call.flag("new_series_uids")
        uid = await self._do(lambda: self._study.clone(target, new_image_uids=images, new_series_uids=series))
        await answer(send, 200, uid.encode(), [PLAIN])

    async def merge(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Merge other studies into this one; answered when it is done."""
        call, target = call_of(scope), self._target(scope)
        if call.head:
            raise Refused(METHOD_NOT_ALLOWED, "This changes the study: HEAD cannot ask for it.")
        if call.header(b"sec-fetch-site") in ("cross-site", "same-site"):
            raise Refused(FORBIDDEN, "This changes the study: another site cannot ask for it.")
        others, series = _uids(call, "secondary_study_uid"), _uids(call, "series_uids")
        if not others:
            raise Refused(BAD_REQUEST, "The parameter secondary_study_uid is missing.")
        delete = call.flag("delete_secondary_study")
        if delete:
            caller_of(scope).require(Right.DELETE, target.namespace)
        await self._do(lambda: self._study.merge(target, others, series, delete=delete))
        for uid in others if delete else ():
            await self._forget(target.namespace, uid)
        await answer(send, 202)

    async def anonymize(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Make a de-identified copy of a study (PS3.15 Annex E Basic Profile), regions of its pixels covered.

        The body is {"regions": [{"x", "y", "width", "height"}], "series": {UID: {"regions", "instances":
        {UID: {"regions"}}}}}; the highest level with regions holds. The new Study Instance UID comes back.
        """
        call, target = call_of(scope), self._target(scope)
        body = await read_document(call, receive, limits=self._services.limits)
        keep = call.flag("keep_image_uids")

        def work() -> str:
            regions = read_regions(parse_json(body) if body.strip() else {}, several=True)
            colour = read_colour(call.query("color"))
            return self._study.anonymize(target, regions, colour=colour, keep_image_uids=keep)

        uid = await self._do(work)
        await answer(send, 202, uid.encode(), [PLAIN])

    async def crop(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Make a copy of a study with its pictures cut to a region; the new Study Instance UID comes back.

        The body is {"region": {"x", "y", "width", "height"}} or {"series": {UID: {"region" or "instances":
        {UID: {"region"}}}}}; the highest level with a region holds. to_namespace must be given.
        """
        call, target = call_of(scope), self._target(scope)
        body = await read_document(call, receive, limits=self._services.limits)
        if not target.to_namespace:
            raise Refused(VALIDATION, "The parameter to_namespace is missing.")
        keep = call.flag("keep_image_uids")
        uid = await self._do(
            lambda: self._study.crop(
                target, read_regions(parse_json(body), several=False), keep_image_uids=keep
            )
        )
        await answer(send, 202, uid.encode(), [PLAIN])

    async def report(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Make a Basic Text SR of the HL7 message that is attached to the study under this GUID."""
        target, guid = self._target(scope), scope["path_params"]["uuid"]
        await self._do(lambda: self._study.report(target, guid))
        await answer(send, 202)

    async def structures(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Make a structure set of radiotherapy (RTSTRUCT) of the study; its attributes come back.

        The body holds elements by keyword or tag, plain or as DICOM JSON; StructureSetROISequence at least.
        """
        target = self._target(scope)
        body = await read_document(
            call_of(scope), receive, limits=self._services.limits, limit=LARGEST_STRUCTURES
        )
        archive = self._services.archive

        def work() -> dict[str, object]:
            uid = self._study.structures(target, read_structures(parse_json(body)))
            image = archive.image(target.namespace, target.study_uid, uid)
            values = archive.image_phi(target.namespace, target.study_uid, uid)
            return dict(shapes.made_image(image, values))

        try:
            await answer_json(send, 200, await self._do(work))
        except Senseless as error:
            raise Refused(VALIDATION, error.message) from error

    def _target(self, scope: Scope) -> Target:
        call, caller, params = call_of(scope), caller_of(scope), scope["path_params"]
        target = Target(
            params["namespace"],
            params["study_uid"],
            caller.login,
            call.query("to_namespace"),
            call.query("new_study_uid"),
            call.query("phi_namespace"),
            call.silent,
        )
        caller.require(Right.EDIT, target.namespace)
        caller.require(Right.STORE, target.to)
        if target.phi_namespace:
            caller.require(Right.VIEW, target.phi_namespace)
        uid = target.new_study_uid
        if uid and (len(uid) > LONGEST_UID or not UID.fullmatch(uid)):
            raise Refused(VALIDATION, "The new_study_uid is no valid UID.")
        return target

    async def _do(self, work: Callable[[], T]) -> T:
        async with self._turn:
            try:
                return await self._services.run(work)
            except BadRegions as error:
                raise Refused(ANONYMIZE_FORMAT, error.message, error.remedy) from error
            except Invalid as error:
                raise Refused(VALIDATION, error.message, error.remedy) from error

    async def _forget(self, namespace: str, study_uid: str) -> None:
        await self._services.run(lambda: self._services.pictures.forget(namespace, study_uid))


def _uids(call: Call, name: str) -> list[str]:
    values = [uid.strip() for value in call.queries(name) for uid in value.split(",")]
    return [uid for uid in values if uid]
