"""STOW-RS, the store transaction (PS3.18 10.5): objects, or metadata with bulk data, as parts."""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator, Sequence
from concurrent.futures import Future
from typing import Any

from core.access.rights import Right
from core.archive.nouns import Outcome, StoreResult
from core.archive.store import check_namespace
from core.dicom.native_xml import as_xml
from core.dicom.refs import Header
from core.errors import BadInput, Conflict, KnownError, NotDicom, StorageFault
from server.web.batch import Result, Sender
from server.web.body import chunks
from server.web.call import Call, Headers, Receive, Scope, Send, answer, call_of, caller_of
from server.web.dicomweb.media import DICOM, accepted
from server.web.dicomweb.mixed import MixedBatch, Unmade
from server.web.dicomweb.model_forms import DICOM_JSON, DICOM_XML, JSON
from server.web.dicomweb.places import at_each, base_url, namespace_of
from server.web.errors import UNSUPPORTED, Refused, encode
from server.web.multipart import boundary_of
from server.web.related import END, Event, PartBegins, PartData, read_parts
from server.web.services import Services
from server.web.streaming import Operation

logger = logging.getLogger("filmjacket.web")

TAG = "DICOMweb"
PROCESSING_FAILURE = 0x0110
OUT_OF_RESOURCES = 0xA700
OTHER_STUDY = 0xA901
CANNOT_UNDERSTAND = 0xC000
REASONS: tuple[tuple[type[Exception], int], ...] = (
    (StorageFault, OUT_OF_RESOURCES),
    (Conflict, OTHER_STUDY),
    (NotDicom, CANNOT_UNDERSTAND),
    (BadInput, CANNOT_UNDERSTAND),
)
"""Failure reasons by error (PS3.4 table B.2-1 and PS3.18 10.5.3; 0xA901 is also what other archives say)."""
LARGEST_BODY = 1 << 40
MOST_WARNINGS = 10

Model = dict[str, dict[str, Any]]


