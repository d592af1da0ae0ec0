"""UPS-RS, the worklist service (PS3.18 11): steps are made, found, changed, claimed and finished."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice
from typing import Any

from core.access.rights import Right
from core.dicom.json_model import Model
from core.dicom.native_reader import read_xml
from core.dicom.uids import is_uid
from core.errors import BadInput, NotAcceptable
from core.worklist.model import value_at
from core.worklist.procedure_step import SOP_INSTANCE, STATE, TRANSACTION_UID, read_step, step_model
from core.worklist.states import State
from core.worklist.steps import Done
from server.web.body import parse_json, read_document
from server.web.call import Call, Headers, Receive, Scope, Send, answer, call_of, caller_of
from server.web.dicomweb.model_forms import DICOM_JSON, DICOM_XML, WOULD_DO, each_of, model_form, send_xml
from server.web.dicomweb.places import BASES, base_url, namespace_of
from server.web.dicomweb.search import PARAMETERS, asked_of
from server.web.errors import UNSUPPORTED, Refused, encode
from server.web.services import Services
from server.web.streaming import Handler, Operation
from server.web.worklist_rights import PLANNERS, READERS, one_of

TAG = "UPS-RS"
UPS_BASES = BASES[:2]
"""At the root /workitems is the DICOM Service's."""
ITEMS = "/workitems"
ITEM = ITEMS + "/{workitem_uid}"
USUAL, MOST = 1000, 5000
FORMS = (DICOM_JSON, "application/json", DICOM_XML)
LONGEST_REASON = 1024


def at_ups_bases(path: str) -> Iterator[tuple[str, bool]]:
    """*path* below each base of UPS-RS, and whether it is to be documented there."""
    for base in UPS_BASES:
        yield base + path, base == UPS_BASES[0]


def namespace_for(services: Services, scope: Scope, rights: tuple[Right, ...]) -> str:
    """The namespace of the address, if the caller has one of *rights* there. Raises Denied, NotFound."""
    return namespace_of(services, scope, one_of(caller_of(scope), rights))


