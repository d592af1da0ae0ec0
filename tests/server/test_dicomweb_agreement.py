"""STOW-RS of metadata and bulk data that do not quite agree: mended where it is clear, else refused."""

from __future__ import annotations

import io
import struct
from base64 import b64encode
from collections.abc import Iterator
from typing import Any

import httpx
import numpy as np
import pytest
from imagecodecs import jpeg2k_encode, jpeg8_encode
from PIL import Image

from core.archive.incoming import Incoming
from core.errors import StorageFault
from tests.plain_files import mp4
from tests.server.conftest import Served, error_of
from tests.server.test_dicomweb_bulk import (
    COLOUR,
    GREY,
    JPEG,
    PART,
    PDF,
    as_parts,
    jpeg_meta,
    metadata_part,
    objects_of,
    send,
)

GREY_JPEG = jpeg8_encode(GREY, level=90)
OCTETS = "application/octet-stream"
CAPTURE, SEVERAL_BYTES = "1.2.840.10008.5.1.4.1.1.7", "1.2.840.10008.5.1.4.1.1.7.2"
DOCUMENT, CT = "1.2.840.10008.5.1.4.1.1.104.1", "1.2.840.10008.5.1.4.1.1.2"
VIDEO_ENDOSCOPIC = "1.2.840.10008.5.1.4.1.1.77.1.1.1"
PIXELS, DOCUMENT_TAG = "7FE00010", "00420011"


@pytest.fixture
def client(served: Served) -> Iterator[httpx.Client]:
    with served.client() as client:
        yield client


def said(**by_keyword: Any) -> dict[str, Any]:
    """Elements of a model: what is said of pixels, and the SOP Class."""
    names = {
        "kind": ("00080016", "UI"),
        "samples": ("00280002", "US"),
        "colour": ("00280004", "CS"),
        "planar": ("00280006", "US"),
        "frames": ("00280008", "IS"),
        "rows": ("00280010", "US"),
        "columns": ("00280011", "US"),
        "allocated": ("00280100", "US"),
        "stored": ("00280101", "US"),
        "high": ("00280102", "US"),
        "lossy": ("00282110", "CS"),
    }
    return {names[name][0]: {"vr": names[name][1], "Value": [value]} for name, value in by_keyword.items()}


def native(**more: Any) -> dict[str, Any]:
    known = {"rows": 48, "columns": 64, "samples": 1, "colour": "MONOCHROME2", "allocated": 8}
    return said(**{**known, **more})


def inline(tag: str, value: bytes) -> dict[str, Any]:
    return {tag: {"vr": "OB", "InlineBinary": b64encode(value).decode()}}


def described(**more: Any) -> list[PART]:
    """Metadata that name no bulk data."""
    model = jpeg_meta("", **more)
    return [metadata_part({tag: each for tag, each in model.items() if each.get("BulkDataURI") != ""})]


def refused(client: httpx.Client, parts: list[PART], reason: int) -> str:
    before = client.get("/dicom-web/instances/count").json()
    answer = send(client, parts)
    assert answer.status_code == 409, answer.text
    assert [item["00081197"]["Value"] for item in answer.json()["00081198"]["Value"]] == [[reason]]
    assert client.get("/dicom-web/instances/count").json() == before
    return str(answer.headers["warning"])


@pytest.mark.parametrize(
    ("picture", "says", "colour"),
    [
        (JPEG, said(colour="RGB"), "YBR_FULL_422"),
        (JPEG, said(colour="MONOCHROME2", planar=1), "YBR_FULL_422"),
        (JPEG, said(colour="YBR_FULL"), "YBR_FULL"),
        (GREY_JPEG, said(colour="RGB", stored=12, high=11), "MONOCHROME2"),
        (GREY_JPEG, said(colour="PALETTE COLOR", high=11), "MONOCHROME2"),
        (GREY_JPEG, said(colour="MONOCHROME1", lossy="00"), "MONOCHROME1"),
    ],
)
def test_a_picture_is_believed_about_its_samples(
    client: httpx.Client, picture: bytes, says: dict[str, Any], colour: str
) -> None:
    (ds,) = objects_of(
        client, send(client, [metadata_part(jpeg_meta("a", **says)), ("image/jpeg", "a", picture)])
    )
    assert ds.PhotometricInterpretation == colour and (ds.BitsStored, ds.HighBit) == (8, 7)
    assert ds.LossyImageCompression == "01" and ds.get("PlanarConfiguration", 0) == 0


