"""STOW-RS of metadata with bulk data over a real socket: what arrives becomes valid objects, or nothing."""

from __future__ import annotations

import io
import json
import time
from base64 import b64encode
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from imagecodecs import jpeg2k_encode, jpeg8_encode
from PIL import Image
from pydicom import dcmread
from pydicom.dataset import Dataset

from core.dicom.native_reader import read_xml
from core.dicom.native_xml import as_xml
from tests.repeats import times
from tests.server.conftest import CANARY, NAMESPACE, PASSWORDS, STUDY, Served, Stored, error_of, raw

GREY = np.arange(64 * 48, dtype=np.uint8).reshape(48, 64)
COLOUR = np.dstack([GREY, GREY[::-1], GREY.T.reshape(48, 64)])
JPEG = jpeg8_encode(COLOUR, level=90)
PDF = b"%PDF-1.4\n1 0 obj<<>>endobj\ntrailer<<>>\n%%EOF"
PART = tuple[str, str, bytes]


def jpeg_meta(location: str = "file1.jpg", **more: Any) -> dict[str, Any]:
    return {
        "00100010": {"vr": "PN", "Value": [{"Alphabetic": CANARY.name}]},
        "00100020": {"vr": "LO", "Value": ["bulk patient"]},
        "7FE00010": {"vr": "OB", "BulkDataURI": location},
        **more,
    }


def as_parts(parts: list[PART]) -> bytes:
    out = b""
    for kind, location, data in parts:
        head = f"\r\n--xyz\r\nContent-Type: {kind}\r\n"
        head += f"Content-Location: {location}\r\n" if location else ""
        out += head.encode() + b"\r\n" + data
    return out + b"\r\n--xyz--\r\n"


def send(
    client: httpx.Client, parts: list[PART], *, path: str = "/dicom-web/studies", accept: str = "*/*"
) -> httpx.Response:
    kind = 'multipart/related; type="application/dicom+json"; boundary=xyz'
    return client.post(path, content=as_parts(parts), headers={"content-type": kind, "accept": accept})


def metadata_part(*models: dict[str, Any]) -> PART:
    return "application/dicom+json", "", json.dumps(models).encode()


def objects_of(client: httpx.Client, answer: httpx.Response) -> list[Dataset]:
    """Every object the answer names, read by a reader that is not ours."""
    assert answer.status_code == 200, (answer.text, answer.headers)
    found = []
    for item in answer.json()["00081199"]["Value"]:
        accept = {"accept": "application/dicom; transfer-syntax=*"}
        found.append(dcmread(io.BytesIO(client.get(item["00081190"]["Value"][0], headers=accept).content)))
    return found


@pytest.fixture
def client(served: Served) -> Iterator[httpx.Client]:
    with served.client() as client:
        yield client


def test_a_photograph_with_hardly_any_metadata(client: httpx.Client) -> None:
    (ds,) = objects_of(client, send(client, [metadata_part(jpeg_meta()), ("image/jpeg", "file1.jpg", JPEG)]))
    assert (ds.Rows, ds.Columns, ds.SamplesPerPixel, ds.PlanarConfiguration) == (48, 64, 3, 0)
    assert ds.SOPClassUID == "1.2.840.10008.5.1.4.1.1.7" and ds.Modality == "OT"
    assert ds.file_meta.TransferSyntaxUID == "1.2.840.10008.1.2.4.50" and ds.LossyImageCompression == "01"
    assert (
        ds.SeriesNumber == 999
        and ds.InstanceNumber == 1
        and ds.StudyDate == ""
        and ds.PatientName == CANARY.name
    )
    assert ds.InstanceCreationDate and ds.StudyInstanceUID.is_valid and JPEG in ds.PixelData
    assert ds.pixel_array.shape == (48, 64, 3)


def test_bulk_data_in_another_order_and_before_their_metadata(client: httpx.Client) -> None:
    other = jpeg8_encode(GREY, level=90)
    parts = [
        ("image/jpeg", "b.jpg", other),
        metadata_part(jpeg_meta("a.jpg"), jpeg_meta("b.jpg")),
        ("image/jpeg", "a.jpg", JPEG),
    ]
    first, second = objects_of(client, send(client, parts))
    assert JPEG in first.PixelData and other in second.PixelData and second.SamplesPerPixel == 1
    assert first.SeriesInstanceUID == second.SeriesInstanceUID
    assert [ds.InstanceNumber for ds in (first, second)] == [
        2,
        1,
    ] or first.InstanceNumber != second.InstanceNumber


