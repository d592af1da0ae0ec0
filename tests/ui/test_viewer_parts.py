"""The viewer's parts without a window: camera, cine, corner text, gestures, presets, ruler."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from PySide6.QtCore import QPointF, QSizeF
from PySide6.QtGui import QFont

from core.imaging.geometry import Edges
from core.imaging.voi import CT_PRESETS
from ui.viewer.camera import Camera, Shape
from ui.viewer.cine import FALLBACK_FPS, Cine
from ui.viewer.commands import Do
from ui.viewer.corners import Density, Looking, corners, image_text
from ui.viewer.gestures import ScrollDrag, Tool, WindowDrag, tool_of, zoom_factor
from ui.viewer.overlay import edge_letters, ruler, wrapped
from ui.viewer.picture import AUTOMATIC, Facts, Picture, Preset
from ui.viewer.presets import choice_for, choices

TILE = QSizeF(800, 600)
WIDE = Shape(200, 100)
FACTS = Facts(
    patient_name="Müller^Anna=繆^安娜",
    patient_id="12345",
    birth_date="19500301",
    sex="F",
    institution="St. Mary",
    study_description="CT Abdomen",
    accession_number="998877",
    study_date="20240211",
    study_time="101500",
    modality="CT",
    series_number=2,
    series_description="axial 1.0 soft",
    thickness_mm=2.5,
    location_mm=-17.5,
    contrast="Iohexol",
    laterality="L",
    view_position="AP",
    lossy=True,
    lossy_ratio=12.6,
)


def picture(**changes: object) -> Picture:
    """A picture with everything known."""
    made = {"index": 4, "total": 206, "key": "k", "facts": FACTS, "source": object(), "shape": WIDE} | changes
    return Picture(**made)  # type: ignore[arg-type]


def test_fit_fills_the_tile_and_keeps_the_shape() -> None:
    matrix = Camera().transform(WIDE, TILE)
    assert matrix.map(QPointF(0, 0)) == QPointF(0, 100)
    assert matrix.map(QPointF(200, 100)) == QPointF(800, 500)


def test_pixels_that_are_not_square_are_drawn_as_they_are() -> None:
    matrix = Camera().transform(Shape(128, 64, aspect=2.0), QSizeF(512, 512))
    corner = matrix.map(QPointF(128, 64)) - matrix.map(QPointF(0, 0))
    assert (corner.x(), corner.y()) == (512, 512)


@given(
    factor=st.floats(0.2, 5),
    x=st.floats(0, 800),
    y=st.floats(0, 600),
    turns=st.integers(0, 3),
    mirrored=st.booleans(),
)
def test_what_lies_under_the_pointer_stays_there_while_zooming(
    factor: float, x: float, y: float, turns: int, mirrored: bool
) -> None:
    camera = Camera(zoom=1.3, pan=QPointF(20, -10), turns=turns, mirrored=mirrored)
    anchor = QPointF(x, y)
    before = camera.transform(WIDE, TILE).inverted()[0].map(anchor)
    after = camera.zoomed(factor, WIDE, TILE, anchor).transform(WIDE, TILE).inverted()[0].map(anchor)
    assert (before - after).manhattanLength() < 1e-6


@given(turns=st.integers(0, 3), mirrored=st.booleans(), vertically=st.booleans())
def test_mirroring_mirrors_what_is_seen(turns: int, mirrored: bool, vertically: bool) -> None:
    camera = Camera(zoom=1.0, pan=QPointF(30, 12), turns=turns, mirrored=mirrored)
    point = QPointF(17, 23)
    was = camera.transform(WIDE, TILE).map(point)
    now = camera.flipped(vertically=vertically).transform(WIDE, TILE).map(point)
    expected = QPointF(was.x(), 600 - was.y()) if vertically else QPointF(800 - was.x(), was.y())
    assert (now - expected).manhattanLength() < 1e-6


def test_four_quarter_turns_change_nothing() -> None:
    camera = Camera(zoom=2.0, pan=QPointF(5, 7))
    turned = camera.turned(1).turned(1).turned(1).turned(1)
    assert (turned.turns, turned.mirrored) == (0, False)
    assert (turned.pan - camera.pan).manhattanLength() < 1e-9


def test_letters_turn_with_the_picture() -> None:
    axial = picture(edges=Edges("R", "A", "L", "P"))
    assert edge_letters(axial, Camera()) == ("R", "A")
    assert edge_letters(axial, Camera().turned(1)) == ("P", "R")
    assert edge_letters(axial, Camera().flipped()) == ("L", "A")
    assert edge_letters(axial, Camera().flipped(vertically=True)) == ("R", "P")
    assert edge_letters(picture(), Camera()) == ("", "")


def test_corners_say_who_what_where() -> None:
    looking = Looking(zoom_percent=141.2, window=(40, 400), window_name="Abdomen", cursor=(3, 7, "12 HU"))
    texts = corners(picture(), looking, Density.ALL)
    assert texts.top_left[:2] == ("MÜLLER, Anna", "ID 12345")
    assert texts.top_left[2].startswith("1950-03-01") and texts.top_left[2].endswith("F")
    assert texts.top_right == ("St. Mary", "CT Abdomen", "Acc 998877", "2024-02-11 10:15")
    assert texts.bottom_right == (
        "CT · Series 2",
        "axial 1.0 soft",
        "Left AP",
        "Contrast: Iohexol",
        "2.5 mm thick · at -17.5 mm",
    )
    assert texts.bottom_left == (
        "(3, 7)  12 HU",
        "Lossy compression 13:1",
        "W 400 · L 40 · Abdomen",
        "Zoom 141 %",
        "Image 5 / 206",
    )


@pytest.mark.parametrize("density", list(Density))
@pytest.mark.parametrize("room", [0, 1, 3, 5, 99])
def test_name_id_and_birth_date_are_always_there(density: Density, room: int) -> None:
    lines = corners(picture(), Looking(), density, room).top_left
    assert len(lines) == 3
    assert "Anna" in lines[0] and "12345" in lines[1] and "1950-03-01" in lines[2]


def test_less_text_leaves_the_least_important_out() -> None:
    full = corners(picture(), Looking(window=(40, 400)), Density.ALL, 99)
    little = corners(picture(), Looking(window=(40, 400)), Density.LITTLE, 99)
    assert len(little.top_right) == 1 and len(little.bottom_right) == 1
    assert any("Lossy" in line for line in little.bottom_left)
    assert len(full.top_right) == 4
    nothing = corners(picture(), Looking(), Density.PATIENT_ONLY)
    assert not nothing.top_right and not nothing.bottom_left and not nothing.bottom_right


def test_missing_facts_are_said_or_left_out_never_made_up() -> None:
    texts = corners(picture(facts=Facts(), source=None), Looking(), Density.ALL)
    assert texts.top_left == ("(no name)", "no ID", "no birth date")
    assert not texts.top_right and not texts.bottom_right
    assert texts.bottom_left == ("Image 5 / 206",)


def test_frames_are_numbered_where_a_series_holds_several_objects() -> None:
    two = picture(facts=Facts(frame=(3, 10)))
    assert image_text(two) == "Image 5 / 206 · frame 3 / 10"
    assert image_text(picture(total=10, facts=Facts(frame=(5, 10)))) == "Image 5 / 10"


def test_a_long_name_wraps_and_loses_nothing(qapp: object) -> None:
    name = "MÜLLER-LÜDENSCHEIDT VON UND ZU HOHENFELS, Anna-Maria Theodora"
    lines = wrapped(name, QFont("DejaVu Sans", 10), 140)
    assert len(lines) > 2 and " ".join(lines).replace("- ", "-") == name


def test_cine_drops_frames_rather_than_time() -> None:
    cine = Cine(12, [50.0])
    assert cine.fps == 20
    cine.start(100.0, 0)
    assert [cine.index(100.0 + t) for t in (0, 0.049, 0.05, 0.1, 0.5)] == [0, 0, 1, 2, 10]
    assert cine.index(100.0 + 0.6) == 0  # round and round
    assert cine.index(100.0 + 61.25) == 1225 % 12
    assert cine.next_due(100.02) == pytest.approx(0.03)


def test_cine_says_how_many_images_it_really_shows() -> None:
    cine = Cine(100, [20.0])
    cine.start(0.0, 0)
    assert cine.true_fps(0.0) is None
    for n in range(11):
        cine.painted(n * 0.1, n * 5)
    assert cine.fps == 50
    assert cine.true_fps(1.0) == pytest.approx(10)


def test_cine_speed_changes_without_a_jump() -> None:
    cine = Cine(10)
    assert cine.fps == FALLBACK_FPS
    cine.start(0.0, 4)
    assert cine.index(0.1) == 6
    cine.set_fps(40, 0.1)
    assert cine.index(0.1) == 6 and cine.index(0.15) == 8
    cine.set_fps(1e9, 0.2)
    assert cine.fps == 120


def test_cine_follows_a_frame_time_vector() -> None:
    cine = Cine(3, [100.0, 100.0, 300.0])  # the times before each frame: frame 1 stays for 300 ms
    cine.start(0.0, 0)
    assert [cine.index(t) for t in (0.05, 0.15, 0.39, 0.41, 0.51)] == [0, 1, 1, 2, 0]
    assert Cine(4, [1.0, 2.0]).index(0.0) == 0  # a vector of another length only gives the mean


def test_the_window_drag_follows_brightness_not_the_sign() -> None:
    plain = WindowDrag(40, 400)
    assert plain.at(QPointF(0, 10), 1.0)[0] < 40
    assert WindowDrag(40, 400, inverse=True).at(QPointF(0, 10), 1.0)[0] > 40
    assert WindowDrag(40, 400, down_is_brighter=False).at(QPointF(0, 10), 1.0)[0] > 40
    assert plain.at(QPointF(-1e6, 0), 1.0)[1] >= 1
    assert WindowDrag(0.5, 0.8).at(QPointF(-1e6, 0), 1.0)[1] > 0
    assert plain.at(QPointF(10, 0), 4.0)[1] - 400 == pytest.approx(
        4 * (plain.at(QPointF(10, 0), 1.0)[1] - 400)
    )


def test_dragging_through_a_series_reaches_its_end() -> None:
    drag = ScrollDrag.over(206, 600)
    assert sum(drag.moved(1, 1.0) for _ in range(600)) >= 200
    assert ScrollDrag.over(3, 600).step_pixels == 12
    assert zoom_factor(-10, 1.0) > 1 > zoom_factor(10, 1.0)


def test_buttons_of_the_mouse() -> None:
    from PySide6.QtCore import Qt

    left, middle, right = Qt.MouseButton.LeftButton, Qt.MouseButton.MiddleButton, Qt.MouseButton.RightButton
    assert tool_of(left, Tool.SCROLL) is Tool.SCROLL
    assert tool_of(middle, Tool.SCROLL) is Tool.PAN
    assert tool_of(right, Tool.SCROLL) is Tool.ZOOM
    assert tool_of(Qt.MouseButton.BackButton, Tool.SCROLL) is None


def test_presets_by_modality_and_key() -> None:
    ct = picture(presets=(Preset("", 40, 400, 1), Preset("LUNG", -600, 1500, 2)))
    names = [name for name, _, _ in choices(ct)]
    assert names[:2] == ["Automatic", "Automatic, each image by itself"] and names[3].startswith("LUNG")
    assert len(names) == 4 + len(CT_PRESETS)
    assert choice_for(Do.PRESET_AUTO, ct) == AUTOMATIC
    second = choice_for(Do.PRESET_FILE_2, ct)
    assert second is not None and second.file_number == 2
    brain = choice_for(Do.PRESET_3, ct)
    assert brain is not None and (brain.center, brain.width) == (35, 110)
    mr = picture(facts=Facts(modality="MR"))
    assert [name for name, _, _ in choices(mr)] == names[:2]
    assert len(choices(picture(total=1, facts=Facts(modality="MR")))) == 1  # of one image both are the same
    assert choice_for(Do.PRESET_3, mr) is None
    assert choices(picture(colour=True)) == [] and choices(None) == []


def test_the_ruler_is_round_and_honest() -> None:
    assert ruler(2.0, 250) == (200, "10 cm")
    assert ruler(10.0, 55) == (50, "5 mm")
    assert ruler(0.001, 250) is None  # nothing readable
