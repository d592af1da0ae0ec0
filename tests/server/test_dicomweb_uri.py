"""WADO-URI over a real socket: objects and pictures by the UIDs of the query."""

from __future__ import annotations

import io
import re
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import httpx
import numpy as np
import pytest
from PIL import Image
from pydicom import dcmread
from pydicom.dataset import Dataset

from core.archive.pseudonyms import Pseudonyms
from core.errors import StorageFault
from core.media.samples import SampleStudy, ct_slice, part10, ultrasound_cine
from tests.guards import assert_canary_free
from tests.server.conftest import CANARY, Served, error_of
from tests.server.test_dicomweb_reading import put

PATHS = ("/wado", "/dcm4chee-arc/aets/DCM4CHEE/wado")


@pytest.fixture
def client(served: Served) -> Iterator[httpx.Client]:
    with served.client() as client:
        yield client


@pytest.fixture(scope="module")
def queries(served: Served) -> list[dict[str, str]]:
    """The UIDs of a slice and of a loop."""
    study = SampleStudy(seed="wado uri", patient=CANARY)
    with served.client() as client:
        places = put(client, ct_slice(study, size=64), ultrasound_cine(study))
    uids = [re.findall(r"[0-9.]{9,}", place) for place in places]
    return [{"requestType": "WADO", "studyUID": s, "seriesUID": e, "objectUID": i} for s, e, i in uids]


def shown(answer: httpx.Response, kind: str) -> np.ndarray:
    assert answer.status_code == 200, answer.text
    picture = Image.open(io.BytesIO(answer.content))
    assert picture.format == kind and answer.headers["content-type"] == f"image/{kind.lower()}"
    return np.asarray(picture)


@pytest.mark.parametrize("path", PATHS)
def test_objects_and_pictures(client: httpx.Client, queries: list[dict[str, str]], path: str) -> None:
    ct, loop = queries
    whole = client.get(path, params={**ct, "contentType": "application/dicom", "transferSyntax": "*"})
    assert whole.content == part10(ct_slice(SampleStudy(seed="wado uri", patient=CANARY), size=64))
    assert whole.headers["content-type"].startswith("application/dicom")
    other = {**ct, "contentType": "application/dicom", "transferSyntax": "1.2.840.10008.1.2.5"}
    assert "1.2.840.10008.1.2.5" in client.get(path, params=other).headers["content-type"]
    assert shown(client.get(path, params=ct), "JPEG").shape == (64, 64)
    png = {"contentType": "image/png"}
    full = shown(client.get(path, params={**ct, **png}), "PNG")
    part = client.get(path, params={**ct, **png, "region": "0.5,0.25,1,0.75"})
    assert np.array_equal(shown(part, "PNG"), full[16:48, 32:64])
    assert shown(client.get(path, params={**ct, "rows": "16"}), "JPEG").shape == (16, 16)
    small = client.get(path, params={**ct, "rows": "32", "columns": "8"})
    assert shown(small, "JPEG").shape == (8, 8)
    dark = client.get(path, params={**ct, **png, "windowCenter": "30000", "windowWidth": "2"})
    assert shown(dark, "PNG").max() == 0
    frames = [client.get(path, params={**loop, "frameNumber": str(n)}) for n in (1, 2)]
    assert frames[0].content != frames[1].content
    assert client.get(path, params={**loop, "frameNumber": "99"}).status_code == 404


@pytest.mark.parametrize(
    ("content_type", "accept", "had"),
    [
        ("image/jpeg;q=0.5,image/png", "*/*", "image/png"),
        ("image/jp2, image/jpeg;q=0.5", "*/*", "image/jpeg"),
        ("application/dicom;transfer-syntax=1.2.840.10008.1.2.5", "*/*", "1.2.840.10008.1.2.5"),
        ("image/png", "application/dicom", "image/png"),
        (None, "application/dicom", "application/dicom"),
        (None, "image/png,*/*;q=0.1", "image/png"),
        (None, "text/html,application/xhtml+xml,*/*;q=0.8", "image/jpeg"),
        (None, "text/html", "image/jpeg"),
    ],
)
def test_the_best_of_what_is_taken(
    client: httpx.Client, queries: list[dict[str, str]], content_type: str | None, accept: str, had: str
) -> None:
    more = {} if content_type is None else {"contentType": content_type}
    answer = client.get("/wado", params={**queries[0], **more}, headers={"accept": accept})
    assert answer.status_code == 200 and had in answer.headers["content-type"]