def test_every_kind_of_bulk_data(client: httpx.Client) -> None:
    png = io.BytesIO()
    Image.fromarray(COLOUR).save(png, "PNG")
    jp2 = jpeg2k_encode(COLOUR, level=0, codecformat="jp2", reversible=True)
    native = {
        "00280010": {"vr": "US", "Value": [48]},
        "00280011": {"vr": "US", "Value": [64]},
        "00280002": {"vr": "US", "Value": [1]},
        "00280004": {"vr": "CS", "Value": ["MONOCHROME2"]},
        "00280100": {"vr": "US", "Value": [8]},
    }
    document = {"00100020": {"vr": "LO"}, "00420011": {"vr": "OB", "BulkDataURI": "p"}}
    parts = [
        metadata_part(jpeg_meta("n"), jpeg_meta("j"), jpeg_meta("o", **native), document),
        ("image/png", "n", png.getvalue()),
        ("image/jp2", "j", jp2),
        ("application/octet-stream", "o", GREY.tobytes()),
        ("application/pdf", "p", PDF),
    ]
    from_png, from_jp2, from_raw, from_pdf = objects_of(client, send(client, parts))
    assert (from_png.pixel_array == COLOUR).all() and (from_raw.pixel_array == GREY).all()
    assert from_jp2.file_meta.TransferSyntaxUID == "1.2.840.10008.1.2.4.90"
    assert from_jp2.Rows == 48 and b"jP  " not in from_jp2.PixelData
    assert from_pdf.SOPClassUID == "1.2.840.10008.5.1.4.1.1.104.1" and from_pdf.Modality == "DOC"
    assert from_pdf.EncapsulatedDocument[: from_pdf.EncapsulatedDocumentLength] == PDF


def mpeg2() -> bytes:
    """Headers of three pictures of 720 x 576 at 25 a second, Main Profile at Main Level."""
    sequence = b"\0\0\1\xb3" + bytes([720 >> 4, (720 & 15) << 4 | 576 >> 8, 576 & 255, 0x23]) + bytes(4)
    extension = b"\0\0\1\xb5" + bytes([0x14, 0x82, 0, 1, 0, 0])
    picture = b"\0\0\1\0" + bytes(4) + b"\0\0\1\xb5" + bytes([0x8F, 0xFF, 0xF3, 0x80, 0]) + bytes(50)
    return sequence + extension + 3 * picture


def test_a_video(client: httpx.Client) -> None:
    parts = [metadata_part(jpeg_meta("v")), ("video/mpeg2", "v", mpeg2())]
    (ds,) = objects_of(client, send(client, parts))
    assert (ds.Rows, ds.Columns, ds.NumberOfFrames, ds.CineRate, ds.FrameTime) == (576, 720, 3, 25, 40)
    assert ds.SOPClassUID == "1.2.840.10008.5.1.4.1.1.77.1.4.1" and ds.Modality == "XC"
    assert ds.file_meta.TransferSyntaxUID == "1.2.840.10008.1.2.4.100"


def test_xml_is_answered_in_xml(client: httpx.Client) -> None:
    parts = [("application/dicom+xml", "", as_xml(jpeg_meta())), ("image/jpeg", "file1.jpg", JPEG)]
    answer = send(client, parts)
    assert answer.status_code == 200 and answer.headers["content-type"] == "application/dicom+xml"
    assert set(read_xml(answer.content)) == {"00081190", "00081199"}
    assert send(client, parts, accept="application/dicom+json").json()["00081199"]


