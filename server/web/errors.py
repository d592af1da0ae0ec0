"""Errors in the JSON of the V3 storage API.

`{kind: {code, readable_status}, message, exception_data, created, extended}`; the table gives each known
error its HTTP status and the API's own code; anything else is 500 without details.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import msgspec

from core import errors
from core.dicom.inside import NotPdf, NotVideo


@dataclass(frozen=True, slots=True)
class Kind:
    """HTTP status, the API's code, and its name for it."""

    status: int
    code: int
    readable_status: str


UNKNOWN = Kind(500, 1, "UNKNOWN")
FORBIDDEN = Kind(403, 2, "FORBIDDEN")
NOT_FOUND = Kind(404, 3, "NOT_FOUND")
UNAUTHORIZED = Kind(401, 4, "UNAUTHORIZED")
BAD_REQUEST = Kind(400, 5, "BAD_REQUEST")
ACCESS_DENIED = Kind(403, 7, "ACCESS_DENIED")
BAD_JSON = Kind(400, 8, "JSON_DESERIALIZE_EXCEPTION")
CONFLICT = Kind(409, 11, "CONFLICT")
TOO_LARGE = Kind(413, 19, "PAYLOAD_TOO_LARGE")
METHOD_NOT_ALLOWED = Kind(405, 5, "BAD_REQUEST")
TIMEOUT = Kind(408, 5, "BAD_REQUEST")
UNPROCESSABLE = Kind(422, 5, "UNPROCESSABLE_ENTITY")
UNSUPPORTED = Kind(415, 5, "BAD_REQUEST")
BAD_RANGE = Kind(416, 40, "REQUESTED_RANGE_NOT_SATISFIABLE")
ANONYMIZE_FORMAT = Kind(412, 41, "ANONYMIZE_TAGS_FORMAT_ERROR")
MISSING_TAG = Kind(412, 42, "MISSING_REQUIRED_DICOM_TAG")
VALIDATION = Kind(412, 99, "VALIDATION_ERROR")
CHANGED = Kind(412, 99, "PRECONDITION_FAILED")
BUSY = Kind(503, 12, "DOWNSTREAM_NOT_AVAILABLE")
STORE_FAILED = Kind(507, 20, "STORE_OPERATION_FAILED")

NOT_FOUND_KINDS = {
    "namespace": ACCESS_DENIED,  # an unknown namespace is told apart from a forbidden one nowhere
    "image": Kind(404, 14, "IMAGE_NOT_FOUND"),
    "attachment": Kind(404, 16, "ATTACHMENT_NOT_FOUND_EXCEPTION"),
    "series": Kind(404, 17, "SERIES_NOT_FOUND"),
    "study": Kind(404, 18, "STUDY_NOT_FOUND"),
}
KINDS: tuple[tuple[type[errors.KnownError], Kind], ...] = (
    (errors.TooLarge, TOO_LARGE),
    (errors.Unsupported, UNSUPPORTED),
    (errors.MissingElement, MISSING_TAG),
    (errors.BadInput, BAD_REQUEST),
    (NotPdf, Kind(415, 39, "NOT_PDF_FILE")),
    (NotVideo, Kind(415, 38, "NOT_VIDEO_IN_IMAGE")),
    (errors.NoImages, Kind(406, 36, "NO_IMAGES_IN_STUDY")),
    (errors.NotAcceptable, Kind(406, 6, "NOT_ACCEPTABLE")),
    (errors.NotRenderable, UNSUPPORTED),
    (errors.Unauthenticated, UNAUTHORIZED),
    (errors.Denied, ACCESS_DENIED),
    (errors.Conflict, CONFLICT),
    (errors.StorageFault, STORE_FAILED),
    (errors.Busy, BUSY),
    (errors.Unreachable, Kind(502, 13, "DOWNSTREAM_SERVER_ERROR")),
)
OF_STATUS = {
    kind.status: kind
    for kind in (FORBIDDEN, NOT_FOUND, METHOD_NOT_ALLOWED, TOO_LARGE, UNSUPPORTED, BAD_REQUEST, UNAUTHORIZED)
}
COMPACT = json.JSONEncoder(ensure_ascii=False, separators=(",", ":"))
STUDY_MISSING = "Study wasn't found by provided ids"


class Refused(errors.KnownError):
    """A request refused by the web layer itself, with the answer's kind; *headers* go onto the answer."""

    def __init__(
        self, kind: Kind, message: str, remedy: str = "", *, headers: list[tuple[bytes, bytes]] | None = None
    ) -> None:
        super().__init__(message, remedy)
        self.kind = kind
        self.headers = headers or []


def kind_of(error: BaseException) -> Kind:
    """The row of the table for *error*."""
    if isinstance(error, Refused):
        return error.kind
    if isinstance(error, errors.NotFound):
        return NOT_FOUND_KINDS.get(error.kind, NOT_FOUND)
    if isinstance(error, errors.SourceFault):  # of a stored object: it makes no sense, or the disk failed
        return UNSUPPORTED if error.lasting else STORE_FAILED
    return next((kind for known, kind in KINDS if isinstance(error, known)), UNKNOWN)


def document(
    error: BaseException, kind: Kind, *, data: Mapping[str, Any] | None = None, verbose: bool = False
) -> dict[str, Any]:
    """The error's JSON; *data* names what was asked for, *verbose* adds the remedy."""
    message = error.message if isinstance(error, errors.KnownError) else "Internal server error"
    if isinstance(error, errors.NotFound) and error.kind == "study":
        message = STUDY_MISSING
    remedy = error.remedy if isinstance(error, errors.KnownError) else ""
    return {
        "kind": {"code": kind.code, "readable_status": kind.readable_status},
        "message": message,
        "exception_data": dict(data or {}),
        "created": datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z"),
        "extended": {"remedy": remedy} if verbose else None,
    }


def encode(value: object) -> bytes:
    """Compact JSON in UTF-8; a number that is none is null, half a surrogate pair a question mark."""
    try:
        return msgspec.json.encode(value)
    except UnicodeEncodeError:
        return COMPACT.encode(value).encode("utf-8", "replace")