@pytest.mark.parametrize(
    ("status", "changed"),
    [
        (400, {"requestType": "OTHER"}),
        (400, {"objectUID": ""}),
        (404, {"objectUID": "1.2.3"}),
        (404, {"seriesUID": "1.2.3"}),
        (404, {"studyUID": "1.2.3"}),
        (400, {"frameNumber": "0"}),
        (400, {"rows": "x"}),
        (400, {"region": "0,0,2,1"}),
        (400, {"region": "0,0,1"}),
        (400, {"windowCenter": "5"}),
        (400, {"imageQuality": "0"}),
        (406, {"contentType": "application/pdf"}),
        (406, {"contentType": "nonsense"}),
        (406, {"contentType": "image/jpeg;q=0"}),
        (406, {"contentType": "application/dicom", "transferSyntax": "1.2.3"}),
        (400, {"anonymize": "perhaps"}),
        (406, {"anonymize": "yes", "contentType": "image/jpeg"}),
        (406, {"presentationUID": "1.2"}),
    ],
)
def test_what_is_refused(
    client: httpx.Client, queries: list[dict[str, str]], status: int, changed: dict[str, str]
) -> None:
    answer = client.get("/wado", params={**queries[0], **changed})
    assert answer.status_code == status and error_of(answer)


def anonymous(client: httpx.Client, query: dict[str, str], **more: str) -> Dataset:
    answer = client.get(
        "/wado", params={**query, "contentType": "application/dicom", "anonymize": "yes", **more}
    )
    assert answer.status_code == 200, answer.text
    assert_canary_free(answer.content.decode("latin-1"))
    ds = dcmread(io.BytesIO(answer.content))
    syntax = ds.file_meta.TransferSyntaxUID
    assert answer.headers["content-type"] == f"application/dicom; transfer-syntax={syntax}"
    return ds


def test_objects_without_their_patient(client: httpx.Client, queries: list[dict[str, str]]) -> None:
    ct, loop = queries
    first, again, other = (anonymous(client, query, transferSyntax="*") for query in (ct, ct, loop))
    stored = ct_slice(SampleStudy(seed="wado uri", patient=CANARY), size=64)
    assert first.PixelData == stored.PixelData and first.PatientIdentityRemoved == "YES"
    for keyword in ("StudyInstanceUID", "SeriesInstanceUID", "SOPInstanceUID"):
        assert first[keyword].value == again[keyword].value != stored[keyword].value
    assert (first.StudyInstanceUID, first.PatientID) == (other.StudyInstanceUID, other.PatientID)
    assert first.SOPInstanceUID == first.file_meta.MediaStorageSOPInstanceUID
    compressed = anonymous(client, ct, transferSyntax="1.2.840.10008.1.2.5")
    assert compressed.file_meta.TransferSyntaxUID == "1.2.840.10008.1.2.5"
    without = client.get("/wado", params={**ct, "anonymize": "yes"})
    assert without.headers["content-type"].startswith("application/dicom")
    assert client.get("/wado", params={**ct, "anonymize": "no"}).headers["content-type"] == "image/jpeg"


def test_what_is_burned_in_is_not_given(client: httpx.Client) -> None:
    ds = ct_slice(SampleStudy(seed="wado burned in", patient=CANARY), size=16)
    ds.BurnedInAnnotation = "YES"
    (place,) = put(client, ds)
    study, series, instance = re.findall(r"[0-9.]{9,}", place)
    query = {"requestType": "WADO", "studyUID": study, "seriesUID": series, "objectUID": instance}
    answer = client.get("/wado", params={**query, "contentType": "application/dicom", "anonymize": "yes"})
    assert answer.status_code == 406 and "Burned In" in error_of(answer)["message"]


def test_new_identifiers_survive_a_restart_and_are_each_archives_own(tmp_path: Path) -> None:
    path = tmp_path / "ct.dcm"
    path.write_bytes(part10(ct_slice(SampleStudy(seed="wado secret", patient=CANARY), size=16)))
    image = SimpleNamespace(bytes=path.stat().st_size, open=lambda: path.open("rb"))
    made = [
        dcmread(io.BytesIO(Pseudonyms(tmp_path / name).deidentified(image)))  # type: ignore[arg-type] # enough of one
        for name in ("one", "one", "other")
    ]
    assert made[0].SOPInstanceUID == made[1].SOPInstanceUID != made[2].SOPInstanceUID
    assert made[0].PatientID == made[1].PatientID != made[2].PatientID
    assert (tmp_path / "one").stat().st_mode & 0o777 == 0o600 and not list(tmp_path.glob("*.new"))
    (tmp_path / "one").write_bytes(b"")
    with pytest.raises(StorageFault):
        Pseudonyms(tmp_path / "one").deidentified(image)  # type: ignore[arg-type] # enough of one


def test_who_may(served: Served, client: httpx.Client, queries: list[dict[str, str]]) -> None:
    with served.anonymous() as nobody:
        assert nobody.get("/wado", params=queries[0]).status_code == 401
    with served.client("limited") as limited:
        assert limited.get("/wado", params=queries[0]).status_code == 403
    assert client.get("/dcm4chee-arc/aets/NOBODY/wado", params=queries[0]).status_code == 404
