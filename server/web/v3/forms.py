"""What V3's sessions and services share: fields in a form or JSON, a sid among them, refusals as 412."""

from __future__ import annotations

import json
from typing import Any
from urllib.parse import parse_qsl

from core.errors import Unauthenticated
from server.web.auth import Caller
from server.web.body import MAX_DOCUMENT, chunks, parse_json, read_document
from server.web.call import Call, Receive
from server.web.errors import BAD_JSON, BAD_REQUEST, Kind, Refused
from server.web.intake import Intake
from server.web.multipart import boundary_of, read_form
from server.web.services import Services

FORM = ("application/x-www-form-urlencoded", "multipart/form-data", "application/json")
ANSWERS = {200: ("application/json",), 401: ("application/json",), 412: ("application/json",)}


class ServiceRefused(Refused):
    """A refusal in the services' own form: *error_type*, the fields it is about, and more."""

    def __init__(self, error_type: str, message: str, subtype: object = None, data: object = None) -> None:
        super().__init__(Kind(412, BAD_REQUEST.code, error_type), message)
        self.subtype = subtype
        self.data = data


class Forms:
    """Reads the fields of a call and finds out who calls."""

    def __init__(self, services: Services) -> None:
        self._services = services

    async def fields(self, call: Call, receive: Receive) -> dict[str, str]:
        """The body's fields. Raises Refused (400)."""
        boundary = boundary_of(call.header(b"content-type"))
        if boundary is not None:
            body = chunks(call, receive, limit=MAX_DOCUMENT, limits=self._services.limits)
            return (await read_form(body, boundary, file_field="", intake=_no_files)).fields
        raw = await read_document(call, receive, limits=self._services.limits)
        if raw.lstrip()[:1] == b"{":
            return _from_json(parse_json(raw))
        try:
            return dict(parse_qsl(raw.decode("utf-8"), keep_blank_values=True, max_num_fields=100))
        except ValueError as error:
            raise Refused(BAD_REQUEST, "The body is no form.") from error

    async def caller(self, call: Call, fields: dict[str, str]) -> Caller:
        """Who calls; some clients say their sid among the fields. Raises Unauthenticated."""
        if call.caller is None:
            call.caller = await self.by_sid(fields.get("sid", ""))
        return call.caller

    async def by_sid(self, sid: str) -> Caller:
        """Whose session it is. Raises Unauthenticated."""
        found = await self._services.authenticator.by_sid(sid) if sid else None
        if found is None:
            raise Unauthenticated("There is no such session, or it has ended.", "Log in again.")
        return found


def required(fields: dict[str, str], *names: str) -> list[str]:
    """The values of fields that must be there. Raises ServiceRefused naming those that are not."""
    if missing := [name for name in names if not fields.get(name)]:
        raise ServiceRefused("MISSING_FIELDS", f"Missing: {', '.join(missing)}.", missing)
    return [fields[name] for name in names]


def _from_json(document: dict[str, Any]) -> dict[str, str]:
    found: dict[str, str] = {}
    for name, value in document.items():
        if isinstance(value, bool):
            found[name] = str(int(value))
        elif value is not None:
            found[name] = value if isinstance(value, str) else json.dumps(value)
    try:
        json.dumps(found, ensure_ascii=False).encode()
    except UnicodeEncodeError as error:
        raise Refused(BAD_JSON, "The body holds half a character (a lone surrogate).") from error
    return found


def _no_files() -> Intake:
    raise Refused(BAD_REQUEST, "This form has no files.")
