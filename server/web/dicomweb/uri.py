"""WADO-URI (PS3.18 9): one object by the UIDs in the query, as it is or as a picture."""

from __future__ import annotations

from typing import Any

from core.archive.nouns import StoredImage
from core.errors import NotAcceptable, NotFound
from server.web.call import Call, Receive, Scope, Send, answer, call_of
from server.web.dicomweb.looks import KINDS, QUALITY, View, numbers, windowed
from server.web.dicomweb.media import DICOM, EVERYTHING, accepted, ranges_of
from server.web.dicomweb.places import images_at, objects_at
from server.web.dicomweb.rendered import TEXTS, RenderedRoutes, is_report, own_type, shows, text_form
from server.web.dicomweb.retrieve import RetrieveRoutes
from server.web.errors import BAD_REQUEST, Refused
from server.web.pictures import MAX_EDGE
from server.web.services import Services
from server.web.streaming import Operation

TAG = "DICOMweb"
PATHS = ("/wado", "/dcm4chee-arc/aets/{aet}/wado")
UIDS = {"studyUID": "study_uid", "seriesUID": "series_uid", "objectUID": "image_uid"}
QUERY = {
    "requestType": "WADO.",
    "studyUID": "Study Instance UID.",
    "seriesUID": "Series Instance UID.",
    "objectUID": "SOP Instance UID.",
    "contentType": "application/dicom, image/jpeg or image/png; of a report text/html or text/plain.",
    "anonymize": "yes: of application/dicom without anything that says whose it is (PS3.15 Annex E).",
    "transferSyntax": "Of application/dicom; * as stored.",
    "frameNumber": "Frame of a picture, from 1.",
    "rows": "Height to fit into.",
    "columns": "Width to fit into.",
    "region": "XMIN,YMIN,XMAX,YMAX of the part shown, in parts of the whole.",
    "windowCenter": "With windowWidth.",
    "windowWidth": "With windowCenter.",
    "imageQuality": "JPEG quality, 1 to 100.",
}


