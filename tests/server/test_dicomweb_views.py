"""A namespace seen through a view: searches, metadata and objects say what its overlay says."""

from __future__ import annotations

import io
import json
import zipfile
from collections.abc import Iterator

import httpx
import pytest
from pydicom import dcmread
from pydicom.dataset import Dataset

from core.media.samples import SampleStudy, ct_slice, part10, ultrasound_cine
from tests.server.conftest import CANARY, Served, error_of, serving
from tests.server.test_dicomweb import TYPE, body_of, parts_of

AE_TITLES = {
    "CLINIC": "clinic",
    "RESEARCH": {"namespace": "clinic", "phi_namespace": "research"},
    "OTHER": {"namespace": "clinic", "phi_namespace": "nobody"},
}
STORED, SEEN = "/dcm4chee-arc/aets/CLINIC/rs", "/dcm4chee-arc/aets/RESEARCH/rs"
V3 = "/api/v3/storage/dicomweb/clinic"
FIRST, SECOND = SampleStudy("viewed", patient=CANARY), SampleStudy("beside", patient=CANARY)
NAME, PATIENT_ID = "Overlaid^Olga", "R-1"
AS_STORED = {"accept": 'multipart/related; type="application/dicom"; transfer-syntax=*'}


@pytest.fixture(scope="module")
def viewed(tmp_path_factory: pytest.TempPathFactory, log_lines: list[str]) -> Iterator[Served]:
    """Two studies, one of them with an overlay."""
    with serving(tmp_path_factory.mktemp("viewed") / "data", ae_titles=AE_TITLES) as found:
        with found.client() as client:
            for study in (FIRST, SECOND):
                files = [part10(ct_slice(study, size=16)), part10(ultrasound_cine(study, size=16))]
                assert (
                    client.post(f"{STORED}/studies", content=body_of(files), headers=TYPE).status_code == 200
                )
            order = {"patient_name": NAME, "patient_mrn": PATIENT_ID, "order_id": "O-9"}
            path = f"/api/v3/storage/study/clinic/{FIRST.uid}/order/research"
            answer = client.put(path, content=json.dumps(order))
            assert answer.status_code == 200, answer.text
        yield found


@pytest.fixture
def client(viewed: Served) -> Iterator[httpx.Client]:
    with viewed.client() as client:
        yield client


def found(client: httpx.Client, base: str, path: str = "/studies", **keys: str) -> list[str]:
    answer = client.get(f"{base}{path}", params=keys)
    assert answer.status_code in (200, 204), answer.text
    return sorted({m["0020000D"]["Value"][0] for m in answer.json()} if answer.content else set())


@pytest.mark.parametrize("path", ["/studies", "/series", "/instances"])
def test_searches(client: httpx.Client, path: str) -> None:
    both, one, other = sorted([FIRST.uid, SECOND.uid]), [FIRST.uid], [SECOND.uid]
    assert found(client, SEEN, path) == both == found(client, STORED, path)
    assert found(client, SEEN, path, PatientName="Overlaid*") == one
    assert found(client, SEEN, path, PatientID=PATIENT_ID) == one
    assert found(client, SEEN, path, AccessionNumber="O-9", Modality="US") == one
    assert found(client, SEEN, path, PatientName="Kanarien*") == other
    assert found(client, SEEN, path, PatientID=CANARY.patient_id) == other
    assert found(client, SEEN, path, StudyInstanceUID=FIRST.uid, PatientName="Kanarien*") == []
    assert found(client, STORED, path, PatientName="Overlaid*") == []
    assert found(client, STORED, path, PatientName="Kanarien*") == both
    assert found(client, "/dcm4chee-arc/aets/OTHER/rs", path, PatientName="Kanarien*") == both
    assert client.get(f"{SEEN}{path}/count", params={"PatientName": "Overlaid*"}).json()["count"] > 0


def test_answers(client: httpx.Client) -> None:
    for path in ("/studies", f"/studies/{FIRST.uid}/series", f"/studies/{FIRST.uid}/instances"):
        keys = {"StudyInstanceUID": FIRST.uid, "includefield": "PatientName,PatientID,AccessionNumber"}
        for model in client.get(f"{SEEN}{path}", params=keys).json():
            assert model["00100010"]["Value"] == [{"Alphabetic": NAME}]
            assert (model["00100020"]["Value"], model["00080050"]["Value"]) == ([PATIENT_ID], ["O-9"])
        for model in client.get(f"{STORED}{path}", params=keys).json():
            assert model["00100010"]["Value"] == [{"Alphabetic": CANARY.name}]
    (whole,) = client.get(f"{SEEN}/studies", params={"PatientID": PATIENT_ID, "includefield": "all"}).json()
    assert "Kanarien" not in json.dumps(whole)
    assert whole["00081190"]["Value"][0].endswith(f"{SEEN}/studies/{FIRST.uid}")


