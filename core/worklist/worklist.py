"""The items of the worklist in one database: made, found, changed in state, removed."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field
from typing import Any

import msgspec
from sqlalchemy import Connection, Row, Select, delete, insert, select, update

from core.audit.log import AuditLog, Event
from core.db.database import Database
from core.dicom.json_model import Model
from core.dicom.ports import Scheduled
from core.dicom.uids import UidMaker
from core.errors import BadInput, Conflict, NotFound
from core.worklist.schema import WORKLIST, workitems
from core.worklist.states import FINAL, State

MOST = 1000
"""Items of one page."""


@dataclass(frozen=True, slots=True)
class Workitem:
    """One item; *said* is what the Modality Worklist shows, by keyword, *step* what else is said of it."""

    namespace: str
    uid: str
    said: Mapping[str, str]
    state: State = State.SCHEDULED
    transaction_uid: str = ""
    step: Model = field(default_factory=dict)
    revision: int = 1
    created: float = 0.0
    changed: float = 0.0

    @property
    def study_uid(self) -> str:
        """The study it will make or belongs to, "" if it says none."""
        return self.said.get("StudyInstanceUID", "")


Change = Callable[[Connection, Workitem], Workitem]
"""Gives what an item is to become, or raises; it sees the item as it is in the writer's transaction."""

Fits = Callable[[Mapping[str, str], State], bool]
"""Whether an item is meant, by what it says and its state."""
Hear = Callable[[Workitem, bool], None]
"""Is told an item as it is now, and whether its cancellation is asked for."""


