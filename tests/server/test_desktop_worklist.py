"""The desktop's worklist: made, found, edited, begun, finished, removed; studies filed under it."""

from __future__ import annotations

from collections.abc import Generator
from typing import Any

import httpx
import pytest

from core.errors import Conflict, KnownError, NotFound
from core.media.samples import SampleStudy
from core.net.credentials import Credentials, Token
from core.net.v3_client import V3Client
from core.net.worklist_client import EntryRow, WorklistClient
from tests.core.worklist_entries import SAID, TODAY
from tests.server.conftest import CANARY, PASSWORDS, TOKEN, Served, error_of, store

LIST = "/api/desktop/v1/namespaces/default/worklist"


@pytest.fixture(scope="module")
def archive(served: Served) -> Generator[V3Client, None, None]:
    """The archive as the desktop sees it."""
    with V3Client(served.url, Token(TOKEN)) as client:
        yield client


@pytest.fixture
def desk(archive: V3Client) -> Generator[WorklistClient, None, None]:
    """An empty worklist."""
    client = WorklistClient(archive.session)
    yield client
    for each in client.entries().entries:  # type: ignore[union-attr]  # nothing known
        if each.uid:
            client.remove(each)


def _found(desk: WorklistClient, **wanted: Any) -> list[str]:
    page = desk.entries(**wanted)
    assert page is not None
    return [each.said("PatientID") for each in page.entries]


def test_an_entry_is_found_by_day_word_modality_and_state(desk: WorklistClient) -> None:
    made = desk.create(SAID)
    assert made.fields == SAID and made.state == "SCHEDULED" and made.study_uid and not made.ours
    desk.create(SAID | {"PatientID": "W-2", "ScheduledProcedureStepStartDate": "20200101"})
    assert _found(desk) == ["W-2", "W-1"]
    assert _found(desk, date_from=TODAY, date_to=TODAY) == ["W-1"]
    assert _found(desk, date_to="20200101") == ["W-2"]
    for text in ("änd", "ANDERUNG karl", "w-1", "山田"):
        assert "W-1" in _found(desk, text=text), text
    assert _found(desk, text="acc-7", date_from=TODAY) == ["W-1"]
    assert _found(desk, text="derung") == _found(desk, modalities=["MR"]) == []
    assert _found(desk, states=["COMPLETED"]) == []
    assert len(_found(desk, modalities=["CT", "MR"], states=["SCHEDULED"])) == 2


def test_nothing_new_is_said_in_a_word(desk: WorklistClient) -> None:
    desk.create(SAID)
    page = desk.entries()
    assert page is not None and desk.entries(known=page.version) is None
    desk.create(SAID | {"PatientID": "W-2"})
    again = desk.entries(known=page.version)
    assert again is not None and len(again.entries) == 2


def test_an_entry_is_edited_as_its_state_allows(desk: WorklistClient) -> None:
    made = desk.create(SAID)
    changed = desk.edit(made, SAID | {"PatientID": "W-9", "ScheduledStationAETitle": "CT2"})
    assert changed.said("PatientID") == "W-9" and changed.study_uid == made.study_uid
    with pytest.raises(Conflict, match="Somebody else"):
        desk.edit(made, SAID)
    begun = desk.start(changed)
    assert begun.state == "IN PROGRESS" and begun.ours
    with pytest.raises(KnownError, match="PatientID can no longer"):
        desk.edit(begun, SAID)
    later = desk.edit(begun, {**begun.fields, "ScheduledProcedureStepDescription": "CT Thorax"})
    done = desk.complete(later)
    assert done.state == "COMPLETED" and done.said("ScheduledProcedureStepDescription") == "CT Thorax"
    with pytest.raises(Conflict, match="finished"):
        desk.edit(done, done.fields)


