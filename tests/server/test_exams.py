"""DICOM Service, exams: stored from a form, found by the patient's ID and nothing else, given back."""

from __future__ import annotations

from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx
import pytest

from core.media.samples import SampleStudy, ct_slice, dataset, part10
from tests.guards import CANARY
from tests.server.conftest import Served, error_of

STUDY = SampleStudy(seed="exam", patient=CANARY)
OTHER = SampleStudy(seed="exam of somebody else")
STUDIES = "/exams/studies"


def upload(served: Served, data: bytes, login: str = "admin", field: str = "file") -> httpx.Response:
    with served.client(login) as client:
        return client.post("/exams", files={field: ("file.dcm", data)})


@pytest.fixture(scope="module")
def exam(served: Served) -> dict[str, Any]:
    """A stored object and where it is."""
    ds = ct_slice(STUDY)
    answer = upload(served, part10(ds))
    assert answer.status_code == 200 and answer.headers["content-type"] == "application/json"
    assert upload(served, part10(ct_slice(OTHER))).status_code == 200
    path = f"{STUDIES}/{STUDY.uid}/series/{ds.SeriesInstanceUID}"
    return {"ds": ds, "answer": answer.json(), "series": path, "data": part10(ds)}


def test_the_answer_names_the_object_and_where_it_is(served: Served, exam: dict[str, Any]) -> None:
    (model,) = exam["answer"]
    assert set(model) == {"00081199"} and model["00081199"]["vr"] == "SQ"
    (item,) = model["00081199"]["Value"]
    assert item["00081150"] == {"vr": "UI", "Value": [exam["ds"].SOPClassUID]}
    assert item["00081155"] == {"vr": "UI", "Value": [exam["ds"].SOPInstanceUID]}
    assert item["00081190"]["vr"] == "UR"
    (address,) = item["00081190"]["Value"]
    assert address.startswith(f"{served.url}/wado?")
    assert parse_qs(urlsplit(address).query)["objectUID"] == [exam["ds"].SOPInstanceUID]
    with served.client() as client:
        assert client.get(address).content == exam["data"]


@pytest.mark.parametrize("name", ["PatientId", "patientID", "PATIENTID"])
def test_each_level_is_found_by_the_patient(served: Served, exam: dict[str, Any], name: str) -> None:
    ds, mine = exam["ds"], {name: CANARY.patient_id}
    with served.client("viewer") as client:
        for path, tag, uid in (
            (STUDIES, "0020000D", STUDY.uid),
            (exam["series"].rpartition("/")[0], "0020000E", ds.SeriesInstanceUID),
            (exam["series"] + "/instances/", "00080018", ds.SOPInstanceUID),
        ):
            answer = client.get(path, params=mine)
            assert answer.status_code == 200 and [m[tag]["Value"][0] for m in answer.json()] == [uid]
            assert answer.json()[0]["00080005"] == {"vr": "CS", "Value": ["ISO_IR 192"]}
            assert client.get(path, params={name: "nobody"}).json() == []
            refused = client.get(path)
            assert refused.status_code == 400 and "PatientId" in error_of(refused)["message"]
            assert client.get(path, params={name: " "}).status_code == 400
        assert client.get(STUDIES, params=mine).json()[0]["00080056"]["Value"] == ["ONLINE"]
        elsewhere = f"{STUDIES}/{OTHER.uid}/series"
        assert client.get(elsewhere, params=mine).json() == []


@pytest.mark.parametrize(
    "attempt",
    [
        "' OR '1'='1",
        "' OR 1=1 --",
        '" OR ""="',
        "x'; DROP TABLE studies; --",
        "x' UNION SELECT * FROM studies --",
        "') OR ('1'='1",
        f"{CANARY.patient_id}' AND SLEEP(5) --",
        f"{CANARY.patient_id}\\",
        f"{CANARY.patient_id}\\nobody",
        "%",
        "_" * len(CANARY.patient_id),
        "*",
        "?" * len(CANARY.patient_id),
        f"{CANARY.patient_id[:-1]}*",
        '""',
        "\0",
        "a\0' OR 1=1",
        "\udce4",
        "[A-Z]*",
        "x" * 5000,
    ],
)
def test_no_value_finds_more_than_its_patient(served: Served, exam: dict[str, Any], attempt: str) -> None:
    paths = (STUDIES, exam["series"].rpartition("/")[0], exam["series"] + "/instances")
    with served.client() as client:
        for path in paths:
            query = httpx.QueryParams(
                {"PatientId": attempt.encode("utf-8", "surrogateescape").decode("latin-1")}
            )
            answer = client.get(path, params=query)
            assert answer.status_code == 400 or answer.json() == [], path
        for place in (
            f"{STUDIES}/{'1.2%27%20OR%20%271%27=%271'}/series",
            f"{STUDIES}/%25/series/%25/instances",
        ):
            assert client.get(place, params={"PatientId": CANARY.patient_id}).json() == []
        assert len(client.get(STUDIES, params={"PatientId": CANARY.patient_id}).json()) == 1


