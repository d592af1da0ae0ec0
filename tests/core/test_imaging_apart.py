"""Frames that come apart from their object: what can be trusted is shown, else the whole object is read."""

from __future__ import annotations

import io
from collections.abc import Callable
from typing import Any, BinaryIO

import numpy as np
import pytest
from imagecodecs import jpeg8_encode

from core.dicom.ports import Coded
from core.errors import KnownError, NotFound, Unreachable
from core.imaging.apart import open_image
from core.imaging.image import ImageObject
from core.media.samples import SampleStudy, colour_photo, part10, ultrasound_cine

EXPLICIT, JPEG = "1.2.840.10008.1.2.1", "1.2.840.10008.1.2.4.50"


class Apart(io.BytesIO):
    """An object without its pixel data; *give* makes its frames."""

    def __init__(self, ds: Any, give: Callable[[int], Coded]) -> None:
        self.object = part10(ds)
        self.give = give
        self.wholes = 0
        header = ds.copy()
        header.file_meta = ds.file_meta
        header.PixelData = b"\0\0"
        super().__init__(part10(header))

    def frame(self, index0: int) -> Coded:
        return self.give(index0)

    def whole(self) -> BinaryIO:
        self.wholes += 1
        return io.BytesIO(self.object)


def test_frames_as_they_come() -> None:
    ds = ultrasound_cine(SampleStudy())
    own = ImageObject.open(part10(ds))
    for syntax in (EXPLICIT, ""):
        apart = Apart(ds, lambda index, syntax=syntax: Coded(own.coded(index), syntax))
        image = open_image(apart)
        assert image.frame_count == own.frame_count == 12
        for index in (0, 5, 11):
            assert np.array_equal(image.frame(index).pixels, own.frame(index).pixels)
        with pytest.raises(NotFound):
            image.frame(12)
        assert not apart.wholes


def test_compressed_frames() -> None:
    ds = ultrasound_cine(SampleStudy())
    own = ImageObject.open(part10(ds))
    apart = Apart(ds, lambda index: Coded(jpeg8_encode(own.frame(index).pixels, 95), JPEG))
    shown = open_image(apart).frame(3).pixels.astype(int)
    assert np.abs(shown - own.frame(3).pixels).mean() < 4 and not apart.wholes


def refuse(_index: int) -> Coded:
    raise NotFound("frame")


def too_short(_index: int) -> Coded:
    return Coded(b"12", EXPLICIT)


def nonsense(_index: int) -> Coded:
    return Coded(b"nonsense", JPEG)


@pytest.mark.parametrize("give", [refuse, too_short, nonsense])
def test_frames_that_cannot_be_used_make_the_whole_be_read_once(give: Callable[[int], Coded]) -> None:
    ds = ultrasound_cine(SampleStudy())
    own = ImageObject.open(part10(ds))
    apart = Apart(ds, give)
    image = open_image(apart)
    for index in (2, 4):
        assert np.array_equal(image.frame(index).pixels, own.frame(index).pixels)
    assert apart.wholes == 1


def test_colours_that_may_mean_something_else_are_not_shown() -> None:
    ds = colour_photo(SampleStudy())
    ds.PhotometricInterpretation = "YBR_FULL"
    own = ImageObject.open(part10(ds))
    apart = Apart(ds, lambda _: Coded(bytes(len(ds.PixelData)), EXPLICIT))
    assert np.array_equal(open_image(apart).frame(0).pixels, own.frame(0).pixels) and apart.wholes == 1


def test_a_lost_connection_is_no_reason_to_ask_for_more() -> None:
    def away(_index: int) -> Coded:
        raise Unreachable("gone")

    apart = Apart(ultrasound_cine(SampleStudy()), away)
    with pytest.raises(Unreachable):
        open_image(apart).frame(0)
    assert not apart.wholes and issubclass(Unreachable, KnownError)
