"""Studies of a PACS elsewhere: which of them are here, and how those that are fetched come along."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any

from core.access.rights import Right
from core.archive.search import rows_of
from core.dicom.uids import is_uid
from core.errors import BadInput, NotFound
from core.net.tls import Tls
from core.settings import AE_TITLE, MAX_PORT
from server.dimse.retrievals import Node, Retrievals, Retrieving, StudyAsked
from server.web.body import parse_json, read_document
from server.web.call import Receive, Scope, Send, answer, answer_json, call_of, caller_of
from server.web.desktop.routes import BASE
from server.web.services import Services
from server.web.streaming import Handler, Operation

RETRIEVALS = BASE + "/retrievals"
ONE = RETRIEVALS + "/{retrieval_id}"
HERE = BASE + "/namespaces/{namespace}/here"
TAG = "Desktop"
JSON = ("application/json",)
HOST = re.compile(r"[A-Za-z0-9._:%-]{1,253}")
LONGEST_TEXT = 1024
MOST_STUDIES = 1000


class PacsRoutes:
    """Handlers over the retrievals of one archive; the archive calls whom its administrator names."""

    def __init__(self, services: Services) -> None:
        self._services = services

    def operations(self) -> list[Operation]:
        """Every route of this file."""
        ok: dict[int, tuple[str, ...]] = {200: JSON, 400: JSON, 404: JSON}
        routes: tuple[tuple[str, str, Handler, tuple[str, ...], dict[int, tuple[str, ...]]], ...] = (
            (RETRIEVALS, "GET", self.listed, (), {200: JSON}),
            (RETRIEVALS, "POST", self.begin, JSON, ok),
            (ONE + "/stop", "POST", self.stop, (), ok),
            (ONE + "/retry", "POST", self.retry, (), ok),
            (ONE, "DELETE", self.forget, (), {204: (), 404: JSON, 409: JSON}),
            (HERE, "POST", self.here, JSON, ok),
        )
        return [Operation(path, verb, run, TAG, body, answers) for path, verb, run, body, answers in routes]

    async def listed(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Every retrieval that is under way or was, the newest first."""
        retrievals, _ = self._retrievals(scope)
        await answer_json(send, 200, {"retrievals": [retrieval_row(each) for each in retrievals.all()]})

    async def begin(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Fetch `studies` from `node` (`name`, `ae_title`, `host`, `port`, `tls`), each as one retrieval."""
        retrievals, actor = self._retrievals(scope)
        document = parse_json(await read_document(call_of(scope), receive, limits=self._services.limits))
        if not isinstance(document, dict):
            raise BadInput("The body must be a JSON object.")
        node, studies = _node(document.get("node")), _studies(document.get("studies"))

        def work() -> list[Retrieving]:
            return [retrievals.begin(node, each, actor) for each in studies]

        begun = await self._services.run(work)
        await answer_json(send, 200, {"retrievals": [retrieval_row(each) for each in begun]})

    async def stop(self, scope: Scope, receive: Receive, send: Send) -> None:
        """End it soon; what came stays."""
        retrievals, _ = self._retrievals(scope)
        await self._one(scope, send, retrievals.stop)

    async def retry(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Fetch what is still missing."""
        retrievals, _ = self._retrievals(scope)
        await self._one(scope, send, retrievals.retry)

    async def forget(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Take one that is over off the list; what came stays."""
        retrievals, _ = self._retrievals(scope)
        uid = _id(scope)
        await self._services.run(lambda: retrievals.forget(uid))
        await answer(send, 204)

    async def here(self, scope: Scope, receive: Receive, send: Send) -> None:
        """How many images are here, by Study Instance UID, of those of `study_uids` that are here at all."""
        namespace: str = scope["path_params"]["namespace"]
        caller_of(scope).require(Right.VIEW, namespace)
        document = parse_json(await read_document(call_of(scope), receive, limits=self._services.limits))
        uids = document.get("study_uids") if isinstance(document, dict) else None
        if (
            not isinstance(uids, list)
            or len(uids) > MOST_STUDIES
            or not all(isinstance(u, str) for u in uids)
        ):
            raise BadInput(f"The study_uids must be a list of at most {MOST_STUDIES} UIDs.")

        def work() -> Mapping[str, int]:
            with self._services.archive.db.read() as connection:
                return {row.study_uid: row.images for row in rows_of(connection, namespace, uids)}

        await answer_json(send, 200, {"images": await self._services.run(work)})

    async def _one(self, scope: Scope, send: Send, act: Callable[[str], Retrieving]) -> None:
        uid = _id(scope)
        await answer_json(send, 200, retrieval_row(await self._services.run(lambda: act(uid))))

    def _retrievals(self, scope: Scope) -> tuple[Retrievals, str]:
        """Them, and who asks. Raises Denied, NotFound."""
        caller = caller_of(scope)
        caller.require(Right.ADMIN)
        if self._services.retrievals is None:
            raise NotFound("retrieval", "This archive fetches nothing from elsewhere.")
        return self._services.retrievals, caller.login


def retrieval_row(one: Retrieving) -> dict[str, Any]:
    """One retrieval."""
    return {
        "id": one.id,
        "node": one.node.name,
        "ae_title": one.node.ae_title,
        "namespace": one.namespace,
        "study_uid": one.study.study_uid,
        "patient_name": one.study.patient_name,
        "patient_id": one.study.patient_id,
        "patient_birth_date": one.study.patient_birth_date,
        "patient_sex": one.study.patient_sex,
        "study_date": one.study.study_date,
        "study_description": one.study.study_description,
        "state": str(one.state),
        "total": one.progress.total,
        "here": one.progress.here,
        "failed": one.progress.failed,
        "apart": one.progress.apart,
        "method": one.progress.method,
        "why": one.why,
        "remedy": one.remedy,
        "asked": int(one.asked),
        "ended": int(one.ended),
    }


def _id(scope: Scope) -> str:
    return str(scope["path_params"]["retrieval_id"])


def _node(value: object) -> Node:
    """Raises BadInput."""
    if not isinstance(value, dict):
        raise BadInput("The node must be a JSON object.")
    name, title, host, port = (value.get(key) for key in ("name", "ae_title", "host", "port"))
    if not isinstance(title, str) or not AE_TITLE.fullmatch(title):
        raise BadInput("The node's ae_title must be 1 to 16 ASCII characters.")
    if not isinstance(host, str) or not HOST.fullmatch(host):
        raise BadInput("The node's host is none.")
    if not isinstance(port, int) or isinstance(port, bool) or not 0 < port <= MAX_PORT:
        raise BadInput(f"The node's port must be 1 to {MAX_PORT}.")
    return Node(_text(name) or title, title, host, port, _tls(value.get("tls")))


def _tls(value: object) -> Tls | None:
    """How the node is encrypted: null, or names of PEM files on this machine. Raises BadInput."""
    if value is None:
        return None
    names = Tls.__dataclass_fields__
    if not isinstance(value, dict) or not set(value) <= set(names):
        raise BadInput(f"The node's tls must be a JSON object of {', '.join(names)}.")
    if not all(isinstance(each, str) and len(each) <= LONGEST_TEXT for each in value.values()):
        raise BadInput("The files of the node's tls must be texts.")
    return Tls(**value)


def _studies(value: object) -> list[StudyAsked]:
    """Raises BadInput."""
    if not isinstance(value, list) or not 0 < len(value) <= MOST_STUDIES:
        raise BadInput(f"The studies must be a list of 1 to {MOST_STUDIES}.")
    found = []
    for each in value:
        if not isinstance(each, dict) or not isinstance(each.get("study_uid"), str):
            raise BadInput("Each study must be a JSON object with its study_uid.")
        asked = StudyAsked(**{key: _text(each.get(key)) for key in StudyAsked.__dataclass_fields__})
        if not is_uid(asked.study_uid):
            raise BadInput("A study_uid is no UID.")
        found.append(asked)
    return found


def _text(value: object) -> str:
    """Raises BadInput."""
    if value is None:
        return ""
    if not isinstance(value, str) or len(value) > LONGEST_TEXT:
        raise BadInput(f"A text of a study or node must have at most {LONGEST_TEXT} characters.")
    return value
