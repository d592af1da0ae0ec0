"""Pictures, documents and videos become DICOM objects; attachments become images; hostile ones do not."""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest
from PIL import Image
from pydicom import dcmread
from pydicom.dataset import Dataset

from core.media.samples import SampleStudy, pdf_report
from tests.server.conftest import CANARY, NAMESPACE, Served, Stored, error_of, store

WRAP = f"/api/v3/storage/namespace/{NAMESPACE}/wrap"
TAGS = {"(0010,0010)": "Wrapped^Wanda", "(0010,0020)": "W-1", "(0008,1030)": "Größe"}


def encoded(mode: str, form: str, **options: Any) -> bytes:
    out = io.BytesIO()
    shape = (40, 60, 3) if mode == "RGB" else (40, 60)
    pixels = np.random.default_rng(5).integers(0, 256, shape).astype(np.uint8)
    Image.fromarray(pixels, mode).save(out, form, **options) if mode != "I;16" else Image.fromarray(
        pixels.astype(np.uint16) * 200
    ).save(out, form)
    return out.getvalue()


def two_pages() -> bytes:
    one = pdf_report(["first page"])
    sheet = b"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 842 595] >>"
    head = one[: one.rindex(b"xref\n", 0, one.rindex(b"startxref"))]
    body = head.replace(b"/Kids [3 0 R] /Count 1", b"/Kids [3 0 R 6 0 R] /Count 2")
    return body + b"6 0 obj\n" + sheet + b"\nendobj\ntrailer\n<< /Size 7 /Root 1 0 R >>\n%%EOF\n"


def post(
    served: Served, data: bytes, *, tags: Any = TAGS, login: str = "admin", size: Any = None, **query: str
) -> httpx.Response:
    headers = {} if size == "" else {"X-File-Size": str(len(data) if size is None else size)}
    fields = {"tags": tags if isinstance(tags, str) else json.dumps(tags)} if tags is not None else {}
    with served.client(login) as client:
        return client.post(
            WRAP, files={"file": ("name.bin", data)}, data=fields, headers=headers, params=query
        )


def objects(served: Served, answer: httpx.Response) -> list[Dataset]:
    assert answer.status_code == 202, answer.text
    said = answer.json()
    path = f"/api/v3/storage/study/{said['namespace']}/{said['study_uid']}"
    with served.client() as client:
        files = [
            client.get(f"{path}/image/{i['image_uid']}/version/{i['image_version']}") for i in said["images"]
        ]
        shown = client.get(f"{path}/image/{said['images'][-1]['image_uid']}/version/*/frame/0/thumbnail")
    assert shown.status_code in (200, 415)
    return [dcmread(io.BytesIO(file.content)) for file in files]


@pytest.mark.parametrize("mode", ["L", "RGB", "I;16", "P", "RGBA"])
def test_a_png_loses_nothing(served: Served, mode: str) -> None:
    data = encoded(mode if mode in ("L", "RGB", "I;16") else "L", "PNG")
    if mode in ("P", "RGBA"):
        out = io.BytesIO()
        Image.open(io.BytesIO(data)).convert(mode).save(out, "PNG")
        data = out.getvalue()
    (ds,) = objects(served, post(served, data))
    with Image.open(io.BytesIO(data)) as picture:
        expected = np.asarray(picture if mode in ("L", "RGB", "I;16") else picture.convert("L"))
    assert (ds.pixel_array == expected).all()
    assert ds.SOPClassUID == "1.2.840.10008.5.1.4.1.1.7" and ds.Modality == "OT"
    assert (str(ds.PatientName), ds.PatientID, ds.StudyDescription) == ("Wrapped^Wanda", "W-1", "Größe")
    assert "LossyImageCompression" not in ds


def test_a_jpeg_keeps_its_own_bytes_and_says_it_is_lossy(served: Served) -> None:
    data = encoded("RGB", "JPEG", quality=90)
    (ds,) = objects(served, post(served, data, tags=None))
    assert ds.file_meta.TransferSyntaxUID == "1.2.840.10008.1.2.4.50" and data in ds.PixelData
    assert ds.LossyImageCompression == "01" and ds.PhotometricInterpretation == "YBR_FULL_422"
    assert ds.PatientName == "" and ds.StudyInstanceUID.startswith("2.25.")
    progressive = encoded("RGB", "JPEG", quality=90, progressive=True)
    (other,) = objects(served, post(served, progressive))
    assert other.LossyImageCompression == "01"
    with Image.open(io.BytesIO(progressive)) as picture:
        assert (other.pixel_array == np.asarray(picture)).all()


