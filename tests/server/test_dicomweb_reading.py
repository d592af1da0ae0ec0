"""DICOMweb beyond whole objects, over a real socket: metadata, bulk data, frames, and deleting."""

from __future__ import annotations

import io
from collections.abc import Iterator
from email.parser import BytesParser
from email.policy import HTTP
from typing import Any

import httpx
import pytest
from pydicom import dcmread
from pydicom.dataset import Dataset
from pydicom.uid import (
    DeflatedExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    HTJ2KLossless,
    JPEGLosslessSV1,
    RLELossless,
)

from core.dicom.native_reader import read_xml
from core.media.samples import SampleStudy, colour_photo, ct_slice, part10, ultrasound_cine
from server.web.dicomweb.coded import OF_SYNTAX
from tests.server.conftest import CANARY, Served, error_of
from tests.server.test_dicomweb import TYPE, body_of, of_study, parts_of

BASES = ("/dicom-web", "", "/dcm4chee-arc/aets/DCM4CHEE/rs")
V3 = "/api/v3/storage/dicomweb/default"
OCTETS = "application/octet-stream"
PARTS = f'multipart/related; type="{OCTETS}"'


@pytest.fixture
def client(served: Served) -> Iterator[httpx.Client]:
    with served.client() as client:
        yield client


def put(client: httpx.Client, *objects: Dataset | bytes) -> list[str]:
    """Store objects; their addresses below any base."""
    found = []
    for each in objects:
        data = each if isinstance(each, bytes) else part10(each)
        headers = {"content-type": "application/dicom"}
        answer = client.post("/dicom-web/studies", content=data, headers=headers)
        assert answer.status_code == 200, answer.text
        (item,) = answer.json()["00081199"]["Value"]
        found.append(item["00081190"]["Value"][0].partition("/dicom-web")[2])
    return found


def study_of(instance: str) -> str:
    return instance.partition("/series/")[0]


def with_binaries(ds: Dataset) -> Dataset:
    """A private binary value, one in an item of a sequence, and an empty one."""
    block = ds.private_block(0x0099, "FILMJACKET TEST", create=True)
    block.add_new(1, "OB", bytes(range(100)))
    icon = Dataset()
    icon.Rows = icon.Columns = 2
    icon.add_new(0x7FE00010, "OB", b"\1\2\3\4")
    ds.IconImageSequence = [icon]
    ds.add_new(0x00281201, "OW", b"")
    return ds


@pytest.mark.parametrize("base", BASES)
def test_metadata_names_its_bulk_data(served: Served, client: httpx.Client, base: str) -> None:
    ds = with_binaries(ct_slice(SampleStudy(seed=f"metadata {base}", patient=CANARY), size=32))
    (place,) = put(client, ds)
    answer = client.get(f"{base}{place}/metadata")
    assert answer.status_code == 200 and answer.headers["content-type"] == "application/dicom+json"
    (model,) = answer.json()
    uri = f"{served.url}{base}{place}/bulkdata/"
    assert model["7FE00010"] == {"vr": "OW", "BulkDataURI": f"{uri}7FE00010"}
    assert model["00991001"] == {"vr": "OB", "BulkDataURI": f"{uri}00991001"}
    assert model["00281201"] == {"vr": "OW"}
    icon = model["00880200"]["Value"][0]["7FE00010"]
    assert icon == {"vr": "OB", "BulkDataURI": f"{uri}00880200/1/7FE00010"}
    for address, value in (
        (model["7FE00010"]["BulkDataURI"], ds.PixelData),
        (model["00991001"]["BulkDataURI"], bytes(range(100))),
        (icon["BulkDataURI"], b"\1\2\3\4"),
    ):
        whole = client.get(address)
        assert whole.content == value and whole.headers["content-type"] == OCTETS
        piece = client.get(address, headers={"range": "bytes=1-2"})
        assert piece.status_code == 206 and piece.content == value[1:3]
        assert piece.headers["content-range"] == f"bytes 1-2/{len(value)}"
        assert client.get(address, headers={"range": f"bytes={len(value)}-"}).status_code == 416
        ((kind, data),) = parts_of(client.get(address, headers={"accept": PARTS}))
        assert kind.content_type == OCTETS and data == value
        piece = client.get(address, headers={"accept": PARTS, "range": "bytes=1-2"})
        assert piece.status_code == 206 and parts_of(piece)[0][1] == value[1:3]
        assert f"Content-Range: bytes 1-2/{len(value)}\r\n".encode() in piece.content
        assert client.get(address, headers={"accept": "image/png"}).status_code == 406
    assert client.get(f"{base}{place.rpartition('/instances')[0]}/metadata").json() == [model]
    assert client.get(f"{base}{study_of(place)}/metadata").json() == [model]
    assert Dataset.from_json({**model, "7FE00010": {"vr": "OW"}}, lambda *_: b"").PatientName == CANARY.name


