"""Metadata in the DICOM JSON model: equal to what pydicom makes of it, with overlays, at every address."""

from __future__ import annotations

import io
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pydicom
import pytest
from pydicom import dcmread
from pydicom.dataset import Dataset

from core.dicom.json_model import BULK_VRS, metadata
from core.errors import SourceFault
from core.media.samples import SampleStudy
from tests.guards import CANARY
from tests.server.conftest import NAMESPACE, Served, Stored, error_of, store

FILES = Path(pydicom.__file__).parent / "data" / "test_files"
BASE = "/api/v3/storage/dicomweb"


@pytest.fixture(scope="module")
def described(served: Served) -> Stored:
    return store(served, SampleStudy(seed="described", patient=CANARY))


@pytest.fixture
def client(served: Served) -> Iterator[httpx.Client]:
    with served.client() as found:
        yield found


def test_each_address(client: httpx.Client, described: Stored) -> None:
    study = f"{BASE}/{NAMESPACE}/studies/{described.study.uid}"
    ct = dcmread(io.BytesIO(described.files["ct"]))
    series = f"{study}/series/{ct.SeriesInstanceUID}"
    one = client.get(f"{series}/instances/{ct.SOPInstanceUID}/metadata")
    assert one.headers["content-type"] == "application/dicom+json"
    assert one.json()["00100010"] == {"vr": "PN", "Value": [{"Alphabetic": CANARY.name}]}
    assert one.json()["00280010"] == {"vr": "US", "Value": [128]} and "7FE00010" not in one.json()
    assert Dataset.from_json(json.dumps(one.json())).PatientID == CANARY.patient_id
    assert client.get(f"{series}/metadata").json() == [one.json()]
    whole = client.get(f"{study}/metadata", headers={"Accept": "application/json"})
    assert whole.headers["content-type"] == "application/json" and len(whole.json()) == 3
    assert {each["00080018"]["Value"][0] for each in whole.json()} == {
        image["image_uid"] for image in described.images.values()
    }
    for path in (
        f"{study}/metadata",
        f"{series}/metadata",
        f"{series}/instances/{ct.SOPInstanceUID}/metadata",
    ):
        head = client.head(path)
        assert head.status_code == 200 and not head.content


def test_an_overlay_lies_on_top(client: httpx.Client, described: Stored) -> None:
    order = {"patient_name": "Über^Lay=漢^字", "patient_mrn": "OVER-2"}
    client.put(f"{described.path}/order/his", json=order).raise_for_status()
    path = f"{BASE}/{NAMESPACE}/studies/{described.study.uid}/metadata"
    for each in client.get(path, params={"phi_namespace": "his"}).json():
        assert each["00100010"]["Value"] == [{"Alphabetic": "Über^Lay", "Ideographic": "漢^字"}]
        assert each["00100020"] == {"vr": "LO", "Value": ["OVER-2"]}
    assert {each["00100020"]["Value"][0] for each in client.get(path).json()} == {CANARY.patient_id}


def test_what_is_not_there(served: Served, client: httpx.Client, described: Stored) -> None:
    study = f"{BASE}/{NAMESPACE}/studies/{described.study.uid}"
    ct, loop = (dcmread(io.BytesIO(described.files[name])) for name in ("ct", "loop"))
    for path, status, code in (
        (f"{BASE}/{NAMESPACE}/studies/1.2/metadata", 404, 18),
        (f"{study}/series/1.2/metadata", 404, 17),
        (f"{study}/series/{ct.SeriesInstanceUID}/instances/1.2/metadata", 404, 14),
        (f"{study}/series/{ct.SeriesInstanceUID}/instances/{loop.SOPInstanceUID}/metadata", 404, 14),
        (f"{BASE}/unknown/studies/1.2/metadata", 403, 7),
    ):
        refused = client.get(path)
        assert refused.status_code == status and error_of(refused)["kind"]["code"] == code
    with served.client("modality") as modality:
        assert modality.get(f"{study}/metadata").status_code == 403


def _same(mine: Any, theirs: Any) -> None:
    """Equal but for bulk data, which ours leaves out, and the character set."""
    assert set(mine) == set(theirs)
    for tag, element in mine.items():
        other = theirs[tag]
        assert element["vr"] == other["vr"]
        if tag == "00080005" or element["vr"] in BULK_VRS:
            continue
        if element["vr"] == "SQ":
            for one, two in zip(element.get("Value", []), other.get("Value", []), strict=True):
                _same(one, two)
        else:
            value = [None if each == "" else each for each in other.get("Value", [])]  # F.2.5
            assert element.get("Value", []) == value, tag


@pytest.mark.parametrize("name", ["CT_small.dcm", "MR_small.dcm", "rtplan.dcm", "rtdose.dcm", "rtstruct.dcm"])
@pytest.mark.filterwarnings("ignore:Invalid value")
def test_it_is_the_model_pydicom_makes(name: str) -> None:
    path = FILES / name
    ds = dcmread(path, stop_before_pixels=True, force=True)
    theirs = ds.to_json_dict(bulk_data_threshold=1, bulk_data_element_handler=lambda element: "x")
    _same(metadata(path), {tag: value for tag, value in theirs.items() if not tag.endswith("0000")})


def test_every_file_has_a_model_or_a_reason() -> None:
    seen = 0
    for path in sorted(FILES.glob("*.dcm")):
        try:
            found = metadata(path)
        except SourceFault:
            continue
        seen += 1
        assert json.loads(json.dumps(found, allow_nan=False)) == found
    assert seen > 40
