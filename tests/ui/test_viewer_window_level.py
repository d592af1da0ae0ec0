"""Windows of a series whose files say nothing: held while scrolling, unless a person wants otherwise."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import pytest
from pytestqt.qtbot import QtBot

from core.media.samples import SampleStudy, ct_slice
from tests.ui.viewer_tools import reading_threads
from tests.ui.viewing import MemorySource, view_of
from ui.models.study_view import StudyView
from ui.tasks import Tasks
from ui.viewer.commands import Do
from ui.viewer.picture import AUTOMATIC_EACH, Choice
from ui.viewer.viewers import Viewers
from ui.viewer.viewport import Viewport


def slices(count: int = 5) -> list[object]:
    """Of the same body, each twice as bright as the one before, without a window or a unit."""
    made = []
    for n in range(1, count + 1):
        ds = ct_slice(SampleStudy(), instance=n, size=32, RescaleSlope=2 ** (n - 1))
        del ds.WindowCenter, ds.WindowWidth, ds.RescaleType
        made.append(ds)
    return made


@pytest.fixture
def port(qtbot: QtBot, tasks: Tasks) -> Iterator[Viewport]:
    source = MemorySource(slices())
    view = view_of(source)
    viewers = Viewers(tasks)
    window = viewers.open(with_pictures(view, source), view.series[0].uid)
    qtbot.waitUntil(lambda: window.active.picture is not None and not window.active.waiting)
    yield window.active
    viewers.close_all()
    qtbot.waitUntil(lambda: not reading_threads(), timeout=5000)


def with_pictures(view: StudyView, source: MemorySource) -> StudyView:
    """The study with a way to its pictures."""
    return replace(view, stack=source.stack)


def seen(qtbot: QtBot, port: Viewport) -> set[tuple[float, float] | None]:
    """The windows of all pictures."""
    found = set()
    for n in range(port.total):
        port.go_to(n)
        qtbot.waitUntil(lambda: not port.waiting)
        found.add(port.looking().window)
    return found


def test_scrolling_does_not_change_the_brightness(qtbot: QtBot, port: Viewport) -> None:
    opened = port.looking().window
    assert opened is not None and opened[1] > 1
    assert seen(qtbot, port) == {opened}
    assert port.looking().window_name == "Auto"


def test_asked_for_it_is_made_for_the_picture_that_is_seen(qtbot: QtBot, port: Viewport) -> None:
    opened = port.looking().window
    port.go_to(0)
    qtbot.waitUntil(lambda: not port.waiting)
    port.window().do(Do.PRESET_AUTO)  # type: ignore[attr-defined]
    now = port.looking().window
    assert now is not None and opened is not None and now[1] != opened[1]
    assert seen(qtbot, port) == {now}


def test_each_image_by_itself_if_wanted(qtbot: QtBot, port: Viewport) -> None:
    port.set_choice(AUTOMATIC_EACH)
    assert len(seen(qtbot, port)) == port.total
    assert "each" in port.looking().window_name
    port.set_choice(Choice(center=40, width=400))
    assert seen(qtbot, port) == {(40, 400)}


def test_values_of_ct_are_hounsfield_units_although_the_file_names_none(port: Viewport) -> None:
    assert port.frames is not None and port.picture is not None
    assert port.frames.value_at(port.picture, 0, 0).endswith(" HU")