@pytest.mark.parametrize(
    ("parts", "reason"),
    [
        ([metadata_part(jpeg_meta())], 0xA922),
        ([metadata_part(jpeg_meta()), ("image/jpeg", "other", JPEG)], 0xA922),
        ([metadata_part(jpeg_meta()), ("image/jpeg", "file1.jpg", b"no picture")], 0xA900),
        ([metadata_part(jpeg_meta()), ("image/jpeg", "file1.jpg", JPEG[:8])], 0xA900),
        ([metadata_part(jpeg_meta()), ("image/jpeg", "file1.jpg", JPEG[:-9])], 0xA900),
        ([metadata_part(jpeg_meta()), ("image/png", "file1.jpg", b"\x89PNG\r\n\x1a\n")], 0xA900),
        ([metadata_part(jpeg_meta()), ("image/jp2", "file1.jpg", b"\0\0\0\x0cjP  \r\n\x87\n")], 0xA900),
        ([metadata_part(jpeg_meta()), ("video/mp4", "file1.jpg", b"\0\0\0\x08ftyp")], 0xA900),
        ([metadata_part(jpeg_meta()), ("application/octet-stream", "file1.jpg", b"12")], 0xA900),
        ([metadata_part(jpeg_meta()), ("application/pdf", "file1.jpg", PDF)], 0xA900),
        (
            [
                metadata_part(jpeg_meta(**{"00280010": {"vr": "US", "Value": [3]}})),
                ("image/jpeg", "file1.jpg", JPEG),
            ],
            0xA900,
        ),
        (
            [
                metadata_part(jpeg_meta(**{"00280008": {"vr": "IS", "Value": [2]}})),
                ("image/jpeg", "file1.jpg", JPEG),
            ],
            0xA922,
        ),
        (
            [
                metadata_part(jpeg_meta(**{"00280010": {"vr": "US", "Value": [1 << 70]}})),
                ("image/jpeg", "file1.jpg", JPEG),
            ],
            0xA900,
        ),
        (
            [
                metadata_part(jpeg_meta(**{"0020000D": {"vr": "UI", "Value": ["no/uid"]}})),
                ("image/jpeg", "file1.jpg", JPEG),
            ],
            0xC000,
        ),
        ([metadata_part({"nonsense": {}})], 0xC000),
        ([metadata_part({"00100010": {"vr": "PN", "Value": "x"}})], 0xC000),
        ([metadata_part({"00100010": 7})], 0xC000),
        ([metadata_part({"00100010": {"vr": "PN", "Value": [7]}})], 0xC000),
        ([metadata_part(7)], 0xC000),  # type: ignore[arg-type] # wrong on purpose
    ],
)
def test_what_does_not_fit_is_not_stored(client: httpx.Client, parts: list[PART], reason: int) -> None:
    before = client.get("/dicom-web/instances/count").json()
    answer = send(client, parts)
    assert answer.status_code == 409, answer.text
    assert [item["00081197"]["Value"] for item in answer.json()["00081198"]["Value"]] == [[reason]]
    assert "299" in answer.headers.get("warning", "299")
    assert client.get("/dicom-web/instances/count").json() == before


@pytest.mark.parametrize(
    ("status", "parts"),
    [
        (400, [("application/dicom+json", "", b"[{")]),
        (400, [("application/dicom+json", "", b"[" * 100_000)]),
        (400, [("application/dicom+xml", "", b"<NativeDicomModel>\n<Value></value>")]),
        (400, [("application/dicom+xml", "", b'<!DOCTYPE a [<!ENTITY b "c">]><NativeDicomModel/>')]),
        (400, [metadata_part(jpeg_meta()), ("image/jpeg", "", JPEG)]),
        (400, [("application/pdf", "a", PDF), ("application/pdf", "a", PDF), metadata_part(jpeg_meta("a"))]),
        (400, [("image/jpeg", "a", JPEG), ("image/jls", "a", JPEG), metadata_part(jpeg_meta("a"))]),
        (400, [("image/jpeg", "a", JPEG)]),
        (413, [("application/dicom+json", "", b" " * (17 << 20))]),
        (413, [("image/jpeg", str(n), b"x") for n in range(300)]),
        (415, [("image/gif", "a", b"GIF89a")]),
    ],
)
@pytest.mark.usefixtures("caplog")
def test_hostile_bodies(served: Served, client: httpx.Client, status: int, parts: list[PART]) -> None:
    before = client.get("/dicom-web/instances/count").json()
    answer = send(client, parts)
    assert answer.status_code == status and error_of(answer)["message"]
    assert client.get("/dicom-web/instances/count").json() == before
    assert not list((served.data / "archive" / "incoming").glob("*"))


def test_the_address_gives_the_study_and_others_are_refused(client: httpx.Client) -> None:
    other = jpeg_meta("b", **{"0020000D": {"vr": "UI", "Value": ["1.2.3.5"]}})
    parts = [metadata_part(jpeg_meta("a"), other), ("image/jpeg", "b", JPEG), ("image/jpeg", "a", JPEG)]
    answer = send(client, parts, path="/dicom-web/studies/1.2.3.4")
    assert answer.status_code == 202
    assert answer.json()["00081190"]["Value"][0].endswith("/studies/1.2.3.4")
    assert [item["00081197"]["Value"] for item in answer.json()["00081198"]["Value"]] == [[0xA901]]


def test_a_picture_for_a_study_that_is_there_gets_its_patient(client: httpx.Client) -> None:
    path, named = "/dicom-web/studies/1.2.3.77", jpeg_meta("a")
    silent = {"7FE00010": {"vr": "OB", "BulkDataURI": "a"}}
    for model in (named, silent, {**silent, "00100020": {"vr": "LO", "Value": ["another"]}}):
        assert send(client, [metadata_part(model), ("image/jpeg", "a", JPEG)], path=path).status_code == 200
    found = client.get(f"{path}/metadata").json()
    ids = [model["00100020"]["Value"][0] for model in found]
    assert ids.count("bulk patient") == 2 and set(ids) <= {"bulk patient", "another"}
    assert [model["00100010"].get("Value") for model in found].count([{"Alphabetic": CANARY.name}]) == 2


def _of(path: Path, study_uid: str) -> bool:
    return str(dcmread(path, stop_before_pixels=True).StudyInstanceUID) == study_uid


