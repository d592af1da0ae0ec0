"""V3 services: records of studies (add, get, list, sync, delete), where they are stored, what jobs became."""

from __future__ import annotations

import json
import re
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from typing import Any

from core.access.rights import Right
from core.archive.nouns import By
from core.archive.record_list import Condition, Unknown, Wanted, listed, offset_of
from core.archive.records import FIELDS, Announced, Exists, Record, StudyRecords
from core.errors import BadInput, Denied, NotFound
from server.web.auth import Caller
from server.web.call import Call, Receive, Scope, Send, answer_json, call_of
from server.web.errors import BAD_REQUEST, Refused
from server.web.services import Services
from server.web.streaming import Operation
from server.web.v3.forms import ANSWERS, FORM, Forms, ServiceRefused, required

TAG = "V3 services"
BASE = "/api/v3"
UID = re.compile(r"(0|[1-9]\d*)(\.(0|[1-9]\d*))+")
LONGEST_UID = 64
ROWS, MOST_ROWS = 100, 1000
FILTER = re.compile(r"filter\.(\w+)\.(\w+)")
Fields = dict[str, str]
Work = Callable[[Call, Caller, Fields], Awaitable[dict[str, Any]]]


class StudyServiceRoutes:
    """Handlers of the services; every answer has a `status`, every refusal is 412 with an `error_type`."""

    def __init__(self, services: Services) -> None:
        self._services = services
        self._forms = Forms(services)
        self._records = StudyRecords(services.archive.db)

    def operations(self) -> list[Operation]:
        """Every route of this file."""
        routes = {
            "study/add": self.add,
            "study/get": self.get,
            "study/list": self.list,
            "study/sync": self.sync,
            "study/delete": self.delete,
            "job/get": self.job,
            "namespace/engine/fqdn": self.engine,
        }
        return [
            Operation(f"{BASE}/{path}", "POST", handler, TAG, body=FORM, answers=ANSWERS)
            for path, handler in routes.items()
        ]

    async def add(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Announce a study; it is a phantom until its images have come.

        Fields study_uid and storage_namespace; phi_namespace, and what is known of the study.
        """
        await self._answer(scope, receive, send, self._add)

    async def get(self, scope: Scope, receive: Receive, send: Send) -> None:
        """The record of a study, by uuid or by study_uid and storage_namespace (and phi_namespace)."""
        await self._answer(scope, receive, send, self._get)

    async def list(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Records of studies, the newest first.

        Fields filter.FIELD.CONDITION, sort_by (FIELD-asc or FIELD-desc, with commas), page.rows, page.number.
        """
        await self._answer(scope, receive, send, self._list)

    async def sync(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Say that a study has been uploaded; its record comes back, its counts the archive's own."""
        await self._answer(scope, receive, send, self._sync)

    async def delete(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Delete a study, or take its announcement back."""
        await self._answer(scope, receive, send, self._delete)

    async def job(self, scope: Scope, receive: Receive, send: Send) -> None:
        """What became of a request that came with X-AmbraHealth-Job-Id: RUNNING, DONE or ERROR."""
        await self._answer(scope, receive, send, self._job)

    async def engine(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Under which address the studies of a namespace are stored: this one, whoever asks."""
        call = call_of(scope)
        fields = await self._forms.fields(call, receive)
        if not fields.get("namespace_id") and not fields.get("study_uid"):
            required(fields, "namespace_id")
        await answer_json(send, 200, {"status": "OK", "engine_fqdn": _engine(call)})

    async def _answer(self, scope: Scope, receive: Receive, send: Send, work: Work) -> None:
        call = call_of(scope)
        fields = await self._forms.fields(call, receive)
        caller = await self._forms.caller(call, fields)
        try:
            value = await work(call, caller, fields)
        except Exists as error:
            record = _shown(error.record, call)
            raise ServiceRefused("ALREADY_EXISTS", error.message, error.record.uuid, record) from error
        except NotFound as error:
            raise ServiceRefused("NOT_FOUND", error.message, error.kind) from error
        except Denied as error:
            raise ServiceRefused("NOT_PERMITTED", error.message) from error
        except Unknown as error:
            raise ServiceRefused(error.kind, error.message, error.which) from error
        await answer_json(send, 200, {"status": "OK", **value})

    async def _add(self, call: Call, caller: Caller, fields: Fields) -> dict[str, Any]:
        study_uid, namespace = required(fields, "study_uid", "storage_namespace")
        shared = fields.get("phi_namespace") or namespace
        if len(study_uid) > LONGEST_UID or not UID.fullmatch(study_uid):
            raise ServiceRefused("INVALID_FIELD", "The study_uid is no UID.", "study_uid")
        caller.require(Right.STORE, namespace)
        if shared != namespace:
            caller.require(Right.STORE, shared)
        said = {name: fields[name][:1024] for name in FIELDS if fields.get(name)}
        study = Announced(namespace, study_uid, shared, said)
        try:
            record = await self._services.durable(lambda: self._records.announce(study, caller.login))
        except BadInput as error:
            raise ServiceRefused("NAMESPACE_NOT_FOUND", error.message, "storage_namespace") from error
        return _shown(record, call)

    async def _get(self, call: Call, caller: Caller, fields: Fields) -> dict[str, Any]:
        record = await self._found(caller, fields, Right.VIEW)
        return _only(_shown(record, call), fields)

    async def _list(self, call: Call, caller: Caller, fields: Fields) -> dict[str, Any]:
        caller.require(Right.VIEW)
        _only({}, fields)  # what is wrong with it is said where nothing is found, too
        rows, number = _number(fields, "page.rows", ROWS, MOST_ROWS), _number(fields, "page.number", 1, 10**9)
        wanted = Wanted(
            caller.namespaces, _conditions(fields), _order(fields), limit=rows, offset=(number - 1) * rows
        )
        found, more = await self._services.run(lambda: listed(self._services.archive.db, wanted))
        page = {"number": number, "rows": rows, "more": int(more)}
        return {"studies": [_only(_shown(record, call), fields) for record in found], "page": page}

    async def _sync(self, call: Call, caller: Caller, fields: Fields) -> dict[str, Any]:
        return _shown(await self._found(caller, fields, Right.STORE), call)

    async def _delete(self, call: Call, caller: Caller, fields: Fields) -> dict[str, Any]:
        record = await self._found(caller, fields, Right.DELETE)
        by, place = By(caller.login, call.silent), (record.namespace, record.study_uid)
        archive = self._services.archive
        if record.images or record.attachments:
            await self._services.durable(lambda: archive.delete_study(*place, by.actor, silent=by.silent))
            await self._services.run(lambda: self._services.pictures.forget(*place))
        await self._services.durable(lambda: self._records.withdraw(record))
        return {}

    async def _job(self, call: Call, caller: Caller, fields: Fields) -> dict[str, Any]:
        (name,) = required(fields, "id")
        state = self._services.jobs.state(caller.login, name)
        if state is None:
            raise NotFound("job")
        return {"id": name, "state": state}

    async def _found(self, caller: Caller, fields: Fields, right: Right) -> Record:
        """The study that is named, if the caller has *right* where it is stored and may see its PHI."""
        shared, name = fields.get("phi_namespace", ""), fields.get("uuid", "")
        if name:
            caller.require(right)
            record = await self._services.run(lambda: self._records.by_uuid(name, shared))
        else:
            namespace = fields.get("storage_namespace") or shared
            (study_uid,) = required(fields, "study_uid")
            if not namespace:
                required(fields, "storage_namespace")
            caller.require(right, namespace)
            record = await self._services.run(lambda: self._records.find(namespace, study_uid, shared))
        for namespace in {record.namespace, record.phi_namespace}:
            caller.require(right, namespace)
        return record


def _shown(record: Record, call: Call) -> dict[str, Any]:
    """A record as the services show it; times as they write them, in UTC."""
    return {
        "uuid": record.uuid,
        "study_uid": record.study_uid,
        "storage_namespace": record.namespace,
        "phi_namespace": record.phi_namespace,
        "engine_fqdn": _engine(call),
        "phantom": int(record.phantom),
        "thin": 0,
        "source": record.source,
        "source_ae_title": record.source_ae_title,
        "destination_ae_title": record.destination_ae_title,
        **record.values,
        "image_count": record.images,
        "attachment_count": record.attachments,
        "size": record.bytes,
        "created": _time(record.created),
        "updated": _time(record.updated),
    }


def _engine(call: Call) -> str:
    """The address the caller reached: host and port."""
    host = call.header(b"host")
    if not host:
        raise Refused(BAD_REQUEST, "The request has no Host.")
    return host


def _time(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%d %H:%M:%S")


def _only(value: dict[str, Any], fields: Fields) -> dict[str, Any]:
    """What `fields`, `fields._top` and `fields.study` (JSON lists) ask for; all of it without them."""
    wanted: set[str] = set()
    for name in ("fields", "fields._top", "fields.study"):
        if fields.get(name):
            wanted.update(_names(name, fields[name]))
    return {name: each for name, each in value.items() if name in wanted} if wanted else value


def _names(name: str, text: str) -> list[str]:
    try:
        found = json.loads(text)
    except (ValueError, RecursionError):
        found = None
    if not isinstance(found, list) or not all(isinstance(each, str) for each in found):
        raise ServiceRefused("INVALID_FIELD", f"{name} must be a JSON list of texts.", name)
    return found


def _number(fields: Fields, name: str, default: int, most: int) -> int:
    value = fields.get(name, "")
    if not value:
        return default
    if not value.isascii() or not value.isdigit() or len(value) > 10 or not 1 <= int(value) <= most:
        raise ServiceRefused("INVALID_INTEGER", f"{name} must be 1 to {most}.", name)
    return int(value)


def _conditions(fields: Fields) -> list[Condition]:
    offset = offset_of(fields["filter.tz"]) if fields.get("filter.tz") else 0
    found = []
    for name, value in fields.items():
        if not name.startswith("filter.") or name == "filter.tz":
            continue
        match = FILTER.fullmatch(name)
        if match is None:
            raise ServiceRefused("INVALID_FIELD", f"{name} is no filter.", name)
        several = match[2] in ("in", "in_or_null")
        found.append(Condition(match[1], match[2], _names(name, value) if several else [value], offset))
    return found


def _order(fields: Fields) -> list[tuple[str, bool]]:
    found = []
    for part in fields.get("sort_by", "").split(","):
        if not part.strip():
            continue
        name, _, order = part.strip().partition("-")
        if order not in ("", "asc", "desc"):
            raise ServiceRefused("INVALID_SORT_ORDER", f"{name} can be sorted asc or desc.", name)
        found.append((name, order == "desc"))
    return found
