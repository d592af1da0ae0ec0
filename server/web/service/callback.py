"""DICOM Service, callbacks: a PACS says that an exam came; that is kept and told on."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

from core.access.rights import Right
from core.archive.exam_events import ExamEvent
from core.dicom.uids import is_uid
from server.notify import Notifying
from server.web.body import parse_json, read_document
from server.web.call import Receive, Scope, Send, answer, call_of, caller_of
from server.web.errors import BAD_JSON, BAD_REQUEST, Refused
from server.web.service.asked import TAG, require_one
from server.web.services import Services
from server.web.streaming import Operation

JSON = ("application/json",)
LONGEST = 1024
MOST = 10_000
TELLERS = (Right.STORE, Right.WORKLIST)

Check = Callable[[object], str]


def _text(value: object) -> str:
    good = isinstance(value, str) and len(value) <= LONGEST
    return "" if good else f"must be text of at most {LONGEST} characters."


def _count(value: object) -> str:
    good = isinstance(value, int) and not isinstance(value, bool) and 0 <= value < 1 << 53
    return "" if good else "must be a whole number."


def _texts(value: object) -> str:
    good = isinstance(value, list) and len(value) <= MOST and not any(map(_text, value))
    return "" if good else "must be a list of texts."


def _uid(value: object) -> str:
    return "" if isinstance(value, str) and is_uid(value) else "must be a UID."


def _kind(value: object) -> str:
    return "" if isinstance(value, str) and value in set(ExamEvent) else f"must be {' or '.join(ExamEvent)}."


FIELDS: dict[str, Check] = {
    "SourceID": _text,
    "StudyInstanceUID": _uid,
    "AccessionNumber": _text,
    "PatientID": _text,
    "NumberOfStudyRelatedSeries": _count,
    "NumberOfStudyRelatedInstances": _count,
    "ModalitiesInStudy": _texts,
    "AeTitles": _texts,
    "StationNames": _texts,
    "EventType": _kind,
    "StudyDate": _text,
    "StudyTime": _text,
    "StudyID": _text,
    "ReferringPhysicianName": _text,
    "StudyDescription": _text,
    "PatientName": _text,
    "PatientBirthDate": _text,
    "PatientSex": _text,
}
"""What a member must be where it is not null; others go through as they are."""
NEEDED = "StudyInstanceUID"


class CallbackRoutes:
    """The handler, over the outbox of one archive."""

    def __init__(self, services: Services, notifying: Notifying) -> None:
        self._services = services
        self._notifying = notifying

    def operations(self) -> list[Operation]:
        """Every route of this file."""
        members = {name: name == NEEDED for name in FIELDS}
        answers = {204: (), 400: JSON}
        path = "/new-exam-callback"
        return [Operation(path, "POST", self.take, TAG, body=JSON, answers=answers, fields=members)]

    async def take(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Keep an event and tell it to every address of CALLBACK_URLS, until each has taken it.

        Members may be null. Answered when the event is on disk.
        """
        call, caller = call_of(scope), caller_of(scope)
        require_one(caller, TELLERS)
        raw = await read_document(call, receive, limits=self._services.limits)
        event = checked(parse_json(raw))
        text, study_uid = raw.decode("utf-8-sig").strip(), event[NEEDED] or ""
        callbacks = self._notifying.callbacks
        await self._services.durable(
            lambda: self._services.archive.db.write(
                lambda connection: callbacks.keep(connection, event, text, study_uid, caller.login)
            )
        )
        self._notifying.wake()
        await answer(send, 204)


def checked(document: Any) -> dict[str, Any]:
    """The event. Raises Refused naming the member."""
    if not isinstance(document, dict):
        raise Refused(BAD_REQUEST, "The body must be a JSON object.")
    if NEEDED not in document:
        raise Refused(BAD_REQUEST, f"The field {NEEDED} is missing.")
    for name, check in FIELDS.items():
        value = document.get(name)
        if value is not None and (why := check(value)):
            raise Refused(BAD_REQUEST, f"The field {name} {why}")
    if not _whole(document):
        raise Refused(BAD_JSON, "The body holds a number that is none, or half a character.")
    return document


def _whole(value: Any) -> bool:
    """Whether it can be written as JSON again: no NaN, no lone surrogates."""
    try:
        json.dumps(value, allow_nan=False, ensure_ascii=False).encode("utf-8")
    except (ValueError, RecursionError):
        return False
    return True