def test_an_object_comes_back_as_it_is_or_as_a_picture(served: Served, exam: dict[str, Any]) -> None:
    uid = exam["ds"].SOPInstanceUID
    with served.client("viewer") as client:
        for folder in ("instance", "instances"):
            path = f"{exam['series']}/{folder}/{uid}"
            whole = client.get(path, params={"fileType": "application/dicom"})
            assert whole.status_code == 200 and whole.content == exam["data"]
            assert whole.headers["content-type"] == "application/dicom"
            picture = client.get(path + "?fileType=image%2Fjpeg")
            assert picture.status_code == 200 and picture.content.startswith(b"\xff\xd8\xff")
            assert picture.headers["content-type"] == "image/jpeg"
            for query in ({}, {"fileType": "image/gif"}, {"fileType": ""}):
                refused = client.get(path, params=query)
                assert refused.status_code == 400 and "fileType" in error_of(refused)["message"]
        kind = {"fileType": "application/dicom"}
        for path in (
            f"{STUDIES}/1.2.3/series/1.2/instance/{uid}",
            f"{STUDIES}/{STUDY.uid}/series/1.2/instance/{uid}",
            f"{exam['series']}/instance/1.2.3",
        ):
            assert client.get(path, params=kind).status_code == 404


NO_DICOM = {
    "text": b"this is no DICOM file",
    "empty": b"",
    "zeros": bytes(4096),
    "a PNG": b"\x89PNG\r\n\x1a\n" + bytes(200),
    "cut": part10(ct_slice(SampleStudy(seed="cut")))[:-100],
    "only the preamble": bytes(128) + b"DICM",
}


@pytest.mark.parametrize("what", NO_DICOM)
def test_what_is_no_dicom_file_is_422_and_nothing_is_kept(
    served: Served, exam: dict[str, Any], what: str
) -> None:
    before = _kept(served)
    answer = upload(served, NO_DICOM[what])
    assert answer.status_code == 422 and error_of(answer)["message"]
    assert before and _kept(served) == before


def _kept(served: Served) -> set[Path]:
    """Every file of the archive that holds bytes somebody sent."""
    archive = served.data / "archive"
    return {
        path for name in ("objects", "incoming") for path in (archive / name).rglob("*") if path.is_file()
    }


def test_an_object_without_uids_is_422(served: Served) -> None:
    ds = dataset(SampleStudy(seed="without"))
    del ds.StudyInstanceUID
    assert upload(served, part10(ds)).status_code == 422


def test_a_form_without_a_file_and_a_body_that_is_no_form(served: Served) -> None:
    with served.client() as client:
        assert client.post("/exams", data={"file": "x"}).status_code == 400
        assert client.post("/exams", content=b"x").status_code == 400
        broken = {"content-type": "multipart/form-data; boundary=x"}
        assert client.post("/exams", content=b"--x\r\n", headers=broken).status_code == 400


def test_any_field_with_a_file_will_do(served: Served) -> None:
    assert upload(served, part10(dataset(SampleStudy(seed="field"))), field="dicom").status_code == 200


def test_who_may(served: Served, exam: dict[str, Any]) -> None:
    data = part10(dataset(SampleStudy(seed="rights")))
    assert upload(served, data, "viewer").status_code == 403
    assert upload(served, data, "limited").status_code == 403
    assert upload(served, data, "modality").status_code == 200
    with served.client("modality") as client:
        assert client.get(STUDIES, params={"PatientId": CANARY.patient_id}).status_code == 403
    with served.anonymous() as client:
        assert client.get(STUDIES, params={"PatientId": CANARY.patient_id}).status_code == 401
        assert client.post("/exams").status_code == 401


def test_the_description_has_every_route(served: Served) -> None:
    with served.anonymous() as client:
        paths = client.get("/openapi.json").json()["paths"]
    assert "422" in paths["/exams"]["post"]["responses"]
    instance = "/exams/studies/{study_uid}/series/{series_uid}/instance/{image_uid}"
    assert {"/exams/studies", "/exams/studies/{study_uid}/series", instance} <= set(paths)
