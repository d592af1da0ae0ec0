"""WADO-RS metadata (PS3.18 10.4.1.1.2): the DICOM JSON model or its XML, bulk data as addresses."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from urllib.parse import quote

from core.access.rights import Right
from core.archive.nouns import StoredImage
from core.dicom.json_model import metadata
from core.errors import NotAcceptable
from server.web.arrays import send_array
from server.web.call import Call, Headers, Receive, Scope, Send, answer, call_of
from server.web.dicomweb.media import RELATED
from server.web.dicomweb.model_forms import DICOM_JSON, DICOM_XML, JSON, WOULD_DO, model_form, send_xml
from server.web.dicomweb.places import INSTANCE, SERIES, STUDY, at_each, base_url, namespace_of, uids_at
from server.web.errors import encode
from server.web.files import ASK_AGAIN
from server.web.services import Services
from server.web.streaming import Operation

TAG = "DICOMweb"
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

        Binary values are addresses (BulkDataURI), pixel data among them. `ETag` names what the study holds.
        """
        call, base = call_of(scope), base_url(scope)
        media_type, packed = _media_type(call), takes_gzip(call)
        namespace, study_uid = (
            namespace_of(self._services, scope, Right.VIEW),
            scope["path_params"]["study_uid"],
        )

        def find() -> tuple[list[str], str]:
            uids = uids_at(self._services, scope, namespace)
            state = self._archive.state(namespace, study_uid).name
            what = f"{state}\0{base}\0{scope['path']}\0{media_type}\0{packed}"
            return uids, hashlib.sha256(what.encode()).hexdigest()[:40]

        uids, version = await self._services.run(find)
        headers: Headers = [
            (b"etag", f'"{version}"'.encode()),
            (b"cache-control", ASK_AGAIN),
            (b"vary", b"accept, accept-encoding"),
        ]
        if names(call.header(b"if-none-match"), version):
            await answer(send, 304, b"", headers)
            return

        def described(uid: str) -> dict[str, object]:
            return _described(self._archive.image(namespace, study_uid, uid), base)

        if media_type == DICOM_XML:
            models = (await self._services.run(lambda uid=uid: described(uid)) for uid in uids)  # type: ignore[misc] # bound now
            await send_xml(call, receive, send, models, headers)
            return

        def some(chosen: Sequence[str]) -> bytes:
            return b",".join(encode(described(uid)) for uid in chosen)

        await send_array(
            self._services,
            call,
            send,
            uids,
            some,
            media_type=media_type.encode(),
            headers=headers,
            packed=packed,
        )


def _described(image: StoredImage, base: str) -> dict[str, object]:
    place = "/".join(
        f"{what}/{quote(uid, safe='')}"
        for what, uid in (
            ("studies", image.study_uid),
            ("series", image.series_uid),
            ("instances", image.sop_instance_uid),
        )
    )
    return metadata(image.path, bulk=lambda way: f"{base}/{place}/bulkdata/{way}")


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


def _media_type(call: Call) -> str:
    """The form that is asked for. Raises NotAcceptable."""
    form = model_form(call)
    if form is None:
        raise NotAcceptable("Metadata cannot be had in any of the accepted media types.", WOULD_DO)
    return form
