"""The desktop's own routes: search, study detail, what is held, trash, status."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import asdict
from typing import Annotated, Any

from fastapi import APIRouter, Path, Query, Request, Response

from core.access.rights import Right
from core.archive.nouns import Attachment, SeriesRow, StudyFilter, StudyRow, TrashEntry
from core.errors import NotFound
from server.web.auth import Caller
from server.web.body import parse_json, read_document
from server.web.call import call_of, caller_of
from server.web.errors import BAD_JSON, BAD_REQUEST, Refused, encode
from server.web.services import Services

BASE = "/api/desktop/v1"
STUDY = BASE + "/studies/{namespace}/{study_uid}"
ORDERS = ("received", "study_date", "patient_name")
INSTITUTION = "(0008,0080)"
DATE = re.compile(r"\d{8}|")
MAX_LIMIT = 1000
MAX_UIDS = 100_000
MAX_HELD_BODY = 16 << 20

Text = Annotated[str, Query(max_length=256)]
Entry = Annotated[int, Path(ge=0, le=1 << 62)]


def router(services: Services) -> APIRouter:
    """The routes; each asks the archive once."""
    routes = APIRouter(prefix="", tags=["Desktop"])
    archive = services.archive

    @routes.get(f"{BASE}/status")
    def status(request: Request) -> Response:
        """The archive in figures."""
        caller_of(request.scope).require(Right.VIEW)
        found = archive.status()
        return _json(
            {
                "version": services.about.version,
                "ae_title": services.about.ae_title,
                "free_bytes": found.free_bytes,
                "studies": found.studies,
                "images": found.images,
                "bytes": found.bytes,
                "settling": found.settling,
                "images_together": True,
            }
        )

    @routes.get(f"{BASE}/studies")
    def studies(  # noqa: PLR0917  each is a query parameter by name
        request: Request,
        text: Text = "",
        patient_name: Text = "",
        patient_id: Text = "",
        accession_number: Text = "",
        date_from: Text = "",
        date_to: Text = "",
        modality: Annotated[list[str] | None, Query(max_length=20)] = None,
        namespace: Text = "",
        order: Text = "-received",
    ) -> Response:
        """A page of studies that match; `limit` and `offset` choose it."""
        call, caller = call_of(request.scope), caller_of(request.scope)
        caller.require(Right.VIEW, namespace)
        if order.removeprefix("-") not in ORDERS:
            raise Refused(
                BAD_REQUEST, f"The parameter order must be one of {', '.join(ORDERS)}, - for descending."
            )
        where = StudyFilter(
            text=text,
            patient_name=patient_name,
            patient_id=patient_id,
            accession_number=accession_number,
            date_from=_date("date_from", date_from),
            date_to=_date("date_to", date_to),
            modalities=tuple(modality or ()),
            namespaces=(namespace,) if namespace else caller.namespaces,
        )
        limit = call.number("limit", 50, lowest=1, highest=MAX_LIMIT)
        page = archive.studies(where, limit=limit, offset=call.number("offset", 0), order=order)
        return _json({"studies": [study_row(row) for row in page.rows], "total": page.total})

    @routes.get(STUDY)
    def study(request: Request, namespace: str, study_uid: str) -> Response:
        """One study with its series, images and attachments."""
        caller_of(request.scope).require(Right.VIEW, namespace)
        found = archive.study(namespace, study_uid)
        return _json(
            {
                **study_row(found.row),
                "institution_name": archive.study_tags(namespace, study_uid).tags.get(INSTITUTION, ""),
                "series": [_series(row) for row in found.series],
                "attachment_list": [_attachment(each) for each in found.attachments],
            }
        )

    @routes.get(STUDY + "/details")
    def details(request: Request, namespace: str, study_uid: str) -> Response:
        """The identifying elements of a study, as its first image has them."""
        caller_of(request.scope).require(Right.VIEW, namespace)
        from core.dicom.details import identifying_elements  # it needs pydicom, which nothing else here does

        image = archive.representative(namespace, study_uid)
        with image.open() as data:
            elements = identifying_elements(data)
        return _json({"elements": [{"name": e.name, "tag": e.tag, "value": e.value} for e in elements]})

    @routes.post(STUDY + "/held")
    async def held(request: Request, namespace: str, study_uid: str) -> Response:
        """Current version by SOP Instance UID, of the `image_uids` in the JSON body or of all."""
        caller_of(request.scope).require(Right.VIEW, namespace)
        call = call_of(request.scope)
        body = await read_document(call, request.receive, limits=services.limits, limit=MAX_HELD_BODY)
        wanted = _wanted(body)
        try:
            found: Mapping[str, str] = await services.run(lambda: archive.held(namespace, study_uid, wanted))
        except NotFound:  # nothing of it is here yet: that is an answer, not an error
            found = {}
        return _json({"images": dict(found)})

    @routes.get(f"{BASE}/trash")
    def trash(request: Request) -> Response:
        """What was deleted and can still be restored, newest first."""
        caller_of(request.scope).require(Right.ADMIN)
        return _json({"entries": [_trash_entry(entry) for entry in archive.trash()]})

    @routes.post(BASE + "/trash/{entry}/restore")
    async def restore(request: Request, entry: Entry) -> Response:
        """Bring a deleted study back."""
        caller = _admin(request)
        row = await services.durable(lambda: archive.restore(entry, actor=caller.login))
        return _json(study_row(row))

    @routes.delete(BASE + "/trash/{entry}")
    async def purge(request: Request, entry: Entry) -> Response:
        """Remove a deleted study for good."""
        caller = _admin(request)
        await services.durable(lambda: archive.purge(entry, actor=caller.login))
        return Response(status_code=204)

    return routes


def study_row(row: StudyRow) -> dict[str, Any]:
    """One line of a study list."""
    return {
        "namespace": row.namespace,
        "study_uid": row.study_uid,
        "patient_name": row.patient_name,
        "patient_id": row.patient_id,
        "patient_birth_date": row.patient_birth_date,
        "patient_sex": row.patient_sex,
        "study_date": row.study_date,
        "study_time": row.study_time,
        "study_description": row.study_description,
        "accession_number": row.accession_number,
        "modalities": list(row.modalities),
        "series": row.series,
        "images": row.images,
        "bytes": row.bytes,
        "attachments": row.attachments,
        "received": row.received.isoformat(),
        "state": str(row.state),
        "stored_patient": asdict(row.stored_patient) if row.stored_patient else None,
    }


def _series(row: SeriesRow) -> dict[str, Any]:
    return {
        "series_uid": row.series_uid,
        "number": row.number,
        "modality": row.modality,
        "description": row.description,
        "images": [
            {
                "image_uid": image.sop_instance_uid,
                "version": image.version,
                "instance_number": image.instance_number,
                "frame_count": image.frame_count,
                "rank": image.rank,
                "bytes": image.bytes,
                "sop_class_uid": image.sop_class_uid,
                "transfer_syntax_uid": image.transfer_syntax_uid,
                "conflict": image.conflict,
            }
            for image in row.images
        ],
    }


def _attachment(each: Attachment) -> dict[str, Any]:
    return {
        "id": each.guid,
        "version": each.version,
        "name": each.name,
        "content_type": each.content_type,
        "bytes": each.bytes,
        "uploaded_by": each.uploaded_by,
        "created": each.created.isoformat(),
    }


def _trash_entry(entry: TrashEntry) -> dict[str, Any]:
    return {
        "id": entry.id,
        "namespace": entry.namespace,
        "study_uid": entry.study_uid,
        "patient_name": entry.patient_name,
        "patient_id": entry.patient_id,
        "patient_birth_date": entry.patient_birth_date,
        "patient_sex": entry.patient_sex,
        "study_date": entry.study_date,
        "study_description": entry.study_description,
        "images": entry.images,
        "deleted": entry.deleted.isoformat(),
        "deleted_by": entry.deleted_by,
        "expires": entry.expires.isoformat() if entry.expires else None,
    }


def _wanted(body: bytes) -> list[str] | None:
    if not body.strip():
        return None
    document = parse_json(body)
    uids = document.get("image_uids") if isinstance(document, dict) else None
    if uids is None and isinstance(document, dict):
        return None
    if not isinstance(uids, list) or len(uids) > MAX_UIDS or not all(isinstance(uid, str) for uid in uids):
        raise Refused(BAD_JSON, 'The body must be {"image_uids": [...]} with a list of texts.')
    return uids


def _date(name: str, value: str) -> str:
    if not DATE.fullmatch(value):
        raise Refused(BAD_REQUEST, f"The parameter {name} must be a date as YYYYMMDD.")
    return value


def _admin(request: Request) -> Caller:
    caller = caller_of(request.scope)
    caller.require(Right.ADMIN)
    return caller


def _json(value: object) -> Response:
    return Response(encode(value), media_type="application/json")
