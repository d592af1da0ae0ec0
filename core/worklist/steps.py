"""What can be done with procedure steps: create, update, change state, ask for cancellation (PS3.4 CC.2)."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, replace
from typing import Any, Protocol

from sqlalchemy import Connection

from core.db.database import Database
from core.dicom.json_model import Model, values_in
from core.dicom.uids import UidMaker, is_uid
from core.errors import BadInput, Conflict
from core.worklist.procedure_step import canceled, completes, said_of, step_model
from core.worklist.states import ACTS, Act, State, Status, status_of
from core.worklist.worklist import Workitem, Worklist

SENTENCES = {
    Status.NO_LONGER: "The workitem is finished: it may no longer be changed.",
    Status.WRONG_LOCK: "The TransactionUID is not the one the workitem was claimed with.",
    Status.ALREADY_IN_PROGRESS: "The workitem is in progress already.",
    Status.NOT_READY: "The workitem does not say yet what was performed (PS3.4 table CC.2.5-3, final state).",
    Status.NOT_IN_PROGRESS: "The workitem is not in progress.",
    Status.COMPLETED_BEFORE: "The workitem is completed: it cannot be canceled.",
    Status.UNWANTED: "A workitem is SCHEDULED when it is created, and never again.",
    Status.ALREADY_CANCELED: "The UPS is already in the requested state of CANCELED",
    Status.ALREADY_COMPLETED: "The UPS is already in the requested state of COMPLETED",
}


class NotNow(Conflict):
    """The state of a step forbids it; *status* says how PS3.4 calls that."""

    def __init__(self, status: Status) -> None:
        super().__init__(SENTENCES[status])
        self.status = status


class Key(Protocol):
    """One matching key of a search, or those of one sequence."""

    def matches(self, values: Callable[[tuple[int, ...]], Sequence[Any]], /) -> bool:
        """Whether *values*, which gives the texts or items at a path, has what is wanted."""


@dataclass(frozen=True, slots=True)
class Done:
    """What became of a request: the step, and the warning if nothing had to be done."""

    item: Workitem
    warning: str = ""
    asked_only: bool = False
    """Whether its performer has to decide."""


class Steps:
    """Procedure steps over the items of one worklist."""

    def __init__(self, worklist: Worklist, database: Database, uids: UidMaker) -> None:
        self._worklist = worklist
        self._database = database
        self._uids = uids

    def create(self, namespace: str, uid: str, step: Model, *, actor: str) -> Future[Workitem]:
        """Keep a new step. Raises BadInput, Conflict where the UID is taken."""
        if uid and not is_uid(uid):
            raise BadInput("The workitem's UID is none.")
        item = Workitem(namespace, uid or self._uids.new(), said_of(step, {}), step=step)
        future = self._database.write(lambda connection: self._worklist.add(connection, item, actor))
        future.add_done_callback(lambda done: self._worklist.tell(done.result()) if _well(done) else None)
        return future

    def find(self, namespace: str, uid: str) -> Workitem:
        """The step. Raises NotFound("workitem")."""
        return self._worklist.find(namespace, uid)

    def search(self, namespace: str, keys: Sequence[Key]) -> Iterator[Workitem]:
        """Every step that matches, in the order they start."""
        for item in self._worklist.each(namespace):
            if matches(item, keys):
                yield item

    def update(self, namespace: str, uid: str, step: Model, lock: str, *, actor: str) -> Future[Done]:
        """Set attributes. Raises NotFound, NotNow."""

        def change(connection: Connection, item: Workitem) -> Workitem:
            self._check(item, Act.SET, lock)
            whole = {**item.step, **step}
            return replace(item, step=whole, said=said_of(step, dict(item.said)))

        return self._do(namespace, uid, change, actor, "workitem updated")

    def change(self, namespace: str, uid: str, state: State, lock: str, *, actor: str) -> Future[Done]:
        """Bring a step into another state. Raises BadInput, NotFound, NotNow."""
        if not is_uid(lock):
            raise BadInput("The TransactionUID (00081195) is missing or no UID.")
        if state not in ACTS:
            raise NotNow(Status.UNWANTED)

        def change(connection: Connection, item: Workitem) -> Workitem | str:
            status = self._check(item, ACTS[state], lock)
            if status is not Status.DONE:
                return SENTENCES[status]
            if state is State.IN_PROGRESS:
                return replace(item, state=state, transaction_uid=lock)
            if state is State.COMPLETED and not completes(step_model(item)):
                raise NotNow(Status.NOT_READY)
            if state is State.CANCELED:
                item = replace(item, step=canceled(item.step, time.time()))
            return replace(item, state=state)

        return self._do(namespace, uid, change, actor, f"workitem {state.lower()}")

    def request_cancel(self, namespace: str, uid: str, reason: str, *, actor: str) -> Future[Done]:
        """Cancel a step nobody has begun; of one in progress its performer hears. Raises NotFound, NotNow."""

        def change(connection: Connection, item: Workitem) -> Workitem | str:
            status = self._check(item, Act.REQUEST_CANCEL, "")
            if status is not Status.DONE:
                return SENTENCES[status]
            if item.state is State.IN_PROGRESS:
                return ""
            step = canceled(item.step, time.time(), reason)
            return replace(item, state=State.CANCELED, step=step)

        return self._do(namespace, uid, change, actor, "workitem canceled")

    def _do(self, namespace: str, uid: str, change: _Change, actor: str, action: str) -> Future[Done]:
        def work(connection: Connection) -> Done:
            item = self._worklist.at(connection, namespace, uid)
            new = change(connection, item)
            if isinstance(new, str):
                return Done(item, new, asked_only=not new)
            return Done(self._worklist.put(connection, item, lambda _, __: new, actor, action))

        future = self._database.write(work)
        future.add_done_callback(lambda done: self._tell(done.result()) if _well(done) else None)
        return future

    def _tell(self, done: Done) -> None:
        if not done.warning:
            self._worklist.tell(done.item, asked=done.asked_only)

    def _check(self, item: Workitem, act: Act, lock: str) -> Status:
        """What the table says, warnings too. Raises NotNow for what it forbids."""
        status = status_of(item.state, act, locked_rightly=self._locked_rightly(item, act, lock))
        if status in {Status.DONE, Status.ALREADY_CANCELED, Status.ALREADY_COMPLETED}:
            return status
        raise NotNow(status)

    @staticmethod
    def _locked_rightly(item: Workitem, act: Act, lock: str) -> bool:
        """Unclaimed, a step has no lock: none must be given to set it, any will do to claim it.

        One that a modality performs (MPPS) has none either, and is nobody else's.
        """
        if item.state is State.SCHEDULED:
            return not lock if act is Act.SET else True
        return bool(lock) and lock == item.transaction_uid


def _well(future: Future[Any]) -> bool:
    return not future.cancelled() and future.exception() is None


class _Change(Protocol):
    def __call__(self, connection: Connection, item: Workitem, /) -> Workitem | str: ...


def matches(item: Workitem, keys: Sequence[Key]) -> bool:
    """Whether a step has what every key wants."""
    if not keys:
        return True
    model = step_model(item)
    return all(key.matches(lambda path: values_in(model, path)) for key in keys)
