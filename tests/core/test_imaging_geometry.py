"""Slice order, letters at the edges, spacing and its source."""

from __future__ import annotations

import random
from dataclasses import dataclass
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydicom.dataset import Dataset
from pydicom.sequence import Sequence

from core.imaging.geometry import Edges, SpacingSource, edges, letters, opposite, slice_order
from core.imaging.image import ImageObject
from tests.core.imaging_objects import file_of, grey_ramp

AXIAL = (1.0, 0.0, 0.0, 0.0, 1.0, 0.0)
SAGITTAL = (0.0, 1.0, 0.0, 0.0, 0.0, -1.0)
CORONAL = (1.0, 0.0, 0.0, 0.0, 0.0, -1.0)


@dataclass
class Picture:
    position: tuple[float, float, float] | None
    orientation: tuple[float, ...] | None = AXIAL
    instance_number: int | None = None


@settings(max_examples=50, deadline=None)
@given(st.integers(2, 40), st.randoms(use_true_random=False), st.sampled_from([AXIAL, SAGITTAL, CORONAL]))
def test_pictures_come_in_the_order_of_their_places(
    count: int, chance: random.Random, orientation: tuple[float, ...]
) -> None:
    pictures = [Picture((2.0 * n, 2.0 * n, 2.0 * n), orientation, None) for n in range(count)]
    chance.shuffle(pictures)
    order = slice_order(pictures)
    assert order.by_geometry
    assert not order.warnings
    along = [pictures[n].position[0] for n in order.indices]  # type: ignore[index]
    assert along in (sorted(along), sorted(along, reverse=True))
    assert order.step_mm == pytest.approx(2)


def test_the_files_own_direction_is_kept() -> None:
    down = [Picture((0, 0, -2.5 * n), AXIAL, n) for n in range(1, 6)]
    assert slice_order(down).indices == (0, 1, 2, 3, 4)
    up = [Picture((0, 0, 2.5 * n), AXIAL, n) for n in range(1, 6)]
    assert slice_order(up).indices == (0, 1, 2, 3, 4)


def test_gaps_and_uneven_steps_are_told() -> None:
    gap = [Picture((0, 0, z)) for z in (0, 1, 2, 3, 6, 7)]
    assert "missing" in slice_order(gap).warnings[0]
    uneven = [Picture((0, 0, z)) for z in (0, 1, 2.2, 3.2)]
    assert "varies" in slice_order(uneven).warnings[0]