def test_what_a_picture_does_not_know_the_metadata_may_say(client: httpx.Client) -> None:
    at = JPEG.index(b"\xff\xe0")
    end = at + 2 + int.from_bytes(JPEG[at + 2 : at + 4], "big")
    silent = JPEG[:at] + JPEG[end:]  # no JFIF segment
    lossless = jpeg8_encode(COLOUR, lossless=True, colorspace="RGB", outcolorspace="RGB")
    frame = lossless[lossless.index(b"\xff\xc3") :].replace(
        b"R\x11\0G\x11\0B\x11\0", b"\1\x11\0\2\x11\0\3\x11\0"
    )
    lossless = lossless[:2] + JPEG[at:end] + frame  # whose colours are as they are, whatever JFIF says
    deep = jpeg2k_encode(GREY.astype(np.uint16) * 16, codecformat="jp2", reversible=True)
    parts = [
        metadata_part(
            jpeg_meta("a", **said(colour="RGB")),
            jpeg_meta("b", **said(stored=12, high=11)),
            jpeg_meta("c", **said(colour="RGB")),
        ),
        ("image/jpeg", "a", silent),
        ("image/jp2", "b", deep),
        ("image/jpeg", "c", lossless),
    ]
    rgb, grey, exact = objects_of(client, send(client, parts))
    assert rgb.PhotometricInterpretation == exact.PhotometricInterpretation == "RGB"
    assert (grey.BitsAllocated, grey.BitsStored, grey.HighBit) == (16, 12, 11)


def test_values_in_the_metadata_themselves(client: httpx.Client) -> None:
    parts = described(**native(), **inline(PIXELS, GREY.tobytes()))
    (ds,) = objects_of(client, send(client, parts))
    assert ds.SOPClassUID == CAPTURE and (ds.BitsStored, ds.HighBit, ds.PixelRepresentation) == (8, 7, 0)
    assert (ds.pixel_array == GREY).all()
    (ds,) = objects_of(client, send(client, described(**inline(DOCUMENT_TAG, PDF))))
    assert ds.SOPClassUID == DOCUMENT and ds.MIMETypeOfEncapsulatedDocument == "application/pdf"
    assert ds.EncapsulatedDocument[: ds.EncapsulatedDocumentLength] == PDF


def test_a_document_may_come_as_octets(client: httpx.Client) -> None:
    meta = {DOCUMENT_TAG: {"vr": "OB", "BulkDataURI": "a"}}
    (ds,) = objects_of(client, send(client, [metadata_part(meta), (OCTETS, "a", PDF)]))
    assert ds.SOPClassUID == DOCUMENT and ds.MIMETypeOfEncapsulatedDocument == "application/pdf"
    refused(client, [metadata_part(meta), (OCTETS, "a", JPEG)], 0xA900)


def test_uncompressed_frames_are_of_a_class_that_has_several(client: httpx.Client) -> None:
    meta = jpeg_meta("a", **native(frames="3"))
    (ds,) = objects_of(client, send(client, [metadata_part(meta), (OCTETS, "a", GREY.tobytes() * 3)]))
    assert ds.SOPClassUID == SEVERAL_BYTES and list(ds.PageNumberVector) == [1, 2, 3]


def test_a_video_of_another_class(client: httpx.Client) -> None:
    meta = jpeg_meta("a", **said(kind=VIDEO_ENDOSCOPIC, frames="51"))
    (ds,) = objects_of(client, send(client, [metadata_part(meta), ("video/mp4", "a", mp4(frames=50))]))
    assert ds.NumberOfFrames == 50
    assert ds.Modality == "ES" and ds.ImageType == ["ORIGINAL", "PRIMARY"] and ds.AnatomicRegionSequence


def test_texts_and_numbers_as_bulk_data(client: httpx.Client) -> None:
    more = {
        "00104000": {"vr": "LT", "BulkDataURI": "t"},
        "00189073": {"vr": "FD", "BulkDataURI": "n"},
        "00400275": {"vr": "SQ", "Value": [{"00321060": {"vr": "LO", "BulkDataURI": "t"}}]},
        "00091010": {"vr": "OW", "BulkDataURI": "o"},
    }
    parts = [metadata_part(jpeg_meta("a", **more)), ("image/jpeg", "a", JPEG)]
    parts += [
        (OCTETS, "t", "größer\0".encode()),
        (OCTETS, "n", struct.pack("<d", 1.5)),
        (OCTETS, "o", b"odd"),
    ]
    (ds,) = objects_of(client, send(client, parts))
    assert ds.PatientComments == ds.RequestAttributesSequence[0].RequestedProcedureDescription == "größer"
    assert ds.AcquisitionDuration == 1.5 and ds[0x00091010].value == b"odd\0"
    refused(client, [*parts[:3], (OCTETS, "n", b"odd"), parts[4]], 0xC000)
    refused(client, [*parts[:2], (OCTETS, "t", b"\xff\xfe"), *parts[3:]], 0xC000)