class StoreRoutes:
    """The handler, over one archive."""

    def __init__(self, services: Services) -> None:
        self._services = services

    def operations(self) -> list[Operation]:
        """Every route of this file."""
        body = ("multipart/related", DICOM)
        answers = {status: (DICOM_JSON, DICOM_XML) for status in (200, 202, 409)}
        return [
            Operation(path, "POST", self.store, TAG, body=body, answers=answers, documented=documented)
            for resource in ("/studies", "/studies/{study_uid}")
            for path, documented in at_each(resource)
        ]

    async def store(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Store DICOM objects, to any study or to the one the address names.

        Parts are whole objects, or metadata (JSON or XML) and the bulk data they name by Content-Location.
        200 when all are durable, 202 when some were not stored, 409 when none was; the answer names each with
        its address, or with the reason why not. A body that breaks off is refused; the objects that were
        complete are kept.
        """
        call, caller = call_of(scope), caller_of(scope)
        namespace = check_namespace(namespace_of(self._services, scope, Right.STORE))
        limits = self._services.limits
        body = chunks(call, receive, limit=LARGEST_BODY, limits=limits)
        batch = MixedBatch(
            self._services,
            namespace,
            Sender(caller.login, "api", scope["path_params"].get("study_uid", ""), silent=call.silent),
        )
        await batch.read(_objects(call.header(b"content-type"), body))
        if not batch.results:
            raise BadInput("The body has no object.", "Send at least one DICOM object, or metadata.")
        stored = [each for each in map(_stored, batch.results) if each is not None]
        status = 200 if len(stored) == len(batch.results) else 202 if stored else 409
        model = response(base_url(scope), batch.results)
        form = _form(call, xml=batch.xml)
        told = as_xml(model) if form == DICOM_XML else encode(model)
        await answer(send, status, told, [(b"content-type", form.encode("ascii")), *_warnings(batch)])


def _objects(content_type: str, body: AsyncIterator[bytes]) -> AsyncIterator[Event]:
    """The objects in the body. Raises Refused (400, 415)."""
    kind = content_type.partition(";")[0].strip().lower()
    boundary = boundary_of(content_type)
    if boundary is not None:
        return read_parts(body, boundary)
    if kind == DICOM:
        return _single(body)
    raise Refused(
        UNSUPPORTED,
        "The Content-Type is none that can be stored.",
        'Send multipart/related; type="application/dicom" with a boundary, or application/dicom.',
    )


async def _single(body: AsyncIterator[bytes]) -> AsyncIterator[Event]:
    yield PartBegins({})
    async for chunk in body:
        yield PartData(chunk)
    yield END


def _form(call: Call, *, xml: bool) -> str:
    """What the caller likes best; what came as XML is answered as XML if anything will do."""
    for each in accepted(call):
        if each.inner in {DICOM_JSON, JSON, DICOM_XML}:
            return each.inner
        if each.inner in {"application/xml", "text/xml"}:
            return DICOM_XML
    return DICOM_XML if xml else DICOM_JSON


def _warnings(batch: MixedBatch) -> Headers:
    unused = f"{batch.unused} of the parts with bulk data are named by no metadata"
    return warnings_of(batch.results, [unused] if batch.unused else [])


def warnings_of(results: Sequence[Result], more: Sequence[str] = ()) -> Headers:
    """Why objects were not stored, or not where they say, in words (RFC 7234 5.5), and *more*."""
    errors = [each.exception() if isinstance(each, Future) else each for each in results]
    said = [each.message for each in errors if isinstance(each, KnownError)][:MOST_WARNINGS]
    apart = sum(each.outcome is Outcome.CONFLICT for each in map(_stored, results) if each is not None)
    if apart:
        said.append(f"{apart} of the objects do not fit their study and are kept apart, in conflict")
    said += more
    texts = (each.replace("\\", "/").replace('"', "'") for each in said)
    return [(b"warning", f'299 Filmjacket "{each}"'.encode("ascii", "replace")) for each in texts]


def _stored(result: Result) -> StoreResult | None:
    if isinstance(result, Future) and result.exception() is None:
        return result.result()
    return None


def response(base: str, results: Sequence[Result]) -> Model:
    """The Store Instances Response Module (PS3.18 I.2), in the DICOM JSON model."""
    referenced: list[Model] = []
    failed: list[Model] = []
    studies: set[str] = set()
    for result in results:
        stored = _stored(result)
        if stored is None:
            failed.append(_failure(result))
            continue
        study = f"{base}/studies/{stored.study_uid}"
        studies.add(study)
        instance = f"{study}/series/{stored.series_uid}/instances/{stored.sop_uid}"
        referenced.append(
            {**_sop(stored.sop_class_uid, stored.sop_uid), "00081190": _element("UR", instance)}
        )
    model: Model = {}
    if len(studies) == 1:
        model["00081190"] = _element("UR", studies.pop())
    if failed:
        model["00081198"] = {"vr": "SQ", "Value": failed}
    if referenced:
        model["00081199"] = {"vr": "SQ", "Value": referenced}
    return model


def _failure(result: Result) -> Model:
    error = result.exception() if isinstance(result, Future) else result
    reason = next((code for kind, code in REASONS if isinstance(error, kind)), PROCESSING_FAILURE)
    if reason == PROCESSING_FAILURE and error is not None:
        logger.error("unforeseen error while storing", exc_info=error)
    header: Header | None = getattr(error, "header", None)
    sop = _sop(header.sop_class_uid, header.sop_instance_uid) if header else {}
    if isinstance(error, Unmade):
        reason, sop = error.reason, _sop(error.sop_class_uid, error.sop_uid)
    return {**sop, "00081197": _element("US", reason)}


def _sop(sop_class_uid: str, sop_instance_uid: str) -> Model:
    return {"00081150": _element("UI", sop_class_uid), "00081155": _element("UI", sop_instance_uid)}


def _element(vr: str, value: str | int) -> dict[str, Any]:
    return {"vr": vr, "Value": [value]} if value != "" else {"vr": vr}
