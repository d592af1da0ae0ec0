"""DICOMweb over a real socket: what is stored by one address comes back by every other, byte for byte."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from email.headerregistry import ContentTypeHeader
from email.parser import BytesParser
from email.policy import HTTP
from pathlib import Path
from typing import Any

import httpx
import pytest
from pydicom.encaps import encapsulate
from pydicom.uid import JPEG2000Lossless, JPEGBaseline8Bit, RLELossless

from core.dicom.syntaxes import EXPLICIT_LITTLE_UID
from core.errors import NotAcceptable
from core.media.samples import SampleStudy, colour_photo, ct_slice, part10
from server.web.call import Call
from server.web.dicomweb.media import accepted
from server.web.dicomweb.retrieve import Form, chosen
from tests.server.conftest import CANARY, Served, error_of

BASES = ("/dicom-web", "", "/dcm4chee-arc/aets/DCM4CHEE/rs", "/api/v3/storage/dicomweb/default")
RELATED = 'multipart/related; type="application/dicom"'
TYPE = {"content-type": f"{RELATED}; boundary=xyz"}


def body_of(files: list[bytes], kind: bytes = b"application/dicom") -> bytes:
    parts = (b"\r\n--xyz\r\nContent-Type: " + kind + b"\r\n\r\n" + each for each in files)
    return b"".join(parts) + b"\r\n--xyz--\r\n"


def parts_of(answer: httpx.Response) -> list[tuple[ContentTypeHeader, bytes]]:
    """Type and content of each part, by a parser that is not ours."""
    head = f"Content-Type: {answer.headers['content-type']}\r\n\r\n".encode()
    message = BytesParser(policy=HTTP).parsebytes(head + answer.content)
    return [(part["content-type"], part.get_payload(decode=True)) for part in message.iter_parts()]


def of_study(seed: str, count: int = 3) -> tuple[SampleStudy, list[bytes]]:
    study = SampleStudy(seed=seed, patient=CANARY)
    return study, [part10(ct_slice(study, instance=n, size=32)) for n in range(1, count + 1)]


@pytest.fixture
def client(served: Served) -> Iterator[httpx.Client]:
    with served.client() as client:
        yield client


@pytest.mark.parametrize("base", BASES)
def test_stored_by_one_address_and_there_by_every_other(
    served: Served, client: httpx.Client, base: str
) -> None:
    study, files = of_study(f"dicomweb at {base}")
    answer = client.post(f"{base}/studies", content=body_of(files), headers=TYPE)
    assert answer.status_code == 200 and answer.headers["content-type"] == "application/dicom+json"
    model = answer.json()
    assert set(model) == {"00081190", "00081199"}
    (address,) = model["00081190"]["Value"]
    assert address == f"{served.url}{base}/studies/{study.uid}"
    items = model["00081199"]["Value"]
    assert len(items) == 3 and all(set(item) == {"00081150", "00081155", "00081190"} for item in items)
    for other in BASES:
        found = client.get(
            f"{other}/studies/{study.uid}", headers={"accept": RELATED + "; transfer-syntax=*"}
        )
        assert found.status_code == 200 and {data for _, data in parts_of(found)} == set(files)
    for item, data in zip(items, files, strict=True):
        (address,) = item["00081190"]["Value"]
        one = client.get(address, headers={"accept": "application/dicom; transfer-syntax=*"})
        assert one.content == data and one.headers["content-type"].startswith("application/dicom")


def test_what_clients_need_to_read_an_answer(served: Served, client: httpx.Client) -> None:
    """dicomtrolley reads no preamble, not even an empty one; dicomweb-client leaves the port out of Host."""
    study, files = of_study("dicomweb clients", 2)
    client.post("/studies", content=body_of(files), headers=TYPE)
    for path in ("", "/rendered"):
        body = client.get(f"/studies/{study.uid}{path}").content
        assert body.startswith(b"--") and body.endswith(b"--\r\n") and body.count(b"\r\nContent-Type: ") == 2
    (found,) = client.get(f"/studies?0020000D={study.uid}", headers={"host": "127.0.0.1"}).json()
    assert found["00081190"]["Value"] == [f"{served.url}/studies/{study.uid}"]
    (found,) = client.get(f"/studies?0020000D={study.uid}", headers={"host": "localhost:99"}).json()
    assert found["00081190"]["Value"] == [f"http://localhost:99/studies/{study.uid}"]


def test_a_series_holds_its_own_instances(client: httpx.Client) -> None:
    study = SampleStudy(seed="dicomweb series", patient=CANARY)
    files = [part10(ct_slice(study, series=s, instance=1, size=32)) for s in (1, 2)]
    model = client.post("/dicom-web/studies", content=body_of(files), headers=TYPE).json()
    for item, data in zip(model["00081199"]["Value"], files, strict=True):
        series = item["00081190"]["Value"][0].partition("/instances/")[0]
        assert [found for _, found in parts_of(client.get(series))] == [data]


def test_a_single_object_is_stored_without_parts(client: httpx.Client) -> None:
    study, (data,) = of_study("dicomweb single", 1)
    answer = client.post("/studies", content=data, headers={"content-type": "application/dicom"})
    assert answer.status_code == 200
    assert [found for _, found in parts_of(client.get(f"/studies/{study.uid}"))] == [data]


def test_some_stored_and_some_not(client: httpx.Client) -> None:
    study, files = of_study("dicomweb mixed", 2)
    other, (stranger,) = of_study("dicomweb stranger", 1)
    body = body_of([files[0], b"junk", stranger, files[1][:-40]])
    answer = client.post(f"/dicom-web/studies/{study.uid}", content=body, headers=TYPE)
    assert answer.status_code == 202
    model = answer.json()
    assert len(model["00081199"]["Value"]) == 1
    failed = model["00081198"]["Value"]
    assert [item["00081197"]["Value"] for item in failed] == [[0xC000], [0xA901], [0xC000]]
    assert "00081155" not in failed[0] and failed[1]["00081155"]["Value"][0].startswith("1.2.")
    assert client.get(f"/dicom-web/studies/{other.uid}").status_code == 404


def test_what_is_kept_apart_is_said(client: httpx.Client) -> None:
    _, files = of_study("dicomweb apart", 2)
    changed = SampleStudy(seed="dicomweb apart", patient=replace(CANARY, patient_id="SOMEBODY-ELSE"))
    stranger = part10(ct_slice(changed, instance=3, size=32))
    plain = client.post("/dicom-web/studies", content=body_of(files), headers=TYPE)
    assert plain.status_code == 200 and "warning" not in plain.headers
    answer = client.post("/dicom-web/studies", content=body_of([files[0], stranger]), headers=TYPE)
    assert answer.status_code == 200
    assert "1 of the objects do not fit their study" in answer.headers["warning"]


def test_none_stored(client: httpx.Client) -> None:
    answer = client.post("/dicom-web/studies", content=body_of([b"junk"]), headers=TYPE)
    assert answer.status_code == 409 and set(answer.json()) == {"00081198"}


@pytest.mark.parametrize(
    ("status", "body", "content_type"),
    [
        (415, b"x", "text/plain"),
        (415, body_of([b"{}"], b"text/plain"), TYPE["content-type"]),
        (400, b"", TYPE["content-type"]),
        (400, b"no boundary", TYPE["content-type"]),
        (400, body_of([b"x"])[:-12], TYPE["content-type"]),
    ],
)
@pytest.mark.usefixtures("caplog")
def test_bodies_that_are_refused(client: httpx.Client, status: int, body: bytes, content_type: str) -> None:
    answer = client.post("/dicom-web/studies", content=body, headers={"content-type": content_type})
    assert answer.status_code == status and error_of(answer)["message"]


def test_an_unknown_ae_title_and_unknown_objects(client: httpx.Client) -> None:
    study, files = of_study("dicomweb unknown", 1)
    unknown = "/dcm4chee-arc/aets/NOBODY/rs/studies"
    assert client.post(unknown, content=body_of(files), headers=TYPE).status_code == 404
    client.post("/dicom-web/studies", content=body_of(files), headers=TYPE)
    for path in ("1.2.3", f"{study.uid}/series/1.2.3", f"{study.uid}/series/1.2.3/instances/1.2.3"):
        answer = client.get(f"/dicom-web/studies/{path}")
        assert answer.status_code == 404 and error_of(answer)
    assert client.get(f"{unknown}/{study.uid}").status_code == 404


def test_who_may(served: Served) -> None:
    study, files = of_study("dicomweb rights", 1)
    with served.client("viewer") as viewer:
        assert viewer.post("/dicom-web/studies", content=body_of(files), headers=TYPE).status_code == 403
    with served.anonymous() as nobody:
        assert nobody.get(f"/dicom-web/studies/{study.uid}").status_code == 401
    with served.client("limited") as limited:
        assert limited.get(f"/dicom-web/studies/{study.uid}").status_code == 403


def test_transfer_syntaxes(client: httpx.Client) -> None:
    study = SampleStudy(seed="dicomweb syntaxes", patient=CANARY)
    ds = colour_photo(study)
    ds.compress(RLELossless)
    compressed = part10(ds)
    plain = part10(ct_slice(study, series=2, size=32))
    client.post("/dicom-web/studies", content=body_of([compressed, plain]), headers=TYPE)
    path = f"/dicom-web/studies/{study.uid}"
    as_stored = parts_of(client.get(path, headers={"accept": f"{RELATED}; transfer-syntax=*"}))
    assert {data for _, data in as_stored} == {compressed, plain}
    by_default = parts_of(client.get(path, headers={"accept": RELATED}))
    assert {kind.params["transfer-syntax"] for kind, _ in by_default} == {EXPLICIT_LITTLE_UID}
    assert plain in {data for _, data in by_default}
    answer = client.get(path, headers={"accept": f"{RELATED}; transfer-syntax=1.2.3"})
    assert answer.status_code == 406 and error_of(answer)
    head = client.head(path)
    assert head.status_code == 200 and not head.content


def test_an_object_that_is_not_on_the_disk_is_told_before_the_first_byte(
    served: Served, client: httpx.Client
) -> None:
    study, files = of_study("lost from the disk")
    stored = client.post("/studies", content=body_of(files), headers=TYPE).json()
    addresses = [each["00081190"]["Value"][0] for each in stored["00081199"]["Value"]]
    blobs = (each for each in served.data.rglob("*") if each.is_file() and each.stat().st_size < 1 << 16)
    lost = next(each for each in blobs if each.read_bytes() == files[1])
    for harm in (lambda: lost.write_bytes(files[1][:-2]), lost.unlink):
        harm()
        for accept in (
            f"{RELATED}; transfer-syntax=*",
            "application/zip",
            "multipart/related; type=image/jpeg",
        ):
            answer = client.get(f"/studies/{study.uid}", headers={"accept": accept})
            assert answer.status_code == 507, accept
            assert "1 of the 3 objects" in error_of(answer)["message"]
        for path, accept in (
            ("", "application/dicom; transfer-syntax=*"),
            ("/frames/1", "*/*"),
            ("/frames/1", 'multipart/related; type="image/jls"'),
            ("/rendered", "image/png"),
            ("/rendered", "image/gif"),
            ("/thumbnail", "image/jpeg"),
            ("/thumbnail?window=40,400", "image/png"),
            ("/bulkdata/7FE00010", "application/octet-stream"),
            ("/pixeldata", "*/*"),
        ):
            one = client.get(addresses[1] + path, headers={"accept": accept})
            assert one.status_code == 507 and "cannot be read" in one.text, (path, accept)
    there = client.get(addresses[2], headers={"accept": f"{RELATED}; transfer-syntax=*"})
    assert [data for _, data in parts_of(there)] == [files[2]]


def test_what_cannot_be_had_is_said(client: httpx.Client) -> None:
    study, files = of_study("dicomweb accept", 1)
    client.post("/dicom-web/studies", content=body_of(files), headers=TYPE)
    for accept in ("text/html", "application/dicom", f"{RELATED}; q=0"):
        answer = client.get(f"/dicom-web/studies/{study.uid}", headers={"accept": accept})
        assert (answer.status_code == 406) == (accept != f"{RELATED}; q=0")


def test_a_plus_sign_that_is_not_escaped(client: httpx.Client) -> None:
    study, files = of_study("dicomweb plus", 1)
    client.post("/dicom-web/studies", content=body_of(files), headers=TYPE)
    (found,) = client.get(f"/dicom-web/instances?0020000D={study.uid}").json()
    (address,) = found["00081190"]["Value"]
    for plus in ("+", "%2B"):
        answer = client.get(f"{address}/metadata?accept=application/dicom{plus}xml")
        assert answer.headers["content-type"] == "application/dicom+xml"


def call(accept: str) -> Call:
    return Call("GET", False, {b"accept": accept.encode()}, b"")


@pytest.mark.parametrize(
    ("accept", "forms"),
    [
        ("", [Form(True, ("*",))]),
        ("*/*", [Form(True, ("*",))]),
        ("multipart/*", [Form(True, ("",))]),
        ("text/html,*/*;q=0.1", [Form(True, ("*",))]),
        ("multipart/related; type=application/dicom", [Form(True, ("",))]),
        ('multipart/related; type="application/dicom"; transfer-syntax="1.2.3"', [Form(True, ("1.2.3",))]),
        ("multipart/related;transfer-syntax=*;type=application/dicom", [Form(True, ("*",))]),
        ("application/dicom", [Form(False, ("",))]),
        (f"application/dicom;q=0.5, {RELATED}", [Form(True, ("",)), Form(False, ("",))]),
        (
            f"{RELATED};q=0.5, application/dicom; transfer-syntax=1.2;q=0.8, application/dicom;q=0.7",
            [Form(False, ("1.2", "")), Form(True, ("",))],
        ),
        ("nonsense, application/dicom", [Form(False, ("",))]),
    ],
)
def test_the_best_of_what_is_accepted(accept: str, forms: list[Form]) -> None:
    assert chosen(accepted(call(accept)), single=True) == forms


@pytest.mark.parametrize(
    "accept", ["image/jpeg", "multipart/related; type=image/jpeg", "application/dicom;q=x"]
)
def test_nothing_of_what_is_accepted(accept: str) -> None:
    if "q=x" in accept:
        # nothing legible was asked for
        assert chosen(accepted(call(accept)), single=True) == [Form(True, ("*",))]
        return
    with pytest.raises(NotAcceptable):
        chosen(accepted(call(accept)), single=True)


def test_each_object_comes_in_the_first_accepted_syntax_that_fits_it(client: httpx.Client) -> None:
    study = SampleStudy(seed="dicomweb fitting", patient=CANARY)
    report: Any = ct_slice(study, series=9, size=32)
    for keyword in ("PixelData", "Rows", "Columns", "BitsAllocated"):
        delattr(report, keyword)
    files = [part10(each) for each in (report, colour_photo(study), ct_slice(study, series=2, size=32))]
    client.post("/dicom-web/studies", content=body_of(files), headers=TYPE)
    path = f"/dicom-web/studies/{study.uid}"

    def syntaxes(accept: str) -> list[str]:
        parts = parts_of(client.get(path, headers={"accept": accept}))
        return sorted(kind.params["transfer-syntax"] for kind, _ in parts)

    jpeg, rle = JPEGBaseline8Bit, RLELossless
    unknown = f"{RELATED}; transfer-syntax=1.2.3"
    assert syntaxes(f"{RELATED}; transfer-syntax={rle}") == sorted([EXPLICIT_LITTLE_UID, rle, rle])
    both = f"{unknown}, {RELATED}; transfer-syntax={jpeg}, {RELATED}; transfer-syntax={rle}"
    assert syntaxes(both) == sorted([EXPLICIT_LITTLE_UID, jpeg, rle])
    assert syntaxes(f"{unknown}, */*;q=0.1") == [EXPLICIT_LITTLE_UID] * 3
    assert client.get(path, headers={"accept": unknown}).status_code == 406
    of_report = f"{path}/series/{report.SeriesInstanceUID}"
    for accept in (f"{RELATED}; transfer-syntax={rle}", f"{RELATED}; transfer-syntax=*"):
        for place in (of_report, f"{of_report}/instances/{report.SOPInstanceUID}"):
            assert [data for _, data in parts_of(client.get(place, headers={"accept": accept}))] == files[:1]
    assert client.get(of_report, headers={"accept": unknown}).status_code == 406
    (item,) = client.get(f"/dicom-web/instances?0020000D={study.uid}&Modality=CT&limit=1").json()
    alone = f"application/dicom; transfer-syntax=1.2.3, {RELATED}; transfer-syntax=*;q=0.5"
    one = client.get(item["00081190"]["Value"][0], headers={"accept": alone})
    assert one.status_code == 200 and parts_of(one)[0][1] in files


def test_a_damaged_image_does_not_keep_the_others_from_coming(client: httpx.Client) -> None:
    study = SampleStudy(seed="dicomweb damaged", patient=CANARY)
    damaged = ct_slice(study, instance=1, size=32)
    damaged.file_meta.TransferSyntaxUID = JPEG2000Lossless
    damaged.PixelData = encapsulate([b"\xff\x4f\xff\x51 no such stream "])
    damaged["PixelData"].VR = "OB"
    files = [part10(damaged), *(part10(ct_slice(study, instance=n, size=32)) for n in (2, 3))]
    answer = client.post("/dicom-web/studies", content=body_of(files), headers=TYPE)
    assert answer.status_code == 200, answer.text
    accept = {"accept": f"{RELATED}; transfer-syntax={RLELossless}"}
    parts = parts_of(client.get(f"/dicom-web/studies/{study.uid}", headers=accept))
    found = sorted(kind.params["transfer-syntax"] for kind, _ in parts)
    assert found == sorted([JPEG2000Lossless, RLELossless, RLELossless])
    assert files[0] in [data for _, data in parts]
    address = answer.json()["00081199"]["Value"][0]["00081190"]["Value"][0]
    assert client.get(address, headers=accept).status_code == 415


def test_every_real_file_comes_back_as_it_was(client: httpx.Client, testdata: Path) -> None:
    kept, others = 0, list[str]()
    headers = {"content-type": "application/dicom"}
    for path in sorted(testdata.rglob("*")):
        if not path.is_file() or path.stat().st_size > 4 << 20:
            continue
        data = path.read_bytes()
        answer = client.post("/dicom-web/studies", content=data, headers=headers)
        assert answer.status_code in {200, 400, 409}, path
        if answer.status_code != 200:
            continue
        (item,) = answer.json()["00081199"]["Value"]
        address: str = item["00081190"]["Value"][0]
        found = client.get(address, headers={"accept": "application/dicom; transfer-syntax=*"})
        if found.status_code == 404 or found.content != data:
            others.append(path.name)  # its UID was another's before: the earlier one is served
        else:
            kept += 1
    assert kept > 200 and len(others) < 20, others
