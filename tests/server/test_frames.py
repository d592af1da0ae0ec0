"""Frames as other programs want them: 16-bit PNG and lossless JPEG, TIFF, sizes, depths, what is refused."""

from __future__ import annotations

import io

import httpx
import imagecodecs
import numpy as np
import pytest
from PIL import Image
from pydicom import dcmread

from core.media.samples import SampleStudy, dataset, part10, with_pixels
from tests.server.conftest import CANARY, NAMESPACE, Served, Stored, error_of

STUDY = SampleStudy(seed="frames", patient=CANARY)


def get(served: Served, path: str, **query: str) -> httpx.Response:
    with served.client() as client:
        return client.get(path, params=query)


def stored_pixels(stored: Stored, name: str) -> np.ndarray:
    return dcmread(io.BytesIO(stored.files[name])).pixel_array


def test_diagnostic_loses_nothing(served: Served, stored: Stored) -> None:
    answer = get(served, f"{stored.image()}/frame/0/diagnostic")
    assert answer.status_code == 200 and answer.headers["content-type"] == "image/png"
    assert answer.content[24] == 16, "bits a sample"
    values = imagecodecs.png_decode(answer.content).astype(np.int64)
    assert (values - 32768 == stored_pixels(stored, "ct")).all()
    colour = imagecodecs.png_decode(get(served, f"{stored.image('colour')}/frame/0/diagnostic").content)
    assert colour.dtype == np.uint16 and (colour // 257 == stored_pixels(stored, "colour")).all()


def test_depth_16_as_jpeg_and_tiff(served: Served, stored: Stored) -> None:
    pixels = stored_pixels(stored, "loop")[3]
    lossless = get(served, f"{stored.image('loop')}/frame/3.jpg", depth="16")
    assert lossless.headers["content-type"] == "image/jpeg"
    assert (imagecodecs.jpeg8_decode(lossless.content) == pixels).all()
    tiff = get(served, f"{stored.image('loop')}/frame/3/tiff", depth="16")
    assert tiff.headers["content-type"] == "image/tiff"
    with Image.open(io.BytesIO(tiff.content)) as picture:
        assert picture.mode == "I;16" and (np.asarray(picture) == pixels).all()
    assert get(served, f"{stored.image('loop')}/frame/3/diagnostic", depth="8").content[24] == 8


@pytest.mark.parametrize(("name", "mode"), [("ct", "L"), ("colour", "RGB")])
def test_a_tiff_shows_what_the_jpeg_shows(served: Served, stored: Stored, name: str, mode: str) -> None:
    tiff = Image.open(io.BytesIO(get(served, f"{stored.image(name)}/frame/0/tiff").content))
    jpeg = Image.open(io.BytesIO(get(served, f"{stored.image(name)}/frame/0", quality="1").content))
    assert (tiff.mode, tiff.size) == (mode, jpeg.size)
    assert np.abs(np.asarray(tiff).astype(int) - np.asarray(jpeg.convert(mode))).mean() < 2


def test_a_size_is_fitted_into(served: Served, stored: Stored) -> None:
    for what in ("frame/0/tiff", "frame/0/diagnostic", "frame/0/thumbnail", "frame/0"):
        for depth in ("8", "16"):
            answer = get(served, f"{stored.image()}/{what}", size="50x40", depth=depth)
            assert answer.status_code == 200, (what, depth)
            if depth == "8":
                with Image.open(io.BytesIO(answer.content)) as picture:
                    assert picture.size == (40, 40)


def test_monochrome_1_comes_out_with_black_as_0(served: Served) -> None:
    pixels = np.arange(64, dtype=np.uint16).reshape(8, 8) * 60
    ds = with_pixels(dataset(STUDY, instance=9, modality="CR"), pixels, bits_stored=12)
    ds.PhotometricInterpretation = "MONOCHROME1"
    with served.client() as client:
        stored = client.post(f"/api/v3/storage/namespace/{NAMESPACE}/image", content=part10(ds)).json()
        path = f"/api/v3/storage/study/{NAMESPACE}/{STUDY.uid}/image/{stored['image_uid']}/version/*"
        found = imagecodecs.png_decode(client.get(f"{path}/frame/0/diagnostic").content)
    assert (4095 - found == pixels).all()


def test_float_pixels_do_not_fit(served: Served) -> None:
    ds = dataset(STUDY, instance=10, sop_class="1.2.840.10008.5.1.4.1.1.30")
    ds.SamplesPerPixel, ds.PhotometricInterpretation = 1, "MONOCHROME2"
    ds.Rows = ds.Columns = 8
    ds.BitsAllocated = 32
    ds.FloatPixelData = np.linspace(0, 1, 64, dtype=np.float32).tobytes()
    with served.client() as client:
        stored = client.post(f"/api/v3/storage/namespace/{NAMESPACE}/image", content=part10(ds)).json()
        path = f"/api/v3/storage/study/{NAMESPACE}/{STUDY.uid}/image/{stored['image_uid']}/version/*"
        assert client.get(f"{path}/frame/0/tiff").status_code == 200
        refused = client.get(f"{path}/frame/0/diagnostic")
    assert refused.status_code == 415 and "16 bits" in error_of(refused)["message"]


@pytest.mark.parametrize("what", ["diagnostic", "tiff", "thumbnail"])
def test_addresses_and_parameters_that_are_wrong(served: Served, stored: Stored, what: str) -> None:
    assert get(served, f"{stored.image()}/frame/1/{what}").status_code == 404
    assert get(served, f"{stored.image()}/frame/first/{what}").status_code == 400
    for query in ({"depth": "12"}, {"size": "0x0"}, {"size": "big"}):
        refused = get(served, f"{stored.image()}/frame/0/{what}", **query)
        assert refused.status_code == 400 and next(iter(query)) in error_of(refused)["message"]


def test_a_picture_asked_for_again_is_not_sent_again(served: Served, stored: Stored) -> None:
    tags = set()
    for what in ("diagnostic", "tiff", "thumbnail"):
        first = get(served, f"{stored.image()}/frame/0/{what}")
        tags.add(first.headers["etag"])
        with served.client() as client:
            again = client.get(first.url, headers={"If-None-Match": first.headers["etag"]})
        assert again.status_code == 304 and not again.content
    assert len(tags) == 3
