"""MPPS: its states walked with their complement, and what becomes of the worklist by them."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from pydicom.dataset import Dataset

from core.dicom.ports import Scheduled
from core.worklist.performed import MOST_KEPT, MOST_KEPT_LETTERS, TRANSITIONS, Status, _kept
from core.worklist.states import State
from core.worklist.worklist import Worklist
from tests.dimse.gateways import IMPLICIT, Running, gateway, worklist_of

MPPS = "1.2.840.10008.3.1.2.3.3"
ENTRY = {
    "PatientName": "Probe^Paula", "PatientID": "P1", "AccessionNumber": "A1", "Modality": "CT",
    "ScheduledStationAETitle": "CT1", "ScheduledProcedureStepStartDate": "20260101",
    "ScheduledProcedureStepStartTime": "093000", "ScheduledProcedureStepDescription": "Thorax",
    "StudyInstanceUID": "1.2.77",
}  # fmt: skip


@contextmanager
def modality(running: Running) -> Iterator[Any]:
    """An association for MPPS."""
    with running.associated((MPPS, IMPLICIT)) as association:
        yield association


def step(status: str = "", study: str = "1.2.77", step_id: str = "") -> Dataset:
    """What a modality says."""
    ds, item = Dataset(), Dataset()
    if status:
        ds.PerformedProcedureStepStatus = status
    item.StudyInstanceUID = study
    if step_id:
        item.ScheduledProcedureStepID = step_id
    ds.ScheduledStepAttributesSequence = [item]
    return ds


def test_states_and_their_complement(tmp_path: Path) -> None:
    with gateway(tmp_path) as running, modality(running) as association:
        number = 0
        for (before, after), allowed in TRANSITIONS.items():
            number += 1
            uid = f"1.2.3.{number}"
            if before is None:
                answer, _ = association.send_n_create(step(after), MPPS, uid)
                assert (answer.Status == 0) is allowed and answer.Status in (0, 0x0106)
                continue
            assert association.send_n_create(step("IN PROGRESS"), MPPS, uid)[0].Status == 0
            if before is not Status.IN_PROGRESS:
                assert association.send_n_set(step(before), MPPS, uid)[0].Status == 0
            answer, _ = association.send_n_set(step(after), MPPS, uid)
            assert answer.Status == (0 if allowed else 0x0110)
            if not allowed:
                assert answer.ErrorID == 0xA710
        assert association.send_n_create(step("IN PROGRESS"), MPPS, uid)[0].Status == 0x0111
        assert association.send_n_set(step("COMPLETED"), MPPS, "1.2.9")[0].Status == 0x0112
        assert association.send_n_create(step("RESTING"), MPPS, "1.2.8")[0].Status == 0x0106
        assert association.send_n_create(step(""), MPPS, "1.2.8")[0].Status == 0x0106


@pytest.mark.parametrize(
    ("last", "state"), [("COMPLETED", State.COMPLETED), ("DISCONTINUED", State.CANCELED)]
)
def test_the_item_moves_with_it(tmp_path: Path, last: str, state: State) -> None:
    with gateway(tmp_path) as running, modality(running) as association:
        items = worklist_of(running.archive)
        other = {**ENTRY, "StudyInstanceUID": "1.2.78"}
        for said in (ENTRY, other):
            items.create("default", said, actor="rita").result(9)
        assert association.send_n_create(step("IN PROGRESS"), MPPS, "1.9.1")[0].Status == 0
        assert states(items) == [State.IN_PROGRESS, State.SCHEDULED]
        assert association.send_n_set(step(), MPPS, "1.9.1")[0].Status == 0
        assert association.send_n_set(step(last), MPPS, "1.9.1")[0].Status == 0
        assert states(items) == [state, State.SCHEDULED]
        entry = running.archive.audit.entries()[0]
        assert (entry.actor, entry.action) == ("CT1", "step performed")


def states(items: Worklist) -> list[State]:
    """Of both studies."""
    return [item.state for study in ("1.2.77", "1.2.78") for item in items.of_study("default", study)]


class Orders:
    """One order that is no item yet."""

    def scheduled(self, namespace: str) -> Iterator[Scheduled]:
        """It."""
        return iter([Scheduled("1.2.77", ENTRY)])


def test_an_order_becomes_an_item_when_it_is_performed(tmp_path: Path) -> None:
    with gateway(tmp_path, worklist=Orders()) as running, modality(running) as association:
        assert association.send_n_create(step("IN PROGRESS"), MPPS, "1.9.1")[0].Status == 0
        (item,) = worklist_of(running.archive).of_study("default", "1.2.77")
        assert item.state is State.IN_PROGRESS and item.said["PatientName"] == "Probe^Paula"


def test_a_step_of_another_patient_is_refused_and_moves_nothing(tmp_path: Path) -> None:
    with gateway(tmp_path) as running, modality(running) as association:
        items = worklist_of(running.archive)
        items.create("default", ENTRY, actor="rita").result(9)
        wrong, right, silent = step("IN PROGRESS"), step("IN PROGRESS"), step("IN PROGRESS")
        wrong.PatientID, right.PatientID, silent.PatientID = "P2", "P1", ""
        assert association.send_n_create(wrong, MPPS, "1.9.1")[0].Status == 0x0106
        assert states(items) == [State.SCHEDULED]
        assert association.send_n_create(right, MPPS, "1.9.1")[0].Status == 0, "nothing was kept of it"
        assert association.send_n_create(silent, MPPS, "1.9.2")[0].Status == 0
        done = step("COMPLETED")
        done.PatientID = "P2"
        assert association.send_n_set(done, MPPS, "1.9.1")[0].Status == 0x0106
        assert states(items) == [State.IN_PROGRESS]
        done.PatientID = "P1"
        assert association.send_n_set(done, MPPS, "1.9.1")[0].Status == 0
        assert states(items) == [State.COMPLETED]


def test_of_many_updates_the_first_and_the_latest_are_kept() -> None:
    texts = [str(number) for number in range(500)]
    kept: list[str] = []
    for text in texts:
        kept = _kept([*kept, text])
    assert kept == [texts[0], *texts[-MOST_KEPT + 1 :]]
    large = "x" * (MOST_KEPT_LETTERS // 3)
    assert _kept(["first", large, "old", large, "new", large]) == [
        "first", "old", large, "new", large,
    ]  # fmt: skip
    assert _kept(["first", large * 4]) == ["first", large * 4]


def test_only_the_step_that_is_named(tmp_path: Path) -> None:
    with gateway(tmp_path) as running, modality(running) as association:
        items = worklist_of(running.archive)
        for step_id in ("S1", "S2"):
            said = {**ENTRY, "ScheduledProcedureStepID": step_id}
            items.create("default", said, actor="rita", new_study=False).result(9)
        assert association.send_n_create(step("IN PROGRESS", step_id="S2"), MPPS, "1.9.1")[0].Status == 0
        found = {i.said["ScheduledProcedureStepID"]: i.state for i in items.of_study("default", "1.2.77")}
        assert found == {"S1": State.SCHEDULED, "S2": State.IN_PROGRESS}