def test_mixed_directions_same_places_and_no_places_fall_back_to_numbers() -> None:
    mixed = [Picture((0, 0, 1), AXIAL, 2), Picture((1, 0, 0), SAGITTAL, 1)]
    assert slice_order(mixed).indices == (1, 0)
    assert "different directions" in slice_order(mixed).warnings[0]
    phases = [Picture((0, 0, n // 2), AXIAL, 4 - n) for n in range(4)]
    assert not slice_order(phases).by_geometry
    assert slice_order(phases).indices == (3, 2, 1, 0)
    placeless = [Picture(None, None, 3), Picture((0, 0, 0), AXIAL, None), Picture((0, 0, 1), AXIAL, 1)]
    assert slice_order(placeless).indices == (2, 0, 1)
    assert slice_order([]).indices == ()


@pytest.mark.parametrize(
    ("orientation", "expected"),
    [
        (AXIAL, Edges("R", "A", "L", "P")),
        (SAGITTAL, Edges("A", "H", "P", "F")),
        (CORONAL, Edges("R", "H", "L", "F")),
        ((0.8, 0.6, 0.0, 0.0, 0.0, -1.0), Edges("RA", "H", "LP", "F")),
    ],
)
def test_letters_at_the_edges(orientation: tuple[float, ...], expected: Edges) -> None:
    assert edges(orientation) == expected
    assert edges(orientation).turned(4) == expected
    assert edges(orientation).turned(1).top == expected.left
    assert edges(orientation).turned(0, flipped=True) == Edges(
        expected.right, expected.top, expected.left, expected.bottom
    )


def test_up_to_three_letters_the_strongest_first() -> None:
    assert letters((-0.6, 0.5, 0.62)) == "HRP"
    assert letters((1.0, 0.05, 0.0)) == "L"
    assert opposite("HRP") == "FLA"


def test_letters_where_there_are_no_cosines() -> None:
    assert edges(None, ("A", "F")) == Edges("P", "H", "A", "F")
    assert edges(None, ("LE", "D"), quadruped=True) == Edges("Rt", "V", "Le", "D")
    assert edges(AXIAL, quadruped=True) == Edges("Rt", "V", "Le", "D")
    assert edges(None, ("?", "F")).left == ""
    assert edges(None) == edges((0, 0, 0, 0, 0, 0)) == Edges()


def region(across: float, units: int = 3) -> Dataset:
    item = Dataset()
    item.PhysicalUnitsXDirection = item.PhysicalUnitsYDirection = units
    item.PhysicalDeltaX = item.PhysicalDeltaY = across
    return item


@pytest.mark.parametrize(
    ("elements", "row_mm", "source"),
    [
        ({"PixelSpacing": [0.5, 0.4]}, 0.5, SpacingSource.SCANNER),
        (
            {"PixelSpacing": [0.5, 0.4], "PixelSpacingCalibrationType": "FIDUCIAL"},
            0.5,
            SpacingSource.CALIBRATED,
        ),
        ({"PixelSpacing": [0.2, 0.2], "ImagerPixelSpacing": [0.2, 0.2]}, 0.2, SpacingSource.DETECTOR),
        ({"PixelSpacing": [0.15, 0.15], "ImagerPixelSpacing": [0.2, 0.2]}, 0.15, SpacingSource.CALIBRATED),
        ({"ImagerPixelSpacing": [0.2, 0.2]}, 0.2, SpacingSource.DETECTOR),
        (
            {"ImagerPixelSpacing": [0.3, 0.3], "EstimatedRadiographicMagnificationFactor": 1.5},
            0.2,
            SpacingSource.MAGNIFIED,
        ),
        ({"NominalScannedPixelSpacing": [0.1, 0.1]}, 0.1, SpacingSource.SCANNED_FILM),
        ({"SequenceOfUltrasoundRegions": [region(0.02)]}, 0.2, SpacingSource.ULTRASOUND),
        ({"SequenceOfUltrasoundRegions": [region(0.02), region(0.03)]}, None, None),
        ({"SequenceOfUltrasoundRegions": [region(0.02, 4)]}, None, None),
        ({"PixelSpacing": [0, 0]}, None, None),
        ({}, None, None),
    ],
)
def test_spacing_names_its_source(
    elements: dict[str, Any], row_mm: float | None, source: SpacingSource | None
) -> None:
    values = {k: Sequence(v) if k.startswith("Sequence") else v for k, v in elements.items()}
    spacing = ImageObject.open(file_of(grey_ramp(4, 4), **values)).attributes.spacing
    if spacing is None:
        assert source is None
    else:
        assert (spacing.row_mm, spacing.source) == (pytest.approx(row_mm), source)


def test_pixels_that_are_not_square() -> None:
    by_ratio = ImageObject.open(file_of(grey_ramp(4, 4), PixelAspectRatio=[3, 2])).attributes
    assert (by_ratio.spacing, by_ratio.pixel_aspect) == (None, 1.5)
    absurd = ImageObject.open(file_of(grey_ramp(4, 4), PixelAspectRatio=[3000, 2])).attributes
    assert absurd.pixel_aspect == 1


@pytest.mark.parametrize(
    ("elements", "times"),
    [
        ({"RecommendedDisplayFrameRate": 25, "FrameTime": 100}, (40.0,)),
        ({"CineRate": 10, "FrameTime": 50}, (100.0,)),
        ({"FrameTime": 50}, (50.0,)),
        ({"FrameTimeVector": [0, 30, 50]}, (40.0, 30.0, 50.0)),
        ({"CineRate": 0}, ()),
        ({"FrameTimeVector": [0, 0, 0]}, ()),
        ({}, ()),
    ],
)
def test_the_pace_of_a_cine_loop(elements: dict[str, Any], times: tuple[float, ...]) -> None:
    attributes = ImageObject.open(file_of(grey_ramp(4, 4), **elements)).attributes
    assert attributes.frame_times_ms == times
    assert attributes.frame_time_ms == (times[0] if times else 50)
