"""The worklist at the desktop: entries are made, edited, begun, finished, given up, removed, and filled.

Whoever begins an entry claims it with a transaction UID (PS3.4 CC.1.1). The desktop's is kept here, so that
an entry begun today can be completed tomorrow, whatever became of the window. What nobody claimed although it
is in progress (a modality performs it, by MPPS, or files were added) people may finish, too.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from concurrent.futures import Future
from dataclasses import replace
from typing import Protocol

from sqlalchemy import Connection

from core.dicom.json_model import Model, element_of
from core.dicom.uids import UidMaker
from core.errors import Conflict, NotFound
from core.worklist.claims import (
    claim,
    claimed_since,
    file_under,
    filed_under,
    forget,
    forget_filed,
    layers_of_others,
    release,
)
from core.worklist.fields import BadField
from core.worklist.overview import Overview
from core.worklist.procedure_step import PERFORMED, canceled, completes, moment, respoken, step_model
from core.worklist.states import Act, State, Status, status_of
from core.worklist.worklist import Workitem, Worklist

WHO = ("PatientName", "PatientID", "PatientBirthDate", "PatientSex", "AccessionNumber")
"""What an entry in progress keeps: objects were made with it."""
MEDIA_IMPORT = ("110013", "DCM", "Media Import")  # PS3.16 CID 9231
SENTENCES = {
    Status.NO_LONGER: "This entry is finished: it can no longer be changed.",
    Status.WRONG_LOCK: "This entry is in progress elsewhere.",
    Status.ALREADY_IN_PROGRESS: "This entry is in progress already.",
    Status.NOT_IN_PROGRESS: "This entry has not been started.",
    Status.ALREADY_CANCELED: "This entry was cancelled already.",
    Status.ALREADY_COMPLETED: "This entry was completed already.",
    Status.COMPLETED_BEFORE: "This entry is completed: it cannot be cancelled.",
}
ELSEWHERE = "Whoever claimed it is the one to finish it."


class ElsewhereFiled(Conflict):
    """A study can belong to one entry only."""

    def __init__(self) -> None:
        super().__init__(
            "The study belongs to another entry of the worklist.", "Take it back from that first."
        )


class Filing(Protocol):
    """Lays what an entry says of patient and order over a study of the archive."""

    def lay(
        self, connection: Connection, item: Workitem, study_uid: str, before: str, actor: str
    ) -> tuple[str, bool]:
        """The layer's GUID, and whether it is new; one laid *before* that is there still stays.

        Raises NotFound("study").
        """

    def there(self, connection: Connection, item: Workitem, study_uid: str, layer: str) -> bool:
        """Whether this layer lies over the study."""

    def lift(self, connection: Connection, item: Workitem, study_uid: str, layer: str, actor: str) -> None:
        """Take it away; one that is gone already is no error."""


class Desk:
    """Changes of one archive's worklist by people; Futures resolve once the change is durable."""

    def __init__(
        self,
        worklist: Worklist,
        overview: Overview,
        filing: Filing,
        uids: UidMaker,
        station: str,
    ) -> None:
        """*station* is the AE title that performs what the desktop does."""
        self._worklist = worklist
        self._overview = overview
        self._filing = filing
        self._uids = uids
        self._station = station

    def take_over(self, namespace: str, study_uid: str, *, actor: str) -> Future[Workitem]:
        """Make an item of an order. Raises NotFound("order")."""
        order = self._overview.order(namespace, study_uid)
        if order is None:
            raise NotFound("order", "This order is not on the worklist any more.")
        return self._worklist.create(namespace, order.values, actor=actor)

    def edit(
        self, namespace: str, uid: str, said: Mapping[str, str], revision: int, *, actor: str
    ) -> Future[Workitem]:
        """Let an entry say this instead, if it is still as of *revision*.

        One in progress keeps its patient and accession number. Raises NotFound, Conflict, BadField.
        """

        def change(connection: Connection, item: Workitem) -> Workitem:
            self._check(connection, item, Act.SET)
            if item.revision != revision:
                raise Conflict("Somebody else changed this entry meanwhile.", "Look at it again, then edit.")
            new = {**said, "StudyInstanceUID": item.study_uid}
            if item.state is State.IN_PROGRESS:
                for name in WHO:
                    if new.get(name, "") != item.said.get(name, ""):
                        raise BadField(name, "can no longer be changed: the entry is in progress.")
            return replace(item, said=new, step=respoken(item.step, item.said, new))

        return self._worklist.change(namespace, uid, change, actor=actor, action="workitem edited")

    def start(self, namespace: str, uid: str, *, actor: str) -> Future[Workitem]:
        """Claim an entry: it is in progress, and ours. Raises NotFound, Conflict."""
        lock = self._uids.new()

        def change(connection: Connection, item: Workitem) -> Workitem:
            self._check(connection, item, Act.START)
            claim(connection, item, lock)
            return replace(item, state=State.IN_PROGRESS, transaction_uid=lock)

        return self._worklist.change(namespace, uid, change, actor=actor, action="workitem in progress")

    def complete(self, namespace: str, uid: str, *, actor: str) -> Future[Workitem]:
        """It is done; what was performed is said if it was not yet. Raises NotFound, Conflict."""

        def change(connection: Connection, item: Workitem) -> Workitem:
            self._check(connection, item, Act.COMPLETE)
            step = item.step
            if not completes(step_model(item)):
                since = claimed_since(connection, item) or time.time()
                step = {**step, PERFORMED: self._performed(since, time.time())}
            release(connection, item)
            return replace(item, state=State.COMPLETED, step=step)

        return self._worklist.change(namespace, uid, change, actor=actor, action="workitem completed")

    def cancel(self, namespace: str, uid: str, reason: str, *, actor: str) -> Future[Workitem]:
        """It is given up, before or after it was begun. Raises NotFound, Conflict."""

        def change(connection: Connection, item: Workitem) -> Workitem:
            begun = item.state is not State.SCHEDULED
            self._check(connection, item, Act.CANCEL if begun else Act.REQUEST_CANCEL)
            release(connection, item)
            return replace(item, state=State.CANCELED, step=canceled(item.step, time.time(), reason))

        return self._worklist.change(namespace, uid, change, actor=actor, action="workitem canceled")

    def remove(self, namespace: str, uid: str, *, actor: str) -> Future[Workitem]:
        """Take an entry off the worklist, whatever its state. Raises NotFound."""
        return self._worklist.remove(namespace, uid, actor=actor, also=forget)

    def file(
        self, namespace: str, uid: str, study_uids: Sequence[str], *, actor: str
    ) -> Future[Sequence[Workitem]]:
        """Let studies of the archive belong to an entry of ours that is in progress; all of them or none.

        Raises NotFound("workitem" | "study"), Conflict.
        """

        def work(connection: Connection) -> Sequence[Workitem]:
            item = self._worklist.at(connection, namespace, uid)
            if item.state is not State.IN_PROGRESS:
                raise Conflict("Studies can only be added to an entry in progress.", "Start it first.")
            self._check(connection, item, Act.SET)
            filed, fresh = filed_under(connection, namespace, [uid]).get(uid, {}), False
            for study_uid in study_uids:
                for layer in layers_of_others(connection, item, study_uid):
                    if self._filing.there(connection, item, study_uid, layer):
                        raise ElsewhereFiled
                before = filed.get(study_uid, "")
                layer, new = self._filing.lay(connection, item, study_uid, before, actor)
                if new:
                    file_under(connection, item, study_uid, layer)
                    fresh = True
            return [self._touched(connection, item, actor, "study filed")] if fresh else [item]

        return self._worklist.written(work)

    def unfile(self, namespace: str, uid: str, study_uid: str, *, actor: str) -> Future[Sequence[Workitem]]:
        """Let a study be what it was before it was filed. Raises NotFound("workitem" | "study")."""

        def work(connection: Connection) -> Sequence[Workitem]:
            item = self._worklist.at(connection, namespace, uid)
            layer = filed_under(connection, namespace, [uid]).get(uid, {}).get(study_uid)
            if layer is None:
                raise NotFound("study", "This study does not belong to the entry.")
            self._filing.lift(connection, item, study_uid, layer, actor)
            forget_filed(connection, item, study_uid)
            return [self._touched(connection, item, actor, "study taken back")]

        return self._worklist.written(work)

    def _touched(self, connection: Connection, item: Workitem, actor: str, action: str) -> Workitem:
        return self._worklist.put(connection, item, lambda _, each: each, actor, action)

    def _performed(self, since: float, until: float) -> Model:
        def coded(*code: str) -> Model:
            vrs = {"00080100": "SH", "00080102": "SH", "00080104": "LO"}
            values = zip(vrs.items(), code, strict=True)
            return {"vr": "SQ", "Value": [{tag: element_of(vr, [each]) for (tag, vr), each in values}]}

        performed: Model = {
            "00404019": coded(*MEDIA_IMPORT),
            "00404028": coded(self._station, "99FILMJACKET", self._station),
            "00404033": {"vr": "SQ"},
            "00404050": element_of("DT", [moment(since)]),
            "00404051": element_of("DT", [moment(until)]),
        }
        return {"vr": "SQ", "Value": [performed]}

    def _check(self, connection: Connection, item: Workitem, act: Act) -> None:
        """Raises Conflict where the table of states forbids it, in a person's words."""
        ours = not item.transaction_uid or claimed_since(connection, item) is not None
        rightly = item.state is not State.IN_PROGRESS or ours
        status = status_of(item.state, act, locked_rightly=rightly)
        if status is not Status.DONE:
            remedy = ELSEWHERE if status is Status.WRONG_LOCK else ""
            raise Conflict(SENTENCES.get(status, str(status)), remedy)
