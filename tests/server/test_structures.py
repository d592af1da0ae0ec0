"""Structure sets of radiotherapy made from JSON: what is written, what is added, what is refused."""

from __future__ import annotations

import io
import json
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from pydicom import dcmread

from core.media.samples import SampleStudy, ct_slice, part10
from tests.guards import CANARY
from tests.server.conftest import NAMESPACE, Served, Stored, error_of, store

STUDY = SampleStudy(seed="structures", patient=CANARY)
SQUARE = [0, 0, -12.5, 10, 0, -12.5, 10, 10, -12.5, 0, 10, -12.5]


@pytest.fixture(scope="module")
def planned(served: Served) -> Stored:
    """A study with slices to draw on."""
    return store(served, STUDY)


@pytest.fixture
def client(served: Served) -> Iterator[httpx.Client]:
    with served.client() as found:
        yield found


def description(image_uid: str, **more: Any) -> dict[str, Any]:
    return {
        "StructureSetLabel": "PLAN A",
        "StructureSetROISequence": [{"ROINumber": 1, "ROIName": "Größe"}, {"ROINumber": 2}],
        "ROIContourSequence": [
            {
                "ReferencedROINumber": 1,
                "ROIDisplayColor": [255, 0, 0],
                "ContourSequence": [
                    {
                        "ContourGeometricType": "CLOSED_PLANAR",
                        "ContourData": SQUARE,
                        "ContourImageSequence": [{"ReferencedSOPInstanceUID": image_uid}],
                    }
                ],
            }
        ],
        **more,
    }


def test_a_structure_set(client: httpx.Client, planned: Stored, tmp_path: Path) -> None:
    image = planned.images["ct"]
    made = client.post(f"{planned.path}/rt", json=description(image["image_uid"]))
    assert made.status_code == 200, made.text
    answer = made.json()
    assert {"namespace", "study_uid", "image_uid", "image_version", "attr"} == set(answer)
    values = {each["tag"]: each["value"] for each in answer["attr"]}
    assert values["(0010,0010)"] == CANARY.name and values["(0008,0018)"] == answer["image_uid"]
    path = f"{planned.path}/image/{answer['image_uid']}/version/{answer['image_version']}"
    content = client.get(path).content
    ds, ct = dcmread(io.BytesIO(content)), dcmread(io.BytesIO(planned.files["ct"]))
    assert (ds.Modality, ds.StructureSetLabel, ds.PatientID) == ("RTSTRUCT", "PLAN A", CANARY.patient_id)
    assert ds.StructureSetROISequence[0].ROIName == "Größe"
    assert {r.ReferencedFrameOfReferenceUID for r in ds.StructureSetROISequence} == {ct.FrameOfReferenceUID}
    contour = ds.ROIContourSequence[0].ContourSequence[0]
    assert contour.NumberOfContourPoints == 4 and [float(n) for n in contour.ContourData] == SQUARE
    assert contour.ContourImageSequence[0].ReferencedSOPClassUID == ct.SOPClassUID
    assert [item.ReferencedROINumber for item in ds.RTROIObservationsSequence] == [1, 2]
    frame = ds.ReferencedFrameOfReferenceSequence[0].RTReferencedStudySequence[0]
    assert frame.RTReferencedSeriesSequence[0].SeriesInstanceUID == ct.SeriesInstanceUID
    schema = client.get(f"{planned.path}/schema").json()
    assert answer["image_uid"] in {each["id"] for series in schema["series"] for each in series["images"]}
    if shutil.which("dciodvfy"):
        file = tmp_path / "rt.dcm"
        file.write_bytes(content)
        said = subprocess.run(["dciodvfy", file], capture_output=True, check=False).stderr.decode()
        assert not [line for line in said.splitlines() if line.startswith("Error")], said


def test_the_dicom_json_model_is_taken_too(client: httpx.Client, planned: Stored) -> None:
    body = {
        "30060020": {
            "vr": "SQ",
            "Value": [{"30060022": {"vr": "IS", "Value": [7]}, "(3006,0026)": "Heart"}],
        },
        "0008103E": {"vr": "LO", "Value": ["Contours"]},
        "00100010": {"vr": "PN", "Value": [{"Alphabetic": CANARY.name}]},
        "SOPInstanceUID": "1.2.826.7",
    }
    made = client.post(f"{planned.path}/rt", content=json.dumps(body)).json()
    ds = dcmread(io.BytesIO(client.get(f"{planned.path}/image/{made['image_uid']}/version/*").content))
    assert made["image_uid"] == "1.2.826.7" and ds.SeriesDescription == "Contours"
    assert (ds.StructureSetROISequence[0].ROINumber, ds.StructureSetROISequence[0].ROIName) == (7, "Heart")
    assert client.post(f"{planned.path}/rt", json=body).status_code == 409