def test_metadata_as_v3_has_it_stays(client: httpx.Client) -> None:
    ds = with_binaries(ct_slice(SampleStudy(seed="metadata v3", patient=CANARY), size=32))
    (place,) = put(client, ds)
    model = client.get(f"{V3}{place}/metadata").json()
    assert "7FE00010" not in model and model["00991001"] == {"vr": "OB"}


def test_metadata_is_sent_once_and_packed(client: httpx.Client) -> None:
    study = SampleStudy(seed="metadata etag", patient=CANARY)
    (place,) = put(client, ct_slice(study, instance=1, size=32))
    path = f"/dicom-web{study_of(place)}/metadata"
    first = client.get(path)
    assert first.headers["content-encoding"] == "gzip"
    plain = client.get(path, headers={"accept-encoding": "identity"})
    assert "content-encoding" not in plain.headers and plain.json() == first.json()
    assert plain.headers["etag"] != first.headers["etag"]
    again = client.get(path, headers={"if-none-match": first.headers["etag"]})
    assert again.status_code == 304 and not again.content
    put(client, ct_slice(study, instance=2, size=32))
    changed = client.get(path, headers={"if-none-match": first.headers["etag"]})
    assert changed.status_code == 200 and len(changed.json()) == 2
    assert (
        client.get(path, headers={"accept": "application/json"}).headers["content-type"] == "application/json"
    )
    assert client.get(path, headers={"accept": "application/dicom+xml"}).status_code == 406
    assert client.get("/dicom-web/studies/1.2.3/metadata").status_code == 404
    assert client.get(f"/dicom-web{study_of(place)}/series/1.2/metadata").status_code == 404
    assert client.head(path).status_code == 200


def test_an_answer_without_a_body_says_nothing_wrong_of_its_length(client: httpx.Client) -> None:
    study = SampleStudy(seed="reading head", patient=CANARY)
    places = put(client, *(ct_slice(study, instance=n, size=16) for n in (1, 2)))
    many, one = f"/dicom-web{study_of(places[0])}", f"/dicom-web{places[0]}"
    rle = 'multipart/related; type="application/dicom"; transfer-syntax=1.2.840.10008.1.2.5'
    for path, accept in (
        (many, "*/*"),
        (many, rle),
        (many, "application/zip"),
        (f"{many}/metadata", "*/*"),
        (f"{many}/metadata", 'multipart/related; type="application/dicom+xml"'),
        (f"{many}/rendered", "*/*"),
        (f"{one}/rendered", "*/*"),
        (f"{one}/rendered", "image/gif"),
        (f"{one}/frames/1", "*/*"),
        (f"{one}/bulkdata/7FE00010", "*/*"),
        (f"{one}/bulkdata/7FE00010", PARTS),
    ):
        wanted = {"accept": accept, "accept-encoding": "identity"}
        got, head = client.get(path, headers=wanted), client.head(path, headers=wanted)
        assert got.status_code == head.status_code == 200 and not head.content
        assert head.headers.get("content-length") == got.headers.get("content-length"), (path, accept)
        if "etag" in got.headers:
            known = client.get(path, headers={**wanted, "if-none-match": got.headers["etag"]})
            assert known.status_code == 304 and "content-length" not in known.headers
            for tag, status in (('"other"', 412), ("*", 200), (f'"other", {got.headers["etag"]}', 200)):
                matched = client.get(path, headers={**wanted, "if-match": tag})
                assert matched.status_code == status, (path, tag)