def test_states_follow_the_table(desk: WorklistClient) -> None:
    made = desk.create(SAID)
    with pytest.raises(Conflict, match="not been started"):
        desk.complete(made)
    begun = desk.start(made)
    with pytest.raises(Conflict, match="in progress already"):
        desk.start(begun)
    gone = desk.cancel(begun, "Patient went home")
    assert gone.state == "CANCELED"
    for act in (desk.start, desk.complete, lambda entry: desk.cancel(entry, "")):
        with pytest.raises(Conflict):
            act(gone)
    never = desk.cancel(desk.create(SAID), "")
    assert never.state == "CANCELED" and not never.ours


def test_an_entry_somebody_else_performs_is_theirs(served: Served, desk: WorklistClient) -> None:
    made = desk.create(SAID)
    state = {"00741000": {"vr": "CS", "Value": ["IN PROGRESS"]}, "00081195": {"vr": "UI", "Value": ["1.2.3"]}}
    with served.client() as client:
        path = f"/dicom-web/workitems/{made.uid}/state"
        assert (
            client.put(path, json=state, headers={"content-type": "application/dicom+json"}).status_code
            == 200
        )
    entry = next(each for each in desk.entries().entries if each.uid == made.uid)  # type: ignore[union-attr]
    assert entry.state == "IN PROGRESS" and not entry.ours
    for act in (desk.start, desk.complete, lambda each: desk.cancel(each, "")):
        with pytest.raises(Conflict, match="elsewhere"):
            act(entry)


def test_what_the_desktop_completed_says_what_was_performed(served: Served, desk: WorklistClient) -> None:
    done = desk.complete(desk.start(desk.create(SAID)))
    with served.client() as client:
        (step,) = client.get(f"/dicom-web/workitems/{done.uid}").json()
    performed = step["00741216"]["Value"][0]
    assert performed["00404050"]["Value"][0] <= performed["00404051"]["Value"][0]
    assert performed["00404019"]["Value"][0]["00080104"]["Value"] == ["Media Import"]
    assert "00081195" not in step


def test_an_edited_step_says_everywhere_the_same(served: Served, desk: WorklistClient) -> None:
    step = {
        "00741200": {"vr": "CS", "Value": ["HIGH"]},
        "00741204": {"vr": "LO", "Value": ["Old label"]},
        "00404005": {"vr": "DT", "Value": [f"{TODAY}0800"]},
        "00404041": {"vr": "CS", "Value": ["READY"]},
        "00741000": {"vr": "CS", "Value": ["SCHEDULED"]},
        "00100020": {"vr": "LO", "Value": ["OLD"]},
    }
    json = {"content-type": "application/dicom+json"}
    with served.client() as client:
        assert client.post("/dicom-web/workitems", json=step, headers=json).status_code == 201
        (entry,) = desk.entries().entries  # type: ignore[union-attr]
        desk.edit(entry, SAID)
        (model,) = client.get(f"/dicom-web/workitems/{entry.uid}").json()
    assert model["00100020"]["Value"] == ["W-1"] and model["00741204"]["Value"] == ["CT Abdomen"]
    assert model["00404005"]["Value"] == [f"{TODAY}0930"] and model["00741200"]["Value"] == ["HIGH"]


def test_an_order_is_shown_and_becomes_an_entry_when_it_is_started(
    served: Served, desk: WorklistClient
) -> None:
    order = {"patient": {"patient_name": "Order^Olga", "patient_mrn": "O-1", "order_id": "O-77",
                         "study_date": TODAY}}  # fmt: skip
    with served.client() as client:
        assert client.post("/api/v3/storage/order/default", json=order).status_code == 200
    (entry,) = desk.entries(text="olga").entries  # type: ignore[union-attr]
    assert not entry.uid and entry.said("AccessionNumber") == "O-77"
    begun = desk.start(entry)
    assert begun.uid and begun.state == "IN PROGRESS" and begun.study_uid == entry.study_uid
    assert [each.uid for each in desk.entries(text="olga").entries] == [begun.uid]  # type: ignore[union-attr]
    with pytest.raises(NotFound):
        desk.take_over(entry.study_uid)


