"""DICOM Service, exams: one object is stored from a form, found by its patient, and given back."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any
from urllib.parse import urlencode

from core.access.rights import Right
from core.archive.level_rows import Level
from core.archive.matching_keys import EMPTY, Key
from core.archive.nouns import CURRENT, StoredImage, StoreResult
from core.archive.query import Query
from core.archive.returned import Answers, Fields
from core.dicom.json_model import Model, element_of
from core.errors import BadInput, MissingElement, NotFound, TooLarge
from server.web.body import chunks
from server.web.call import Call, Receive, Scope, Send, answer_json, call_of, caller_of
from server.web.errors import BAD_REQUEST, UNPROCESSABLE, Refused
from server.web.files import Stored, send_stored
from server.web.intake import Intake
from server.web.multipart import boundary_of, read_form
from server.web.origin import origin_of
from server.web.pictures import THUMBNAIL
from server.web.service.asked import NAMESPACE, TAG, parameter
from server.web.services import Services
from server.web.streaming import Operation

STUDIES = "/exams/studies"
SERIES = STUDIES + "/{study_uid}/series"
INSTANCES = SERIES + "/{series_uid}/instances"
ONE = SERIES + "/{series_uid}/instance/{image_uid}"
LEVELS = {STUDIES: Level.STUDY, SERIES: Level.SERIES, INSTANCES: Level.IMAGE}
MOST = 20_000
"""Answers of one search."""
FILE_TYPES = ("application/dicom", "image/jpeg")
PATIENT_ID = 0x00100020
RETRIEVE_URL = "00081190"
FOLDERS = ("studies", "series", "instances")
JSON = ("application/json",)


class ExamRoutes:
    """Handlers over one archive."""

    def __init__(self, services: Services) -> None:
        self._services = services

    def operations(self) -> list[Operation]:
        """Every route of this file."""
        query = {
            "PatientId": "Patient ID, exactly; patientID is the same. It must be there.",
            "limit": "Answers at most.",
            "offset": "Leave out so many answers.",
        }
        stored = {status: JSON for status in (200, 400, 413, 422)}
        found = {200: JSON, 400: JSON}
        one: dict[int, tuple[str, ...]] = {200: FILE_TYPES, 400: JSON, 404: JSON, 415: JSON}
        form = ("multipart/form-data",)
        kind = {"fileType": "application/dicom, or image/jpeg for a thumbnail. It must be there."}
        return [
            Operation("/exams", "POST", self.upload, TAG, body=form, answers=stored, fields={"file": True}),
            *(Operation(path, "GET", self.search, TAG, query=query, answers=found) for path in LEVELS),
            Operation(ONE, "GET", self.retrieve, TAG, query=kind, answers=one),
            Operation(
                INSTANCES + "/{image_uid}",
                "GET",
                self.retrieve,
                TAG,
                query=kind,
                answers=one,
                documented=False,
            ),
        ]

    async def upload(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Store the DICOM object in the form's field `file` (or its only part with a file name).

        Answered when bytes and index are on disk; 422 for what is no DICOM object, and nothing is kept.
        """
        call, caller = call_of(scope), caller_of(scope)
        caller.require(Right.STORE, NAMESPACE)
        limits = self._services.limits
        body = chunks(call, receive, limit=limits.image_bytes, limits=limits)
        intake = await self._receive(call, body)
        archive = self._services.archive
        try:
            result = await intake.finish(
                lambda incoming: archive.store(incoming, actor=caller.login, silent=call.silent)
            )
        except TooLarge:
            await intake.abort()
            raise
        except (BadInput, MissingElement) as error:
            await intake.abort()
            raise Refused(UNPROCESSABLE, error.message, error.remedy) from error
        except BaseException:
            await intake.abort()
            raise
        await answer_json(send, 200, [_stored(origin_of(scope), result)])

    async def _receive(self, call: Call, body: AsyncIterator[bytes]) -> Intake:
        archive = self._services.archive

        def new() -> Intake:
            return Intake(self._services.workers, lambda: archive.incoming(NAMESPACE))

        boundary = boundary_of(call.header(b"content-type"))
        if boundary is None:
            raise Refused(
                BAD_REQUEST, "The body is no form.", "Send multipart/form-data with the object as its file."
            )
        form = await read_form(body, boundary, file_field="file", intake=new)
        if form.intake is None:
            raise Refused(BAD_REQUEST, "The form has no file.", "Send the object as the field file.")
        return form.intake

    async def search(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Studies, series of a study, or instances of a series, of the patient that must be named."""
        call, params = call_of(scope), scope["path_params"]
        caller_of(scope).require(Right.VIEW, NAMESPACE)
        patient_id = parameter(call, "PatientId", "patientID").strip()
        if not patient_id:
            raise Refused(BAD_REQUEST, "The parameter PatientId is missing.")
        query = Query(
            level=_level(params),
            namespace=NAMESPACE,
            study_uid=params.get("study_uid", ""),
            series_uid=params.get("series_uid", ""),
            keys=[_exactly(patient_id)],
            limit=call.number("limit", MOST, lowest=1, highest=MOST),
            offset=call.number("offset", 0),
        )

        def work() -> Answers:
            if patient_id == EMPTY:  # a search would take it for "without one"
                return Answers()
            return self._services.searcher.answers(query, Fields())

        found, origin = await self._services.run(work), origin_of(scope)
        await answer_json(send, 200, [_with_address(model, origin, uids) for uids, model in found.models])

    async def retrieve(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One object as it was stored, or its picture as a small JPEG."""
        call, params = call_of(scope), scope["path_params"]
        caller_of(scope).require(Right.VIEW, NAMESPACE)
        kind = parameter(call, "fileType").strip().lower()
        if kind not in FILE_TYPES:
            raise Refused(BAD_REQUEST, f"The parameter fileType must be {' or '.join(FILE_TYPES)}.")
        image = await self._services.run(lambda: self._image(params))
        if kind == "image/jpeg":
            place = NAMESPACE, image.study_uid, image.sop_instance_uid, CURRENT
            await self._services.pictures.send(call, send, place, THUMBNAIL, pinned=False)
            return
        stored = Stored(
            path=image.path,
            bytes=image.bytes,
            version=image.version,
            content_type="application/dicom",
            pinned=False,
            file_name=f"{image.sop_instance_uid}.dcm",
            disposition="attachment",
        )
        await send_stored(call, receive, send, self._services.workers, lambda: stored)

    def _image(self, params: dict[str, Any]) -> StoredImage:
        try:
            image = self._services.archive.image(NAMESPACE, params["study_uid"], params["image_uid"])
        except NotFound as error:  # nothing was ever stored here: that is no affair of a namespace
            raise NotFound("study") if error.kind == "namespace" else error from error
        if image.series_uid != params["series_uid"]:
            raise NotFound("image", "The series has no such instance.")
        return image


def _level(params: dict[str, Any]) -> Level:
    if "series_uid" in params:
        return Level.IMAGE
    return Level.SERIES if "study_uid" in params else Level.STUDY


def _exactly(patient_id: str) -> Key:
    """The key of one Patient ID: no wildcards, no lists."""
    return Key(
        "PatientID", (PATIENT_ID,), "LO", (patient_id,), lambda value: value.strip(" \0") == patient_id
    )


def _with_address(model: Model, origin: str, uids: tuple[str, ...]) -> Model:
    place = "".join(f"/{folder}/{uid}" for folder, uid in zip(FOLDERS, uids, strict=False))
    return {**model, RETRIEVE_URL: element_of("UR", [f"{origin}/dicom-web{place}"])}


def _stored(origin: str, result: StoreResult) -> Model:
    """The answer of a store (PS3.18 I.2.2), its address one of WADO-URI."""
    asked = {
        "requestType": "WADO",
        "studyUID": result.study_uid,
        "seriesUID": result.series_uid,
        "objectUID": result.sop_uid,
        "contentType": "application/dicom",
    }
    one = {
        "00081150": element_of("UI", [result.sop_class_uid]),
        "00081155": element_of("UI", [result.sop_uid]),
        RETRIEVE_URL: element_of("UR", [f"{origin}/wado?{urlencode(asked, safe='/')}"]),
    }
    return {"00081199": {"vr": "SQ", "Value": [one]}}
