"""Cross-origin resource sharing (the CORS protocol of the Fetch standard): off unless set.

Pages of the origins that were named may use DICOMweb with their visitors' credentials; nothing else here.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from urllib.parse import urlsplit

from core.errors import BadInput
from server.web.call import Call, Headers

PLACES = (
    "/dicom-web",
    "/dcm4chee-arc",
    "/api/v3/storage/dicomweb",
    "/studies",
    "/series",
    "/instances",
    "/conformance",
    "/wado",
)
METHODS = b"GET, HEAD, POST, PUT, DELETE, OPTIONS"
TAKEN = b"Accept, Authorization, Content-Type, If-None-Match, If-Modified-Since, If-Range, Range"
SHOWN = (
    b"Accept-Ranges, Content-Disposition, Content-Length, Content-Location, Content-Range, ETag, "
    b"Last-Modified, Location, Warning"
)
PREFLIGHT = b"access-control-request-method"
ONE_HOUR = b"3600"
VARY = (b"vary", b"Origin")


@dataclass(frozen=True, slots=True)
class Cors:
    """The *origins* that were named, as browsers write them."""

    origins: frozenset[str] = frozenset()

    @classmethod
    def of(cls, origins: Iterable[str]) -> Cors:
        """As the settings have them. Raises BadInput for what is no origin, `*` among them."""
        return cls(frozenset(_origin(each) for each in origins))

    def allowed(self, call: Call, path: str) -> str:
        """The origin the request comes from if it may use *path*, else ""."""
        origin = call.header(b"origin")
        named = origin in self.origins and any(path == each or path.startswith(f"{each}/") for each in PLACES)
        return origin if named else ""

    @staticmethod
    def headers(origin: str) -> Headers:
        """What every answer to *origin* carries."""
        return [
            (b"access-control-allow-origin", origin.encode("latin-1")),
            (b"access-control-allow-credentials", b"true"),
            (b"access-control-expose-headers", SHOWN),
            VARY,
        ]

    @staticmethod
    def preflight(call: Call) -> Headers | None:
        """The answer to the question a browser asks before the request, None if it is none."""
        if call.method != "OPTIONS" or PREFLIGHT not in call.headers:
            return None
        return [
            (b"access-control-allow-methods", METHODS),
            (b"access-control-allow-headers", TAKEN),
            (b"access-control-max-age", ONE_HOUR),
        ]


def _origin(text: str) -> str:
    """*text* as a browser writes it. Raises BadInput."""
    try:
        parts = urlsplit(text.strip().lower())
        port = parts.port
    except ValueError:
        parts, port = urlsplit(""), None
    if parts.scheme not in {"http", "https"} or not parts.hostname or parts.path not in {"", "/"}:
        raise BadInput(
            f"{text!r} in serve.cors_origins is no origin.",
            'Write scheme, host and port, as "https://viewer.example"; everybody ("*") cannot be let in.',
        )
    host = f"[{parts.hostname}]" if ":" in parts.hostname else parts.hostname
    usual = {"http": 80, "https": 443}[parts.scheme]
    return f"{parts.scheme}://{host}" + (f":{port}" if port not in {None, usual} else "")