def test_whose_patient_cannot_be_looked_up_is_not_stored(served: Served, client: httpx.Client) -> None:
    path = "/dicom-web/studies/1.2.3.78"
    assert (
        send(client, [metadata_part(jpeg_meta("a")), ("image/jpeg", "a", JPEG)], path=path).status_code == 200
    )
    files = (each for each in (served.data / "archive").rglob("*") if each.is_file())
    (hidden,) = (
        each for each in files if each.read_bytes()[128:].startswith(b"DICM") and _of(each, "1.2.3.78")
    )
    aside = hidden.with_suffix(".aside")
    hidden.rename(aside)
    try:
        silent = {"7FE00010": {"vr": "OB", "BulkDataURI": "a"}}
        answer = send(client, [metadata_part(silent), ("image/jpeg", "a", JPEG)], path=path)
    finally:
        aside.rename(hidden)
    assert answer.status_code == 507, answer.text
    assert len(client.get(f"{path}/metadata").json()) == 1


ANY = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=6,
)
TAGS = (
    *("00080005", "00080016", "00080018", "00080020", "0020000D", "0020000E", "00200011", "00200013"),
    *("00100010", "00100020", "00100040", "00280002", "00280004", "00280008", "00280010", "00280100"),
    *("00282112", "00400275", "00189073", "7FE00010", "00420011", "00020010", "00091001", "FFFEE000"),
)
VRS = ("UI", "PN", "US", "SQ", "OB", "DS", "IS", "FD", "AT", "UN", "LO", "XX", "")
ELEMENTS = st.fixed_dictionaries(
    {"vr": st.sampled_from(VRS)},
    optional={
        "Value": st.lists(ANY, max_size=3) | ANY,
        "InlineBinary": ANY,
        "BulkDataURI": st.just("a") | ANY,
    },
)


@settings(
    max_examples=times(30, whole=80),
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(st.dictionaries(st.sampled_from(TAGS), ELEMENTS, max_size=6))
def test_whatever_metadata_say_is_stored_or_refused(client: httpx.Client, said: dict[str, Any]) -> None:
    body = as_parts([metadata_part(jpeg_meta("a", **said)), ("image/jpeg", "a", JPEG)])
    kind = "multipart/related; boundary=xyz"
    answer = client.post("/dicom-web/studies", content=body, headers={"content-type": kind})
    assert answer.status_code in {200, 400, 409}, answer.text
    failed = answer.json().get("00081198", {}).get("Value", []) if answer.status_code == 409 else []
    assert all(item["00081197"]["Value"] != [0x0110] for item in failed), "not foreseen"


def test_a_cut_connection_keeps_what_was_complete(served: Served, client: httpx.Client) -> None:
    study = "1.2.3.99"
    models = [jpeg_meta(name, **{"0020000D": {"vr": "UI", "Value": [study]}}) for name in "ab"]
    body = as_parts([metadata_part(*models), ("image/jpeg", "a", JPEG), ("image/jpeg", "b", JPEG)])
    said = b64encode(f"admin:{PASSWORDS['admin']}".encode()).decode()
    head = (
        f"POST /dicom-web/studies HTTP/1.1\r\nHost: 127.0.0.1:{served.port}\r\n"
        f"Authorization: Basic {said}\r\n"
        f"Content-Type: multipart/related; boundary=xyz\r\nContent-Length: {len(body)}\r\n\r\n"
    )
    raw(served, head.encode() + body[:-100])
    deadline = time.monotonic() + 20
    while (found := client.get(f"/dicom-web/studies/{study}/instances/count").json()) != {"count": 1}:
        assert time.monotonic() < deadline, found
        time.sleep(0.02)


def test_metadata_may_leave_out_what_the_study_knows(client: httpx.Client, stored: Stored) -> None:
    place = f"/api/v3/storage/dicomweb/{NAMESPACE}/studies/{STUDY.uid}"
    bare = {"7FE00010": {"vr": "OB", "BulkDataURI": "a"}}
    same = {**bare, "00100020": {"vr": "LO", "Value": [CANARY.patient_id]}}
    for model in (bare, same):
        (ds,) = objects_of(
            client, send(client, [metadata_part(model), ("image/jpeg", "a", JPEG)], path=place)
        )
        assert (ds.PatientName, ds.PatientBirthDate) == (CANARY.name, CANARY.birth_date)
        assert (ds.StudyInstanceUID, ds.AccessionNumber) == (STUDY.uid, STUDY.accession_number)
    other = send(client, [metadata_part(jpeg_meta("a")), ("image/jpeg", "a", JPEG)], path=place)
    (ds,) = objects_of(client, other)
    assert (ds.PatientID, ds.PatientBirthDate) == ("bulk patient", ""), (
        "another patient is told nothing of this one"
    )
