"""Zoom, pan, flip and turn agree with each other; the part that is seen is enough for the screen."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from core.imaging.image import ImageObject
from core.imaging.render import window_to_u8
from core.imaging.viewport import Viewport, window_patch
from core.imaging.voi import Voi
from tests.core.imaging_objects import colours, file_of, grey_ramp

views = st.builds(
    Viewport,
    columns=st.integers(1, 3000),
    rows=st.integers(1, 3000),
    width=st.integers(1, 2000),
    height=st.integers(1, 2000),
    pixel_aspect=st.sampled_from([1.0, 0.5, 2.0, 1.2]),
    zoom=st.one_of(st.none(), st.floats(0.05, 20)),
    pan_x=st.floats(-500, 500),
    pan_y=st.floats(-500, 500),
    quarter_turns=st.integers(0, 3),
    flipped=st.booleans(),
)


@settings(max_examples=100, deadline=None)
@given(views, st.floats(0, 1000), st.floats(0, 1000))
def test_there_and_back(view: Viewport, x: float, y: float) -> None:
    assert view.to_image(*view.to_view(x, y)) == pytest.approx((x, y), abs=1e-6 + 1e-9 / view.scale**2)


@settings(max_examples=100, deadline=None)
@given(views)
def test_a_fitted_picture_fills_one_side_and_leaves_none(view: Viewport) -> None:
    fitted = view.fitted()
    xs, ys = zip(*(fitted.to_view(x, y) for x in (0, view.columns) for y in (0, view.rows)), strict=True)
    width, height = max(xs) - min(xs), max(ys) - min(ys)
    assert width <= view.width * 1.0001
    assert height <= view.height * 1.0001
    assert width == pytest.approx(view.width) or height == pytest.approx(view.height)
    assert (min(xs) + max(xs)) / 2 == pytest.approx(view.width / 2)


@settings(max_examples=100, deadline=None)
@given(views, st.floats(0.2, 5), st.floats(0, 500), st.floats(0, 500))
def test_zooming_keeps_the_point_under_the_pointer(view: Viewport, factor: float, x: float, y: float) -> None:
    before, after = view.to_image(x, y), view.zoomed(factor, x, y).to_image(x, y)
    assert after == pytest.approx(before, abs=1e-3, rel=1e-6)


@settings(max_examples=100, deadline=None)
@given(views)
def test_the_patch_covers_what_is_seen_with_a_sample_for_each_device_pixel(view: Viewport) -> None:
    patch = view.patch()
    corners = [view.to_image(x, y) for x in (0, view.width) for y in (0, view.height)]
    xs, ys = zip(*corners, strict=True)
    if patch is None:
        assert max(xs) <= 0 or min(xs) >= view.columns or max(ys) <= 0 or min(ys) >= view.rows
        return
    assert patch.left <= max(0, min(xs)) + 1e-6
    assert patch.bottom >= min(view.rows, max(ys)) - 1e-6
    sx, sy = view.stretch
    assert patch.step_x == 1 or patch.step_x * view.scale * sx <= 1.0001
    assert patch.step_y == 1 or patch.step_y * view.scale * sy <= 1.0001
    x, y, width, height = patch.rectangle()
    assert (x % patch.step_x, y % patch.step_y) == (0, 0)
    assert x + width >= patch.right
    assert y + height >= patch.bottom


@settings(max_examples=60, deadline=None)
@given(views)
def test_flip_and_turns_undo_themselves(view: Viewport) -> None:
    assert view.turned().turned(3) == view
    assert view.mirrored().mirrored() == view
    centred = replace(view, pan_x=0.0, pan_y=0.0, zoom=1.0)
    x, y = centred.to_view(0, 0)
    assert centred.mirrored().to_view(0, 0) == pytest.approx((centred.width - x, y))


def test_a_clockwise_turn_brings_the_left_edge_to_the_top() -> None:
    view = Viewport(100, 50, 400, 400, quarter_turns=1)
    left_middle = view.to_view(0, 25)
    assert left_middle == pytest.approx((200, 0))


def test_the_window_of_a_patch_is_the_window_of_the_picture() -> None:
    frame = ImageObject.open(file_of(grey_ramp(200, 300))).frame(0)
    voi = Voi(2000, 1500)
    view = Viewport(300, 200, 100, 80)
    patch = view.patch()
    assert patch is not None
    whole = window_to_u8(frame, voi)
    out = np.empty(patch.of(whole).shape, np.uint8)
    seen = window_patch(frame, voi, patch, out)
    assert seen is out
    assert seen.flags.c_contiguous
    np.testing.assert_array_equal(seen, patch.of(whole))
    assert (patch.step_x, patch.step_y) == (3, 3)
    colour = ImageObject.open(file_of(colours())).frame(0)
    colour_patch = Viewport(40, 24, 400, 240).patch()
    assert colour_patch is not None
    np.testing.assert_array_equal(window_patch(colour, None, colour_patch), colour.pixels)