class UriRoutes:
    """The handler, over one archive."""

    def __init__(self, services: Services) -> None:
        self._services = services
        self._objects = RetrieveRoutes(services)
        self._pictures = RenderedRoutes(services)

    def operations(self) -> list[Operation]:
        """Every route of this file."""
        answers = {200: (DICOM, *KINDS, "application/pdf", "video/mp4", *TEXTS)}
        answers |= {status: ("application/json",) for status in (400, 404, 406)}
        return [
            Operation(
                path, "GET", self.retrieve, TAG, answers=answers, query=QUERY, documented=path == PATHS[0]
            )
            for path in PATHS
        ]

    async def retrieve(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One object, named by studyUID, seriesUID and objectUID: a JPEG, a PNG, or the object itself.

        Without a contentType the header Accept counts; if it leaves the choice, an image is a JPEG, a PDF a
        PDF, a video a video, a structured report text/html, all else the object itself.
        """
        call = call_of(scope)
        place = _place(scope, call)
        (image,) = await self._services.run(lambda: images_at(self._services, place))
        anonymize = call.flag("anonymize")
        wanted, syntax = (DICOM, "") if anonymize and not call.query("contentType") else _wanted(call, image)
        syntax = call.query("transferSyntax") or syntax
        if wanted == DICOM:
            (image,) = await self._services.run(lambda: objects_at(self._services, place))
        if anonymize:
            await self._send_anonymous(send, image, wanted, syntax)
        elif wanted == DICOM:
            await self._objects.send_object(call, receive, send, image, syntax)
        elif wanted in KINDS:
            frame = call.number("frameNumber", 1, lowest=1)
            if frame > image.frame_count:
                raise NotFound("frame", f"The image has {image.frame_count} frame(s), counted from 1.")
            await self._pictures.send_one(call, send, (image, frame - 1), _view(call, image, KINDS[wanted]))
        elif wanted in TEXTS:
            await self._pictures.send_report(place, send, wanted)
        else:
            await self._pictures.send_document(call, receive, send, image)

    async def _send_anonymous(self, send: Send, image: StoredImage, wanted: str, syntax: str) -> None:
        """The object without what identifies its patient. Raises NotAcceptable."""
        if wanted != DICOM:
            raise NotAcceptable(
                "Only application/dicom can be anonymized: of pictures nobody knows what they show.",
                "Ask for application/dicom, or leave anonymize out.",
            )
        image = await self._objects.in_syntax(image, syntax)
        body = await self._services.run(lambda: self._services.pseudonyms.deidentified(image))
        kind = f"{DICOM}; transfer-syntax={image.transfer_syntax_uid}"
        await answer(send, 200, body, [(b"content-type", kind.encode("latin-1"))])


def _place(scope: Scope, call: Call) -> dict[str, Any]:
    """The scope as if the query's UIDs stood in the address. Raises Refused (400), NotAcceptable."""
    if call.query("requestType").upper() != "WADO":
        raise Refused(BAD_REQUEST, "The parameter requestType must be WADO.")
    uids = {ours: call.query(theirs) for theirs, ours in UIDS.items()}
    if not all(uids.values()):
        raise Refused(BAD_REQUEST, f"The parameters {', '.join(UIDS)} are needed.")
    if call.query("presentationUID"):
        raise NotAcceptable("Presentation states are not applied here.", "Leave presentationUID out.")
    return {**scope, "path_params": {**scope["path_params"], **uids}}


def _wanted(call: Call, image: StoredImage) -> tuple[str, str]:
    """The media type to answer with, and the transfer syntax named with it. Raises NotAcceptable."""
    text = ",".join(call.queries("contentType"))
    for each in ranges_of(text) if text else accepted(call):
        if media_type := _had(each.type, image):
            return media_type, each.transfer_syntax
    if not text:
        return _usual(image), ""
    raise NotAcceptable(
        "This object cannot be had in that contentType.",
        f"Ask for {DICOM}" + (", image/jpeg or image/png." if shows(image) and not own_type(image) else "."),
    )


def _usual(image: StoredImage) -> str:
    """What an object comes as to who does not mind."""
    if is_report(image):
        return "text/html"
    return own_type(image) or ("image/jpeg" if shows(image) else DICOM)


def _had(asked: str, image: StoredImage) -> str:
    """What *asked* gives of *image*, "" for nothing."""
    own = own_type(image)
    if asked == EVERYTHING:
        return _usual(image)
    if own and asked.partition("/")[0] == own.partition("/")[0] and asked != DICOM:
        return own
    if asked in {DICOM, "application/*"}:
        return DICOM
    if is_report(image):
        return text_form(asked)
    if own or not shows(image) or asked not in {*KINDS, "image/*", "image/jpg"}:
        return ""
    return asked if asked in KINDS else "image/jpeg"


def _view(call: Call, image: StoredImage, kind: str) -> View:
    rows, columns = (call.number(name, 0, lowest=1, highest=MAX_EDGE) for name in ("rows", "columns"))
    size = (columns or MAX_EDGE, rows or MAX_EDGE) if rows or columns else None
    center, width = call.query("windowCenter"), call.query("windowWidth")
    window = windowed(f"{center},{width}") if center or width else None
    part = None
    if region := call.query("region"):
        left, top, right, bottom = numbers(region, 4)
        if not (0 <= left < right <= 1 and 0 <= top < bottom <= 1):
            raise Refused(BAD_REQUEST, "The parameter region must be XMIN,YMIN,XMAX,YMAX, each from 0 to 1.")
        across, down = image.columns, image.rows
        part = (left * across, top * down, (right - left) * across, (bottom - top) * down)
    return View(kind, window, size, part, call.number("imageQuality", QUALITY, lowest=1, highest=100))
