"""Results that come for an entry without a modality's help: whose they are, and how far it comes by them.

PS3.4 lets a performed step move a scheduled one (F.7, as MPPS does), and a claimed step be moved by nobody
but who claimed it (CC.1.1). Storing what was made for an entry performs it, so one that is scheduled is in
progress from then on, claimed by nobody: a modality may go on. Whether it is complete is for people to say.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, replace

from sqlalchemy import Connection

from core.dicom import ports
from core.errors import Conflict
from core.worklist.states import State
from core.worklist.worklist import Workitem, Worklist

ACTION = "files attached"


@dataclass(frozen=True, slots=True)
class Entry:
    """One entry; *values* by keyword, as the Modality Worklist has them. An order has no *uid* of its own."""

    values: Mapping[str, str]
    uid: str = ""
    state: State = State.SCHEDULED

    @property
    def study_uid(self) -> str:
        """Its study, "" if it names none."""
        return self.values.get("StudyInstanceUID", "")


class Results:
    """The entries of one archive that things may be added to; *scheduled* also knows orders."""

    def __init__(self, worklist: Worklist, scheduled: ports.Worklist) -> None:
        self._worklist = worklist
        self._scheduled = scheduled

    def entry(self, namespace: str, uid: str) -> Entry:
        """The entry with this UID. Raises NotFound("workitem"), Conflict where it is canceled."""
        return _entry(self._worklist.find(namespace, uid))

    def of_study(self, namespace: str, study_uid: str) -> Entry | None:
        """The entry that announces a study, None if there is none.

        Raises Conflict where it is canceled, or where there are several.
        """
        items = self._worklist.of_study(namespace, study_uid)
        wanted = [item for item in items if item.state is not State.CANCELED]
        if len(wanted) > 1:
            raise Conflict(
                "Several worklist entries announce this study.", "Name one of them by its workitem UID."
            )
        if items:
            return _entry((wanted or items)[0])
        for each in self._scheduled.scheduled(namespace):
            if not each.uid and each.study_instance_uid == study_uid:
                return Entry(each.values)
        return None

    def place(self, namespace: str, entry: Entry, study_uid: str, *, actor: str) -> Future[Workitem]:
        """Have an entry that names no study name this one, unless it names one by now; the entry as it is."""

        def named(connection: Connection, item: Workitem) -> Workitem:
            uid = item.study_uid or study_uid
            return replace(item, said={**item.said, "StudyInstanceUID": uid})

        return self._worklist.change(namespace, entry.uid, named, actor=actor, action="workitem updated")

    def begin(self, namespace: str, entry: Entry, *, actor: str) -> Future[Sequence[Workitem]]:
        """Bring a scheduled entry into progress, an order among the items first; what moved.

        One that has moved on or gone meanwhile is left alone.
        """

        def work(connection: Connection) -> Sequence[Workitem]:
            items = self._worklist.in_study(connection, namespace, entry.study_uid)
            if entry.uid:
                items = [item for item in items if item.uid == entry.uid]
            elif not items:
                new = self._worklist.item_of(namespace, entry.values)
                items = [self._worklist.add(connection, new, actor)]
            return [
                self._worklist.put(connection, item, _in_progress, actor, ACTION)
                for item in items
                if item.state is State.SCHEDULED
            ]

        return self._worklist.written(work)


def _in_progress(connection: Connection, item: Workitem) -> Workitem:
    return replace(item, state=State.IN_PROGRESS)


def _entry(item: Workitem) -> Entry:
    if item.state is State.CANCELED:
        raise Conflict("The worklist entry is canceled.", "Choose another one, or make it anew.")
    return Entry(item.said, item.uid, item.state)