class WorkitemRoutes:
    """Handlers over the procedure steps of one archive."""

    def __init__(self, services: Services) -> None:
        self._services = services
        self._steps = services.steps

    def operations(self) -> list[Operation]:
        """Every route of this file."""
        error = ("application/json",)
        refused: dict[int, tuple[str, ...]] = {400: error, 404: error, 409: error}
        lock = {"transaction-uid": "The transaction UID it was claimed with, if it is in progress."}
        name = {"workitem": "The new workitem's UID, if it is to have that."}
        found = {200: FORMS[:2], 204: (), 400: error}
        body = FORMS
        routes: tuple[tuple[str, str, Handler, tuple[str, ...], Any, dict[str, str]], ...] = (
            (ITEMS, "POST", self.create, body, {201: (), 400: error, 409: error}, name),
            (ITEMS, "GET", self.search, (), found, PARAMETERS),
            (ITEM, "GET", self.retrieve, (), {200: FORMS[:2], 404: error}, {}),
            (ITEM, "POST", self.update, body, {200: (), **refused}, lock),
            (ITEM + "/state", "PUT", self.change, body, {200: (), **refused}, {}),
            (ITEM + "/cancelrequest", "POST", self.cancel, body, {202: (), **refused}, {}),
        )
        return [
            Operation(path, method, handler, TAG, body, answers, query, documented)
            for resource, method, handler, body, answers, query in routes
            for path, documented in at_ups_bases(resource)
        ]

    async def create(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Create a workitem: its UID is in the query (`workitem`), in the body, or made."""
        call, caller = call_of(scope), caller_of(scope)
        namespace = namespace_for(self._services, scope, PLANNERS)
        document = await self._document(call, receive)
        step = read_step(document, new=True)
        uid = _uid_asked(call) or value_at(_only(document), int(SOP_INSTANCE, 16))
        item = await self._services.durable(
            lambda: self._steps.create(namespace, uid, step, actor=caller.login)
        )
        address = f"{base_url(scope)}{ITEMS}/{item.uid}".encode("ascii")
        await answer(send, 201, b"", [(b"location", address), (b"content-location", address)])

    async def search(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Workitems that match the keys of the query, in the order they start; 204 when none does."""
        call = call_of(scope)
        namespace = namespace_for(self._services, scope, READERS)
        asked = asked_of(call, strict=self._services.about.strict)
        limit, offset = min(MOST, call.number("limit", USUAL)), call.number("offset", 0)
        keys = asked.tests

        def work() -> list[Model]:
            found = islice(self._steps.search(namespace, keys), offset, offset + limit + 1)
            return [step_model(item) for item in found]

        models = await self._services.run(work)
        more = len(models) > limit
        headers = asked.warnings(more=more)
        if not models[:limit]:
            await answer(send, 204, b"", headers)
            return
        await _send_models(scope, receive, send, models[:limit], headers)

    async def retrieve(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One workitem, without the transaction UID it was claimed with."""
        namespace = namespace_for(self._services, scope, READERS)
        uid = scope["path_params"]["workitem_uid"]
        item = await self._services.run(lambda: self._steps.find(namespace, uid))
        await _send_models(scope, receive, send, [step_model(item)])

    async def update(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Set attributes of a workitem: of one in progress by who holds its transaction UID only."""
        call, caller = call_of(scope), caller_of(scope)
        namespace = namespace_for(self._services, scope, PLANNERS)
        document = await self._document(call, receive)
        if value_at(_only(document), int(STATE, 16)):
            raise BadInput("The ProcedureStepState (00741000) is not set in this way.", "PUT it to /state.")
        step = read_step(document, new=False)
        lock = _lock_asked(call) or value_at(_only(document), int(TRANSACTION_UID, 16))
        uid = scope["path_params"]["workitem_uid"]
        await self._services.durable(
            lambda: self._steps.update(namespace, uid, step, lock, actor=caller.login)
        )
        await answer(send, 200, b"", self._located(scope))

    async def change(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Claim a workitem (IN PROGRESS), complete it or cancel it, with a transaction UID."""
        call, caller = call_of(scope), caller_of(scope)
        namespace = namespace_for(self._services, scope, PLANNERS)
        model = _only(await self._document(call, receive))
        try:
            state = State(value_at(model, int(STATE, 16)).strip())
        except ValueError:
            raise BadInput(f"The ProcedureStepState (00741000) must be {', '.join(State)}.") from None
        lock, uid = value_at(model, int(TRANSACTION_UID, 16)), scope["path_params"]["workitem_uid"]
        done = await self._services.durable(
            lambda: self._steps.change(namespace, uid, state, lock, actor=caller.login)
        )
        await answer(send, 200, b"", [*self._located(scope), *_warning(done)])

    async def cancel(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Ask for a workitem to be canceled: nobody having begun it, it is; else its performer is told."""
        call, caller = call_of(scope), caller_of(scope)
        namespace = namespace_for(self._services, scope, PLANNERS)
        raw = await read_document(call, receive, limits=self._services.limits)
        model = _only(_parsed(call, raw)) if raw.strip() else {}
        reason = value_at(model, 0x00741238)[:LONGEST_REASON]
        uid = scope["path_params"]["workitem_uid"]
        done = await self._services.durable(
            lambda: self._steps.request_cancel(namespace, uid, reason, actor=caller.login)
        )
        await answer(send, 202, b"", _warning(done))

    async def _document(self, call: Call, receive: Receive) -> Any:
        return _parsed(call, await read_document(call, receive, limits=self._services.limits))

    def _located(self, scope: Scope) -> Headers:
        address = f"{base_url(scope)}{ITEMS}/{scope['path_params']['workitem_uid']}"
        return [(b"content-location", address.encode("ascii", "replace"))]


def _parsed(call: Call, raw: bytes) -> Any:
    kind = call.header(b"content-type").partition(";")[0].strip().lower()
    if kind.startswith("multipart/"):
        raise Refused(UNSUPPORTED, "A workitem comes as the body itself.", f"Send {DICOM_JSON}.")
    return read_xml(raw) if kind.endswith("xml") else parse_json(raw)


def _only(document: Any) -> Model:
    """The one data set of a body. Raises BadInput."""
    if isinstance(document, list) and len(document) == 1:
        (document,) = document
    if not isinstance(document, dict):
        raise BadInput("The body must be one workitem in the DICOM JSON model.")
    if not all(isinstance(element, dict) for element in document.values()):
        raise BadInput("The body has something else where an attribute belongs.")
    return document


def _uid_asked(call: Call) -> str:
    """The UID of the query: `workitem=`, `AffectedSOPInstanceUID=`, or alone as older texts have it."""
    return call.query("workitem") or call.query("AffectedSOPInstanceUID") or _alone(call)


def _lock_asked(call: Call) -> str:
    return call.query("transaction-uid") or call.query("transaction") or _alone(call)


def _alone(call: Call) -> str:
    names = call.query_names()
    return next((name for name in names if is_uid(name) and not call.query(name)), "")


def _form(call: Call) -> str:
    form = model_form(call)
    if form is None:
        raise NotAcceptable("Workitems cannot be had in that form.", WOULD_DO)
    return form


async def _send_models(
    scope: Scope, receive: Receive, send: Send, models: list[Model], headers: Headers | None = None
) -> None:
    """In the form that is asked for. Raises NotAcceptable."""
    call, headers = call_of(scope), headers or []
    form = _form(call)
    if form == DICOM_XML:
        await send_xml(call, receive, send, each_of(models), headers)
        return
    await answer(send, 200, encode(models), [(b"content-type", form.encode("ascii")), *headers])


def _warning(done: Done) -> Headers:
    return [(b"warning", f'299 Filmjacket "{done.warning}"'.encode("ascii"))] if done.warning else []
