"""The desktop's worklist: entries of some days, made, edited, begun, finished, removed, and filled."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Future
from typing import Any, Protocol

from core.dicom.uids import is_uid
from core.errors import BadInput
from core.worklist.fields import is_day, read_fields
from core.worklist.overview import Entry, Wanted
from core.worklist.states import State
from core.worklist.worklist import Workitem
from server.web.body import parse_json, read_document
from server.web.call import Call, Receive, Scope, Send, answer, answer_json, call_of, caller_of
from server.web.desktop.routes import BASE
from server.web.services import Services
from server.web.streaming import Handler, Operation
from server.web.worklist_rights import PLANNERS, READERS, one_of

LIST = BASE + "/namespaces/{namespace}/worklist"
ENTRY = LIST + "/{entry_uid}"
ORDER = BASE + "/namespaces/{namespace}/orders/{study_uid}/entry"
STUDIES = ENTRY + "/studies"
TAG = "Desktop"
JSON = ("application/json",)
LONGEST_REASON = 1024
LONGEST_TEXT = 256
MOST_STUDIES = 1000


class Act(Protocol):
    """A change of one entry by somebody."""

    def __call__(self, namespace: str, uid: str, /, *, actor: str) -> Future[Workitem]: ...


class WorklistRoutes:
    """Handlers over the worklist of one archive."""

    def __init__(self, services: Services) -> None:
        self._services = services
        self._overview = services.overview
        self._desk = services.desk

    def operations(self) -> list[Operation]:
        """Every route of this file."""
        query = {
            "date_from": "First day, YYYYMMDD.",
            "date_to": "Last day, YYYYMMDD.",
            "text": "Words of the name, or the beginning of Patient ID or accession number.",
            "modality": "Only these; may be given several times.",
            "state": "Only these Procedure Step States; may be given several times.",
            "known": "The version of the answer at hand: if nothing changed since, only `same` comes.",
        }
        ok: dict[int, tuple[str, ...]] = {200: JSON, 400: JSON, 404: JSON, 409: JSON}
        routes: tuple[tuple[str, str, Handler, tuple[str, ...], dict[int, tuple[str, ...]]], ...] = (
            (LIST, "POST", self.create, JSON, ok),
            (ORDER, "POST", self.take_over, (), ok),
            (ENTRY, "PUT", self.edit, JSON, ok),
            (ENTRY, "DELETE", self.remove, (), {204: (), 404: JSON}),
            (ENTRY + "/start", "POST", self.start, (), ok),
            (ENTRY + "/complete", "POST", self.complete, (), ok),
            (ENTRY + "/cancel", "POST", self.cancel, JSON, ok),
            (STUDIES, "POST", self.file, JSON, ok),
            (STUDIES + "/{study_uid}", "DELETE", self.unfile, (), ok),
        )
        return [
            Operation(LIST, "GET", self.listed, TAG, query=query, answers={200: JSON, 400: JSON}),
            *(Operation(path, verb, run, TAG, body, answers) for path, verb, run, body, answers in routes),
        ]

    async def listed(self, scope: Scope, receive: Receive, send: Send) -> None:
        """The entries that match, in the order they start: workitems, and orders that are none yet.

        At most 1000, `more` says whether there are more. `origin` is `item` or `order`.
        """
        call, namespace = call_of(scope), _namespace(scope)
        caller = caller_of(scope)
        caller.require(one_of(caller, READERS), namespace)
        wanted = _wanted(call)
        version = await self._services.run(self._overview.version)
        if call.query("known") == version:
            await answer_json(send, 200, {"version": version, "same": True})
            return
        entries, more = await self._services.run(lambda: self._overview.entries(namespace, wanted))
        rows = [entry_row(each) for each in entries]
        await answer_json(send, 200, {"version": version, "same": False, "entries": rows, "more": more})

    async def create(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Put an entry on the worklist; the fields are those of `/workitems`."""
        said = read_fields(await self._document(scope, receive))
        namespace, actor = self._planner(scope)
        await self._do(send, lambda: self._services.worklist.create(namespace, said, actor=actor))

    async def take_over(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Make an entry of an order, so that it can be started."""
        namespace, actor = self._planner(scope)
        study_uid = scope["path_params"]["study_uid"]
        await self._do(send, lambda: self._desk.take_over(namespace, study_uid, actor=actor))

    async def edit(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Let an entry say what the body says: `fields`, and the `revision` that was looked at.

        409 where somebody changed it meanwhile, and where its state does not let it be changed.
        """
        namespace, actor = self._planner(scope)
        document = await self._document(scope, receive)
        revision = document.get("revision")
        if not isinstance(revision, int) or isinstance(revision, bool):
            raise BadInput("The revision must be a number.")
        said, uid = read_fields(document.get("fields")), _uid(scope)
        await self._do(send, lambda: self._desk.edit(namespace, uid, said, revision, actor=actor))

    async def remove(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Take an entry off the worklist; studies stay in the archive as they are."""
        namespace, actor = self._planner(scope)
        uid = _uid(scope)
        await self._services.durable(lambda: self._desk.remove(namespace, uid, actor=actor))
        await answer(send, 204)

    async def start(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Begin an entry: IN PROGRESS, and the desktop's."""
        await self._act(scope, send, self._desk.start)

    async def complete(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Finish an entry the desktop began."""
        await self._act(scope, send, self._desk.complete)

    async def cancel(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Give an entry up, with a `reason`: one nobody began, or one the desktop did."""
        namespace, actor = self._planner(scope)
        reason = (await self._document(scope, receive)).get("reason", "")
        if not isinstance(reason, str) or len(reason) > LONGEST_REASON:
            raise BadInput(f"The reason must be a text of at most {LONGEST_REASON} characters.")
        uid, why = _uid(scope), reason.strip()
        await self._do(send, lambda: self._desk.cancel(namespace, uid, why, actor=actor))

    async def file(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Let studies that are in the archive (`study_uids`) belong to an entry the desktop began.

        Patient and accession number of the entry are laid over them; the stored bytes stay. Said again it
        changes nothing.
        """
        namespace, actor = self._planner(scope)
        uids = (await self._document(scope, receive)).get("study_uids")
        if not isinstance(uids, list) or not 0 < len(uids) <= MOST_STUDIES:
            raise BadInput("The study_uids must be a list of UIDs.")
        if not all(isinstance(each, str) and is_uid(each) for each in uids):
            raise BadInput("One of the study_uids is no UID.")
        uid = _uid(scope)
        (item,) = await self._services.durable(lambda: self._desk.file(namespace, uid, uids, actor=actor))
        await self._answer(send, item)

    async def unfile(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Let a study be what it was before it was filed under the entry."""
        namespace, actor = self._planner(scope)
        uid, study_uid = _uid(scope), scope["path_params"]["study_uid"]
        (item,) = await self._services.durable(
            lambda: self._desk.unfile(namespace, uid, study_uid, actor=actor)
        )
        await self._answer(send, item)

    def _planner(self, scope: Scope) -> tuple[str, str]:
        """Namespace and login, if the caller may plan there. Raises Denied."""
        caller, namespace = caller_of(scope), _namespace(scope)
        caller.require(one_of(caller, PLANNERS), namespace)
        return namespace, caller.login

    async def _document(self, scope: Scope, receive: Receive) -> dict[str, Any]:
        self._planner(scope)
        raw = await read_document(call_of(scope), receive, limits=self._services.limits)
        document = parse_json(raw)
        if not isinstance(document, dict):
            raise BadInput("The body must be a JSON object.")
        return document

    async def _act(self, scope: Scope, send: Send, act: Act) -> None:
        namespace, actor = self._planner(scope)
        uid = _uid(scope)
        await self._do(send, lambda: act(namespace, uid, actor=actor))

    async def _do(self, send: Send, work: Callable[[], Future[Workitem]]) -> None:
        await self._answer(send, await self._services.durable(work))

    async def _answer(self, send: Send, item: Workitem) -> None:
        await answer_json(send, 200, entry_row(await self._services.run(lambda: self._overview.entry(item))))


def entry_row(entry: Entry) -> dict[str, Any]:
    """One line of the worklist."""
    return {
        "uid": entry.uid,
        "study_uid": entry.study_uid,
        "origin": "item" if entry.uid else "order",
        "state": str(entry.state),
        "revision": entry.revision,
        "ours": entry.ours,
        "studies": list(entry.studies),
        "fields": {name: value for name, value in entry.said.items() if name != "StudyInstanceUID"},
    }


def _namespace(scope: Scope) -> str:
    return str(scope["path_params"]["namespace"])


def _uid(scope: Scope) -> str:
    uid: str = scope["path_params"]["entry_uid"]
    if not is_uid(uid):
        raise BadInput("The entry in the address is no UID.")
    return uid


def _wanted(call: Call) -> Wanted:
    """Raises BadInput."""
    first, last, text = call.query("date_from"), call.query("date_to"), call.query("text")
    for name, day in (("date_from", first), ("date_to", last)):
        if day and not is_day(day):
            raise BadInput(f"The parameter {name} must be a date as YYYYMMDD.")
    if len(text) > LONGEST_TEXT:
        raise BadInput("The parameter text is too long.")
    try:
        states = tuple(State(each) for each in call.queries("state"))
    except ValueError:
        raise BadInput(f"The parameter state must be {', '.join(State)}.") from None
    return Wanted(first, last, text, tuple(call.queries("modality")), states)
