"""DICOMweb's pictures over a real socket: rendered and thumbnails at every level, PDF and video as such."""

from __future__ import annotations

import io
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest
from PIL import Image
from pydicom.dataset import Dataset
from pydicom.encaps import encapsulate
from pydicom.uid import MPEG4HP41, BasicTextSRStorage, EncapsulatedPDFStorage

from core.media.samples import SampleStudy, ct_slice, ultrasound_cine
from tests.server.conftest import CANARY, Served, error_of
from tests.server.test_dicomweb import parts_of
from tests.server.test_dicomweb_reading import put, study_of

BASES = ("/dicom-web", "", "/dcm4chee-arc/aets/DCM4CHEE/rs", "/api/v3/storage/dicomweb/default")
JPEGS = 'multipart/related; type="image/jpeg"'


@pytest.fixture
def client(served: Served) -> Iterator[httpx.Client]:
    with served.client() as client:
        yield client


def picture(answer: httpx.Response, kind: str = "JPEG") -> Image.Image:
    assert answer.status_code == 200, answer.text
    assert answer.headers["content-type"] == f"image/{kind.lower()}"
    found = Image.open(io.BytesIO(answer.content))
    assert found.format == kind
    return found


@pytest.fixture(scope="module")
def places(served: Served) -> list[str]:
    study = SampleStudy(seed="rendered", patient=CANARY)
    with served.client() as client:
        return put(client, ct_slice(study, size=64), ultrasound_cine(study))


@pytest.mark.parametrize("base", BASES)
def test_every_level(client: httpx.Client, places: list[str], base: str) -> None:
    ct, loop = places
    frames = len(parts_of(client.get(f"{base}{loop}/rendered", headers={"accept": JPEGS})))
    assert frames == 12
    whole = client.get(f"{base}{study_of(ct)}/rendered", headers={"accept": JPEGS})
    assert len(parts_of(whole)) == frames + 1
    assert all(kind.content_type == "image/jpeg" for kind, _ in parts_of(whole))
    quick = client.get(f"{base}{study_of(ct)}", headers={"accept": "multipart/related; type=image/jpeg"})
    assert [data for _, data in parts_of(quick)] == [data for _, data in parts_of(whole)]
    assert picture(client.get(f"{base}{ct}/rendered")).size == (64, 64)
    series = ct.partition("/instances/")[0]
    for path in (study_of(ct), series, loop, f"{loop}/frames/3"):
        picture(client.get(f"{base}{path}/rendered", headers={"accept": "image/png"}), "PNG")
        small = client.get(f"{base}{path}/thumbnail", params={"viewport": "32,32"})
        assert max(picture(small).size) == 32
        assert max(picture(client.get(f"{base}{path}/thumbnail")).size) <= 512
    two = client.get(f"{base}{loop}/frames/2,5/rendered", headers={"accept": JPEGS})
    first = client.get(f"{base}{loop}/frames/2/rendered")
    assert len(parts_of(two)) == 2 and parts_of(two)[0][1] == first.content
    again = client.get(f"{base}{loop}/frames/2/rendered", headers={"if-none-match": first.headers["etag"]})
    assert again.status_code == 304


def test_window_viewport_and_quality(client: httpx.Client, places: list[str]) -> None:
    path = f"/dicom-web{places[0]}/rendered"
    png = {"accept": "image/png"}
    whole = np.asarray(picture(client.get(path, headers=png), "PNG"))
    dark = np.asarray(picture(client.get(path, params={"window": "30000,2"}, headers=png), "PNG"))
    bright = np.asarray(picture(client.get(path, params={"window": "-30000,2,sigmoid"}, headers=png), "PNG"))
    assert dark.max() == 0 and bright.min() == 255 and whole.std() > 0
    part = client.get(path, params={"viewport": "16,8,32,24,16,8"}, headers=png)
    assert np.array_equal(np.asarray(picture(part, "PNG")), whole[24:32, 32:48])
    turned = client.get(path, params={"viewport": "64,64,,,-64,"}, headers=png)
    assert np.array_equal(np.asarray(picture(turned, "PNG")), whole[:, ::-1])
    assert picture(client.get(path, params={"viewport": "128,32"})).size == (32, 32)
    poor = client.get(path, params={"quality": "5"})
    assert len(poor.content) < len(client.get(path, params={"quality": "100"}).content)
    allowed = {"annotation": "patient,technique", "iccprofile": "srgb"}
    assert client.get(path, params=allowed).status_code == 200