ROI = {"StructureSetROISequence": [{"ROINumber": 1}]}


def contoured(**more: Any) -> dict[str, Any]:
    contour = {"ContourGeometricType": "POINT", "ContourData": [1, 2, 3], **more}
    contour = {name: value for name, value in contour.items() if value is not None}
    return {**ROI, "ROIContourSequence": [{"ReferencedROINumber": 1, "ContourSequence": [contour]}]}


@pytest.mark.parametrize(
    ("body", "status", "code"),
    [
        ("{", 400, 8),
        ("", 400, 8),
        ([], 412, 99),
        ({}, 412, 99),
        ({"StructureSetLabel": "x"}, 412, 42),
        ({"StructureSetROISequence": [{}]}, 412, 42),
        ({"StructureSetROISequence": [{"ROINumber": 1}, {"ROINumber": "1"}]}, 412, 99),
        ({"StructureSetROISequence": [{"ROINumber": "one"}]}, 412, 99),
        ({"StructureSetROISequence": "x"}, 412, 99),
        ({**ROI, "NoSuchElement": 1}, 412, 99),
        ({**ROI, "ROIContourSequence": [{"ReferencedROINumber": 2}]}, 412, 99),
        (contoured(ContourData=None), 412, 42),
        (contoured(ContourGeometricType=None), 412, 42),
        (contoured(ContourGeometricType="CIRCLE"), 412, 99),
        (contoured(ContourData=[1, 2]), 412, 99),
        (contoured(ContourData=[1, 2, 1e999]), 412, 99),
        (contoured(ContourImageSequence=[{"ReferencedSOPInstanceUID": "1.2.3"}]), 412, 99),
        ({**ROI, "PatientID": "somebody else"}, 412, 99),
        ({**ROI, "StudyInstanceUID": "1.2.3"}, 412, 99),
        ({**ROI, "Modality": "CT"}, 412, 99),
        ({**ROI, "SOPInstanceUID": "a.b"}, 412, 99),
        ({**ROI, "PixelData": "AAAA"}, 412, 99),
        ({**ROI, "StructureSetLabel": "half \ud800"}, 412, 99),
        ({**ROI, "StructureSetLabel": {"vr": "SH", "Value": [{"x": 1}]}}, None, None),
    ],
)
def test_refused(client: httpx.Client, planned: Stored, body: Any, status: int | None, code: int) -> None:
    before = client.get(f"{planned.path}/count").json()
    content = body if isinstance(body, str) else json.dumps(body)
    answer = client.post(f"{planned.path}/rt", content=content)
    if status is None:
        assert answer.status_code < 500
        return
    assert answer.status_code == status and error_of(answer)["kind"]["code"] == code, answer.text
    assert client.get(f"{planned.path}/count").json() == before


def test_who_and_where(served: Served, client: httpx.Client, planned: Stored) -> None:
    missing = client.post(f"/api/v3/storage/study/{NAMESPACE}/1.2.3/rt", json=ROI)
    assert missing.status_code == 404 and error_of(missing)["kind"]["code"] == 18
    with served.client("viewer") as viewer:
        assert viewer.post(f"{planned.path}/rt", json=ROI).status_code == 403


def test_slices_of_one_series_share_its_item(client: httpx.Client, served: Served) -> None:
    study = SampleStudy(seed="three slices", patient=CANARY)
    url = f"/api/v3/storage/namespace/{NAMESPACE}/image"
    uids = [
        client.post(url, content=part10(ct_slice(study, instance=n))).json()["image_uid"] for n in (1, 2, 3)
    ]
    body = description(uids[0])
    (outline,) = body["ROIContourSequence"]
    outline["ContourSequence"] = [
        {**outline["ContourSequence"][0], "ContourImageSequence": [{"ReferencedSOPInstanceUID": uid}]}
        for uid in uids
    ]
    path = f"/api/v3/storage/study/{NAMESPACE}/{study.uid}"
    made = client.post(f"{path}/rt", json=body).json()
    ds = dcmread(io.BytesIO(client.get(f"{path}/image/{made['image_uid']}/version/*").content))
    (series,) = (
        ds.ReferencedFrameOfReferenceSequence[0].RTReferencedStudySequence[0].RTReferencedSeriesSequence
    )
    assert [each.ReferencedSOPInstanceUID for each in series.ContourImageSequence] == uids
