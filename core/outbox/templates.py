"""The request a notification makes: method, URL and body with names in braces, filled in for one event."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from urllib.parse import quote, urlsplit

from core.errors import BadInput

METHODS = ("GET", "POST", "PUT")
SCHEMES = {"http": 80, "https": 443}
NAME = re.compile(r"\{([A-Za-z_]+)\}")
MAX_CHARACTERS = 8192


class Event(StrEnum):
    """What happened to a study, in the API's words."""

    HARVEST = "HARVEST"
    UPLOAD = "UPLOAD"
    STUDY_DELETE = "STUDY_DELETE"
    PHI = "PHI"
    ATTACHMENT = "ATTACHMENT"
    NONE = "NONE"


@dataclass(frozen=True, slots=True)
class Happening:
    """One event of one study, by whom, and the namespace its PHI is to be seen through."""

    event: Event
    namespace: str
    study_uid: str
    phi_namespace: str
    actor: str


SPELLINGS = {
    "namespace": "namespace",
    "storage_namespace": "namespace",
    "storageNamespace": "namespace",
    "studyUid": "study_uid",
    "study_uid": "study_uid",
    "phiNamespace": "phi_namespace",
    "phi_namespace": "phi_namespace",
    "event_type": "event",
    "eventType": "event",
    "action": "event",
    "actor": "actor",
}
"""Names in braces, in the spellings of the API's document, and the field each stands for."""


@dataclass(frozen=True, slots=True)
class Request:
    """A template, or what it became: then `url` and `body` hold no names any more."""

    method: str
    url: str
    body: str = ""

    def filled(self, happening: Happening) -> Request:
        """With the values of one event: percent-encoded in the URL, escaped in a JSON body."""
        values = {name: str(getattr(happening, field)) for name, field in SPELLINGS.items()}
        quoted = {name: quote(value, safe="") for name, value in values.items()}
        if self.body.lstrip()[:1] in ("{", "["):
            values = {name: json.dumps(value, ensure_ascii=False)[1:-1] for name, value in values.items()}
        return Request(self.method, _fill(self.url, quoted), _fill(self.body, values))


def parsed(document: object) -> Request:
    """The template in a document with request_method, request_url, request_body. Raises BadInput."""
    if not isinstance(document, dict):
        raise BadInput("The body must be a JSON object.")
    method = _text(document, "request_method", "GET").strip().upper() or "GET"
    if method not in METHODS:
        raise BadInput("The field request_method must be GET, POST or PUT.")
    url = _text(document, "request_url", "").strip()
    body = _text(document, "request_body", "")
    check_url(url)
    return Request(method, url, body)


def _text(document: Mapping[str, object], field: str, default: str) -> str:
    value = document.get(field)
    value = default if value is None else value
    if not isinstance(value, str) or len(value) > MAX_CHARACTERS:
        raise BadInput(f"The field {field} must be text of at most {MAX_CHARACTERS} characters.")
    try:
        value.encode("utf-8")
    except UnicodeEncodeError as error:
        raise BadInput(f"The field {field} holds half a character.") from error
    return value


def check_url(url: str, field: str = "request_url") -> None:
    """Raises BadInput naming *field* unless it is an address a template may have."""
    try:
        parts = urlsplit(NAME.sub("x", url))
        port, host = parts.port, parts.hostname
    except ValueError as error:
        raise BadInput(f"The field {field} is no valid URL.") from error
    if parts.scheme not in SCHEMES or not host or port == 0:
        raise BadInput(f"The field {field} must be an http:// or https:// address.")
    if parts.username is not None or parts.password is not None:
        raise BadInput(f"The field {field} must not hold a login or password.")
    if not url.isprintable() or " " in url:
        raise BadInput(f"The field {field} has characters a URL cannot have.")
    if NAME.search(url.split("/", 3)[2]):
        raise BadInput(f"The field {field} must name its host and port outright.")
    for name in NAME.findall(url):
        if name not in SPELLINGS:
            known = f"Known: {', '.join(SPELLINGS)}."
            raise BadInput(f"The field {field} has the unknown name {{{name[:30]}}}.", known)


def _fill(template: str, values: Mapping[str, str]) -> str:
    return NAME.sub(lambda match: values.get(match[1], match[0]), template)