@pytest.mark.parametrize("way", ["00100010", "00990099", "xyz", "00880200/9/7FE00010", "7FE00010/1", "0/0"])
def test_no_bulk_data_there(client: httpx.Client, way: str) -> None:
    ds = with_binaries(ct_slice(SampleStudy(seed="bulk missing", patient=CANARY), size=32))
    (place,) = put(client, ds)
    answer = client.get(f"/dicom-web{place}/bulkdata/{way}")
    assert answer.status_code == 404 and error_of(answer)


def big_endian(ds: Dataset) -> bytes:
    swapped = bytearray(ds.PixelData)
    swapped[0::2], swapped[1::2] = swapped[1::2], swapped[0::2]
    ds.PixelData = bytes(swapped)
    ds.file_meta.TransferSyntaxUID = ExplicitVRBigEndian
    buffer = io.BytesIO()
    ds.save_as(buffer, little_endian=False, implicit_vr=False, enforce_file_format=True)
    return buffer.getvalue()


def test_big_endian_values_come_little_endian(client: httpx.Client) -> None:
    ds = ct_slice(SampleStudy(seed="big endian", patient=CANARY), size=32)
    pixels = ds.PixelData
    data = big_endian(ds)
    assert dcmread(io.BytesIO(data)).pixel_array.shape == (32, 32)
    (place,) = put(client, data)
    assert client.get(f"/dicom-web{place}/bulkdata/7FE00010").content == pixels
    frame = client.get(f"/dicom-web{place}/frames/1", headers={"accept": OCTETS})
    assert frame.content == pixels
    for accept in (f"{PARTS}; transfer-syntax=*", "*/*", PARTS):
        ((kind, data),) = parts_of(client.get(f"/dicom-web{place}/frames/1", headers={"accept": accept}))
        assert kind.params["transfer-syntax"] == ExplicitVRLittleEndian and data == pixels
    for syntax in (ExplicitVRBigEndian, DeflatedExplicitVRLittleEndian):
        accept = f"{PARTS}; transfer-syntax={syntax}"
        assert client.get(f"/dicom-web{place}/frames/1", headers={"accept": accept}).status_code == 406
    (model,) = client.get(f"/dicom-web{place}/metadata").json()
    assert "BulkDataURI" in model["7FE00010"]


@pytest.mark.parametrize("base", [*BASES, V3])
def test_frames_of_a_loop(client: httpx.Client, base: str) -> None:
    ds = ultrasound_cine(SampleStudy(seed=f"frames {base}", patient=CANARY))
    count = int(ds.NumberOfFrames)
    size = ds.Rows * ds.Columns * ds.SamplesPerPixel
    (place,) = put(client, ds)
    stored = dcmread(
        io.BytesIO(client.get(f"{base}{place}", headers={"accept": "application/dicom"}).content)
    )
    frames = f"{base}{place}/frames"
    wanted = [1, count, 3]
    answer = client.get(f"{frames}/{','.join(map(str, wanted))}", headers={"accept": PARTS})
    found = parts_of(answer)
    assert [data for _, data in found] == [stored.PixelData[(n - 1) * size : n * size] for n in wanted]
    assert {kind.content_type for kind, _ in found} == {OCTETS}
    one = client.get(f"{frames}/2", headers={"accept": f"{OCTETS}; transfer-syntax=1.2.840.10008.1.2.1"})
    assert one.content == stored.PixelData[size : 2 * size]
    head = client.head(f"{frames}/2")
    assert head.status_code == 200 and not head.content
    for bad, status in (("0", 400), ("1,,2", 400), ("x", 400), ("-1", 400), (str(count + 1), 404)):
        refused = client.get(f"{frames}/{bad}")
        assert refused.status_code == status and error_of(refused)
    assert client.get(f"{frames}/1,2", headers={"accept": OCTETS}).status_code == 406
    assert client.get(f"{frames}/1", headers={"accept": "image/jls; transfer-syntax=1.2"}).status_code == 406