class Worklist:
    """The worklist of one archive; safe from any thread. Futures resolve once the change is durable."""

    def __init__(self, database: Database, audit: AuditLog, uids: UidMaker) -> None:
        self._database = database
        self._audit = audit
        self._uids = uids
        self._hear: Hear | None = None
        database.ensure(WORKLIST)

    def listen(self, hear: Hear) -> None:
        """Have *hear* told of every item that was made or changed, once that is durable; on any thread."""
        self._hear = hear

    def tell(self, item: Workitem, *, asked: bool = False) -> None:
        """Tell whoever listens; *asked* means that its cancellation is asked for."""
        if self._hear is not None:
            self._hear(item, asked)

    def written(self, work: Callable[[Connection], Sequence[Workitem]]) -> Future[Sequence[Workitem]]:
        """Do *work* in the writer's transaction; whoever listens is told of the items it gives."""

        def told(done: Future[Sequence[Workitem]]) -> None:
            if not done.cancelled() and done.exception() is None:
                for item in done.result():
                    self.tell(item)

        future = self._database.write(work)
        future.add_done_callback(told)
        return future

    def _write(self, work: Callable[[Connection], Workitem]) -> Future[Workitem]:
        def told(done: Future[Workitem]) -> None:
            if not done.cancelled() and done.exception() is None:
                self.tell(done.result())

        future = self._database.write(work)
        future.add_done_callback(told)
        return future

    def create(
        self, namespace: str, said: Mapping[str, str], *, actor: str, new_study: bool = True
    ) -> Future[Workitem]:
        """Keep a new item, its study's UID made if it says none. Raises Conflict where that study has one.

        *new_study* False adds another step to a study (a modality performs several).
        """
        said = {**said, "StudyInstanceUID": said.get("StudyInstanceUID", "") or self._uids.new()}
        item = Workitem(namespace, self._uids.new(), said)

        def work(connection: Connection) -> Workitem:
            if new_study and _of_study(connection, namespace, item.study_uid):
                raise Conflict(
                    "There is a workitem with this StudyInstanceUID already.",
                    "Remove it first, or leave StudyInstanceUID out.",
                )
            return self.add(connection, item, actor)

        return self._write(work)

    def add(self, connection: Connection, item: Workitem, actor: str) -> Workitem:
        """Keep *item* in the writer's transaction. Raises Conflict where its UID is taken."""
        if _row_of(connection, item.namespace, item.uid) is not None:
            raise Conflict("There is a workitem with this UID already.", "Give another UID, or none.")
        now = time.time()
        connection.execute(insert(workitems).values(**_columns(item), created=now, changed=now))
        self._note(connection, item, "workitem created", actor)
        row = _row_of(connection, item.namespace, item.uid)
        return item if row is None else _item(row)

    def find(self, namespace: str, uid: str) -> Workitem:
        """The item with this UID. Raises NotFound("workitem")."""
        with self._database.read() as connection:
            return self.at(connection, namespace, uid)

    def at(self, connection: Connection, namespace: str, uid: str) -> Workitem:
        """The same in a transaction. Raises NotFound("workitem")."""
        row = _row_of(connection, namespace, uid)
        if row is None:
            raise NotFound("workitem", "There is no such workitem.")
        return _item(row)

    def item_of(self, namespace: str, said: Mapping[str, str]) -> Workitem:
        """A new item that says this; `add` keeps it."""
        return Workitem(namespace, self._uids.new(), said)

    def in_study(self, connection: Connection, namespace: str, study_uid: str) -> Sequence[Workitem]:
        """As `of_study` in a transaction."""
        return _of_study(connection, namespace, study_uid)

    def of_study(self, namespace: str, study_uid: str) -> Sequence[Workitem]:
        """The items of a study, the oldest first."""
        with self._database.read() as connection:
            return _of_study(connection, namespace, study_uid)

    def listed(
        self,
        namespace: str,
        *,
        patient_id: str = "",
        open_only: bool = True,
        limit: int = MOST,
        offset: int = 0,
    ) -> Sequence[Workitem]:
        """Items in the order they start, of one patient if named; *open_only* leaves finished ones out."""
        query = _all_of(namespace)
        if patient_id:
            query = query.where(workitems.c.patient_id == patient_id)
        if open_only:
            query = query.where(workitems.c.state.not_in([str(state) for state in FINAL]))
        with self._database.read() as connection:
            found = connection.execute(query.limit(min(limit, MOST)).offset(offset))
            return [_item(row) for row in found]

    def each(self, namespace: str, states: Sequence[State] = tuple(State)) -> Iterator[Workitem]:
        """Every item in one of *states*, in the order they start."""
        query = _all_of(namespace).where(workitems.c.state.in_([str(state) for state in states]))
        with self._database.read() as connection:
            for row in connection.execute(query):
                yield _item(row)

    def between(
        self, namespace: str, first: str = "", last: str = "", *, fits: Fits = lambda said, state: True
    ) -> Iterator[Workitem]:
        """Items that start from the day *first* to *last* (YYYYMMDD, "" is open) and fit, in that order."""
        every_state = [str(state) for state in State]  # so that the index by start serves
        query = _all_of(namespace).where(workitems.c.state.in_(every_state))
        if first:
            query = query.where(workitems.c.start >= first)
        if last:
            query = query.where(workitems.c.start < last + "~")
        with self._database.read() as connection:
            for row in connection.execute(query):
                said = msgspec.json.decode(row.said)
                if fits(said, State(row.state)):
                    yield _item(row)

    def study_uids(self, namespace: str) -> set[str]:
        """The studies there are items of, finished ones too."""
        query = select(workitems.c.study_uid).where(workitems.c.namespace == namespace).distinct()
        with self._database.read() as connection:
            return set(connection.execute(query).scalars())

    def scheduled(self, namespace: str) -> Iterator[Scheduled]:
        """What is not finished, as the Modality Worklist has it (a `core.dicom.ports.Worklist`)."""
        for item in self.each(namespace, (State.SCHEDULED, State.IN_PROGRESS)):
            yield Scheduled(item.study_uid, item.said, item.uid, str(item.state))

    def change(
        self, namespace: str, uid: str, change: Change, *, actor: str, action: str
    ) -> Future[Workitem]:
        """Make an item what *change* says. Raises NotFound and what *change* does."""

        def work(connection: Connection) -> Workitem:
            return self.put(connection, self.at(connection, namespace, uid), change, actor, action)

        return self._write(work)

    def put(
        self, connection: Connection, item: Workitem, change: Change, actor: str, action: str
    ) -> Workitem:
        """The same for *item* in the writer's transaction."""
        new = change(connection, item)
        if (new.namespace, new.uid) != (item.namespace, item.uid):
            raise BadInput("A workitem keeps its UID.")
        values = {**_columns(new), "revision": item.revision + 1, "changed": time.time()}
        connection.execute(
            update(workitems)
            .where(workitems.c.namespace == item.namespace, workitems.c.uid == item.uid)
            .values(values)
        )
        self._note(connection, new, action, actor)
        return self.at(connection, item.namespace, item.uid)

    def remove(
        self, namespace: str, uid: str, *, actor: str, also: Callable[[Connection, Workitem], None]
    ) -> Future[Workitem]:
        """Remove one item, and what *also* removes in the same transaction. Raises NotFound("workitem")."""

        def work(connection: Connection) -> Workitem:
            item = self.at(connection, namespace, uid)
            mine = (workitems.c.namespace == namespace) & (workitems.c.uid == uid)
            connection.execute(delete(workitems).where(mine))
            also(connection, item)
            self._note(connection, item, "workitem removed", actor)
            return item

        return self._database.write(work)

    def remove_study(self, namespace: str, study_uid: str, *, actor: str) -> Future[int]:
        """Remove every item of a study; how many. Raises NotFound("workitem")."""

        def work(connection: Connection) -> int:
            found = _of_study(connection, namespace, study_uid)
            if not study_uid or not found:
                raise NotFound("workitem", "There is no workitem with this StudyInstanceUID.")
            mine = (workitems.c.namespace == namespace) & (workitems.c.study_uid == study_uid)
            connection.execute(delete(workitems).where(mine))
            for item in found:
                self._note(connection, item, "workitem removed", actor)
            return len(found)

        return self._database.write(work)

    def _note(self, connection: Connection, item: Workitem, action: str, actor: str) -> None:
        self._audit.record(
            connection,
            Event.PROCEDURE_RECORD,
            action,
            actor=actor,
            namespace=item.namespace,
            study_uid=item.study_uid,
            detail={"uid": item.uid, "state": str(item.state)},
        )