def test_a_pdf_and_its_pages(served: Served) -> None:
    pdf = two_pages()
    answer = post(served, pdf, render_wrapped_pdf="1")
    document, first, second = objects(served, answer)
    assert document.EncapsulatedDocument[: document.EncapsulatedDocumentLength] == pdf
    assert (
        document.MIMETypeOfEncapsulatedDocument == "application/pdf" and document.DocumentTitle == "name.bin"
    )
    assert first.SeriesInstanceUID == second.SeriesInstanceUID != document.SeriesInstanceUID
    assert (first.Rows, first.Columns) == (2339, 1653) and (second.Rows, second.Columns) == (1653, 2339)
    assert [first.InstanceNumber, second.InstanceNumber] == [1, 2]
    assert float(first.NominalScannedPixelSpacing[0]) == pytest.approx(0.127)
    assert first.pixel_array.min() < 100 < second.pixel_array.min()
    with served.client() as client:
        image = answer.json()["images"][0]
        path = f"/api/v3/storage/study/{NAMESPACE}/{answer.json()['study_uid']}/image/{image['image_uid']}"
        assert client.get(f"{path}/version/*/pdf").content == pdf
    (only,) = objects(served, post(served, pdf))
    assert only.SOPClassUID == "1.2.840.10008.5.1.4.1.1.104.1"


def test_a_video(served: Served, testdata: Path) -> None:
    data = (testdata / "video" / "plain-clip.mp4").read_bytes()
    answer = post(served, data)
    (ds,) = objects(served, answer)
    assert (ds.Rows, ds.Columns, ds.NumberOfFrames, ds.CineRate) == (240, 320, 50, 25)
    assert ds.file_meta.TransferSyntaxUID == "1.2.840.10008.1.2.4.102"
    assert ds.LossyImageCompressionMethod == "ISO_14496_10" and float(ds.FrameTime) == 40
    with served.client() as client:
        image = answer.json()["images"][0]
        path = f"/api/v3/storage/study/{NAMESPACE}/{ds.StudyInstanceUID}/image/{image['image_uid']}"
        got = client.get(f"{path}/version/*/video")
    assert got.content[: len(data)] == data and got.headers["content-type"] == "video/mp4"


def test_into_a_study_that_is_there(served: Served) -> None:
    stored = store(served, SampleStudy(seed="wrap into", patient=CANARY))
    (ds,) = objects(served, post(served, encoded("L", "PNG"), tags={"0020000D": stored.study.uid}))
    assert (ds.StudyInstanceUID, ds.PatientID) == (stored.study.uid, CANARY.patient_id)
    assert ds.AccessionNumber == stored.study.accession_number


HOSTILE = {
    "text": b"hello",
    "empty": b"",
    "a PDF that is none": b"%PDF-1.7\n" + b"\xff" * 3000,
    "half a PNG": encoded("RGB", "PNG")[:900],
    "a bomb": b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR" + b"\0\0\xff\xff\0\0\xff\xff\x08\x02\0\0\0" + b"\0" * 40,
    "a video without index": b"\0\0\0\x10ftypisom\0\0\0\0" + b"\0\0\0\x08mdat",
    "a video that lies": b"\0\0\0\x10ftypisom\0\0\0\0" + b"\x7f\xff\xff\xffmoov",
    "half a JPEG": encoded("RGB", "JPEG", progressive=True)[:700],
}


@pytest.mark.parametrize("name", HOSTILE)
def test_what_cannot_be_wrapped_leaves_nothing(served: Served, name: str) -> None:
    with served.client() as client:
        before = client.get("/api/desktop/v1/status").json()["images"]
        refused = post(served, HOSTILE[name], render_wrapped_pdf="1")
        after = client.get("/api/desktop/v1/status").json()["images"]
    assert refused.status_code == 415 and error_of(refused)["message"]
    assert before == after and not list((served.data / "archive" / "incoming").iterdir())


@pytest.mark.parametrize(
    ("tags", "code"),
    [
        ("[]", 8),
        ("{", 8),
        ({"(0010,0010)": 1}, 8),
        ({"nothing": "x"}, 5),
        ({"(0010,0030)": "yesterday"}, 5),
        ({"(0008,0018)": "1.2"}, 5),
        ({"(0020,000D)": "1..2"}, 5),
        ({"(0011,0010)": "x"}, 5),
    ],
)
def test_tags_that_are_wrong(served: Served, tags: Any, code: int) -> None:
    refused = post(served, encoded("L", "PNG"), tags=tags)
    assert refused.status_code == 400 and error_of(refused)["kind"]["code"] == code


@pytest.mark.parametrize(("size", "status"), [("", 412), ("x", 400), (7, 400), (3 << 30, 413)])
def test_the_size_must_be_said(served: Served, size: Any, status: int) -> None:
    refused = post(served, encoded("L", "PNG"), size=size)
    assert refused.status_code == status and error_of(refused)