def test_compressed_frames_as_stored_and_not(client: httpx.Client) -> None:
    ds = colour_photo(SampleStudy(seed="frames rle", patient=CANARY))
    plain = ds.PixelData
    ds.compress(RLELossless)
    (place,) = put(client, ds)
    frame = f"/dicom-web{place}/frames/1"
    (kind, coded) = parts_of(client.get(frame, headers={"accept": f"{PARTS}; transfer-syntax=*"}))[0]
    assert kind.content_type == OCTETS and kind.params["transfer-syntax"] == RLELossless
    same = client.get(frame, headers={"accept": "image/dicom-rle"})
    assert same.content == coded and same.headers["content-type"].startswith("image/dicom-rle")
    bulk = parts_of(client.get(f"/dicom-web{place}/bulkdata/7FE00010"))
    assert [(kind.content_type, data) for kind, data in bulk] == [("image/dicom-rle", coded)]
    raw = client.get(frame, headers={"accept": OCTETS}).content
    assert len(raw) in {len(plain), len(plain) - 1}
    jls = client.get(frame, headers={"accept": "image/jls"})
    assert jls.status_code == 200 and jls.content[:2] == b"\xff\xd8"
    for accept, syntax in (
        ("image/jphc", HTJ2KLossless),
        ("image/jpeg", JPEGLosslessSV1),
        (f"image/*; transfer-syntax={HTJ2KLossless}", HTJ2KLossless),
    ):
        made = client.get(frame, headers={"accept": accept})
        kind = next(media for media in ("image/jphc", "image/jpeg") if OF_SYNTAX[syntax] == media)
        assert made.headers["content-type"] == f"{kind}; transfer-syntax={syntax}", accept
    for accept in ("text/html", "image/jxl", "video/mp4", "image/*; transfer-syntax=1.2.3"):
        refused = client.get(frame, headers={"accept": accept})
        assert refused.status_code == 406 and error_of(refused)


def located(answer: httpx.Response) -> list[tuple[str, str, bytes]]:
    """Content-Location, Content-Type and content of each part, by a parser that is not ours."""
    assert answer.status_code == 200, answer.text
    head = f"Content-Type: {answer.headers['content-type']}\r\n\r\n".encode()
    message = BytesParser(policy=HTTP).parsebytes(head + answer.content)
    return [
        (part["content-location"], part["content-type"].replace('"', ""), part.get_payload(decode=True))
        for part in message.iter_parts()
    ]