def palette_jp2() -> bytes:
    """A JPEG 2000 file whose samples are numbers of colours (ISO 15444-1 I.5.3.4)."""
    data = jpeg2k_encode(GREY, codecformat="jp2", reversible=True)
    at = data.index(b"jp2c") - 4
    return bytes(data[:at] + (15).to_bytes(4, "big") + b"pclr" + b"\0\1\1\7\0\0\0" + data[at:])


JP2_STREAM = jpeg2k_encode(COLOUR, codecformat="j2k", reversible=True, level=0)


@pytest.mark.parametrize(
    "parts",
    [
        described(**said(kind=CAPTURE)),
        described(**said(kind=CT)),
        described(**said(kind=DOCUMENT)),
        described(**said(kind=CAPTURE), **inline(PIXELS, GREY.tobytes())),
        described(**native(), **inline(PIXELS, b"12")),
        described(**said(kind=CAPTURE), **inline(PIXELS, JPEG)),
        described(**said(kind=CAPTURE), **inline(DOCUMENT_TAG, PDF)),
        described(**said(kind=DOCUMENT), **inline(DOCUMENT_TAG, JPEG)),
        [metadata_part(jpeg_meta("a", **said(kind=DOCUMENT))), ("image/jpeg", "a", JPEG)],
        [metadata_part({DOCUMENT_TAG: {"vr": "OB", "BulkDataURI": "a"}}), ("image/jpeg", "a", JPEG)],
        [metadata_part(jpeg_meta("a", **said(frames="0"))), ("image/jpeg", "a", JPEG)],
        [metadata_part(jpeg_meta("a", **native(samples=3))), (OCTETS, "a", COLOUR.tobytes())],
        [metadata_part(jpeg_meta("a", **native(stored=12))), (OCTETS, "a", GREY.tobytes())],
        [metadata_part(jpeg_meta("a")), ("image/jp2", "a", palette_jp2())],
        [metadata_part(jpeg_meta("a")), ("image/jp2", "a", bytes(JP2_STREAM[:-100]))],
        [metadata_part(jpeg_meta("a")), ("image/jp2", "a", JP2_STREAM[:8] + b"\x7f" + JP2_STREAM[9:])],
    ],
)
def test_what_makes_no_whole_object_is_refused(client: httpx.Client, parts: list[PART]) -> None:
    assert "299" in refused(client, parts, 0xA900)


@pytest.mark.parametrize(
    ("uri", "location"),
    [
        ("Röntgen bild.jpg", "Röntgen bild.jpg"),
        ("R%C3%B6ntgen%20bild.jpg", "Röntgen bild.jpg"),
        ("a b.jpg", "a%20b.jpg"),
        ("./a.jpg", '"a.jpg"'),
        ("http://elsewhere/a.jpg", "<http://elsewhere/a.jpg>"),
    ],
)
def test_addresses_are_compared_by_what_they_mean(client: httpx.Client, uri: str, location: str) -> None:
    assert objects_of(client, send(client, [metadata_part(jpeg_meta(uri)), ("image/jpeg", location, JPEG)]))


def test_a_header_line_may_be_folded(client: httpx.Client) -> None:
    body = as_parts([metadata_part(jpeg_meta("a")), ("image/jpeg", "a", JPEG)])
    folded = body.replace(b"Content-Type: image/jpeg", b"Content-Type: image/jpeg;\r\n\ttransfer-syntax=1.2")
    answer = client.post(
        "/studies", content=folded, headers={"content-type": "multipart/related; boundary=xyz"}
    )
    assert answer.status_code == 200, answer.text


def element(tag: str, vr: str, *values: Any) -> dict[str, Any]:
    return {tag: {"vr": vr, "Value": list(values)}}


