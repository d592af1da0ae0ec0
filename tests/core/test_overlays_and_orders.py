"""Overlays of PHI and the orders they come from: laid, found again, undone, gone with their study."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from core.archive.archive import Archive
from core.archive.matching import day, identifier, name
from core.archive.orders import BadField, Orders, read_message, read_relevant
from core.archive.overlays import Laying
from core.errors import BadInput, NotFound
from core.media.samples import SampleStudy
from tests.core.archive_help import NS, files_in, store, tiny
from tests.repeats import times

STUDY = SampleStudy(seed="overlays")
HIS = "his"


@pytest.fixture
def archive(tmp_path: Path) -> Iterator[Archive]:
    opened = Archive.open(tmp_path, settle_after_s=60)
    try:
        yield opened
    finally:
        opened.close()


@pytest.fixture
def orders(archive: Archive) -> Orders:
    store(archive, tiny(STUDY))
    return Orders(archive.db, archive.audit)


def relevant(**fields: object) -> str:
    return json.dumps(fields)


def message(number: str, patient_name: str, **more: str) -> str:
    return json.dumps(
        {"message_id": "1", "patient": {"order_id": number, "patient_name": patient_name, **more}}
    )


def associate(orders: Orders, **fields: object) -> str:
    body = relevant(**fields)
    future = orders.associate(NS, STUDY.uid, HIS, body, actor="rita", silent=False)
    return future.result(20).guid


def lift(orders: Orders, guid: str) -> None:
    orders.overlays.lift(NS, STUDY.uid, HIS, guid, actor="rita").result(20)


def numbers(orders: Orders, **wanted: str) -> list[str]:
    return [hit.order.data["order_id"] for hit in orders.search(HIS, wanted)]


def test_an_association_is_seen_in_its_namespace_only_and_can_be_undone(
    archive: Archive, orders: Orders, tmp_path: Path
) -> None:
    before = dict(archive.study_phi(NS, STUDY.uid, HIS))
    bytes_before = {path: path.read_bytes() for path in files_in(tmp_path)}
    guid = associate(
        orders,
        patient_name="Müller^Anna",
        patient_gender="female",
        patient_dob="19710203",
        patient_physical_address="Street 1",
        order_id="O77",
        order_description="MR Knee",
        study_date="20240301",
        patient_mrn="M9",
        referring_physician="House^Gregory",
        extra_tags='{"(0012,0001)":"value","00081040":"Ward 3"}',
    )
    expected = {
        "(0008,0020)": "20240301",
        "(0008,0050)": "O77",
        "(0008,0090)": "House^Gregory",
        "(0008,1030)": "MR Knee",
        "(0008,1040)": "Ward 3",
        "(0010,0010)": "Müller^Anna",
        "(0010,0020)": "M9",
        "(0010,0030)": "19710203",
        "(0010,0040)": "F",
        "(0010,1040)": "Street 1",
        "(0012,0001)": "value",
    }
    seen = archive.study_phi(NS, STUDY.uid, HIS)
    assert expected.items() <= seen.items() and list(seen) == sorted(seen)
    assert archive.study_phi(NS, STUDY.uid) == before
    (layer,) = orders.overlays.layers(NS, STUDY.uid, HIS)
    assert layer.guid == guid and layer.originals["(0010,0010)"] == before["(0010,0010)"]
    assert layer.originals["(0012,0001)"] is None
    entries = archive.audit.entries(study_uid=STUDY.uid)
    assert entries[0].action == "order associated" and "Müller" not in str(entries)
    lift(orders, guid)
    assert archive.study_phi(NS, STUDY.uid, HIS) == before
    with pytest.raises(NotFound):
        lift(orders, guid)
    assert {path: path.read_bytes() for path in files_in(tmp_path)} == bytes_before
    assert not list(archive.audit.verify())


@given(data=st.data())
@settings(
    max_examples=times(6, whole=15),
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
def test_layers_lifted_in_any_order_leave_what_the_others_make(
    archive: Archive, orders: Orders, data: st.DataObject
) -> None:
    tags = st.dictionaries(
        st.sampled_from(["(0010,0010)", "(0010,0020)", "(0008,0050)"]), st.text("abcß", max_size=3)
    )
    laid = data.draw(st.lists(tags.filter(bool), min_size=1, max_size=4))
    order = data.draw(st.permutations(range(len(laid))))  # a draw may end the example: none later
    living: dict[str, dict[str, str]] = {}
    for each in laid:
        what = Laying(NS, STUDY.uid, HIS, each, "rita")
        living[orders.overlays.lay(what).result(20).guid] = each
    for guid in [list(living)[place] for place in order]:
        together: dict[str, str] = {}
        for each in living.values():
            together |= each
        assert orders.overlays.of(NS, STUDY.uid, HIS) == together
        lift(orders, guid)
        del living[guid]
    assert orders.overlays.of(NS, STUDY.uid, HIS) == {}


def test_orders_are_found_although_mistyped(orders: Orders) -> None:
    posted = [
        message("A-100", "Müller^Anna Maria", patient_dob="19710203", study_date="20240301"),
        message("A-101", "Schmidt^Peter", patient_dob="19500607"),
        message("A-102", "Muller^Arno", patient_dob="19800101"),
        message("B-7", "Łukaszewicz^Żaneta", patient_dob="19610511"),
    ]
    guids = [orders.post(HIS, each, actor="rita").result(20).guid for each in posted]
    assert len(set(guids)) == len(posted)
    assert numbers(orders, patient_name="anna maria MULLER")[0] == "A-100"
    assert numbers(orders, patient_name="Schmitd Peter")[0] == "A-101"
    assert numbers(orders, patient_name="lukaszewicz")[0] == "B-7"
    assert numbers(orders, patient_name="Muller", patient_dob="19710302")[0] == "A-100"
    assert numbers(orders, order_id="A-101")[0] == "A-101"
    assert numbers(orders, order_id="A-101", patient_name="Müller Anna Maria")[0] == "A-101"
    assert numbers(orders, patient_name="Zzyzx") == []
    assert len(numbers(orders)) == 4
    scores = [hit.score for hit in orders.search(HIS, {"patient_name": "Müller Anna"})]
    assert scores == sorted(scores, reverse=True) and all(0 <= one <= 1 for one in scores)
    with pytest.raises(NotFound) as refused:
        orders.search("nobody", {})
    assert refused.value.kind == "namespace"


def test_comparisons() -> None:
    assert name("SMITH JOHN", "Smith^John") == 1
    assert name("Jürgen Müller", "muller^jurgen") == 1
    assert day("1971-02-03", "19710203") == 1 and day("19710302", "19710203") > 0.8
    assert 0 < day("19710204", "19710203") < 1 and day("20200101", "19710203") == 0
    assert identifier("a1", "A1") == 1 and 0.6 < identifier("A1001", "A1010") < 1


def test_what_is_deleted_takes_its_orders_along(archive: Archive, orders: Orders) -> None:
    other = SampleStudy(seed="the other")
    store(archive, tiny(other))
    for number in ("ONE", "BOTH", "FREE"):
        orders.post(HIS, message(number, "Probe^Paula"), actor="rita").result(20)
    associate(orders, order_id="ONE", patient_mrn="1")
    associate(orders, order_id="BOTH", patient_mrn="2")
    orders.associate(NS, other.uid, HIS, relevant(order_id="BOTH"), actor="rita", silent=True).result(20)
    entry = archive.delete_study(NS, STUDY.uid, "rita").result(20)
    assert sorted(numbers(orders)) == ["BOTH", "FREE"]
    archive.restore(entry.id, "rita").result(20)
    assert sorted(numbers(orders)) == ["BOTH", "FREE", "ONE"]
    assert archive.study_phi(NS, STUDY.uid, HIS)["(0010,0020)"] == "2"
    entry = archive.delete_study(NS, STUDY.uid, "rita").result(20)
    store(archive, tiny(STUDY))
    assert "(0010,0020)" in archive.study_phi(NS, STUDY.uid, HIS)
    assert archive.study_phi(NS, STUDY.uid, HIS)["(0010,0020)"] == STUDY.patient.patient_id
    archive.restore(entry.id, "rita").result(20)
    assert archive.study_phi(NS, STUDY.uid, HIS)["(0010,0020)"] == "2"
    assert len(orders.overlays.layers(NS, STUDY.uid, HIS)) == 2
    entry = archive.delete_study(NS, STUDY.uid, "rita").result(20)
    archive.purge(entry.id, "rita").result(20)
    archive._trash.sweep()
    assert sorted(numbers(orders)) == ["BOTH", "FREE"]


def test_a_study_that_is_not_there(orders: Orders) -> None:
    for namespace, kind in ((NS, "study"), ("nobody", "namespace")):
        with pytest.raises(NotFound) as refused:
            orders.associate(namespace, "1.2.3", HIS, relevant(order_id="1"), actor="r", silent=False).result(
                9
            )
        assert refused.value.kind == kind


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ("{", "body"),
        ("[]", "body"),
        ("{}", "body"),
        ('{"patient_dob": "YYYYMMDD"}', "body"),
        ('{"patient_name": 5.5, "patient_dob": []}', "patient_dob"),
        ('{"patient_name": {"a": 1}}', "patient_name"),
        ('{"patient_name": "\\ud800"}', "patient_name"),
        ('{"patient_dob": "1971-13-45"}', "patient_dob"),
        ('{"patient_gender": "??"}', "patient_gender"),
        ('{"extra_tags": "{"}', "extra_tags"),
        ('{"extra_tags": "[]"}', "extra_tags"),
        ('{"extra_tags": "{\\"(0020,000D)\\":\\"1.2\\"}"}', "extra_tags (0020,000D)"),
        ('{"extra_tags": {"what": "x"}}', "extra_tags what"),
        ('{"order_id": true}', "order_id"),
    ],
)
def test_bad_json_names_its_field(body: str, field: str) -> None:
    with pytest.raises(BadField) as refused:
        read_relevant(body)
    assert refused.value.field == field and field in refused.value.message


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ("", "body"),
        ("3", "body"),
        ('{"message_id": "1"}', "patient"),
        ('{"patient": []}', "patient"),
        ('{"patient": {"patient_name": ["x"]}}', "patient.patient_name"),
        ('{"patient": {}, "hl7_raw_message": {}}', "hl7_raw_message"),
        ('{"patient": {"order_id": 1' + "0" * 5000 + "}}", "body"),
    ],
)
def test_a_bad_message_names_its_field(body: str, field: str) -> None:
    with pytest.raises(BadField) as refused:
        read_message(body)
    assert refused.value.field == field


def test_what_hl7_writes_is_understood() -> None:
    tags = read_relevant(
        relevant(patient_dob="19710203101500", study_date="2024-03-01", patient_gender="U", order_id=12)
    )
    assert tags == {
        "(0010,0030)": "19710203",
        "(0008,0020)": "20240301",
        "(0010,0040)": "",
        "(0008,0050)": "12",
    }
    with pytest.raises(BadInput):
        read_relevant(relevant(order_id="a\\b"))
