"""STOW-RS of pictures with metadata: several are frames of one object, and none is taken that is cut off."""

from __future__ import annotations

import io
from collections.abc import Iterator
from typing import Any

import httpx
import numpy as np
import pytest
from imagecodecs import jpeg2k_encode, jpeg8_encode, jpegls_encode, ljpeg_encode
from PIL import Image
from pydicom.encaps import generate_frames

from tests.server.conftest import Served
from tests.server.test_dicomweb_bulk import (
    COLOUR,
    GREY,
    JPEG,
    PART,
    as_parts,
    jpeg_meta,
    metadata_part,
    objects_of,
    send,
)


@pytest.fixture
def client(served: Served) -> Iterator[httpx.Client]:
    with served.client() as client:
        yield client


def frames_meta(count: int, **more: Any) -> dict[str, Any]:
    return jpeg_meta("a", **{"00280008": {"vr": "IS", "Value": [count]}, **more})


def frame_parts(frames: list[bytes], kind: str = "image/jpeg") -> list[PART]:
    return [(kind, "a", frame) for frame in frames]


@pytest.mark.parametrize("metadata_at", [0, 2, 3])
def test_parts_of_one_place_are_frames(client: httpx.Client, metadata_at: int) -> None:
    frames = [jpeg8_encode(np.roll(COLOUR, 7 * n, axis=1), level=90) for n in range(3)]
    parts = frame_parts(frames)
    parts.insert(metadata_at, metadata_part(frames_meta(3)))
    (ds,) = objects_of(client, send(client, parts))
    assert ds.NumberOfFrames == 3 and ds.SOPClassUID == "1.2.840.10008.5.1.4.1.1.7.4"
    assert [frame.rstrip(b"\0") for frame in generate_frames(ds.PixelData, number_of_frames=3)] == frames
    assert ds.FrameIncrementPointer == 0x00182001 and list(ds.PageNumberVector) == [1, 2, 3]
    assert ds.pixel_array.shape == (3, 48, 64, 3)


def test_frames_of_other_kinds(client: httpx.Client) -> None:
    grey = [
        jpeg2k_encode(np.roll(GREY, n, axis=1), level=0, codecformat="jp2", reversible=True) for n in (0, 3)
    ]
    timed = {"00181063": {"vr": "DS", "Value": [40]}}
    (ds,) = objects_of(
        client, send(client, [metadata_part(frames_meta(2, **timed)), *frame_parts(grey, "image/jp2")])
    )
    assert ds.SOPClassUID == "1.2.840.10008.5.1.4.1.1.7.2" and ds.FrameIncrementPointer == 0x00181063
    assert (ds.pixel_array == np.stack([GREY, np.roll(GREY, 3, axis=1)])).all()


@pytest.mark.parametrize(
    ("reason", "parts"),
    [
        (0xA922, [metadata_part(frames_meta(3)), *frame_parts([JPEG, JPEG])]),
        (0xA900, [*frame_parts([JPEG, JPEG]), metadata_part(jpeg_meta("a"))]),
        (0xA900, [*frame_parts([JPEG, JPEG, JPEG]), metadata_part(frames_meta(2))]),
        (0xA900, [metadata_part(frames_meta(2)), *frame_parts([JPEG, jpeg8_encode(COLOUR[:8], level=90)])]),
        (0xA900, [metadata_part(frames_meta(2)), *frame_parts([JPEG, JPEG[:-9]])]),
        (0xA900, [metadata_part(frames_meta(2)), *frame_parts([JPEG, b"none"])]),
        (0xA900, [metadata_part(frames_meta(2)), *frame_parts([JPEG, b""])]),
    ],
)
def test_frames_that_do_not_fit(client: httpx.Client, reason: int, parts: list[PART]) -> None:
    before = client.get("/dicom-web/instances/count").json()
    answer = send(client, parts)
    assert answer.status_code == 409, answer.text
    assert [item["00081197"]["Value"] for item in answer.json()["00081198"]["Value"]] == [[reason]]
    assert client.get("/dicom-web/instances/count").json() == before


@pytest.mark.usefixtures("caplog")
def test_a_frame_too_many_and_a_frame_cut_off(served: Served, client: httpx.Client) -> None:
    parts = [metadata_part(frames_meta(2)), *frame_parts([JPEG, JPEG, JPEG])]
    assert send(client, parts).status_code == 400  # what was whole is kept
    before = client.get("/dicom-web/instances/count").json()
    kind = 'multipart/related; type="application/dicom+json"; boundary=xyz'
    body = as_parts([metadata_part(frames_meta(2)), *frame_parts([JPEG, JPEG])])[:-40]
    assert client.post("/studies", content=body, headers={"content-type": kind}).status_code == 400
    assert client.get("/dicom-web/instances/count").json() == before
    assert not list((served.data / "archive" / "incoming").glob("*"))


def with_thumbnail(data: bytes) -> bytes:
    """A JPEG with a whole one in its header, as cameras write them (Exif)."""
    small = jpeg8_encode(COLOUR[:8, :8], level=50)
    body = b"Exif\0\0" + small
    return data[:2] + b"\xff\xe1" + (len(body) + 2).to_bytes(2, "big") + body + data[2:]


@pytest.mark.parametrize("kind", ["baseline", "progressive", "restarts", "lossless", "jls"])
def test_a_picture_that_is_cut_off_behind_its_thumbnail(client: httpx.Client, kind: str) -> None:
    made, media_type = io.BytesIO(), "image/jpeg"
    if kind == "jls":
        data, media_type = jpegls_encode(GREY), "image/jls"
    elif kind == "lossless":
        data = ljpeg_encode(GREY)
    else:
        options = {"progressive": kind == "progressive", "restart_marker_rows": int(kind == "restarts")}
        Image.fromarray(COLOUR).save(made, "JPEG", quality=90, **options)
        data = made.getvalue()
    data = with_thumbnail(data)
    parts = [metadata_part(jpeg_meta("a")), (media_type, "a", data)]
    assert send(client, parts).status_code == 200
    before = client.get("/dicom-web/instances/count").json()
    for end in (len(data) - 2, len(data) // 2 + len(data) // 4):
        answer = send(client, [parts[0], (media_type, "a", data[:end])])
        assert answer.status_code == 409, end
        assert answer.json()["00081198"]["Value"][0]["00081197"]["Value"] == [0xA900]
    assert client.get("/dicom-web/instances/count").json() == before
