"""What a frame's description says: windows of the file or of its pixels, place, timing; never a patient."""

from __future__ import annotations

import io
import json

import pytest
from pydicom.dataset import Dataset

from core.errors import NotFound
from core.imaging.describe import described, description
from core.imaging.image import ImageObject
from core.imaging.voi import auto_voi
from core.imaging.workers import RenderPool
from core.media.samples import SampleStudy, colour_photo, ct_slice, part10, ultrasound_cine
from tests.guards import CANARY, assert_canary_free

STUDY = SampleStudy(seed="described", patient=CANARY)


def opened(ds: Dataset) -> ImageObject:
    return ImageObject.open(io.BytesIO(part10(ds)))


def test_the_windows_of_the_file() -> None:
    about = described(opened(ct_slice(STUDY, WindowCenter=[40, -500], WindowWidth=[400, 1500])), 0)
    assert [(w["center"], w["width"], w["table"]) for w in about["windows"]] == [
        (40, 400, False),
        (-500, 1500, False),
    ]
    assert about["unit"] == "HU" and about["spacing_mm"] == [3.125, 3.125]


def test_the_window_of_the_pixels_where_the_file_has_none() -> None:
    ds = ct_slice(STUDY)
    del ds.WindowCenter, ds.WindowWidth
    image = opened(ds)
    frame = image.frame(0)
    wanted = auto_voi(frame.pixels, frame.grey)
    (window,) = described(image, 0)["windows"]
    assert (window["center"], window["width"]) == (wanted.center, wanted.width)


def test_colours_have_no_window_and_loops_have_a_rate() -> None:
    colour = described(opened(colour_photo(STUDY)), 0)
    assert colour["colour"] and colour["windows"] == [] and colour["slice_location_mm"] is None
    loop = described(opened(ultrasound_cine(STUDY)), 11)
    assert loop["frames"] == 12 and loop["frame_times_ms"] == [50.0]


@pytest.mark.parametrize("frame0", [-1, 1])
def test_a_frame_that_is_not_there(frame0: int) -> None:
    with pytest.raises(NotFound):
        described(opened(ct_slice(STUDY)), frame0)


def test_numbers_that_are_none_become_null() -> None:
    ds = ultrasound_cine(STUDY)
    ds.add_new(0x00281050, "DS", "1")
    ds.add_new(0x00281051, "DS", "2")
    ds.add_new(0x00201041, "DS", "1e999")
    about = json.loads(description(opened(ds), 0))
    assert about["slice_location_mm"] is None


def test_a_worker_says_the_same_without_the_patient() -> None:
    data = part10(ct_slice(STUDY))
    with RenderPool(1) as pool:
        said = pool.render(data, 0, "description").result(60)
    assert json.loads(said) == json.loads(description(ImageObject.open(data), 0))
    assert_canary_free(said.decode())
