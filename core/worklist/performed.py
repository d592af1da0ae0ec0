"""Performed procedure steps (MPPS): what modalities say they do, and how far scheduled steps get by it."""

from __future__ import annotations

import base64
import time
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Any

from sqlalchemy import Connection
from tinydb import Query

from core.db.database import Database
from core.dicom import ports
from core.documents.tables import DOCUMENTS, Documents
from core.errors import BadInput, Conflict, NotFound
from core.worklist.states import State
from core.worklist.worklist import Workitem, Worklist

TABLE = "performed_steps"
MOST_KEPT, MOST_KEPT_LETTERS = 100, 8 << 20
"""Data sets of one step, and their letters in Base64: the first and the latest are kept."""


class Status(StrEnum):
    """Performed Procedure Step Status (0040,0252), PS3.3 C.4.14."""

    IN_PROGRESS = "IN PROGRESS"
    COMPLETED = "COMPLETED"
    DISCONTINUED = "DISCONTINUED"


TRANSITIONS: Mapping[tuple[Status | None, Status], bool] = {
    (None, Status.IN_PROGRESS): True,
    (None, Status.COMPLETED): False,
    (None, Status.DISCONTINUED): False,
    **{(Status.IN_PROGRESS, each): True for each in Status},
    **{(final, each): False for final in (Status.COMPLETED, Status.DISCONTINUED) for each in Status},
}
"""From what (None: it is new) to what it may be said to have come (PS3.4 F.7.2.2)."""
BECOMES = {
    Status.IN_PROGRESS: State.IN_PROGRESS,
    Status.COMPLETED: State.COMPLETED,
    Status.DISCONTINUED: State.CANCELED,
}
"""What it makes of the scheduled step."""


class NoLonger(Conflict):
    """The step is finished and may no longer be updated."""

    def __init__(self) -> None:
        super().__init__("The performed procedure step may no longer be updated.", "Create another one.")


@dataclass(frozen=True, slots=True)
class Reference:
    """A scheduled step that is performed: its study, and its ID where the study has several steps."""

    study_uid: str
    step_id: str = ""


@dataclass(frozen=True, slots=True)
class Performed:
    """One message of a modality: *status* None leaves it; *data* is its data set as it came.

    *patient_id* is "" where it does not say whose step it is.
    """

    namespace: str
    uid: str
    status: Status | None
    references: Sequence[Reference]
    data: bytes
    patient_id: str = ""


def status_of(text: str) -> Status:
    """What *text* says. Raises BadInput."""
    try:
        return Status(text.strip())
    except ValueError:
        raise BadInput("The Performed Procedure Step Status is none.") from None


class PerformedSteps:
    """The performed steps of one archive, and the worklist they move; Futures resolve once it is durable."""

    def __init__(self, database: Database, worklist: Worklist, scheduled: ports.Worklist) -> None:
        """*scheduled* also knows entries that are no items yet: they become some when they are performed."""
        database.ensure(DOCUMENTS)
        self._database = database
        self._worklist = worklist
        self._scheduled = scheduled

    def create(self, said: Performed, actor: str) -> Future[Sequence[Workitem]]:
        """A step has begun; the items that moved.

        Raises BadInput unless it is in progress, and of the patient it was scheduled for; Conflict where its
        UID is taken.
        """
        status = said.status
        if status is None or not TRANSITIONS[None, status]:
            raise BadInput("A performed procedure step begins IN PROGRESS.")
        orders = self._orders(said.namespace, said.references)

        def work(connection: Connection) -> Sequence[Workitem]:
            table = Documents(self._database, connection).table(TABLE)
            if table.search(_mine(said.namespace, said.uid)):
                raise Conflict("There is a performed procedure step with this UID already.")
            table.insert(
                {
                    "namespace": said.namespace,
                    "uid": said.uid,
                    "status": str(status),
                    "references": [[each.study_uid, each.step_id] for each in said.references],
                    "data": [_text(said.data)],
                    "created": time.time(),
                    "actor": actor,
                }
            )
            for item in orders:
                if not self._worklist.in_study(connection, said.namespace, item.study_uid):
                    self._worklist.add(connection, item, actor)
            self._check_patient(connection, said, said.references)
            return self._move(connection, said.namespace, said.references, status, actor)

        return self._worklist.written(work)

    def set(self, said: Performed, actor: str) -> Future[Sequence[Workitem]]:
        """More is said of a step; the items that moved.

        Raises NotFound("step"), NoLonger, BadInput where it is not of the patient it was scheduled for.
        """

        def work(connection: Connection) -> Sequence[Workitem]:
            table = Documents(self._database, connection).table(TABLE)
            found = table.search(_mine(said.namespace, said.uid))
            if not found:
                raise NotFound("step", "There is no such performed procedure step.")
            row = found[0]
            before = Status(row["status"])
            after = said.status or before
            if not TRANSITIONS[before, after]:
                raise NoLonger
            references = [Reference(each[0], each[1]) for each in row["references"]]
            self._check_patient(connection, said, references)
            changed = {"status": str(after), "data": _kept([*row["data"], _text(said.data)])}
            table.update(changed, doc_ids=[row.doc_id])
            return self._move(connection, said.namespace, references, after, actor)

        return self._worklist.written(work)

    def _check_patient(
        self, connection: Connection, said: Performed, references: Iterable[Reference]
    ) -> None:
        """Raises BadInput where somebody else is scheduled for a study that is said to be performed."""
        for study_uid in {each.study_uid for each in references}:
            for item in self._worklist.in_study(connection, said.namespace, study_uid):
                scheduled = item.said.get("PatientID", "").strip()
                if said.patient_id and scheduled and scheduled != said.patient_id:
                    raise BadInput(
                        "The Patient ID is not that of the worklist.", "Pick the patient's entry anew."
                    )

    def _move(
        self,
        connection: Connection,
        namespace: str,
        references: Iterable[Reference],
        status: Status,
        actor: str,
    ) -> Sequence[Workitem]:
        """Bring the scheduled steps to the state; those finished, or claimed by somebody else, stay."""
        wanted = BECOMES[status]
        moved: list[Workitem] = []
        for reference in references:
            for item in self._worklist.in_study(connection, namespace, reference.study_uid):
                step_id = item.said.get("ScheduledProcedureStepID", "")
                if reference.step_id and step_id and step_id != reference.step_id:
                    continue
                if item.state in (State.SCHEDULED, State.IN_PROGRESS) and not item.transaction_uid:
                    new = self._worklist.put(
                        connection, item, lambda _, old: replace(old, state=wanted), actor, "step performed"
                    )
                    moved.append(new)
        return moved

    def _orders(self, namespace: str, references: Sequence[Reference]) -> list[Workitem]:
        """Entries of the studies performed that are no items yet, as items."""
        wanted = {each.study_uid for each in references if each.study_uid}
        return [
            self._worklist.item_of(namespace, each.values)
            for each in self._scheduled.scheduled(namespace)
            if not each.uid and each.study_instance_uid in wanted
        ]


def _mine(namespace: str, uid: str) -> Any:
    return (Query().namespace == namespace) & (Query().uid == uid)


def _kept(data: list[str]) -> list[str]:
    """The first data set and the latest, as many as there is room for."""
    first, *rest = data
    rest = rest[1 - MOST_KEPT :]
    while len(rest) > 1 and len(first) + sum(map(len, rest)) > MOST_KEPT_LETTERS:
        rest = rest[1:]
    return [first, *rest]


def _text(data: bytes) -> str:
    return base64.b64encode(data).decode("ascii")
