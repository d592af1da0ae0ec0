"""Files added to studies and worklist entries over real sockets: objects of the right patient, or nothing."""

from __future__ import annotations

import base64
import io
import sqlite3
import uuid
from collections.abc import Iterator, Mapping
from concurrent.futures import Future
from contextlib import closing
from typing import Any

import httpx
import numpy as np
import pytest
from pydicom import dcmread
from pydicom.dataset import Dataset

from core.archive.archive import Archive
from core.archive.incoming import Incoming
from core.archive.nouns import StoreResult
from core.errors import StorageFault
from core.media.samples import SampleStudy, ct_slice, part10, pdf_report
from tests.guards import CANARY
from tests.plain_files import COLOUR, GREY, every_kind, jp2, jpeg, mp4, png
from tests.server.conftest import NAMESPACE, PASSWORDS, STUDY, Served, Stored, error_of, raw, store
from tests.server.test_dicomweb_bulk import JPEG
from tests.server.test_ups import made, seen, step
from tests.server.test_ups import state as change
from tests.server.test_workitems import NEEDED, OPTIONAL

AE, DICOMWEB = "/dcm4chee-arc/aets/FILMJACKET/rs", "/dicom-web"
OF_NAMESPACE = f"/api/v3/storage/dicomweb/{NAMESPACE}"
PDF, CAPTURE = "1.2.840.10008.5.1.4.1.1.104.1", "1.2.840.10008.5.1.4.1.1.7"
PHOTO, VIDEO = "1.2.840.10008.5.1.4.1.1.77.1.4", "1.2.840.10008.5.1.4.1.1.77.1.4.1"
REPORT = pdf_report(["A report"])


@pytest.fixture
def client(served: Served) -> Iterator[httpx.Client]:
    with served.client() as client:
        yield client


def add(client: httpx.Client, place: str, files: Mapping[str, bytes], **fields: str) -> httpx.Response:
    parts = [("file", (name, data, "application/octet-stream")) for name, data in files.items()]
    return client.post(f"{place}/files", files=parts, data=fields)


def objects(client: httpx.Client, answer: httpx.Response) -> list[Dataset]:
    """Every object the answer names, read by a reader that is not ours."""
    assert answer.status_code == 200, answer.text
    assert answer.headers["content-type"] == "application/dicom+json"
    accept = {"accept": "application/dicom; transfer-syntax=*"}
    addresses = [item["00081190"]["Value"][0] for item in answer.json()["00081199"]["Value"]]
    return [dcmread(io.BytesIO(client.get(each, headers=accept).content)) for each in addresses]


def counted(client: httpx.Client, study: str) -> int:
    answer = client.get(f"{study}/instances")
    return len(answer.json()) if answer.status_code == 200 else 0


def entry(client: httpx.Client, **more: Any) -> tuple[str, str]:
    """UIDs of a new worklist entry: its own, and its study's."""
    said = {**NEEDED, **OPTIONAL, "PregnancyStatus": 2, **more}
    answer = client.post(
        "/workitems", json={name: value for name, value in said.items() if value is not None}
    )
    assert answer.status_code == 200, answer.text
    return answer.json()["WorkitemUID"], answer.json()["StudyInstanceUID"]


def state(client: httpx.Client, uid: str) -> str:
    return str(client.get(f"{DICOMWEB}/workitems/{uid}").json()[0]["00741000"]["Value"][0])


def test_every_kind_becomes_an_object_of_the_study(client: httpx.Client, stored: Stored) -> None:
    place = f"{OF_NAMESPACE}/studies/{STUDY.uid}"
    before = counted(client, place)
    answer = add(client, place, every_kind(), description="Brought along", title="Letter")
    made = objects(client, answer)
    assert [ds.SOPClassUID for ds in made] == [PDF, CAPTURE, CAPTURE, CAPTURE, VIDEO, VIDEO]
    assert [ds.file_meta.TransferSyntaxUID.split(".")[-1] for ds in made] == [
        "1",
        "50",
        "5",
        "90",
        "100",
        "102",
    ]
    for ds in made:
        assert (ds.StudyInstanceUID, ds.PatientID, ds.PatientName) == (
            STUDY.uid,
            CANARY.patient_id,
            CANARY.name,
        )
        assert (ds.AccessionNumber, ds.StudyDescription) == (STUDY.accession_number, STUDY.description)
        assert (
            ds.SeriesDescription == "Brought along"
            and ds.SeriesDate
            and "RequestAttributesSequence" not in ds
        )
    document, photo, scan, picture, _, film = made
    assert document.DocumentTitle == "Letter" and document.Modality == "DOC"
    assert document.EncapsulatedDocument[: document.EncapsulatedDocumentLength] == REPORT
    assert every_kind()["photo.jpg"] in photo.PixelData and photo.LossyImageCompression == "01"
    assert (scan.pixel_array == COLOUR).all() and (picture.pixel_array == COLOUR).all()
    assert "LossyImageCompression" not in scan and every_kind()["clip.mp4"] in film.PixelData
    assert (film.Rows, film.Columns, film.NumberOfFrames, film.CineRate) == (240, 320, 50, 25)
    assert len({ds.SeriesInstanceUID for ds in made}) == 3, "one new series for each class"
    assert [ds.InstanceNumber for ds in made] == [1, 1, 2, 3, 1, 2]
    assert counted(client, place) == before + 6


