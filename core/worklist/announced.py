"""Entries that files are added to, beside any modality: named by their own UID, or by their study's.

Adding to one does not move it: PS3.4 has a step moved by who claims it (CC.1.1) or by a performed step (F.7).
"""

from __future__ import annotations

from collections.abc import Mapping
from concurrent.futures import Future
from dataclasses import dataclass, replace

from sqlalchemy import Connection

from core.dicom.json_model import Model, element_of
from core.errors import Conflict
from core.worklist.fields import FIELDS
from core.worklist.model import items_of
from core.worklist.overview import Overview
from core.worklist.procedure_step import REQUESTS
from core.worklist.states import State
from core.worklist.worklist import Workitem, Worklist


@dataclass(frozen=True, slots=True)
class Announced:
    """One entry; *values* by keyword, as the Modality Worklist has them. An order has no *uid* of its own."""

    values: Mapping[str, str]
    uid: str = ""
    state: State = State.SCHEDULED

    @property
    def study_uid(self) -> str:
        """Its study, "" if it names none."""
        return self.values.get("StudyInstanceUID", "")


class Announcements:
    """The entries of one archive that are not canceled."""

    def __init__(self, worklist: Worklist, overview: Overview) -> None:
        self._worklist = worklist
        self._overview = overview

    def entry(self, namespace: str, uid: str) -> Announced:
        """The entry with this UID. Raises NotFound("workitem"), Conflict where it is canceled."""
        return announced(self._worklist.find(namespace, uid))

    def of_study(self, namespace: str, study_uid: str) -> Announced | None:
        """The entry that announces a study, an order too; None if there is none.

        Raises Conflict where it is canceled, or where there are several.
        """
        items = self._worklist.of_study(namespace, study_uid)
        wanted = [item for item in items if item.state is not State.CANCELED]
        if len(wanted) > 1:
            raise Conflict("Several worklist entries announce this study.", "Name one by its workitem UID.")
        if items:
            return announced((wanted or items)[0])
        order = self._overview.order(namespace, study_uid)
        return Announced(order.values) if order is not None else None

    def place(self, namespace: str, entry: Announced, study_uid: str, *, actor: str) -> Future[Workitem]:
        """Have an entry that names no study name this one, unless it names one by now; the entry as it is."""

        def named(connection: Connection, item: Workitem) -> Workitem:
            uid = item.study_uid or study_uid
            said = {**item.said, "StudyInstanceUID": uid}
            return replace(item, said=said, step=_naming(item.step, uid))

        return self._worklist.change(namespace, entry.uid, named, actor=actor, action="workitem updated")


def _naming(step: Model, study_uid: str) -> Model:
    """*step* whose request, if it has one of its own, names the study."""
    requests = items_of(step, REQUESTS)
    if not requests:
        return step
    first = {**requests[0], FIELDS["StudyInstanceUID"].tag: element_of("UI", [study_uid])}
    return {**step, REQUESTS: {"vr": "SQ", "Value": [dict(sorted(first.items())), *requests[1:]]}}


def announced(item: Workitem) -> Announced:
    """An item as an entry. Raises Conflict where it is canceled."""
    if item.state is State.CANCELED:
        raise Conflict("The worklist entry is canceled.", "Choose another one, or make it anew.")
    return Announced(item.said, item.uid, item.state)