@pytest.mark.parametrize(
    ("meant", "keyword", "value"),
    [
        (element("00080020", "DA", "2024-01-31"), "StudyDate", "20240131"),
        (element("00080020", "DA", 20240131), "StudyDate", "20240131"),
        (element("00080030", "TM", "13:16:05.5"), "StudyTime", "131605.5"),
        (element("00080060", "CS", "xc"), "Modality", "XC"),
        (element("00100010", "PN", "\r\n  Doe^Jo\0hn\n"), "PatientName", "Doe^Jo hn"),
        (element("00100040", "CS", "Unknown"), "PatientSex", ""),
        (element("00101030", "DS", "70.123456789012345678"), "PatientWeight", "70.1234567890124"),
        (element("00200013", "IS", "7.0"), "InstanceNumber", 7),
        (element("0020000D", "UI", " 1.2.3.4\0"), "StudyInstanceUID", "1.2.3.4"),
    ],
)
def test_values_are_spelled_as_they_are_meant(
    client: httpx.Client, meant: dict[str, Any], keyword: str, value: Any
) -> None:
    (ds,) = objects_of(
        client, send(client, [metadata_part(jpeg_meta("a", **meant)), ("image/jpeg", "a", JPEG)])
    )
    assert ds[keyword].value == value


@pytest.mark.parametrize(
    "wrong",
    [
        element("00080020", "DA", "yesterday"),
        element("00080030", "TM", "25:00"),
        element("00080018", "UI", "1.2.x"),
        element("00080018", "UI", "1." + "2" * 63),
        element("00200013", "IS", "1.5"),
        element("00200013", "IS", 3_000_000_000),
        element("00101030", "DS", "nan"),
        element("00100020", "LO", "P\\1"),
        element("00100010", "PN", "A", "B"),
        {"0x100020": {"vr": "LO", "Value": ["P1"]}},
    ],
)
def test_values_that_can_mean_nothing_are_refused_by_name(
    client: httpx.Client, wrong: dict[str, Any]
) -> None:
    parts = [metadata_part(jpeg_meta("a", **wrong)), ("image/jpeg", "a", JPEG)]
    assert next(iter(wrong)) in refused(client, parts, 0xC000)


@pytest.mark.parametrize(
    "place", ["/studies/abc", "/studies/" + "1" * 70, "/api/v3/storage/dicomweb/no%20name/studies"]
)
@pytest.mark.usefixtures("caplog")
def test_an_address_that_can_name_nothing(client: httpx.Client, place: str) -> None:
    parts = [metadata_part(jpeg_meta("a")), ("image/jpeg", "a", JPEG)]
    answer = send(client, parts, path=place)
    assert answer.status_code == 400 and error_of(answer)["message"]


def test_half_of_a_character_is_refused(client: httpx.Client) -> None:
    text = b'{"00100010":{"vr":"PN","Value":["A\\ud800"]},"7FE00010":{"vr":"OB","BulkDataURI":"a"}}'
    refused(client, [("application/dicom+json", "", text), ("image/jpeg", "a", JPEG)], 0xC000)


def test_why_whole_objects_were_refused_is_said(client: httpx.Client) -> None:
    out = io.BytesIO()
    Image.fromarray(GREY).save(out, "PNG")
    (ds,) = objects_of(
        client, send(client, [metadata_part(jpeg_meta("a")), ("image/png", "a", out.getvalue())])
    )
    kept = io.BytesIO()
    ds.save_as(kept)
    answer = send(client, [("application/dicom", "", kept.getvalue())], path="/dicom-web/studies/1.2.3")
    assert answer.status_code == 409 and "study" in answer.headers["warning"].lower()


def test_bulk_data_that_cannot_be_kept_fail_their_object_alone(
    served: Served, client: httpx.Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    write = Incoming.write

    def full(incoming: Incoming, chunk: bytes) -> None:
        if bytes(chunk).endswith(b"too much"):
            incoming.abort()
            raise StorageFault("The disk of the archive is full; nothing was kept.")
        write(incoming, chunk)

    monkeypatch.setattr(Incoming, "write", full)
    long = JPEG + bytes(1 << 20) + b"too much"
    parts = [metadata_part(jpeg_meta("a"), jpeg_meta("b"), jpeg_meta("c"))]
    parts += [("image/jpeg", "a", JPEG), ("image/jpeg", "b", long), ("image/jpeg", "c", JPEG)]
    answer = send(client, parts)
    assert answer.status_code == 202 and len(answer.json()["00081199"]["Value"]) == 2
    assert [item["00081197"]["Value"] for item in answer.json()["00081198"]["Value"]] == [[0xA700]]
    assert "full" in answer.headers["warning"]
    assert not list((served.data / "archive" / "incoming").glob("*"))