def test_photographs_and_what_cameras_write(client: httpx.Client, stored: Stored) -> None:
    place = f"{OF_NAMESPACE}/studies/{STUDY.uid}"
    files = {"Anna.jpg": jpeg(turned=True), "b.jpg": jpeg(progressive=True), "c.png": png(GREY)}
    turned, progressive, grey = objects(client, add(client, place, files, photographs="1"))
    assert {ds.SOPClassUID for ds in (turned, progressive, grey)} == {PHOTO} and turned.Modality == "XC"
    assert (turned.Rows, turned.Columns) == (64, 48), "the camera lay on its side"
    assert turned.LossyImageCompression == progressive.LossyImageCompression == "01"
    assert float(turned.LossyImageCompressionRatio) == pytest.approx(
        48 * 64 * 3 / len(jpeg(turned=True)), 1e-3
    )
    assert grey.LossyImageCompression == "00" and grey.SamplesPerPixel == 1
    assert turned.SeriesDescription == "Anna"
    deep = add(client, place, {"deep.png": png(GREY.astype(np.uint16) * 200)}, photographs="1")
    assert deep.status_code == 415 and "8 bits" in error_of(deep)["message"]
    (whole,) = objects(client, add(client, place, {"deep.png": png(GREY.astype(np.uint16) * 200)}))
    assert whole.BitsStored == 16


@pytest.mark.parametrize("base", [DICOMWEB, AE])
def test_an_entry_lends_patient_and_order(client: httpx.Client, base: str) -> None:
    uid, study_uid = entry(client)
    answer = add(client, f"{base}/workitems/{uid}", every_kind())
    made = objects(client, answer)
    for ds in made:
        assert (ds.StudyInstanceUID, ds.PatientID, ds.PatientName) == (
            study_uid,
            NEEDED["PatientID"],
            CANARY.name,
        )
        assert (ds.PatientBirthDate, ds.PatientSex, ds.AdmissionID) == ("19600101", "F", "ADM1")
        assert (ds.AccessionNumber, ds.ReferringPhysicianName) == (NEEDED["AccessionNumber"], "NERI^UGO")
        assert (ds.StudyID, ds.StudyDescription) == ("RP1", "Chest") and len(ds.StudyDate) == 8
        (request,) = ds.RequestAttributesSequence
        assert (request.RequestedProcedureID, request.ScheduledProcedureStepID) == ("RP1", "SPS1")
        assert request.RequestedProcedureDescription == "Chest" and request.StudyInstanceUID == study_uid
        assert request.ScheduledProcedureStepDescription == "Tac"
        assert (ds.PerformedProcedureStepID, ds.PerformedProcedureStepDescription) == ("SPS1", "Tac")
        assert ds.PerformedProcedureStepStartDate == ds.SeriesDate
    assert state(client, uid) == "SCHEDULED"
    assert answer.json()["00081190"]["Value"][0].endswith(f"{base}/studies/{study_uid}")
    later = objects(client, add(client, f"{base}/workitems/{uid}", {"more.pdf": REPORT}))
    assert (later[0].StudyTime, later[0].StudyDate) == (made[0].StudyTime, made[0].StudyDate)


def test_an_entry_that_is_begun_is_the_desktops_to_finish(client: httpx.Client) -> None:
    uid, _ = entry(client)
    desk = f"/api/desktop/v1/namespaces/default/worklist/{uid}"
    assert add(client, f"{DICOMWEB}/workitems/{uid}", {"a.pdf": REPORT}, begin="0").status_code == 200
    assert state(client, uid) == "SCHEDULED"
    for _ in range(2):
        assert add(client, f"{DICOMWEB}/workitems/{uid}", {"a.pdf": REPORT}, begin="1").status_code == 200
        assert state(client, uid) == "IN PROGRESS"
    assert client.post(f"{desk}/complete").status_code == 200
    late = add(client, f"{DICOMWEB}/workitems/{uid}", {"a.pdf": REPORT}, begin="1")
    assert late.status_code == 200 and state(client, uid) == "COMPLETED", "a late report is taken"


