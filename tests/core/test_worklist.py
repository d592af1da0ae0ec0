"""The worklist's store, orders beside it, and UIDs: what was kept stays, and each entry comes once."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from core.archive.orders import Orders
from core.archive.scheduled_orders import ScheduledOrders
from core.archive.schema import CATALOG
from core.audit.log import AuditLog
from core.db.database import Database
from core.dicom.uids import LONGEST_ROOT, UidMaker, is_uid
from core.errors import BadInput, Conflict, NotFound
from core.worklist.joined import Joined
from core.worklist.states import State
from core.worklist.worklist import Worklist

SAID = {"PatientID": "P1", "ScheduledProcedureStepStartDate": "20260102", "Modality": "CT"}


@pytest.fixture
def database(tmp_path: Path):  # type: ignore[no-untyped-def]
    opened = Database.open(tmp_path / "archive.db", CATALOG)
    yield opened
    opened.close()


def worklist(database: Database) -> Worklist:
    return Worklist(database, AuditLog(database), UidMaker())


def test_what_was_made_is_there_after_a_new_start(database: Database, tmp_path: Path) -> None:
    made = worklist(database).create("ns", SAID, actor="me").result()
    database.close()
    again = Database.open(tmp_path / "archive.db", CATALOG)
    try:
        assert worklist(again).find("ns", made.uid) == made
        (entry,) = AuditLog(again).entries()
        assert (entry.action, entry.study_uid, entry.actor) == ("workitem created", made.study_uid, "me")
    finally:
        again.close()


def test_namespaces_are_apart(database: Database) -> None:
    items = worklist(database)
    first = items.create("one", SAID | {"StudyInstanceUID": "1.2"}, actor="me").result()
    items.create("two", SAID | {"StudyInstanceUID": "1.2"}, actor="me").result()
    assert [item.namespace for item in items.listed("two")] == ["two"]
    with pytest.raises(NotFound):
        items.find("two", first.uid)
    with pytest.raises(Conflict):
        items.create("one", SAID | {"StudyInstanceUID": "1.2"}, actor="me").result()


def test_a_finished_item_leaves_the_worklist_and_stays_known(database: Database) -> None:
    items = worklist(database)
    made = items.create("ns", SAID, actor="me").result()
    done = items.change(
        "ns", made.uid, lambda _, item: replace(item, state=State.COMPLETED), actor="me", action="done"
    ).result()
    assert done.revision == made.revision + 1 and done.state is State.COMPLETED
    assert items.listed("ns") == [] == list(items.scheduled("ns"))
    assert items.listed("ns", open_only=False) == [done] == list(items.each("ns"))


def test_a_change_that_raises_changes_nothing(database: Database) -> None:
    items = worklist(database)
    made = items.create("ns", SAID, actor="me").result()
    with pytest.raises(BadInput):
        items.change(
            "ns", made.uid, lambda _, item: replace(item, uid="1.2.3"), actor="me", action="renamed"
        ).result()
    assert items.find("ns", made.uid) == made


def test_orders_stand_beside_items_and_each_study_comes_once(database: Database) -> None:
    audit = AuditLog(database)
    patient = {
        "patient_name": "DOE^JANE",
        "patient_mrn": "M1",
        "patient_dob": "1980-02-03",
        "patient_gender": "FEMALE",
        "order_id": "A-1",
        "study_date": "YYYYMMDD",
    }
    Orders(database, audit).post("ns", json.dumps({"patient": patient}), actor="me").result()
    items, orders = worklist(database), ScheduledOrders(database)
    (order,) = orders.scheduled("ns")
    assert order.values == {
        "StudyInstanceUID": order.study_instance_uid,
        "PatientName": "DOE^JANE",
        "PatientID": "M1",
        "PatientBirthDate": "19800203",
        "PatientSex": "F",
        "AccessionNumber": "A-1",
    }
    assert is_uid(order.study_instance_uid) and list(orders.scheduled("other")) == []
    item = items.create("ns", SAID, actor="me").result()
    both = Joined(items, orders)
    assert [each.uid for each in both.scheduled("ns")] == [item.uid, ""]
    adopted = items.create("ns", dict(order.values), actor="modality").result()
    assert {each.uid for each in both.scheduled("ns")} == {item.uid, adopted.uid}


def test_an_order_that_was_performed_does_not_come_back(database: Database) -> None:
    orders = ScheduledOrders(database)
    message = json.dumps({"patient": {"patient_name": "A^B", "order_id": "77", "study_date": "20260102"}})
    Orders(database, AuditLog(database)).post("ns", message, actor="me").result()
    items = worklist(database)
    both = Joined(items, orders, finished=items.study_uids)
    (order,) = both.scheduled("ns")
    adopted = items.create("ns", dict(order.values), actor="modality").result()
    assert [each.uid for each in both.scheduled("ns")] == [adopted.uid]
    done = lambda _, item: replace(item, state=State.COMPLETED)  # noqa: E731  # a change in one line
    items.change("ns", adopted.uid, done, actor="modality", action="completed").result()
    assert list(both.scheduled("ns")) == []


def test_an_unknown_item_cannot_be_removed(database: Database) -> None:
    with pytest.raises(NotFound):
        worklist(database).remove_study("ns", "1.2.3", actor="me").result()


@pytest.mark.parametrize("root", ["", "1.2.826.0.1.3680043", "1." + "2" * (LONGEST_ROOT - 2), "0.1."])
def test_uids_are_valid_below_any_root(root: str) -> None:
    uids = {UidMaker(root).new() for _ in range(200)}
    begin = root.rstrip(".") or "2.25"
    assert len(uids) == 200 and all(is_uid(uid) and uid.startswith(f"{begin}.") for uid in uids)


@pytest.mark.parametrize("root", ["x", "1", "1.02", "3.1", "1..2", "1.2 3", "1." + "2" * LONGEST_ROOT])
def test_a_root_that_is_none_is_refused(root: str) -> None:
    with pytest.raises(BadInput):
        UidMaker(root)
