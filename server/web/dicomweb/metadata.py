"""WADO-RS metadata (PS3.18 10.4.1.1.2): the DICOM JSON model or its XML, bulk data as addresses."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from urllib.parse import quote

from sqlalchemy import Connection

from core.access.rights import Right
from core.archive.archive import Archive
from core.archive.listing import Listed
from core.archive.models import Models, model_here
from core.archive.views import seen
from core.dicom.json_model import Model
from core.dicom.native_xml import as_xml
from core.errors import NotAcceptable, NotFound
from server.web.arrays import send_array
from server.web.call import Call, Headers, Receive, Scope, Send, answer, call_of
from server.web.dicomweb.media import RELATED
from server.web.dicomweb.model_forms import (
    DICOM_JSON,
    DICOM_XML,
    JSON,
    WOULD_DO,
    in_parts,
    model_form,
    send_xml,
)
from server.web.dicomweb.places import (
    INSTANCE,
    SERIES,
    STUDY,
    at_each,
    base_url,
    listed_at,
    namespace_of,
    view_of,
)
from server.web.errors import encode
from server.web.files import ASK_AGAIN, check_match
from server.web.services import Services
from server.web.streaming import Operation

TAG = "DICOMweb"
TOGETHER = 64
"""So many are made in one go."""
OF_V3 = "/api/v3/"
"""Where V3 storage answers for itself: it knows overlays, and no addresses of bulk data."""


class MetadataRoutes:
    """The handler of metadata, over one archive."""

    def __init__(self, services: Services) -> None:
        self._services = services
        self._archive = services.archive

    def operations(self) -> list[Operation]:
        """Every route of this file."""
        answers = {200: (DICOM_JSON, JSON, RELATED), 304: (), 404: (JSON,), 406: (JSON,)}
        query = {"accept": "As the header Accept, for callers that cannot set it."}
        return [
            Operation(path, "GET", self.retrieve, TAG, answers=answers, query=query, documented=documented)
            for resource in (STUDY, SERIES, INSTANCE)
            for path, documented in at_each(f"{resource}/metadata")
            if not path.startswith(OF_V3)
        ]

    async def retrieve(self, scope: Scope, receive: Receive, send: Send) -> None:
        """The elements of every object of a study, a series, or an instance: a JSON array or XML parts.

        Those of an instance are also one XML document.
        Binary values are addresses (BulkDataURI), pixel data among them. `ETag` names what the study holds.
        """
        call, base = call_of(scope), base_url(scope)
        media_type, packed = _media_type(call, alone="image_uid" in scope["path_params"]), takes_gzip(call)
        parts = in_parts(call)
        namespace, study_uid = (
            namespace_of(self._services, scope, Right.VIEW),
            scope["path_params"]["study_uid"],
        )

        described = Described(self._archive, base)

        def find() -> tuple[Sequence[Listed], str]:
            state, known = self._state(namespace, study_uid), call.header(b"if-none-match")
            if state:
                view = view_of(self._services, scope)
                described.values = self._services.views.values(namespace, study_uid, view)
            over = sorted(described.values.items())
            what = f"{state}\0{base}\0{scope['path']}\0{media_type}\0{parts}\0{packed}\0{over}"
            version = hashlib.sha256(what.encode()).hexdigest()[:40]
            check_match(call, version)
            if version in known:
                return [], version  # named by an earlier answer: all of it is still there
            images = listed_at(self._services, scope, namespace)
            return [] if names(known, version) else images, version

        images, version = await self._services.run(find)
        headers: Headers = [
            (b"etag", f'"{version}"'.encode()),
            (b"cache-control", ASK_AGAIN),
            (b"vary", b"accept, accept-encoding"),
        ]
        if not images:
            await answer(send, 304, b"", headers)
            return
        if media_type == DICOM_XML and not parts:
            document = await self._services.run(lambda: as_xml(described.model(images[0])))
            await answer(send, 200, document, [(b"content-type", DICOM_XML.encode()), *headers])
            return
        if media_type == DICOM_XML:
            models = (await self._services.run(lambda each=each: described.model(each)) for each in images)  # type: ignore[misc] # bound now
            await send_xml(call, receive, send, models, headers)
            return
        await send_array(
            self._services,
            call,
            send,
            images,
            described.json,
            media_type=media_type.encode(),
            headers=headers,
            packed=packed,
            together=TOGETHER,
        )

    def _state(self, namespace: str, study_uid: str) -> str:
        """What tells a study from what it was before; of one that is not there, nothing."""
        try:
            return self._archive.state(namespace, study_uid).name
        except NotFound:
            return ""


class Described:
    """The models of objects: as they have settled, else from the objects; *values* lie over them."""

    def __init__(self, archive: Archive, base: str) -> None:
        self._archive = archive
        self._base = base
        self.values: Mapping[int, str] = {}
        self._models = Models()
        self._series: tuple[tuple[str, ...], str] = ((), "")

    def json(self, images: Sequence[Listed]) -> bytes:
        """Several with commas between."""
        with self._archive.db.read() as connection:
            return b",".join([self._one(connection, each) for each in images])

    def model(self, listed: Listed) -> Model:
        """A single one."""
        model: Model = json.loads(self.json([listed]))
        return model

    def _one(self, connection: Connection, listed: Listed) -> bytes:
        if self._series[0] != listed.place:
            study_uid, series_uid = (quote(uid, safe="") for uid in listed.place[1:])
            self._series = listed.place, f"{self._base}/studies/{study_uid}/series/{series_uid}/instances/"
        address = f"{self._series[1]}{quote(listed.sop_uid, safe='')}/bulkdata/"
        kept = self._models.of(connection, listed.series_id, listed.sop_uid, listed.version)
        found = kept.at(address) if kept is not None else model_here(listed.image.path, address)
        return encode(seen(json.loads(found), self.values)) if self.values else found


def names(header: str, version: str) -> bool:
    """Whether an If-None-Match names *version* (RFC 9110 13.1.2)."""
    tags = {tag.strip().removeprefix("W/") for tag in header.split(",")}
    return "*" in tags or f'"{version}"' in tags


def takes_gzip(call: Call) -> bool:
    """Whether the caller takes an answer packed with gzip (RFC 9110 12.5.3)."""
    for part in call.header(b"accept-encoding").lower().split(","):
        name, _, weight = part.replace(" ", "").partition(";q=")
        if name in {"gzip", "x-gzip", "*"}:
            return not weight or weight.strip("0.") != ""
    return False


def _media_type(call: Call, *, alone: bool) -> str:
    """The form that is asked for. Raises NotAcceptable."""
    form = model_form(call, alone=alone)
    if form is None:
        raise NotAcceptable("Metadata cannot be had in any of the accepted media types.", WOULD_DO)
    return form