def test_a_study_that_is_only_announced(client: httpx.Client) -> None:
    uid, study_uid = entry(client)
    place = f"{DICOMWEB}/studies/{study_uid}"
    (ds,) = objects(client, add(client, place, {"a.pdf": REPORT}))
    assert ds.PatientID == NEEDED["PatientID"] and ds.RequestAttributesSequence
    assert state(client, uid) == "SCHEDULED"
    twin = {**step(), "0040A370": {"vr": "SQ", "Value": [{"0020000D": {"vr": "UI", "Value": [study_uid]}}]}}
    other, fresh = entry(client)
    assert client.post(f"{DICOMWEB}/workitems", json=twin).status_code == 201
    assert add(client, place, {"b.pdf": REPORT}).status_code == 200, "the study is there by now"
    twin["0040A370"]["Value"][0]["0020000D"]["Value"] = [fresh]
    assert client.post(f"{DICOMWEB}/workitems", json=twin).status_code == 201
    refused = add(client, f"{DICOMWEB}/studies/{fresh}", {"b.pdf": REPORT})
    assert refused.status_code == 409 and "Several" in error_of(refused)["message"]
    assert add(client, f"{DICOMWEB}/workitems/{other}", {"b.pdf": REPORT}).status_code == 200


def ordered(client: httpx.Client, patient_id: str) -> str:
    """The UID of the study that a new V3 order announces."""
    patient = {"patient_name": CANARY.name, "patient_mrn": patient_id, "order_id": "ACC7"}
    order = {"message_id": "1", "patient": {**patient, "order_description": "Skin"}, "hl7_raw_message": "MSH"}
    guid = client.post("/api/v3/storage/order/default", json=order).text.strip()
    return f"2.25.{uuid.UUID(guid).int}"


def test_an_order_becomes_an_item_when_it_is_begun(client: httpx.Client) -> None:
    study_uid, begun = ordered(client, "ORDER-7"), ordered(client, "ORDER-8")
    (ds,) = objects(client, add(client, f"{DICOMWEB}/studies/{study_uid}", {"a.jpg": jpeg()}))
    assert (ds.PatientID, ds.AccessionNumber, ds.StudyDescription) == ("ORDER-7", "ACC7", "Skin")
    assert client.get("/workitems", params={"patientID": "ORDER-7"}).json() == []
    assert add(client, f"{DICOMWEB}/studies/{begun}", {"a.jpg": jpeg()}, begin="1").status_code == 200
    (item,) = client.get("/workitems", params={"patientID": "ORDER-8"}).json()
    assert item["0020000D"]["Value"] == [begun]


@pytest.mark.parametrize("request_of_its_own", [False, True])
def test_an_entry_that_names_no_study_gets_one(client: httpx.Client, request_of_its_own: bool) -> None:
    asked = {"vr": "SQ", "Value": [{"00401001": {"vr": "SH", "Value": ["RP7"]}}]}
    uid = made(client, **({"_0040A370": asked} if request_of_its_own else {}))
    place = f"{DICOMWEB}/workitems/{uid}"
    first, second = (objects(client, add(client, place, {"a.pdf": REPORT}))[0] for _ in range(2))
    assert first.StudyInstanceUID == second.StudyInstanceUID
    (named,) = seen(client, uid)["0040A370"]["Value"]
    assert named["0020000D"]["Value"] == [first.StudyInstanceUID]
    assert not request_of_its_own or named["00401001"]["Value"] == ["RP7"] == [first.StudyID]


def test_a_study_that_was_filed_under_another_entry_is_not_this_patients(client: httpx.Client) -> None:
    mine = SampleStudy(seed="filed", patient=CANARY)
    client.post("/api/v3/storage/namespace/default/image", content=part10(ct_slice(mine)))
    said = {"StudyInstanceUID": mine.uid, "PatientID": CANARY.patient_id}
    uid, _ = entry(client, **said)
    assert add(client, f"{DICOMWEB}/workitems/{uid}", {"a.pdf": REPORT}).status_code == 200
    other, _ = entry(client, PatientID="SOMEBODY")
    desk = f"/api/desktop/v1/namespaces/default/worklist/{other}"
    assert client.post(f"{desk}/start").status_code == 200
    assert client.post(f"{desk}/studies", json={"study_uids": [mine.uid]}).status_code == 200
    assert add(client, f"{DICOMWEB}/workitems/{uid}", {"a.pdf": REPORT}).status_code == 409


