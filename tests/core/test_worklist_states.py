"""The state table of PS3.4 CC.1.1, walked as a whole: what it forbids changes nothing."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from itertools import product
from pathlib import Path
from typing import Any

import pytest

from core.archive.schema import CATALOG
from core.audit.log import AuditLog
from core.db.database import Database
from core.dicom.uids import UidMaker
from core.worklist.performed import Performed, PerformedSteps, Reference
from core.worklist.performed import Status as Performing
from core.worklist.states import ACTS, TABLE, Act, State, Status, status_of
from core.worklist.steps import NotNow, Steps
from core.worklist.worklist import Workitem, Worklist

LOCK, OTHER = "1.2.3.1", "1.2.3.2"
PERFORMED: dict[str, Any] = {
    "00741216": {
        "vr": "SQ",
        "Value": [
            {
                "00404019": {"vr": "SQ", "Value": [{"00080100": {"vr": "SH", "Value": ["W"]}}]},
                "00404028": {"vr": "SQ", "Value": [{"00080100": {"vr": "SH", "Value": ["S"]}}]},
                "00404050": {"vr": "DT", "Value": ["20260101120000"]},
                "00404051": {"vr": "DT", "Value": ["20260101123000"]},
            }
        ],
    }
}
ALLOWED = {
    (State.SCHEDULED, Act.START): State.IN_PROGRESS,
    (State.SCHEDULED, Act.SET): State.SCHEDULED,
    (State.SCHEDULED, Act.REQUEST_CANCEL): State.CANCELED,
    (State.IN_PROGRESS, Act.SET): State.IN_PROGRESS,
    (State.IN_PROGRESS, Act.COMPLETE): State.COMPLETED,
    (State.IN_PROGRESS, Act.CANCEL): State.CANCELED,
    (State.IN_PROGRESS, Act.REQUEST_CANCEL): State.IN_PROGRESS,
}
"""What may happen, and what comes of it; everything else must leave the step as it is."""
WARNED = {(State.COMPLETED, Act.COMPLETE), (State.CANCELED, Act.CANCEL), (State.CANCELED, Act.REQUEST_CANCEL)}


class Desk:
    """Steps over a database."""

    def __init__(self, database: Database) -> None:
        self.database = database
        self.worklist = Worklist(database, AuditLog(database), UidMaker())
        self.steps = Steps(self.worklist, database, UidMaker())

    def step(self, state: State) -> Workitem:
        """A new step, brought into *state*."""
        uid = self.steps.create("ns", "", PERFORMED, actor="me").result().uid
        if state is not State.SCHEDULED:
            self.steps.change("ns", uid, State.IN_PROGRESS, LOCK, actor="me").result()
        if state in (State.COMPLETED, State.CANCELED):
            self.steps.change("ns", uid, state, LOCK, actor="me").result()
        return self.steps.find("ns", uid)

    def do(self, item: Workitem, act: Act, lock: str) -> str:
        """Ask for *act*; the warning."""
        if act is Act.SET:
            if item.state is State.SCHEDULED and lock == LOCK:
                lock = ""  # nobody has claimed it: there is no lock to know
            label = {"00741204": {"vr": "LO", "Value": ["Changed"]}}
            return self.steps.update("ns", item.uid, label, lock, actor="me").result().warning
        if act is Act.REQUEST_CANCEL:
            return self.steps.request_cancel("ns", item.uid, "", actor="me").result().warning
        state = next(state for state, other in ACTS.items() if other is act)
        return self.steps.change("ns", item.uid, state, lock, actor="me").result().warning


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[Desk]:
    database = Database.open(tmp_path / "archive.db", CATALOG)
    yield Desk(database)
    database.close()


@pytest.mark.parametrize(("state", "act"), list(product(State, Act)), ids=str)
def test_each_cell_with_the_right_lock(desk: Desk, state: State, act: Act) -> None:
    item = desk.step(state)
    if (state, act) in ALLOWED:
        assert desk.do(item, act, LOCK) == ""
        now = desk.steps.find("ns", item.uid)
        assert now.state is ALLOWED[state, act]
        assert (now == item) == (act is Act.REQUEST_CANCEL and state is State.IN_PROGRESS)
        return
    if (state, act) in WARNED:
        assert "already" in desk.do(item, act, LOCK)
    else:
        with pytest.raises(NotNow) as refused:
            desk.do(item, act, LOCK)
        assert refused.value.status is status_of(state, act, locked_rightly=True)
    assert desk.steps.find("ns", item.uid) == item


@pytest.mark.parametrize(
    ("state", "act"),
    [
        (state, act)
        for state, act in product(State, Act)
        if act is not Act.REQUEST_CANCEL and (state is not State.SCHEDULED or act is Act.SET)
    ],
    ids=str,
)
def test_each_cell_with_another_lock_changes_nothing(desk: Desk, state: State, act: Act) -> None:
    item = desk.step(state)
    with pytest.raises(NotNow) as refused:
        desk.do(item, act, OTHER)
    assert refused.value.status is Status.WRONG_LOCK
    assert desk.steps.find("ns", item.uid) == item


def test_every_cell_of_the_table_is_one_of_the_standard() -> None:
    assert {(state, act) for state, act, _ in TABLE} == set(product(State, Act))
    for state, act in product(State, Act):
        status = status_of(state, act, locked_rightly=True)
        expected = Status.DONE if (state, act) in ALLOWED else status
        assert status is expected and (status is Status.DONE) == ((state, act) in ALLOWED)
        if act is not Act.REQUEST_CANCEL:
            assert status_of(state, act, locked_rightly=False) is Status.WRONG_LOCK


def test_nothing_becomes_scheduled_again(desk: Desk) -> None:
    for state in State:
        item = desk.step(state)
        with pytest.raises(NotNow) as refused:
            desk.steps.change("ns", item.uid, State.SCHEDULED, LOCK, actor="me")
        assert refused.value.status is Status.UNWANTED and desk.steps.find("ns", item.uid) == item


def test_a_step_that_does_not_say_what_was_done_is_not_completed(desk: Desk) -> None:
    uid = desk.steps.create("ns", "", {}, actor="me").result().uid
    desk.steps.change("ns", uid, State.IN_PROGRESS, LOCK, actor="me").result()
    with pytest.raises(NotNow) as refused:
        desk.steps.change("ns", uid, State.COMPLETED, LOCK, actor="me").result()
    assert refused.value.status is Status.NOT_READY
    desk.steps.update("ns", uid, PERFORMED, LOCK, actor="me").result()
    done = desk.steps.change("ns", uid, State.COMPLETED, LOCK, actor="me").result()
    assert done.item.state is State.COMPLETED


def test_of_two_who_claim_a_step_one_has_it(desk: Desk) -> None:
    item = desk.step(State.SCHEDULED)
    claims = [
        desk.steps.change("ns", item.uid, State.IN_PROGRESS, f"1.2.4.{n}", actor="me") for n in range(1, 9)
    ]
    won = [n for n, claim in enumerate(claims, 1) if claim.exception() is None]
    assert len(won) == 1
    assert desk.steps.find("ns", item.uid).transaction_uid == f"1.2.4.{won[0]}"


def test_a_step_that_a_modality_performs_is_nobody_elses(desk: Desk) -> None:
    item = desk.step(State.SCHEDULED)
    begun = desk.worklist.change(
        "ns", item.uid, lambda _, item: replace(item, state=State.IN_PROGRESS), actor="m", action="mpps"
    ).result()
    for act in (Act.SET, Act.START, Act.COMPLETE, Act.CANCEL):
        for lock in (LOCK, "") if act is Act.SET else (LOCK,):
            with pytest.raises(NotNow):
                desk.do(begun, act, lock)
    assert desk.steps.find("ns", item.uid) == begun


def test_who_listens_hears_of_a_step_that_a_modality_begins(desk: Desk) -> None:
    heard: list[tuple[str, State]] = []
    desk.worklist.listen(lambda item, asked: heard.append((item.uid, item.state)))
    item = desk.worklist.create("ns", {"StudyInstanceUID": "1.2.5"}, actor="me").result()
    steps = PerformedSteps(desk.database, desk.worklist, desk.worklist)
    said = Performed("ns", "1.2.6", Performing.IN_PROGRESS, (Reference("1.2.5"),), b"")
    steps.create(said, "CT1").result()
    desk.database.close()  # the writer has told everyone by then
    assert heard == [(item.uid, State.SCHEDULED), (item.uid, State.IN_PROGRESS)]