def test_who_may_wrap(served: Served) -> None:
    assert post(served, encoded("L", "PNG"), login="viewer").status_code == 403
    assert post(served, encoded("L", "PNG"), login="staff").status_code == 202


def attach(served: Served, path: str, data: bytes, **query: str) -> httpx.Response:
    with served.client() as client:
        return client.post(f"{path}/attachment", files={"data": ("report.pdf", data)}, params=query)


def test_an_attachment_as_images(served: Served, stored: Stored) -> None:
    answer = attach(served, stored.path, two_pages(), wrap_images="1", synchronous_wrap="1")
    said = answer.json()
    assert answer.status_code == 200 and len(said["images"]) == 2
    series = said["images"][0]["series_uid"]
    with served.client() as client:
        schema = client.get(f"{stored.path}/schema").json()
        shown = next(s for s in schema["series"] if s["series_uid"] == series)
        assert [i["id"] for i in shown["images"]] == [i["image_uid"] for i in said["images"]]
        where = f"{stored.path}/attachment/{said['attachment_guid']}/version/{said['attachment_version']}"
        again = [client.post(f"{where}/image") for _ in range(2)]
        steady = [client.post(f"{where}/image", params={"static_ids": "1"}) for _ in range(2)]
    assert {a.status_code for a in (*again, *steady)} == {202}
    assert again[0].json()["images"] != again[1].json()["images"]
    assert steady[0].json() == steady[1].json() and steady[0].json()["study_uid"] == stored.study.uid


def test_attachments_that_are_no_images(served: Served, stored: Stored) -> None:
    plain = attach(served, stored.path, b"just text", wrap_images="1")
    assert plain.status_code == 200 and plain.json()["images"] == []
    with served.client() as client:
        said = plain.json()
        where = f"{stored.path}/attachment/{said['attachment_guid']}/version/{said['attachment_version']}"
        assert client.post(f"{where}/image").status_code == 415
        missing = client.post(f"{where}x/image")
        assert missing.status_code == 404 and error_of(missing)["kind"]["code"] == 16
        before = client.get(f"{stored.path}/count").json()
        refused = attach(served, stored.path, b"%PDF-1.7 nothing", wrap_images="1")
        assert refused.status_code == 415 and client.get(f"{stored.path}/count").json() == before
    page = attach(served, stored.path, b"<p>", return_html="1")
    assert page.headers["content-type"].startswith("text/html") and page.json()["attachment_guid"]
    assert attach(served, stored.path, b"<p>", return_html="maybe").status_code == 400
    with served.client() as client:
        marked = client.post(
            f"{stored.path}/attachment",
            params={"return_html": "1"},
            files={"data": ("a.txt", b"text")},
            data={"uploaded_by": "<script>alert('&')</script>"},
        )
    assert b"<" not in marked.content and marked.json()["source_label"] == "<script>alert('&')</script>"
    for value in ("maybe", "2"):
        assert attach(served, stored.path, b"<p>", wrap_html_as_pdf=value).status_code == 400
    wrapped = attach(served, stored.path, pdf_report(["page"]), synchronous_wrap="1")
    assert len(wrapped.json()["images"]) == 1


def test_an_html_page_is_attached_as_a_pdf(served: Served, stored: Stored) -> None:
    def send(page: str, content_type: str = "text/html; charset=utf-8", **more: str) -> httpx.Response:
        files = {"data": ("Befund.html", page.encode(), content_type)}
        query = {"wrap_html_as_pdf": "1", **more}
        return client.post(f"{stored.path}/attachment", files=files, params=query)

    with served.client() as client:
        answer = send("<h1>Befund</h1><p>Größe 5 µm, Παπαδόπουλος", synchronous_wrap="1")
        assert answer.status_code == 200 and len(answer.json()["images"]) == 1, answer.text
        kept = answer.json()
        path = f"{stored.path}/attachment/{kept['attachment_guid']}/version/{kept['attachment_version']}"
        got = client.get(path)
        assert got.headers["content-type"] == "application/pdf" and got.content.startswith(b"%PDF-")
        assert 'filename="Befund.pdf"' in got.headers["content-disposition"]
        before = client.get(f"{stored.path}/count").json()
        for page in ('<p>x<img src="https://evil.example/x.png">', "<iframe src=/></iframe>", "<p>日本", ""):
            refused = send(page)
            assert refused.status_code in (400, 415) and len(error_of(refused)["message"]) > 10
        assert client.get(f"{stored.path}/count").json() == before
        plain = client.post(
            f"{stored.path}/attachment", files={"data": ("a.txt", b"<p>")}, params={"wrap_html_as_pdf": "1"}
        ).json()
        where = f"{stored.path}/attachment/{plain['attachment_guid']}/version/*"
        assert client.get(where).content == b"<p>", "what is no page stays what it is"
