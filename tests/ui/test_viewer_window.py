"""The viewer as a person uses it: keys, mouse, text that belongs to the picture, opening and closing."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from PySide6.QtCore import QPoint, QPointF, Qt
from PySide6.QtGui import QColor, QImage
from PySide6.QtWidgets import QApplication
from pytestqt.qtbot import QtBot
from shiboken6 import isValid

from core.media.samples import SamplePatient, SampleStudy, ct_slice
from tests.ui.viewing import MemorySource, mixed_study, view_of
from ui.tasks import Tasks
from ui.viewer.commands import COMMANDS, KEY_TABLE, Do
from ui.viewer.corners import Density, corners
from ui.viewer.gestures import Tool
from ui.viewer.picture import AS_THE_IMAGE_SAYS, AUTOMATIC
from ui.viewer.viewport import Viewport
from ui.viewer.window import ViewerWindow

PATIENT = SamplePatient("Müller^Anna", "12345", "19500301", "F")


@pytest.fixture
def source() -> MemorySource:
    return mixed_study(SampleStudy(patient=PATIENT))


@pytest.fixture
def window(qtbot: QtBot, tasks: Tasks, source: MemorySource) -> Iterator[ViewerWindow]:
    """A viewer that shows the CT series; its threads must end when it closes."""
    view = view_of(source)
    made = ViewerWindow(view, source.stack, tasks)
    made.resize(1000, 700)
    made.show()
    made.open_series(view.series[0].uid)
    qtbot.waitUntil(lambda: made.active.picture is not None and not made.active.waiting)
    yield made
    source.gate.set()
    if isValid(made):
        made.close()
    qtbot.waitUntil(lambda: not _threads(), timeout=5000)


def _threads() -> list[str]:
    names = ("pictures", "pictures-order", "viewer-close", "read-ahead")
    return [t.name for t in threading.enumerate() if t.name in names]


def shown(port: Viewport) -> int:
    """Index of the painted picture."""
    assert port.picture is not None
    return port.picture.index


def shot(port: Viewport) -> QImage:
    """What is painted, without the pointer."""
    return port.grab().toImage()


def drag(
    qtbot: QtBot, port: Viewport, by: QPoint, button: Qt.MouseButton = Qt.MouseButton.LeftButton
) -> None:
    """A drag from the middle."""
    from PySide6.QtCore import QEvent
    from PySide6.QtGui import QMouseEvent

    start = QPointF(port.rect().center())
    none, no_button = Qt.KeyboardModifier.NoModifier, Qt.MouseButton.NoButton
    for kind, at, which, held in (
        (QEvent.Type.MouseButtonPress, start, button, button),
        (QEvent.Type.MouseMove, start + QPointF(by), no_button, button),
        (QEvent.Type.MouseButtonRelease, start + QPointF(by), button, no_button),
    ):
        QApplication.sendEvent(port, QMouseEvent(kind, at, port.mapToGlobal(at), which, held, none))


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


def wheel(port: Viewport, delta: int) -> None:
    """Turn the wheel."""
    from PySide6.QtGui import QWheelEvent

    at = QPointF(port.rect().center())
    event = QWheelEvent(
        at, port.mapToGlobal(at), QPoint(), QPoint(0, delta), Qt.MouseButton.NoButton,
        Qt.KeyboardModifier.NoModifier, Qt.ScrollPhase.NoScrollPhase, False,
    )  # fmt: skip
    QApplication.sendEvent(port, event)


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


def test_text_changes_only_together_with_the_picture(
    qtbot: QtBot, window: ViewerWindow, source: MemorySource
) -> None:
    uid = window.study.series[0].uid
    window.active.release()
    source.gate.set()
    window.open_series(uid)
    qtbot.waitUntil(lambda: window.active.picture is not None)
    port = window.active
    assert port.frames is not None
    port.frames.ready = lambda _index: None  # type: ignore[method-assign]  # nothing arrives any more
    before = port.picture
    painted = shot(port)
    port.go_to(0)
    assert port.waiting and port.picture is before
    assert shot(port) == painted  # same pixels, same image number
    qtbot.waitUntil(lambda: port.late)
    assert shot(port) != painted  # a mark says that something is on its way
    assert port.picture is before


def test_frames_are_decoded_off_the_qt_thread(qtbot: QtBot, tasks: Tasks) -> None:
    source = MemorySource([ct_slice(SampleStudy(), instance=n, size=32) for n in range(1, 9)])
    names: set[str] = set()
    original = source.open

    def watched(ref):  # type: ignore[no-untyped-def]
        names.add(threading.current_thread().name)
        return original(ref)

    source.open = watched  # type: ignore[method-assign]
    view = view_of(source)
    window = ViewerWindow(view, source.stack, tasks)
    window.show()
    window.open_series(view.series[0].uid)
    qtbot.waitUntil(lambda: window.active.picture is not None)
    for n in range(8):
        window.active.go_to(n)
        qtbot.waitUntil(lambda: not window.active.waiting)
    window.close()
    qtbot.waitUntil(lambda: not _threads(), timeout=5000)
    assert names and threading.main_thread().name not in names


def test_a_slow_disc_never_holds_the_window(qtbot: QtBot, window: ViewerWindow, source: MemorySource) -> None:
    source.gate.clear()
    window.open_series(window.study.series[1].uid)
    assert window.active.message  # says what is going on, shows no old picture under a new name
    assert window.active.picture is None
    window.close()  # while a file is still being read
    source.gate.set()


def test_colour_has_no_window_and_shows_its_colours(qtbot: QtBot, window: ViewerWindow) -> None:
    window.open_series(window.study.series[2].uid)
    qtbot.waitUntil(lambda: window.active.series_uid == window.study.series[2].uid)
    port = window.active
    qtbot.waitUntil(lambda: port.picture is not None)
    assert port.picture is not None and port.picture.colour and port.looking().window is None
    assert not window.tools.presets.isEnabled()
    image = shot(port)
    colour = image.pixelColor(port.width() // 2 + 100, port.height() // 2 - 100)
    assert len({colour.red(), colour.green(), colour.blue()}) > 1
    drag(qtbot, port, QPoint(40, 40))
    assert port.choice == AS_THE_IMAGE_SAYS


def test_cine_plays_by_the_clock_and_drops_frames(qtbot: QtBot, tasks: Tasks) -> None:
    from ui.viewer.stack_frames import StackFrames

    source = mixed_study(SampleStudy(), slices=1)
    uid = next(f.header.series_instance_uid for f in source.found if f.header.modality == "US")
    frames = StackFrames(source.stack(uid))
    now = [10.0]
    port = Viewport(clock=lambda: now[0])
    qtbot.addWidget(port)
    port.show_frames(frames, uid)
    qtbot.waitUntil(lambda: not port.waiting)
    assert port.total == 12 and shown(port) == 0
    assert port.player.cine is not None and port.player.cine.fps == 20
    port.player.play()
    port.player._tick.stop()  # the test is the clock
    for at, expected in ((10.05, 1), (10.25, 5), (10.55, 11), (10.60, 0)):
        now[0] = at
        port.player.play_on()
        port.player._tick.stop()
        qtbot.waitUntil(lambda: not port.waiting)
        assert shown(port) == expected
    speed = port.looking().fps
    assert speed is not None and speed[0] == 20 and 0 < speed[1] < 20  # four of twelve were shown
    wheel(port, -120)
    assert not port.player.playing
    port.release()
    frames.wait_closed()


def test_a_document_says_so_and_can_be_opened(
    qtbot: QtBot, window: ViewerWindow, monkeypatch: pytest.MonkeyPatch
) -> None:
    opened: list[tuple[str, bytes]] = []
    monkeypatch.setattr(
        window._opener, "open", lambda _parent, name, _type, data: opened.append((name, data))
    )
    window.open_series(window.study.series[3].uid)
    port = window.active
    qtbot.waitUntil(lambda: port.picture is not None and port.picture.document)
    assert port.picture is not None and port.picture.source is None and "PDF" in port.picture.reason
    assert port.document_button.isVisible()
    qtbot.mouseClick(port.document_button, Qt.MouseButton.LeftButton)
    qtbot.waitUntil(lambda: bool(opened))
    assert opened[0][1].startswith(b"%PDF-")


def test_layouts_fill_with_the_series_that_follow(qtbot: QtBot, window: ViewerWindow) -> None:
    qtbot.keyClick(window.active, Qt.Key.Key_4, Qt.KeyboardModifier.ControlModifier)
    qtbot.waitUntil(lambda: all(port.picture is not None for port in window.tiles.ports))
    assert [p.series_uid for p in window.tiles.ports] == [s.uid for s in window.study.series]
    first = window.active
    qtbot.keyClick(first, Qt.Key.Key_Tab)
    assert window.active is window.tiles.ports[1] and window.active is not first
    qtbot.keyClick(window.active, Qt.Key.Key_Backtab)
    assert window.active is first
    qtbot.mouseDClick(first, Qt.MouseButton.LeftButton)
    assert [p.isVisible() for p in window.tiles.ports] == [True, False, False, False]
    qtbot.keyClick(first, Qt.Key.Key_1, Qt.KeyboardModifier.ControlModifier)
    assert window.tiles.count == 1 and window.active is first


def test_strip_is_used_with_the_keyboard_and_leaves_letters_to_the_viewer(
    qtbot: QtBot, window: ViewerWindow
) -> None:
    window.strip.setFocus()
    qtbot.keyClick(window.strip, Qt.Key.Key_Down)
    qtbot.keyClick(window.strip, Qt.Key.Key_Return)
    qtbot.waitUntil(lambda: window.active.series_uid == window.study.series[1].uid)
    qtbot.keyClick(window.strip, "T")
    assert window.active.tool is Tool.PAN
    qtbot.keyClick(window.strip, Qt.Key.Key_F6)
    assert window.focusWidget() is window.tools.buttons[Do.TOOL_WINDOW]


def test_every_tool_has_a_name_a_hint_with_its_key_and_an_icon(window: ViewerWindow) -> None:
    for do, button in window.tools.buttons.items():
        assert button.accessibleName() and not button.icon().isNull(), do
        assert "(" in button.toolTip(), do


def test_a_series_that_cannot_be_opened_says_why(qtbot: QtBot, tasks: Tasks, source: MemorySource) -> None:
    from core.errors import Unreachable

    def broken(_uid: str):  # type: ignore[no-untyped-def]
        raise Unreachable("The archive does not answer.", "Start it.")

    window = ViewerWindow(view_of(source), broken, tasks)
    window.show()
    window.open_series(window.study.series[0].uid)
    qtbot.waitUntil(lambda: window.active.failed)
    assert "does not answer" in window.active.message and window.messages.isVisible()
    window.close()
    qtbot.waitUntil(lambda: not _threads())


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


def test_real_files_are_shown(qtbot: QtBot, tasks: Tasks, testdata: Path) -> None:
    from pydicom import dcmread

    from core.dicom.refs import FileRef, Found
    from core.imaging.stack import Stack
    from tests.ui.viewing import header_of

    paths = sorted((testdata / "ct-series").rglob("*.dcm"))[:5]
    assert paths

    class Folder:
        name = "Folder"

        def headers(self):  # type: ignore[no-untyped-def]
            return iter(())

        def open(self, ref: FileRef):  # type: ignore[no-untyped-def]
            return Path(ref.path).open("rb")

    found = []
    for path in paths:
        ds = dcmread(path, stop_before_pixels=True)
        for keyword in ("PatientBirthDate", "PatientSex", "AccessionNumber", "InstitutionName",
                        "SeriesDescription", "StudyDescription", "StudyTime"):  # fmt: skip
            if keyword not in ds:
                setattr(ds, keyword, "")
        found.append(Found(FileRef(str(path)), header_of(ds), path.stat().st_size))
    view = view_of(mixed_study(SampleStudy()))
    window = ViewerWindow(view, lambda _uid: Stack(Folder(), found), tasks)
    window.show()
    window.open_series(view.series[0].uid)
    qtbot.waitUntil(lambda: window.active.picture is not None)
    picture = window.active.picture
    assert picture is not None and picture.source is not None and picture.total == len(paths)
    assert picture.edges.left == "R"
    window.close()
    qtbot.waitUntil(lambda: not _threads(), timeout=5000)