def test_compressed_pixel_data_are_one_value_too(client: httpx.Client) -> None:
    ds = ultrasound_cine(SampleStudy(seed="bulk as one", patient=CANARY), frames=3, size=16)
    plain = ds.PixelData
    ds.compress(RLELossless)
    (place,) = put(client, ds)
    bulk = f"/dicom-web{place}/bulkdata/7FE00010"
    for accept in (OCTETS, f"{OCTETS}; transfer-syntax=*", f"text/html, {OCTETS};q=0.5"):
        whole = client.get(bulk, headers={"accept": accept})
        assert whole.headers["content-type"] == OCTETS and whole.content == plain
    piece = client.get(bulk, headers={"accept": OCTETS, "range": "bytes=-5"})
    assert piece.status_code == 206 and piece.content == plain[-5:]
    (uri,) = [each["7FE00010"]["BulkDataURI"] for each in client.get(f"/dicom-web{place}/metadata").json()]
    for accept, syntax in (("*/*", RLELossless), (PARTS, ExplicitVRLittleEndian)):
        parts = located(client.get(uri, headers={"accept": accept}))
        assert len(parts) == 3 and {where for where, _, _ in parts} == {uri}
        assert all(kind.endswith(f"transfer-syntax={syntax}") for _, kind, _ in parts)
    frames = located(client.get(f"/dicom-web{place}/frames/3,1"))
    assert [where.rpartition(place)[2] for where, _, _ in frames] == ["/frames/3", "/frames/1"]
    ((where, _, _),) = located(client.get(f"/dicom-web{place}/frames/2", headers={"accept": "*/*"}))
    assert where.endswith(f"{place}/frames/2")


def test_a_transfer_syntax_asked_for_of_bulk_data_is_had_or_refused(client: httpx.Client) -> None:
    (place,) = put(client, ct_slice(SampleStudy(seed="bulk syntax", patient=CANARY), size=16))
    bulk = f"/dicom-web{place}/bulkdata/7FE00010"
    ((where, kind, _),) = located(client.get(bulk, headers={"accept": 'multipart/related; type="image/jls"'}))
    assert where.endswith(bulk) and kind.startswith("image/jls; transfer-syntax=")
    for accept in (f"{OCTETS}; transfer-syntax=1.2.3", f"{OCTETS}; transfer-syntax={ExplicitVRBigEndian}"):
        assert client.get(bulk, headers={"accept": accept}).status_code == 406


