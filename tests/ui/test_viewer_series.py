"""Series in the viewer: opening, slow sources, documents, films, layouts, the strip."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest
from PySide6.QtCore import QPoint, Qt
from pytestqt.qtbot import QtBot

from core.errors import Unreachable
from core.media.samples import SampleStudy, ct_slice, encapsulated_pdf, pdf_report
from tests.ui.viewer_tools import drag, reading_threads, shot, shown, source, wheel, window
from tests.ui.viewing import MemorySource, mixed_study, view_of
from ui.tasks import Tasks
from ui.viewer.commands import Do
from ui.viewer.gestures import Tool
from ui.viewer.picture import AS_THE_IMAGE_SAYS
from ui.viewer.viewport import Viewport
from ui.viewer.window import ViewerWindow

__all__ = ["source", "window"]


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
    qtbot.waitUntil(lambda: not reading_threads(), timeout=5000)
    assert names and threading.main_thread().name not in names


def test_a_slow_disc_never_holds_the_window(qtbot: QtBot, window: ViewerWindow, source: MemorySource) -> None:
    source.gate.clear()
    window.open_series(window.study.series[1].uid)
    assert window.active.message  # says what is going on, shows no old picture under a new name
    assert window.active.picture is None
    window.close()  # while a file is still being read
    source.gate.set()


def test_a_picture_that_could_not_be_reached_comes_when_it_can_be(
    qtbot: QtBot, window: ViewerWindow, source: MemorySource, monkeypatch: pytest.MonkeyPatch
) -> None:
    port = window.active
    port.go_to(0)
    qtbot.waitUntil(lambda: not port.waiting)
    assert port.frames is not None
    stack = port.frames._stack  # type: ignore[attr-defined]  # that of the real frames
    with monkeypatch.context() as away:
        away.setattr(stack, "peek", lambda _index: None)
        away.setattr(stack, "failure", lambda _index: Unreachable("Nobody is there."))
        port.go_to(1)
    assert port.picture is not None and port.picture.reason == "Nobody is there. Scroll to try again."
    qtbot.waitUntil(lambda: port.picture is not None and port.picture.source is not None)
    assert port.picture.index == 1


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


def test_the_document_that_is_shown_is_the_one_that_is_opened(
    qtbot: QtBot, tasks: Tasks, monkeypatch: pytest.MonkeyPatch
) -> None:
    study = SampleStudy("two documents")
    reports = [pdf_report([words]) for words in ("First", "Second", "Third")]
    documents = [encapsulated_pdf(study, report) for report in reports]
    for number, ds in enumerate(documents):
        ds.SOPInstanceUID, ds.InstanceNumber, ds.Modality = f"1.2.{number}", number, "OT"
        ds.file_meta.MediaStorageSOPInstanceUID = ds.SOPInstanceUID
    source = MemorySource(documents)
    view = view_of(source)
    opened: list[bytes] = []
    window = ViewerWindow(view, source.stack, tasks)
    monkeypatch.setattr(window._opener, "open", lambda _parent, _name, _type, data: opened.append(data))
    window.show()
    window.open_series(view.series[0].uid)
    for index, report in enumerate(reports):
        qtbot.waitUntil(lambda: window.active.total == 3)
        window.active.go_to(index)
        qtbot.waitUntil(lambda: not window.active.waiting and window.active.picture is not None)
        window.active.document_button.click()
        qtbot.waitUntil(lambda index=index: len(opened) == index + 1)
        assert opened[index].startswith(report)
    window.close()
    qtbot.waitUntil(lambda: not reading_threads(), timeout=5000)


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


def test_a_series_that_cannot_be_opened_says_why_and_is_tried_again(
    qtbot: QtBot, tasks: Tasks, source: MemorySource
) -> None:
    from core.imaging.stack import Stack

    tried: list[str] = []

    def broken(uid: str) -> Stack:
        tried.append(uid)
        if len(tried) == 1:
            raise Unreachable("The archive does not answer.", "Start it.")
        return source.stack(uid)

    window = ViewerWindow(view_of(source), broken, tasks)
    window.show()
    window.open_series(window.study.series[0].uid)
    qtbot.waitUntil(lambda: window.active.failed)
    assert "does not answer" in window.active.message and window.messages.isVisible()
    qtbot.mouseClick(window.messages.action_button, Qt.MouseButton.LeftButton)
    qtbot.waitUntil(lambda: window.active.picture is not None)
    assert not window.messages.isVisible()
    window.close()
    qtbot.waitUntil(lambda: not reading_threads())


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
    qtbot.waitUntil(lambda: not reading_threads(), timeout=5000)


def test_finding_the_order_keeps_the_picture_and_corrects_its_number(
    qtbot: QtBot, tasks: Tasks, monkeypatch: pytest.MonkeyPatch
) -> None:
    from core.imaging.stack import Stack

    shown_first, arrange = threading.Event(), Stack.arrange

    def later(stack: Stack):  # type: ignore[no-untyped-def]
        shown_first.wait(10)
        return arrange(stack)

    monkeypatch.setattr(Stack, "arrange", later)
    places = [0, 30, 10, 40, 20]  # the scanner numbered them in another order than they lie
    slices = [
        ct_slice(SampleStudy(), instance=n, size=32, ImagePositionPatient=[0, 0, place])
        for n, place in enumerate(places, 1)
    ]
    source = MemorySource(slices)
    view = view_of(source)
    window = ViewerWindow(view, source.stack, tasks)
    window.show()
    window.open_series(view.series[0].uid)
    qtbot.waitUntil(lambda: window.active.picture is not None)
    port = window.active

    assert port.picture is not None
    assert (port.picture.facts.instance_number, port.picture.index) == (3, 2)  # the middle one by number
    shown_first.set()
    qtbot.waitUntil(lambda: port.picture is not None and port.picture.index == 1)
    assert port.picture.facts.instance_number == 3 and port.wanted == 1  # it lies second
    seen = []
    for n in range(5):
        port.go_to(n)
        qtbot.waitUntil(lambda: not port.waiting)
        seen.append(port.picture.facts.location_mm)
    assert seen == sorted(places)
    window.close()
    qtbot.waitUntil(lambda: not reading_threads(), timeout=5000)


def test_missing_slices_are_said(qtbot: QtBot, tasks: Tasks) -> None:
    slices = [ct_slice(SampleStudy(), instance=n, size=32) for n in (1, 2, 3, 4, 8, 9)]
    source = MemorySource(slices)
    view = view_of(source)
    window = ViewerWindow(view, source.stack, tasks)
    window.show()
    window.open_series(view.series[0].uid)
    qtbot.waitUntil(lambda: "missing" in window.active.toolTip())
    window.close()
    qtbot.waitUntil(lambda: not reading_threads(), timeout=5000)