def test_a_claimed_entry_stays_its_performers_and_a_finished_one_finished(client: httpx.Client) -> None:
    uid, _ = entry(client)
    assert change(client, uid, "IN PROGRESS").status_code == 200
    assert add(client, f"{DICOMWEB}/workitems/{uid}", {"a.pdf": REPORT}).status_code == 200
    assert change(client, uid, "CANCELED").status_code == 200, "it is still claimed with the same UID"
    refused = add(client, f"{DICOMWEB}/workitems/{uid}", {"a.pdf": REPORT})
    assert refused.status_code == 409 and "canceled" in error_of(refused)["message"]


def test_another_patients_study_is_refused(client: httpx.Client, served: Served) -> None:
    other = SampleStudy(seed="not hers", patient=CANARY)
    store(served, other, "default")
    uid, _ = entry(client, StudyInstanceUID=other.uid, PatientID="SOMEBODY")
    refused = add(client, f"{DICOMWEB}/workitems/{uid}", {"a.pdf": REPORT})
    assert refused.status_code == 409 and "another patient" in error_of(refused)["message"]
    assert counted(client, f"{DICOMWEB}/studies/{other.uid}") == 3 and state(client, uid) == "SCHEDULED"
    mine, _ = entry(
        client, StudyInstanceUID=SampleStudy(seed="hers", patient=CANARY).uid, PatientID=CANARY.patient_id
    )
    store(served, SampleStudy(seed="hers", patient=CANARY), "default")
    (ds,) = objects(client, add(client, f"{DICOMWEB}/workitems/{mine}", {"a.pdf": REPORT}))
    assert ds.PatientBirthDate == CANARY.birth_date and ds.RequestAttributesSequence


WRONG = {
    "empty": (b"", 400, "empty"),
    "text": (b"hello, this is text", 415, "no PDF"),
    "dicom": (bytes(128) + b"DICM" + bytes(40), 415, "DICOM object already"),
    "heic": (b"\0\0\0\x18ftypheic" + bytes(60), 415, "JPEG"),
    "cut pdf": (REPORT[:-40], 400, "cut off"),
    "pdf that is none": (b"%PDF-1.7\n" + b"\xff" * 3000 + b"%%EOF", 415, "damaged or locked"),
    "cut jpeg": (JPEG[:-40], 400, "cut off"),
    "cut png": (png()[:-1], 400, "cut off"),
    "damaged png": (png()[:60] + bytes(9) + png()[69:], 415, "damaged"),
    "cut jp2": (jp2()[:-40], 400, "cut off"),
    "cut jp2 header": (jp2()[: jp2().index(b"\xff\x4f\xff\x51") + 20], 400, "header"),
    "cut mp4": (mp4()[:-40], 400, "cut off"),
    "mp4 without index": (mp4()[:24], 400, "no index"),
}


@pytest.mark.parametrize("what", WRONG)
def test_what_cannot_be_taken_is_named_and_nothing_is_stored(
    client: httpx.Client, stored: Stored, served: Served, what: str
) -> None:
    data, status, word = WRONG[what]
    place = f"{OF_NAMESPACE}/studies/{STUDY.uid}"
    before = counted(client, place)
    refused = add(client, place, {"good.pdf": REPORT, "bad": data})
    message = error_of(refused)["message"]
    assert refused.status_code == status and word in message and message.startswith("File 2 of 2: "), message
    alone = add(client, place, {"bad": data})
    assert alone.status_code == status and not error_of(alone)["message"].startswith("File ")
    assert counted(client, place) == before
    assert not list((served.data / "archive" / "incoming").iterdir()), "nothing is left on the disk"


@pytest.mark.parametrize(
    ("place", "fields", "status"),
    [
        ("/studies/1.2.3.4", {}, 404),
        ("/workitems/1.2.3.4", {}, 404),
        ("/studies/" + STUDY.uid, {"description": "x" * 65}, 400),
        ("/studies/" + STUDY.uid, {"title": "two\nlines"}, 400),
        ("/studies/" + STUDY.uid, {"photographs": "maybe"}, 400),
    ],
)
def test_what_makes_no_sense_is_refused(
    client: httpx.Client, stored: Stored, place: str, fields: dict[str, str], status: int
) -> None:
    base = OF_NAMESPACE if "studies" in place else DICOMWEB
    assert add(client, base + place, {"a.pdf": REPORT}, **fields).status_code == status