def test_metadata(client: httpx.Client) -> None:
    seen = client.get(f"{SEEN}/studies/{FIRST.uid}/metadata")
    stored = client.get(f"{STORED}/studies/{FIRST.uid}/metadata")
    for before, after in zip(stored.json(), seen.json(), strict=True):
        assert before["00100010"]["Value"] == [{"Alphabetic": CANARY.name}]
        assert after["00100010"]["Value"] == [{"Alphabetic": NAME}] and list(after) == sorted(after)
        assert after["00100020"]["Value"] == [PATIENT_ID] and after["00280010"] == before["00280010"]
    tag = seen.headers["etag"]
    assert tag != stored.headers["etag"]
    again = client.get(f"{SEEN}/studies/{FIRST.uid}/metadata", headers={"if-none-match": tag})
    assert again.status_code == 304
    untouched = client.get(f"{SEEN}/studies/{SECOND.uid}/metadata").json()
    assert {model["00100010"]["Value"][0]["Alphabetic"] for model in untouched} == {CANARY.name}
    xml = client.get(
        f"{SEEN}/studies/{FIRST.uid}/metadata",
        headers={"accept": 'multipart/related; type="application/dicom+xml"'},
    )
    assert b"<FamilyName>Overlaid" in xml.content and b"Kanarien" not in xml.content


def objects(client: httpx.Client, base: str, uid: str) -> list[Dataset]:
    answer = client.get(f"{base}/studies/{uid}", headers=AS_STORED)
    assert answer.status_code == 200, answer.text
    return [dcmread(io.BytesIO(data)) for _, data in parts_of(answer)]


def test_objects(client: httpx.Client) -> None:
    stored, seen = objects(client, STORED, FIRST.uid), objects(client, SEEN, FIRST.uid)
    for before, after in zip(stored, seen, strict=True):
        assert (before.PatientName, after.PatientName, after.PatientID) == (CANARY.name, NAME, PATIENT_ID)
        assert before.PixelData == after.PixelData and before.SOPInstanceUID == after.SOPInstanceUID
    assert [ds.PatientName for ds in objects(client, SEEN, SECOND.uid)] == [CANARY.name] * 2
    packed = client.get(f"{SEEN}/studies/{FIRST.uid}", headers={"accept": "application/zip"})
    with zipfile.ZipFile(io.BytesIO(packed.content)) as file:
        names = {str(dcmread(io.BytesIO(file.read(name))).PatientName) for name in file.namelist()}
    assert names == {NAME}
    first = stored[0]
    query = {
        "requestType": "WADO", "studyUID": FIRST.uid, "seriesUID": first.SeriesInstanceUID,
        "objectUID": first.SOPInstanceUID, "contentType": "application/dicom",
    }  # fmt: skip
    for title, name in (("CLINIC", CANARY.name), ("RESEARCH", NAME)):
        one = client.get(f"/dcm4chee-arc/aets/{title}/wado", params=query)
        assert dcmread(io.BytesIO(one.content)).PatientName == name
    path = f"{SEEN}/studies/{FIRST.uid}/rendered"
    assert client.get(path, headers={"accept": "image/jpeg"}).status_code == 200


def test_a_view_may_be_asked_for(viewed: Served, client: httpx.Client) -> None:
    asked = {"phi_namespace": "research"}
    assert found(client, V3, PatientName="Overlaid*", **asked) == [FIRST.uid]
    assert found(client, V3, PatientName="Overlaid*") == []
    answer = client.get(f"{V3}/studies/{FIRST.uid}", params=asked, headers=AS_STORED)
    assert dcmread(io.BytesIO(parts_of(answer)[0][1])).PatientName == NAME
    with viewed.client("limited") as limited:
        assert limited.get(f"{V3}/studies").status_code == 200
        refused = limited.get(f"{V3}/studies", params=asked)
        assert refused.status_code == 403 and error_of(refused)
    stored = client.post(f"{V3}/studies", params=asked, content=body_of([b"x"]), headers=TYPE)
    assert stored.status_code == 400


def test_what_is_stored_through_a_view_is_stored_as_it_is(client: httpx.Client) -> None:
    study = SampleStudy("through a view", patient=CANARY)
    data = part10(ct_slice(study, size=16))
    assert client.post(f"{SEEN}/studies", content=body_of([data]), headers=TYPE).status_code == 200
    answer = client.get(f"{STORED}/studies/{study.uid}", headers=AS_STORED)
    assert [found for _, found in parts_of(answer)] == [data]
    assert client.delete(f"{STORED}/studies/{study.uid}").status_code == 204


def test_what_lies_under_an_overlay_is_no_bulk_data(client: httpx.Client) -> None:
    keys = {"StudyInstanceUID": FIRST.uid, "Modality": "CT"}
    (one,) = client.get(f"{STORED}/instances", params=keys).json()
    study, series, image = (one[tag]["Value"][0] for tag in ("0020000D", "0020000E", "00080018"))
    place = f"{SEEN}/studies/{study}/series/{series}/instances/{image}/bulkdata"
    assert client.get(f"{place}/7FE00010").status_code == 200
    for tag in ("00100010", "00100020", "00100030"):
        assert client.get(f"{place}/{tag}").status_code == 404
