"""Frames of an instance as one moving picture: GIF, and Motion JPEG in MP4."""

from __future__ import annotations

import io
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import httpx
import numpy as np
import pytest
from PIL import Image, ImageSequence

from core.media.samples import SampleStudy, colour_photo, ct_slice, ultrasound_cine
from tests.server.conftest import CANARY, Served, error_of
from tests.server.test_dicomweb_reading import put

FRAMES = 12


@pytest.fixture
def client(served: Served) -> Iterator[httpx.Client]:
    with served.client() as client:
        yield client


@pytest.fixture(scope="module")
def places(served: Served) -> list[str]:
    """A slice, a loop and a colour picture."""
    study = SampleStudy(seed="moving", patient=CANARY)
    with served.client() as client:
        return put(client, ct_slice(study, size=32), ultrasound_cine(study), colour_photo(study))


def gif_of(answer: httpx.Response) -> list[np.ndarray]:
    assert answer.status_code == 200 and answer.headers["content-type"] == "image/gif", answer.text
    with Image.open(io.BytesIO(answer.content)) as image:
        assert image.format == "GIF"
        return [np.asarray(frame.convert("RGB")) for frame in ImageSequence.Iterator(image)]


def still(client: httpx.Client, path: str) -> np.ndarray:
    answer = client.get(path, headers={"accept": "image/png"})
    return np.asarray(Image.open(io.BytesIO(answer.content)).convert("RGB"))


def test_a_gif_has_every_frame(client: httpx.Client, places: list[str]) -> None:
    path = f"/dicom-web{places[1]}"
    answer = client.get(f"{path}/rendered", headers={"accept": "image/gif"})
    frames = gif_of(answer)
    assert len(frames) == FRAMES
    for number in (1, 7, FRAMES):
        assert np.array_equal(frames[number - 1], still(client, f"{path}/frames/{number}/rendered"))
    with Image.open(io.BytesIO(answer.content)) as image:
        assert image.info["loop"] == 0 and 20 <= image.info["duration"] <= 1000
    some = gif_of(client.get(f"{path}/frames/3,1/rendered", headers={"accept": "image/gif"}))
    assert [np.array_equal(a, frames[n]) for a, n in zip(some, (2, 0), strict=True)] == [True, True]
    head = client.head(f"{path}/rendered", headers={"accept": "image/gif"})
    assert head.headers["content-type"] == "image/gif" and not head.content


def test_a_gif_of_one_picture(client: httpx.Client, places: list[str]) -> None:
    ct, _, colour = (f"/dicom-web{place}/rendered" for place in places)
    accept = {"accept": "image/gif"}
    (grey,) = gif_of(client.get(ct, headers=accept))
    assert np.array_equal(grey, still(client, ct))
    (coloured,) = gif_of(client.get(colour, headers=accept))
    assert np.abs(coloured.astype(int) - still(client, colour)).mean() < 6
    (small,) = gif_of(client.get(ct, params={"viewport": "8,8", "window": "40,400"}, headers=accept))
    assert small.shape[:2] == (8, 8)
    assert client.get(ct, params={"quality": "0"}, headers=accept).status_code == 400


def test_what_is_liked_best(client: httpx.Client, places: list[str]) -> None:
    path = f"/dicom-web{places[1]}/rendered"
    for accept, kind in (
        ("image/gif;q=0.5, image/png", "image/png"),
        ("image/gif, image/jpeg;q=0.9", "image/gif"),
        ("image/*, image/gif", "image/jpeg"),
        ("video/*", "video/mp4"),
    ):
        answer = client.get(path, headers={"accept": accept})
        assert answer.headers["content-type"].partition(";")[0] == kind
    assert client.get(path, headers={"accept": "video/h265"}).status_code == 406
    gone = client.get(f"/dicom-web{places[1]}/frames/99/rendered", headers={"accept": "image/gif"})
    assert gone.status_code == 404 and error_of(gone)


def test_motion_jpeg(client: httpx.Client, places: list[str], tmp_path: Path) -> None:
    answer = client.get(f"/dicom-web{places[1]}/rendered", headers={"accept": "video/mp4"})
    assert answer.status_code == 200
    assert answer.headers["content-type"] == 'video/mp4; codecs="mp4v.6C"'
    assert answer.content[4:8] == b"ftyp" and answer.content.count(b"\xff\xd8\xff") == FRAMES
    first = answer.content[answer.content.index(b"\xff\xd8\xff") :]
    with Image.open(io.BytesIO(first), formats=("JPEG",)) as picture:
        assert np.abs(np.asarray(picture.convert("RGB")).astype(int)
                      - still(client, f"/dicom-web{places[1]}/frames/1/rendered")).mean() < 4  # fmt: skip
    if shutil.which("ffprobe"):
        film = tmp_path / "film.mp4"
        film.write_bytes(answer.content)
        line = ["ffprobe", "-v", "error", "-count_frames", "-show_entries", "stream=nb_read_frames", film]
        assert str(FRAMES) in subprocess.run(line, capture_output=True, text=True, check=True).stdout