def test_all_bulk_data_and_all_pixel_data(served: Served, client: httpx.Client) -> None:
    study = SampleStudy(seed="bulk of all", patient=CANARY)
    ct, loop = with_binaries(ct_slice(study, size=16)), ultrasound_cine(study, frames=2, size=16)
    pixels = loop.PixelData
    loop.compress(RLELossless)
    one, other = put(client, ct, loop)
    values = {
        f"{served.url}/dicom-web{one}/bulkdata/00880200/1/7FE00010": b"\1\2\3\4",
        f"{served.url}/dicom-web{one}/bulkdata/00991001": bytes(range(100)),
        f"{served.url}/dicom-web{one}/bulkdata/7FE00010": ct.PixelData,
    }
    of_loop = f"{served.url}/dicom-web{other}/bulkdata/7FE00010"
    halves = [(of_loop, pixels[: len(pixels) // 2]), (of_loop, pixels[len(pixels) // 2 :])]

    def found(path: str, accept: str = PARTS) -> list[tuple[str, bytes]]:
        answer = client.get(f"/dicom-web{path}", headers={"accept": accept})
        return sorted((where, data) for where, _, data in located(answer))

    assert found(f"{one}/bulkdata") == found(one) == sorted(values.items())
    everything = sorted([*values.items(), *halves])
    assert found(f"{study_of(one)}/bulkdata", "multipart/*") == found(study_of(one)) == everything
    assert found(f"{study_of(one)}/pixeldata") == sorted([[*values.items()][2], *halves])
    assert found(f"{other.partition('/instances')[0]}/pixeldata") == sorted(halves)
    for accept in (f"{PARTS}; transfer-syntax=*", "*/*"):
        stored = located(client.get(f"/dicom-web{other}/pixeldata", headers={"accept": accept}))
        assert {kind for _, kind, _ in stored} == {f"{OCTETS}; transfer-syntax={RLELossless}"}
    assert client.head(f"/dicom-web{one}/bulkdata").status_code == 200
    for path, accept, status in (
        (f"{one}/bulkdata", "text/html", 406),
        (f"{one}/pixeldata", OCTETS, 406),
        (f"{one}9/bulkdata", PARTS, 404),
        ("/studies/1.2.3/pixeldata", PARTS, 404),
    ):
        assert client.get(f"/dicom-web{path}", headers={"accept": accept}).status_code == status


def test_what_is_no_image_has_no_frames(client: httpx.Client) -> None:
    ds: Any = ct_slice(SampleStudy(seed="frames none", patient=CANARY), size=32)
    for keyword in ("PixelData", "Rows", "Columns", "BitsAllocated"):
        delattr(ds, keyword)
    (place,) = put(client, ds)
    for path in ("frames/1", "pixeldata", "bulkdata"):
        assert client.get(f"/dicom-web{place}/{path}").status_code == 404
    (model,) = client.get(f"/dicom-web{place}/metadata").json()
    assert "7FE00010" not in model


@pytest.mark.parametrize("base", [*BASES, V3])
def test_deleting(served: Served, client: httpx.Client, base: str) -> None:
    study = SampleStudy(seed=f"delete {base}", patient=CANARY)
    places = put(client, *(ct_slice(study, series=s, instance=i, size=32) for s in (1, 2) for i in (1, 2)))
    with served.client("viewer") as viewer:
        assert viewer.delete(f"{base}{places[0]}").status_code == 403
    for path, left in (
        (places[0], places[1:]),
        (places[2].partition("/instances/")[0], places[1:2]),
        (study_of(places[0]), []),
    ):
        answer = client.delete(f"{base}{path}")
        assert answer.status_code == 204 and not answer.content
        for place in places:
            status = client.get(f"/dicom-web{place}").status_code
            assert status == (200 if place in left else 404)
        gone = client.delete(f"{base}{path}")
        assert gone.status_code == 404 and error_of(gone)
    with served.client() as desktop:
        assert study.uid in desktop.get("/api/desktop/v1/trash").text


def test_rejecting_is_deleting(served: Served, client: httpx.Client) -> None:
    (place,) = put(client, ct_slice(SampleStudy(seed="reject", patient=CANARY), size=32))
    path = f"{BASES[2]}{place.partition('/instances/')[0]}/reject"
    assert client.post(f"{path}/nonsense").status_code == 400
    with served.client("viewer") as viewer:
        assert viewer.post(f"{path}/113001%5EDCM").status_code == 403
    assert client.post(f"{path}/113001%5EDCM").status_code == 204
    assert client.get(f"/dicom-web{place}").status_code == 404
    assert client.post(f"{path}/113001%5EDCM").status_code == 404


def test_metadata_and_searches_as_xml_say_what_json_says(client: httpx.Client) -> None:
    study, files = of_study("dicomweb xml", 2)
    client.post("/dicom-web/studies", content=body_of(files), headers=TYPE)
    accept = {"accept": 'multipart/related; type="application/dicom+xml"'}
    for path in (f"{study.uid}/metadata", f"{study.uid}/series", f"{study.uid}/instances"):
        answer = client.get(f"/dicom-web/studies/{path}", headers=accept)
        assert answer.status_code == 200, answer.text
        parts = parts_of(answer)
        assert {kind.content_type for kind, _ in parts} == {"application/dicom+xml"}
        assert [read_xml(document) for _, document in parts] == client.get(
            f"/dicom-web/studies/{path}"
        ).json()
    instance = client.get(f"/dicom-web/studies/{study.uid}/instances").json()[0]["00081190"]["Value"][0]
    alone = {"accept": "application/dicom+xml"}
    answer = client.get(f"{instance}/metadata", headers=alone)
    assert answer.headers["content-type"] == "application/dicom+xml"
    assert [read_xml(answer.content)] == client.get(f"{instance}/metadata").json()
    assert answer.headers["etag"] != client.get(f"{instance}/metadata", headers=accept).headers["etag"]
    assert client.get(f"/dicom-web/studies/{study.uid}/metadata", headers=alone).status_code == 406
