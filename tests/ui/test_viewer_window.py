"""The viewer as a person uses it: keys, mouse, text that belongs to the picture, opening and closing."""

from __future__ import annotations

import pytest
from PySide6.QtCore import QPoint, Qt
from PySide6.QtGui import QColor
from pytestqt.qtbot import QtBot

from tests.ui.viewer_tools import drag, shot, shown, source, wheel, window
from ui.viewer.commands import COMMANDS, KEY_TABLE, Do
from ui.viewer.corners import Density, corners
from ui.viewer.gestures import Tool
from ui.viewer.picture import AS_THE_IMAGE_SAYS, AUTOMATIC
from ui.viewer.window import ViewerWindow

__all__ = ["source", "window"]


def test_opens_in_the_middle_fitted_windowed_as_the_file_says_and_names_the_patient(
    window: ViewerWindow,
) -> None:
    port = window.active
    assert shown(port) == 6 and port.total == 12
    assert port.camera.fits
    assert port.looking().window == (40, 400)
    assert "MÜLLER, Anna" in window.windowTitle() and "1950-03-01" in window.windowTitle()
    assert "12345" in window.windowTitle()
    assert window.notice.isVisible() and "primary diagnosis" in window.notice.text()


def test_the_picture_is_painted_with_the_window_that_is_written(window: ViewerWindow) -> None:
    image = shot(window.active)
    middle = QColor(image.pixel(image.width() // 2, image.height() // 2)).red()
    assert 110 < middle < 150  # soft tissue, 40 HU, in a window of 400 around 40
    window.active.set_choice(window_choice(1000))
    assert QColor(shot(window.active).pixel(image.width() // 2, image.height() // 2)).red() == 0


def window_choice(center: float):  # type: ignore[no-untyped-def]
    from ui.viewer.picture import Choice

    return Choice(center=center, width=200)


def test_every_key_of_the_table_does_something_and_no_key_does_two_things(
    qtbot: QtBot, window: ViewerWindow, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert len(KEY_TABLE) == sum(len(c.keys) for c in COMMANDS)
    done: list[Do] = []
    monkeypatch.setattr(window, "do", done.append)
    from PySide6.QtGui import QKeySequence

    for command in COMMANDS:
        for key in command.keys:
            if key != "Tab":  # with one tile Tab leaves it; see the test of layouts
                combination = QKeySequence(key)[0]
                qtbot.keyClick(window.active, combination.key(), combination.keyboardModifiers())
                assert done.pop() is command.do, key
    qtbot.keyClick(window.active, Qt.Key.Key_Q)
    assert not done
    table = set(window.actions_.table)
    assert {c.do for c in COMMANDS} - table == {c.do for c in COMMANDS if "PRESET" in c.do.name}


def test_keys_move_through_images(qtbot: QtBot, window: ViewerWindow) -> None:
    port = window.active
    for key, modifier, expected in (
        (Qt.Key.Key_Down, Qt.KeyboardModifier.NoModifier, 7),
        (Qt.Key.Key_Up, Qt.KeyboardModifier.NoModifier, 6),
        (Qt.Key.Key_Down, Qt.KeyboardModifier.ShiftModifier, 11),
        (Qt.Key.Key_Up, Qt.KeyboardModifier.ShiftModifier, 1),
        (Qt.Key.Key_End, Qt.KeyboardModifier.NoModifier, 11),
        (Qt.Key.Key_Home, Qt.KeyboardModifier.NoModifier, 0),
        (Qt.Key.Key_Up, Qt.KeyboardModifier.NoModifier, 0),
    ):
        qtbot.keyClick(port, key, modifier)
        qtbot.waitUntil(lambda: not port.waiting)
        assert shown(port) == expected


def test_keys_go_to_the_next_series_and_tools(qtbot: QtBot, window: ViewerWindow) -> None:
    uids = [s.uid for s in window.study.series]
    qtbot.keyClick(window.active, Qt.Key.Key_PageDown)
    qtbot.waitUntil(lambda: window.active.series_uid == uids[1])
    qtbot.keyClick(window.active, Qt.Key.Key_Left)
    qtbot.waitUntil(lambda: window.active.series_uid == uids[0])
    for key, tool in (("T", Tool.PAN), ("Z", Tool.ZOOM), ("S", Tool.SCROLL), ("W", Tool.WINDOW)):
        qtbot.keyClick(window.active, key)
        assert window.active.tool is tool
        checked = [do for do, button in window.tools.buttons.items() if button.isChecked()]
        assert Do(f"tool-{tool}") in checked


def test_number_keys_pick_windows_and_zero_is_automatic(qtbot: QtBot, window: ViewerWindow) -> None:
    port = window.active
    qtbot.keyClick(port, Qt.Key.Key_3)
    assert port.choice.name == "Brain" and port.looking().window == (35, 110)
    qtbot.keyClick(port, Qt.Key.Key_0)
    assert port.choice == AUTOMATIC and port.looking().window != (40, 400)
    qtbot.keyClick(port, Qt.Key.Key_1, Qt.KeyboardModifier.KeypadModifier)
    assert port.looking().window == (40, 400)


def test_esc_resets_the_view_and_stays_on_the_picture(qtbot: QtBot, window: ViewerWindow) -> None:
    port = window.active
    for key in ("R", "H", "N", "3", "+", Qt.Key.Key_Home):
        qtbot.keyClick(port, key)
    qtbot.waitUntil(lambda: not port.waiting)
    assert port.inverted and not port.camera.fits and port.camera.mirrored
    qtbot.keyClick(port, Qt.Key.Key_Escape)
    assert port.camera.fits and not port.inverted and not port.camera.mirrored
    assert port.choice == AS_THE_IMAGE_SAYS and shown(port) == 0


def test_dragging_across_widens_and_down_makes_brighter(qtbot: QtBot, window: ViewerWindow) -> None:
    port = window.active
    before, dark = port.looking().window, shot(port).pixelColor(500, 350).red()
    drag(qtbot, port, QPoint(50, 0))
    wider = port.looking().window
    assert before is not None and wider is not None
    assert wider[1] > before[1] and wider[0] == before[0]
    port.reset()
    drag(qtbot, port, QPoint(0, 60))
    brighter = port.looking().window
    assert brighter is not None and brighter[0] < before[0] and brighter[1] == before[1]
    assert shot(port).pixelColor(500, 350).red() >= dark
    port.reset()
    port.down_is_brighter = False
    drag(qtbot, port, QPoint(0, 60))
    darker = port.looking().window
    assert darker is not None and darker[0] > before[0]


def test_dragging_down_is_brighter_on_a_negative_too(qtbot: QtBot, window: ViewerWindow) -> None:
    port = window.active
    port.set_inverted(True)
    middle = port.rect().center()
    before = shot(port).pixelColor(middle).red()
    drag(qtbot, port, QPoint(0, 40))
    assert shot(port).pixelColor(middle).red() > before


def test_middle_moves_right_zooms_and_wheel_scrolls(qtbot: QtBot, window: ViewerWindow) -> None:
    port = window.active
    drag(qtbot, port, QPoint(30, 20), Qt.MouseButton.MiddleButton)
    assert (port.camera.pan.x(), port.camera.pan.y()) == (30, 20)
    before = port.looking().zoom_percent
    drag(qtbot, port, QPoint(0, -40), Qt.MouseButton.RightButton)
    assert port.looking().zoom_percent > before
    wheel(port, -120)
    qtbot.waitUntil(lambda: not port.waiting)
    assert shown(port) == 7
    wheel(port, -60)
    assert port.wanted == 7
    wheel(port, -60)
    assert port.wanted == 8


def test_the_patient_is_written_in_every_state_of_text(qtbot: QtBot, window: ViewerWindow) -> None:
    port = window.active
    assert port.picture is not None
    pictures = []
    for density in (Density.ALL, Density.LITTLE, Density.PATIENT_ONLY):
        assert window.density is density
        texts = corners(port.picture, port.looking(), density, 20)
        assert texts.top_left[0] == "MÜLLER, Anna"
        assert "12345" in texts.top_left[1] and "1950-03-01" in texts.top_left[2]
        corner = port.grab().toImage().copy(0, 0, 250, 60)
        pictures.append(corner)
        assert sum(corner.pixelColor(x, y).red() > 200 for x in range(250) for y in range(60)) > 100
        qtbot.keyClick(port, Qt.Key.Key_I)
    assert pictures[0] == pictures[1] == pictures[2]
    assert window.density is Density.ALL


def test_a_tiny_tile_still_names_the_patient(window: ViewerWindow) -> None:
    port = window.active
    assert port.picture is not None
    texts = corners(port.picture, port.looking(), Density.ALL, 4)
    assert len(texts.top_left) == 3 and len(texts.bottom_left) == 1
    assert texts.bottom_left[0].startswith("Image")


def test_every_tool_has_a_name_a_hint_with_its_key_and_an_icon(window: ViewerWindow) -> None:
    for do, button in window.tools.buttons.items():
        assert button.accessibleName() and not button.icon().isNull(), do
        assert "(" in button.toolTip(), do


def test_an_exception_while_painting_leaves_no_painter_open(
    qtbot: QtBot, window: ViewerWindow, monkeypatch: pytest.MonkeyPatch
) -> None:
    def boom(*_args: object) -> None:
        raise RuntimeError("no corner")

    with monkeypatch.context() as patch:
        patch.setattr("ui.viewer.canvas.draw_corners", boom)
        with pytest.raises(RuntimeError, match="no corner"):
            window.active.grab()
    assert not window.active.paintingActive()
    assert not window.active.grab().isNull()  # painting goes on