@pytest.mark.parametrize(
    "query",
    [
        "window=1", "window=a,b", "window=1,0", "window=1,2,cubic", "window=nan,5", "viewport=0,5",
        "viewport=5", "viewport=5,5,1", "viewport=99999,5", "viewport=9,9,64,0,,", "viewport=9,9,0,0,0,5",
        "quality=0", "quality=101", "quality=x", "annotation=name", "iccprofile=blue",
    ],
)  # fmt: skip
def test_parameters_that_are_refused(client: httpx.Client, places: list[str], query: str) -> None:
    for ending in ("rendered", "thumbnail"):
        answer = client.get(f"/dicom-web{places[0]}/{ending}?{query}")
        assert answer.status_code == 400 and error_of(answer)


def test_what_cannot_be_had(client: httpx.Client, places: list[str]) -> None:
    ct, loop = places
    for accept in ("video/mpeg", "text/html", "image/webp", "application/pdf"):
        for ending in ("rendered", "thumbnail"):
            answer = client.get(f"/dicom-web{ct}/{ending}", headers={"accept": accept})
            assert answer.status_code == 406 and error_of(answer)
    for accept in ("image/gif", "video/mp4"):
        for path in (
            f"{ct}/thumbnail",
            f"{study_of(ct)}/rendered",
            f"{ct.rpartition('/instances')[0]}/rendered",
        ):
            answer = client.get(f"/dicom-web{path}", headers={"accept": accept})
            assert answer.status_code == 406 and error_of(answer)
    several = client.get(f"/dicom-web{loop}/frames/1,2/rendered", headers={"accept": "image/jpeg"})
    assert several.status_code == 406
    for path in (f"{loop}/frames/13", "/studies/1.2.3", f"{study_of(ct)}/series/1.2"):
        for ending in ("rendered", "thumbnail"):
            assert client.get(f"/dicom-web{path}/{ending}").status_code == 404
    assert client.get(f"/dicom-web{loop}/frames/0/rendered").status_code == 400


def as_pdf(data: bytes) -> Dataset:
    ds = without_picture("rendered pdf")
    ds.SOPClassUID = ds.file_meta.MediaStorageSOPClassUID = EncapsulatedPDFStorage
    ds.MIMETypeOfEncapsulatedDocument = "application/pdf"
    ds.EncapsulatedDocument = data + b"\0" * (len(data) % 2)
    ds.EncapsulatedDocumentLength = len(data)
    return ds


def as_video(data: bytes) -> Dataset:
    ds: Any = ultrasound_cine(SampleStudy(seed="rendered video", patient=CANARY))
    ds.file_meta.TransferSyntaxUID = MPEG4HP41
    ds.PixelData = encapsulate([data])
    ds["PixelData"].VR = "OB"
    return ds


def without_picture(seed: str) -> Any:
    ds: Any = ct_slice(SampleStudy(seed=seed, patient=CANARY), size=32)
    for keyword in ("PixelData", "Rows", "Columns", "BitsAllocated"):
        delattr(ds, keyword)
    return ds


@pytest.mark.parametrize(
    ("make", "data", "kind"),
    [
        (as_pdf, b"%PDF-1.4 made up.\n", "application/pdf"),
        (as_video, b"\0\0\0\x18ftypisom made up", "video/mp4"),
    ],
)
def test_pdf_and_video_are_what_they_are(
    client: httpx.Client, make: Callable[[bytes], Dataset], data: bytes, kind: str
) -> None:
    (place,) = put(client, make(data))
    path = f"/dicom-web{place}"
    for accept in ("*/*", kind):
        shown = client.get(f"{path}/rendered", headers={"accept": accept})
        assert shown.headers["content-type"] == kind and shown.content.rstrip(b"\0") == data
    piece = client.get(f"{path}/rendered", headers={"range": "bytes=2-5"})
    assert piece.status_code == 206 and piece.content == data[2:6]
    refused = client.get(f"{path}/rendered", headers={"accept": "image/jpeg"})
    assert refused.status_code == 406 and error_of(refused)
    assert client.get(f"{path}/thumbnail").status_code == 404
    (model,) = client.get(f"{path}/metadata").json()
    uri = next(each["BulkDataURI"] for each in model.values() if "BulkDataURI" in each)
    for accept in (kind, "application/octet-stream"):
        bulk = client.get(uri, headers={"accept": accept})
        assert bulk.headers["content-type"] == accept and bulk.content.rstrip(b"\0") == data
    assert client.get(f"{path}/frames/1").status_code in {404, 406}


