"""Laws of the grey pipeline: monotone, MONOCHROME1 last and once, padding aside, tables honoured."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydicom.dataset import Dataset
from pydicom.sequence import Sequence

from core.imaging.image import Frame, ImageObject
from core.imaging.render import placeholder, png, render, thumbnail, window_to_u8
from core.imaging.voi import CT_PRESETS, Voi, VoiFunction, auto_voi
from tests.core.imaging_objects import Array, colours, file_of, grey_ramp

RAMP = np.arange(-3000, 3000, dtype=np.int16).reshape(60, 100)


def frame(pixels: Array = RAMP, **elements: Any) -> Frame:
    return ImageObject.open(file_of(pixels, **elements)).frame(0)


windows = st.builds(
    Voi,
    st.floats(-4000, 4000),
    st.floats(1, 9000),
    st.sampled_from(list(VoiFunction)),
)


@settings(max_examples=60, deadline=None)
@given(windows, st.sampled_from([1.0, -1.0, 0.5, 2.25]), st.floats(-2000, 2000))
def test_greys_rise_with_the_values_and_fall_with_a_negative_slope(
    voi: Voi, slope: float, intercept: float
) -> None:
    shown = frame(RescaleSlope=slope, RescaleIntercept=round(intercept, 3))
    steps = np.diff(window_to_u8(shown, voi).reshape(-1).astype(int))
    assert (steps >= 0).all() if slope > 0 else (steps <= 0).all()


@settings(max_examples=60, deadline=None)
@given(windows)
def test_the_fast_path_is_within_a_grey_level_of_the_formula(voi: Voi) -> None:
    shown = frame(RescaleSlope=1.5, RescaleIntercept=-7)
    exact = voi.apply(RAMP.astype(np.float64) * 1.5 - 7) * 255
    assert np.abs(window_to_u8(shown, voi) - exact).max() <= 0.51


@settings(max_examples=30, deadline=None)
@given(windows)
def test_inversion_is_last_and_complements(voi: Voi) -> None:
    plain, turned = frame(), frame(PhotometricInterpretation="MONOCHROME1")
    difference = 255 - window_to_u8(plain, voi).astype(int) - window_to_u8(turned, voi)
    assert np.abs(difference).max() <= 1
    np.testing.assert_array_equal(window_to_u8(turned, voi, invert=True), window_to_u8(plain, voi))


def test_monochrome1_with_an_inverse_presentation_lut_is_not_turned_twice() -> None:
    once = frame(PhotometricInterpretation="MONOCHROME1")
    both = frame(PhotometricInterpretation="MONOCHROME1", PresentationLUTShape="INVERSE")
    shape = frame(PresentationLUTShape="INVERSE")
    np.testing.assert_array_equal(window_to_u8(once), window_to_u8(both))
    np.testing.assert_array_equal(window_to_u8(once), window_to_u8(shape))
    assert window_to_u8(once)[0, 0] == 255


def test_every_dtype_takes_the_same_window() -> None:
    voi = Voi(60, 100)
    values = np.arange(0, 120).reshape(10, 12)
    expected = window_to_u8(frame(values.astype(np.uint8)), voi)
    for dtype in (np.int8, np.uint16, np.int16, np.uint32, np.int32):
        np.testing.assert_array_equal(window_to_u8(frame(values.astype(dtype)), voi), expected, str(dtype))


def test_a_window_narrower_than_a_step_is_a_threshold() -> None:
    shown = window_to_u8(frame(), Voi(100, 1))
    assert set(np.unique(shown)) == {0, 255}
    assert shown[RAMP == 99] == 0
    assert shown[RAMP == 100] == 255


def test_automatic_windows_span_the_real_values_and_leave_padding_aside() -> None:
    pixels = RAMP.clip(-1000, 1500)
    pixels[0, :] = -2000
    shown = frame(pixels, PixelPaddingValue=-2000, RescaleIntercept=0, RescaleSlope=1)
    voi = auto_voi(shown.pixels, shown.grey)
    assert (voi.center - voi.width / 2, voi.center + voi.width / 2) == (-1000, 1500)
    ranged = frame(pixels, PixelPaddingValue=-2000, PixelPaddingRangeLimit=-500)
    assert (
        auto_voi(ranged.pixels, ranged.grey).center - auto_voi(ranged.pixels, ranged.grey).width / 2 == -499
    )
    assert shown.real_value(0, 0) is None
    assert shown.real_value(59, 99) == (1500.0, "")


def test_padding_of_signed_pixels_written_as_unsigned() -> None:
    pixels = RAMP.clip(-1000, 1500)
    pixels[0, :] = -2000
    ds_value = 65536 - 2000
    shown = frame(pixels.astype(np.int16), PixelPaddingValue=-2000)
    from core.imaging.attributes import Elements, _padding

    class Written(Elements):
        def number(self, tag: int, vr: bytes = b"DS") -> float | None:
            return float(ds_value) if tag == 0x00280120 else None

    image = ImageObject.open(file_of(pixels))
    padding = _padding(Written(image._elements._source, {}, image._elements.encoding), image.module)
    assert padding == shown.grey.padding


@pytest.mark.parametrize("constant", [0, 7, -3])
def test_a_flat_picture_is_black_and_divides_nothing_by_zero(constant: int) -> None:
    assert not window_to_u8(frame(np.full((4, 4), constant, np.int16))).any()


def test_eight_bit_pictures_keep_their_greys() -> None:
    pixels = np.linspace(90, 110, 64).reshape(8, 8).astype(np.uint8)
    np.testing.assert_array_equal(window_to_u8(frame(pixels)), pixels)


def lut_item(first: int, values: list[int], bits: int = 8, name: str = "") -> Dataset:
    item = Dataset()
    item.add_new(0x00283002, "SS" if first < 0 else "US", [len(values), first, bits])
    item.add_new(0x00283006, "US", values)
    if name:
        item.LUTExplanation = name
    return item


def test_a_voi_table_is_looked_up_and_its_ends_hold() -> None:
    table = [0, 10, 40, 90, 160, 255]
    item = lut_item(-2, table, name="Steep")
    shown = frame(VOILUTSequence=Sequence([item]), WindowCenter=40, WindowWidth=400)
    first, second = shown.grey.vois
    assert (first.name, second.center, second.width) == ("Steep", 40, 400)
    greys = window_to_u8(shown)
    assert [greys[v == RAMP][0] for v in (-3000, -2, -1, 0, 1, 2, 3, 2999)] == [
        0,
        0,
        10,
        40,
        90,
        160,
        255,
        255,
    ]
    assert first.moved(5, 10) == Voi(5, 10)


def test_a_modality_table_comes_first() -> None:
    pixels = np.array([[0, 1, 2, 3]], np.uint8)
    item = lut_item(0, [0, 1000, 2000, 4000], 16)
    item.ModalityLUTType = "HU"
    shown = frame(pixels, ModalityLUTSequence=Sequence([item]), WindowCenter=1500.5, WindowWidth=1001)
    assert window_to_u8(shown).tolist() == [[0, 0, 255, 255]]
    assert shown.real_value(0, 3) == (4000.0, "HU")


def test_windows_that_cannot_be_are_passed_over() -> None:
    shown = frame(
        WindowCenter=[10, 20, 30], WindowWidth=[0, -5, 50], WindowCenterWidthExplanation=["a", "b", "c"]
    )
    assert [(v.center, v.width, v.name) for v in shown.grey.vois] == [(30, 50, "c")]
    assert frame(WindowCenter="", WindowWidth="").grey.vois == ()


def test_each_frame_has_its_own_functional_groups() -> None:
    ds_frames = np.stack([grey_ramp(4, 4, "u2", 100)] * 2)

    def groups(center: float, slope: float, z: float) -> Dataset:
        group, voi, value, place = Dataset(), Dataset(), Dataset(), Dataset()
        voi.WindowCenter, voi.WindowWidth = center, 100
        value.RescaleSlope, value.RescaleIntercept, value.RescaleType = slope, 0, "US"
        place.ImagePositionPatient = [0, 0, z]
        group.FrameVOILUTSequence = Sequence([voi])
        group.PixelValueTransformationSequence = Sequence([value])
        group.PlanePositionSequence = Sequence([place])
        return group

    shared, measures, plane = Dataset(), Dataset(), Dataset()
    measures.PixelSpacing, measures.SliceThickness = [0.5, 0.25], 3
    plane.ImageOrientationPatient = [1, 0, 0, 0, 1, 0]
    shared.PixelMeasuresSequence, shared.PlaneOrientationSequence = Sequence([measures]), Sequence([plane])
    image = ImageObject.open(
        file_of(
            ds_frames,
            SharedFunctionalGroupsSequence=Sequence([shared]),
            PerFrameFunctionalGroupsSequence=Sequence([groups(50, 1, 1.5), groups(500, 10, 4.5)]),
        )
    )
    one, two = image.frame_attributes(0), image.frame_attributes(1)
    assert (one.grey.vois[0].center, two.grey.vois[0].center) == (50, 500)
    assert (one.grey.modality.slope, two.grey.modality.slope) == (1, 10)
    assert (one.position, two.position) == ((0, 0, 1.5), (0, 0, 4.5))
    assert one.spacing is not None
    assert (one.spacing.row_mm, one.pixel_aspect, two.slice_thickness_mm) == (0.5, 2.0, 3)


@settings(max_examples=40, deadline=None)
@given(
    st.integers(1, 60),
    st.integers(1, 60),
    st.integers(1, 90),
    st.integers(1, 90),
    st.sampled_from([1, 2, 0.5]),
)
def test_a_rendered_picture_fits_its_box_and_keeps_its_shape(
    rows: int, columns: int, width: int, height: int, aspect: float
) -> None:
    pixels = grey_ramp(rows, columns, "u1", 255)
    image = ImageObject.open(file_of(pixels, PixelSpacing=[aspect, 1]))
    shown = render(image, 0, size=(width, height))
    assert shown.shape[0] <= height
    assert shown.shape[1] <= width
    assert shown.shape[0] == height or shown.shape[1] == width
    true_ratio = columns / (rows * aspect)
    assert shown.shape[1] - 1 <= (shown.shape[0] + 1) * true_ratio
    assert (shown.shape[1] + 1) >= (shown.shape[0] - 1) * true_ratio


def test_thumbnails_are_small_jpegs_and_never_enlarged() -> None:
    large = thumbnail(file_of(grey_ramp(300, 500)), 0, 100)
    assert large.startswith(b"\xff\xd8")
    import imagecodecs

    assert imagecodecs.jpeg8_decode(large).shape == (60, 100)
    assert imagecodecs.jpeg8_decode(thumbnail(file_of(grey_ramp(8, 8)), 0, 100)).shape == (8, 8)
    assert imagecodecs.jpeg8_decode(thumbnail(file_of(colours()), 0, 20)).shape == (12, 20, 3)


def test_a_placeholder_is_readable_at_every_size() -> None:
    for size in ((64, 64), (300, 200), (1, 1)):
        picture = placeholder("The header does not say how large the picture is (Rows and Columns).", size)
        assert picture.shape == (max(16, size[1]), max(16, size[0]), 3)
        assert int(picture.max()) > 150
    assert png(picture).startswith(b"\x89PNG")


def test_the_presets_have_names_of_their_own_and_sane_windows() -> None:
    assert len({preset.name for preset in CT_PRESETS}) == len(CT_PRESETS)
    assert all(preset.voi().width > 1 for preset in CT_PRESETS)


def test_colours_take_a_window_only_when_asked() -> None:
    rgb = colours()
    shown = ImageObject.open(file_of(rgb, WindowCenter=10, WindowWidth=5)).frame(0)
    np.testing.assert_array_equal(window_to_u8(shown), rgb)
    assert set(np.unique(window_to_u8(shown, Voi(100, 1)))) == {0, 255}
    np.testing.assert_array_equal(window_to_u8(shown, invert=True), 255 - rgb)