def test_bodies_that_are_no_such_form(client: httpx.Client, stored: Stored) -> None:
    place = f"{OF_NAMESPACE}/studies/{STUDY.uid}/files"
    assert client.post(place, content=REPORT, headers={"content-type": "application/pdf"}).status_code == 400
    assert client.post(place, files={"other": (None, "text")}).status_code == 400
    many = [("file", (f"{n}.pdf", REPORT)) for n in range(51)]
    refused = client.post(place, files=many)
    assert refused.status_code == 413 and "50 files" in error_of(refused)["message"]
    broken = b'--x\r\nContent-Disposition: form-data; name="file"; filename="a"\r\n\r\n%PDF'
    kind = {"content-type": "multipart/form-data; boundary=x"}
    assert client.post(place, content=broken, headers=kind).status_code == 400


def test_a_sender_that_hangs_up_leaves_nothing(client: httpx.Client, served: Served, stored: Stored) -> None:
    place = f"{OF_NAMESPACE}/studies/{STUDY.uid}"
    before = counted(client, place)
    who = base64.b64encode(f"admin:{PASSWORDS['admin']}".encode()).decode()
    head = (
        f"POST {place}/files HTTP/1.1\r\nHost: 127.0.0.1:{served.port}\r\nAuthorization: Basic {who}\r\n"
        "Content-Type: multipart/form-data; boundary=x\r\nContent-Length: 5000000\r\n\r\n"
        '--x\r\nContent-Disposition: form-data; name="file"; filename="a.pdf"\r\n\r\n'
    )
    raw(served, head.encode() + REPORT + bytes(2 << 20))
    assert counted(client, place) == before
    assert not list((served.data / "archive" / "incoming").iterdir())


def test_who_may(served: Served, stored: Stored, client: httpx.Client) -> None:
    uid, _ = entry(client)
    allowed = {"admin": (200, 200), "staff": (200, 200), "modality": (200, 200), "viewer": (403, 403)}
    for login, expected in allowed.items():
        with served.client(login) as mine:
            study = add(mine, f"{OF_NAMESPACE}/studies/{STUDY.uid}", {"a.pdf": REPORT})
            listed = add(mine, f"{DICOMWEB}/workitems/{uid}", {"a.pdf": REPORT})
        assert (study.status_code, listed.status_code) == expected, login
    with served.client("limited") as mine:
        assert add(mine, f"{DICOMWEB}/workitems/{uid}", {"a.pdf": REPORT}).status_code == 403
    with served.anonymous() as nobody:
        assert add(nobody, f"{DICOMWEB}/workitems/{uid}", {"a.pdf": REPORT}).status_code == 401


def full_after(monkeypatch: pytest.MonkeyPatch, objects: int) -> None:
    """The disk takes so many objects more."""
    store_object, left = Archive.store, [objects]

    def until_full(self: Archive, incoming: Incoming, **said: Any) -> Future[StoreResult]:
        left[0] -= 1
        if left[0] >= 0:
            return store_object(self, incoming, **said)
        incoming.abort()
        failed: Future[StoreResult] = Future()
        failed.set_exception(StorageFault("The disk is full.", "Free some space."))
        return failed

    monkeypatch.setattr(Archive, "store", until_full)


def test_a_disk_that_fills_up_is_told(
    client: httpx.Client, stored: Stored, monkeypatch: pytest.MonkeyPatch
) -> None:
    place = f"{OF_NAMESPACE}/studies/{STUDY.uid}"
    before = counted(client, place)
    full_after(monkeypatch, 1)
    some = add(client, place, {"a.pdf": REPORT, "b.jpg": jpeg()})
    assert some.status_code == 202 and "disk is full" in some.headers["warning"]
    assert [len(some.json()[tag]["Value"]) for tag in ("00081199", "00081198")] == [1, 1]
    none = add(client, place, {"a.pdf": REPORT, "b.jpg": jpeg()})
    assert none.status_code == 507 and counted(client, place) == before + 1


def test_what_was_done_is_in_the_audit_log(client: httpx.Client, served: Served) -> None:
    uid, study_uid = entry(client)
    with served.client("staff") as staff:
        place = f"{DICOMWEB}/workitems/{uid}"
        assert add(staff, place, {"a.pdf": REPORT}, begin="1").status_code == 200
    with closing(sqlite3.connect(served.data / "archive" / "archive.db")) as database, database:
        columns = [row[1] for row in database.execute("pragma table_info(audit)")]
        rows = database.execute("select * from audit where study_uid = ?", (study_uid,)).fetchall()
    said = [dict(zip(columns, row, strict=True)) for row in rows]
    by_staff = {row["action"] for row in said if row["actor"] == "staff"}
    assert "workitem in progress" in by_staff and len(by_staff) > 1, by_staff