def test_objects_without_a_picture(client: httpx.Client) -> None:
    (place,) = put(client, without_picture("rendered none"))
    assert client.get(f"/dicom-web{place}/rendered").status_code == 406
    assert client.get(f"/dicom-web{place}/thumbnail").status_code == 404


def report_of(seed: str) -> Any:
    ds = without_picture(seed)
    ds.SOPClassUID = ds.file_meta.MediaStorageSOPClassUID = BasicTextSRStorage
    ds.Modality, ds.SpecificCharacterSet, ds.CompletionFlag = "SR", "ISO_IR 192", "COMPLETE"

    def coded(value: str, meaning: str) -> Dataset:
        code = Dataset()
        code.CodeValue, code.CodingSchemeDesignator, code.CodeMeaning = value, "99TEST", meaning
        return code

    def item(kind: str, name: str, **values: Any) -> Dataset:
        found = Dataset()
        found.ValueType, found.ConceptNameCodeSequence = kind, [coded("1", name)]
        for keyword, value in values.items():
            setattr(found, keyword, value)
        return found

    measured = Dataset()
    measured.NumericValue, measured.MeasurementUnitsCodeSequence = "12.5", [coded("mm", "millimeter")]
    ds.ConceptNameCodeSequence = [coded("0", "Radiologie-Bericht Ä")]
    finding = item("TEXT", "Finding", TextValue="<script>alert(1)</script> & größer")
    size = item("NUM", "Diameter", MeasuredValueSequence=[measured])
    lung = item("CONTAINER", "Lung", ContentSequence=[finding, size])
    ds.ContentSequence = [lung, item("DATE", "Seen", Date="20260102")]
    return ds


def test_a_structured_report_is_text(client: httpx.Client) -> None:
    (place,) = put(client, report_of("rendered report"))
    path = f"/dicom-web{place}/rendered"
    for accept in ("*/*", "text/html", "text/html,application/xhtml+xml,*/*;q=0.8"):
        page = client.get(path, headers={"accept": accept})
        assert page.headers["content-type"] == "text/html; charset=utf-8"
        assert "default-src 'none'" in page.headers["content-security-policy"]
        assert "<script" not in page.text and "&lt;script&gt;" in page.text and "größer" in page.text
    text = client.get(path, headers={"accept": "text/plain"}).text
    lines = text.splitlines()
    assert lines[0] == "Radiologie-Bericht Ä" and "Completion: COMPLETE" in lines
    assert f"Patient: {' '.join(CANARY.name.replace('^', ' ').split())}" in lines
    assert lines[lines.index("Lung") + 1 :][1:] == ["  Diameter: 12.5 mm", "Seen: 2026-01-02"]
    assert client.get(path, headers={"accept": "image/jpeg"}).status_code == 406
    assert client.get(f"/dicom-web{place}/frames/1/rendered").status_code == 406
    study, series, instance = re.findall(r"[0-9.]{9,}", place)
    query = {"requestType": "WADO", "studyUID": study, "seriesUID": series, "objectUID": instance}
    assert client.get("/wado", params=query).headers["content-type"] == "text/html; charset=utf-8"
    assert client.get("/wado", params={**query, "contentType": "text/plain"}).text == text
    for kind in ("image/jpeg", "application/dicom"):
        answer = client.get("/wado", params={**query, "contentType": kind})
        assert answer.status_code == (406 if kind == "image/jpeg" else 200)


def test_no_real_file_is_too_much(client: httpx.Client, testdata: Path) -> None:
    """Everything that can be stored can be read in every form, or is refused with a reason."""
    shown = 0
    for path in sorted(testdata.rglob("*")):
        if not path.is_file() or path.stat().st_size > 300_000:
            continue
        headers = {"content-type": "application/dicom"}
        stored = client.post("/dicom-web/studies", content=path.read_bytes(), headers=headers)
        if stored.status_code != 200:
            continue
        (item,) = stored.json()["00081199"]["Value"]
        address: str = item["00081190"]["Value"][0]
        for ending, accept in (
            ("metadata", "application/dicom+json"),
            ("frames/1", 'multipart/related; type="application/octet-stream"; transfer-syntax=*'),
            ("frames/1", "application/octet-stream"),
            ("rendered", "image/jpeg"),
            ("rendered", "text/html"),
            ("thumbnail", "image/jpeg"),
            ("bulkdata/7FE00010", "*/*"),
        ):
            answer = client.get(f"{address}/{ending}", headers={"accept": accept})
            assert answer.status_code in {200, 404, 406, 415}, (path.name, ending, answer.status_code)
            assert answer.status_code == 200 or error_of(answer)
            shown += answer.status_code == 200
    assert shown > 400