def test_a_study_filed_under_an_entry_is_its_patients(
    served: Served, archive: V3Client, desk: WorklistClient
) -> None:
    study = SampleStudy(seed="from a disc", patient=CANARY, accession_number="OTHER")
    kept = store(served, study, "default")
    made = desk.create(SAID)
    with pytest.raises(Conflict, match="entry in progress"):
        desk.file(made.uid, [study.uid])
    begun = desk.start(made)
    with pytest.raises(NotFound):
        desk.file(begun.uid, [study.uid, "1.2.3.4"])
    assert not desk.entries(text="w-1").entries[0].studies  # type: ignore[union-attr]  # all or none
    filed = desk.file(begun.uid, [study.uid])
    assert filed.studies == (study.uid,)
    assert desk.file(begun.uid, [study.uid]).revision == filed.revision  # said again: nothing new
    other = desk.start(desk.create({**SAID, "PatientID": "W-2"}))
    with pytest.raises(Conflict, match="another entry"):
        desk.file(other.uid, [study.uid])
    (row,) = archive.search("acc-77").rows
    assert (row.study_uid, row.patient_id, row.patient_name) == (study.uid, "W-1", SAID["PatientName"])
    assert archive.study_detail("default", study.uid).study.accession_number == "ACC-77"
    assert archive.search("karl").total == archive.search("änderung w-1").total == 1
    with archive.payload("default", study.uid, kept.images["ct"]["image_uid"]) as pieces:
        assert b"".join(pieces) == kept.files["ct"]  # the stored bytes stay
    desk.complete(filed)
    back = desk.unfile(filed, study.uid)
    assert desk.file(other.uid, [study.uid]).studies == (study.uid,)
    desk.unfile(other, study.uid)
    assert not back.studies and archive.search("acc-77").total == 0
    assert archive.study_detail("default", study.uid).study.patient_id == CANARY.patient_id


@pytest.mark.parametrize(
    ("method", "path", "body", "status"),
    [
        ("GET", "?date_from=2024", None, 400),
        ("GET", "?state=DONE", None, 400),
        ("GET", "?text=" + "x" * 300, None, 400),
        ("POST", "", [], 400),
        ("POST", "", {"PatientName": "x"}, 400),
        ("POST", "", {**SAID, "PatientBirthDate": "1970"}, 400),
        ("PUT", "/1.2.3", {"fields": SAID, "revision": 1}, 404),
        ("PUT", "/1.2.3", {"fields": SAID, "revision": "1"}, 400),
        ("PUT", "/x", {"fields": SAID, "revision": 1}, 400),
        ("PUT", "/1.2.3", {"revision": 1}, 400),
        ("DELETE", "/1.2.3", None, 404),
        ("POST", "/1.2.3/start", None, 404),
        ("POST", "/1.2.3/complete", None, 404),
        ("POST", "/1.2.3/cancel", {"reason": 4}, 400),
        ("POST", "/1.2.3/cancel", {"reason": "x" * 2000}, 400),
        ("POST", "/1.2.3/studies", {"study_uids": []}, 400),
        ("POST", "/1.2.3/studies", {"study_uids": ["x"]}, 400),
        ("POST", "/1.2.3/studies", {"study_uids": ["1.2"]}, 404),
        ("DELETE", "/1.2.3/studies/1.2", None, 404),
    ],
)
def test_what_makes_no_sense_is_refused(
    served: Served, method: str, path: str, body: object, status: int
) -> None:
    with served.client() as client:
        answer = client.request(method, LIST + path, json=body)
    assert answer.status_code == status, answer.text
    assert error_of(answer)["message"]


def test_who_may(served: Served) -> None:
    with V3Client(served.url, Credentials("viewer", PASSWORDS["viewer"])) as client:
        desk = WorklistClient(client.session)
        assert desk.entries() is not None
        for act in (lambda: desk.create(SAID), lambda: desk.complete(EntryRow("1.2", "1.3"))):
            with pytest.raises(KnownError):
                act()
    with served.client("limited") as limited:
        answer: httpx.Response = limited.get(LIST)
    assert answer.status_code == 403
