"""The open viewer of the tests, and a hand that drags and turns the wheel."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import pytest
from PySide6.QtCore import QPoint, QPointF, Qt
from PySide6.QtGui import QImage
from PySide6.QtWidgets import QApplication
from pytestqt.qtbot import QtBot
from shiboken6 import isValid

from core.media.samples import SamplePatient, SampleStudy
from tests.ui.viewing import MemorySource, mixed_study, view_of
from ui.tasks import Tasks
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
    qtbot.waitUntil(lambda: not reading_threads(), timeout=5000)


def reading_threads() -> list[str]:
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


def wheel(port: Viewport, delta: int) -> None:
    """Turn the wheel."""
    from PySide6.QtGui import QWheelEvent

    at = QPointF(port.rect().center())
    event = QWheelEvent(
        at, port.mapToGlobal(at), QPoint(), QPoint(0, delta), Qt.MouseButton.NoButton,
        Qt.KeyboardModifier.NoModifier, Qt.ScrollPhase.NoScrollPhase, False,
    )  # fmt: skip
    QApplication.sendEvent(port, event)