def _all_of(namespace: str) -> Select[Any]:
    query = select(workitems).where(workitems.c.namespace == namespace)
    return query.order_by(workitems.c.start, workitems.c.id)


def _of_study(connection: Connection, namespace: str, study_uid: str) -> list[Workitem]:
    query = select(workitems).where(workitems.c.namespace == namespace, workitems.c.study_uid == study_uid)
    return [_item(row) for row in connection.execute(query.order_by(workitems.c.id))]


def _row_of(connection: Connection, namespace: str, uid: str) -> Row[Any] | None:
    mine = (workitems.c.namespace == namespace) & (workitems.c.uid == uid)
    return connection.execute(select(workitems).where(mine)).first()


def _columns(item: Workitem) -> dict[str, Any]:
    said = item.said
    day, time_of_day = (said.get(f"ScheduledProcedureStepStart{part}", "") for part in ("Date", "Time"))
    return {
        "namespace": item.namespace,
        "uid": item.uid,
        "study_uid": item.study_uid,
        "patient_id": said.get("PatientID", ""),
        "start": day + time_of_day.partition(".")[0] if day else "",
        "state": str(item.state),
        "transaction_uid": item.transaction_uid,
        "said": json.dumps(dict(said), ensure_ascii=False, separators=(",", ":")),
        "step": json.dumps(item.step, ensure_ascii=False, separators=(",", ":")),
    }


def _item(row: Row[Any]) -> Workitem:
    return Workitem(
        namespace=row.namespace,
        uid=row.uid,
        said=msgspec.json.decode(row.said),
        state=State(row.state),
        transaction_uid=row.transaction_uid,
        step=msgspec.json.decode(row.step),
        revision=row.revision,
        created=row.created,
        changed=row.changed,
    )
