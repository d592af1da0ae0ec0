"""The main window: pages, keys, status, what it remembers and offers at start, names for everything."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from PySide6.QtCore import QEvent, QObject, QSize, Qt
from PySide6.QtGui import QAccessible, QKeySequence
from PySide6.QtWidgets import (
    QAbstractButton,
    QAbstractItemView,
    QAbstractSpinBox,
    QApplication,
    QComboBox,
    QDialog,
    QLabel,
    QLineEdit,
    QPlainTextEdit,
    QProgressBar,
    QWidget,
)
from pytestqt.qtbot import QtBot

from core.errors import Busy
from core.settings import DesktopSettings, Settings
from tests.ui import fakes
from tests.ui.test_send import order_of
from ui.dialogs.decision import Decision
from ui.dialogs.destination import DestinationDialog
from ui.dialogs.help import HelpDialog, keys
from ui.dialogs.receipt import ReceiptDialog
from ui.dialogs.send_sheet import SendSheet
from ui.focus import FocusRing, FocusRings
from ui.importing.session import Stage
from ui.main_window import FIRST_SIZE, MainWindow, Page
from ui.services import ArchiveState
from ui.tasks import Tasks
from ui.theme import Mode, Theme
from ui.uploads.transfers import State, Transfer

CONTROLS = (
    QAbstractButton,
    QAbstractItemView,
    QAbstractSpinBox,
    QComboBox,
    QLineEdit,
    QPlainTextEdit,
    QProgressBar,
)


@pytest.fixture
def theme(qapp: QApplication) -> Theme:
    """The light look."""
    return Theme(qapp, Mode.LIGHT)


@pytest.fixture
def make(qtbot: QtBot, tasks: Tasks, jobs: Tasks, tmp_path: Path, theme: Theme) -> Iterator[Any]:
    """Builds windows over made-up services and closes them."""
    windows: list[MainWindow] = []

    def build(**changes: Any) -> MainWindow:
        window = MainWindow(fakes.services(tmp_path, tasks, jobs, **changes), theme)
        windows.append(window)
        window.show()
        qtbot.waitUntil(lambda: bool(window.property("awake")), timeout=2000)
        return window

    yield build
    for window in windows:
        window.leave()
        window.deleteLater()


def test_first_size_smallest_size_and_what_is_remembered(make: Any) -> None:
    window = make()
    assert window.size() == QSize(*FIRST_SIZE)
    assert window.minimumSize() == QSize(960, 640)
    window.resize(960, 700)
    window.close()
    assert make().size() == QSize(960, 700)  # the offscreen screen is no wider


def test_only_the_first_page_is_built_at_start_and_the_archive_starts_behind_it(
    qtbot: QtBot, make: Any
) -> None:
    window = make()
    assert set(window._built) == {Page.IMPORT}
    qtbot.waitUntil(lambda: window.keeper.state is ArchiveState.RUNNING, timeout=2000)
    qtbot.waitUntil(lambda: window.status.archive.text() == "Archive running", timeout=2000)
    assert window.status.where.text() == "FILMJACKET @ 127.0.0.1:8500"
    qtbot.waitUntil(lambda: "free" in window.status.free.text(), timeout=2000)


def test_an_archive_that_is_switched_off_is_left_alone(make: Any) -> None:
    off = fakes.FakeSettings(Settings(desktop=DesktopSettings(local_archive=False)))
    window = make(settings=off)
    assert window.services.archive.starts == 0
    assert window.status.archive.text() == "Archive off"


def test_an_archive_held_by_another_process_is_said_with_a_way_on(qtbot: QtBot, make: Any) -> None:
    fault = Busy("Process 4711 holds the data folder.", "Close the other window.")
    window = make(archive=fakes.FakeArchive(fault=fault))
    qtbot.waitUntil(lambda: "4711" in window.messages.text.text(), timeout=2000)
    assert window.status.archive.text() == "Archive not running"
    window.services.archive.fault = None
    window.messages.action_button.click()
    qtbot.waitUntil(lambda: window.keeper.state is ArchiveState.RUNNING, timeout=2000)
    assert window.messages.isHidden()


@pytest.mark.parametrize(
    ("keys_", "page"),
    [
        ("Ctrl+1", Page.IMPORT),
        ("Ctrl+3", Page.SENT),
        ("Ctrl+4", Page.WORKLIST),
        ("Ctrl+5", Page.PACS),
        ("Ctrl+,", Page.SETTINGS),
    ],
)
def test_pages_by_key(qtbot: QtBot, make: Any, keys_: str, page: Page) -> None:
    window = make(settings=fakes.FakeSettings(Settings(desktop=DesktopSettings(local_archive=False))))
    window.show_page(Page.SENT if page is not Page.SENT else Page.IMPORT)
    _press(qtbot, window, keys_)
    assert window.stack.currentIndex() == page


def _press(qtbot: QtBot, window: QWidget, keys_: str) -> None:
    window.activateWindow()
    qtbot.waitUntil(window.isActiveWindow, timeout=2000)
    combination = QKeySequence(keys_)[0]
    qtbot.keyClick(window, combination.key(), combination.keyboardModifiers())


def test_help_names_every_key(qtbot: QtBot, make: Any) -> None:
    window = make()
    _press(qtbot, window, "F1")
    dialog = window.findChild(HelpDialog)
    assert dialog is not None
    words = "\n".join(label.text() for label in dialog.findChildren(QLabel))
    for key, action in keys():
        assert key in words
        assert action in words
    dialog.accept()


def test_an_unfinished_upload_is_offered_at_start_and_goes_on(qtbot: QtBot, make: Any) -> None:
    window = make(uploads=fakes.FakeUploads(left=[fakes.FakeJob()]))
    qtbot.waitUntil(lambda: "MÜLLER, Anna" in window.messages.text.text(), timeout=2000)
    assert window.messages.action_button.text() == "Go on"
    window.messages.action_button.click()
    assert window.stack.currentIndex() == Page.SENT
    qtbot.waitUntil(lambda: window.transfers.all[0].state is State.DONE, timeout=3000)


def test_nothing_is_asked_at_start_when_nothing_is_left(qtbot: QtBot, make: Any) -> None:
    window = make()
    qtbot.wait(100)
    assert window.messages.isHidden()
    assert window.findChildren(QDialog) == []


def test_send_from_the_import_page_shows_the_card_and_then_the_receipt(
    qtbot: QtBot, make: Any, tmp_path: Path
) -> None:
    drive = fakes.FakeDrive(tmp_path, "RAD_CD")
    ejected: list[object] = []
    window = make(drives=lambda: [drive], eject=ejected.append)
    qtbot.waitUntil(lambda: bool(window.imports._drives), timeout=3000)
    window.open_paths([tmp_path])
    qtbot.waitUntil(lambda: window.imports.session.stage is Stage.DONE, timeout=3000)
    model = window.imports.session.model
    model.tick(model.node(model.index(2, 0)), True)
    window.imports.scan.footer.send_button.click()
    sheet = window.findChild(SendSheet)
    assert sheet is not None
    sheet.send_button.click()
    receipt = window.sending.receipt
    qtbot.waitUntil(lambda: not receipt.isHidden(), timeout=3000)
    assert "Safe to eject" in receipt.sentence.text()
    receipt.eject_button.click()
    qtbot.waitUntil(lambda: ejected == [drive], timeout=2000)
    qtbot.waitUntil(lambda: window.imports.session.stage is Stage.IDLE, timeout=2000)
    assert receipt.isHidden()


def test_quitting_while_sending_asks_and_names_the_patient(qtbot: QtBot, make: Any) -> None:
    go = threading.Event()

    def slow(order: Any) -> fakes.FakeJob:
        job = fakes.FakeJob(order)
        job.go = go
        return job

    window = make(uploads=fakes.FakeUploads(make=slow))
    transfer = window.transfers.begin(order_of("Yamada"))
    qtbot.waitUntil(lambda: transfer.state is State.SENDING, timeout=2000)
    qtbot.waitUntil(lambda: "1 sending" in window.status.sending.text(), timeout=2000)
    assert window.close() is False
    asked = window.findChild(Decision)
    assert "MÜLLER, Anna" in "\n".join(label.text() for label in asked.findChildren(QLabel))
    asked.reject()
    window.ask_to_cancel(transfer)
    window.findChildren(Decision)[-1].yes_button.click()
    qtbot.waitUntil(lambda: transfer.state is State.CANCELLED, timeout=3000)


def _part_of_another(control: QWidget) -> bool:
    """Whether it is a piece of a list, a spin box or a combo box, which has the name."""
    above = control.parentWidget()
    while above is not None:
        if isinstance(above, QAbstractSpinBox | QComboBox | QAbstractItemView):
            return True
        above = above.parentWidget()
    return False


def _unnamed(top: QWidget) -> list[str]:
    """Controls without a name, a text or a label of their own."""
    bad = []
    for control in top.findChildren(QWidget):
        inner = control.objectName().startswith("qt_") or _part_of_another(control)
        unreachable = control.isHidden() or control.focusPolicy() == Qt.FocusPolicy.NoFocus
        if not isinstance(control, CONTROLS) or inner or unreachable:
            continue
        interface = QAccessible.queryAccessibleInterface(control)
        name = interface.text(QAccessible.Text.Name) if interface is not None else ""
        if not (name or control.accessibleName()).strip():
            bad.append(
                f"{type(control).__name__} {control.objectName()} in {type(control.parent()).__name__}"
            )
    return bad


def test_every_control_has_a_name(qtbot: QtBot, make: Any, tmp_path: Path) -> None:
    window = make(uploads=fakes.FakeUploads(left=[fakes.FakeJob()]))
    window.open_paths([tmp_path])
    qtbot.waitUntil(lambda: window.imports.session.stage is Stage.DONE, timeout=3000)
    order = order_of("Yamada", "Müller")
    window.transfers.begin(order)
    for page in (Page.IMPORT, Page.SENT, Page.SETTINGS):
        window.show_page(page)
    done = Transfer("t", State.DONE, job=fakes.FakeJob())
    tops = [
        window,
        SendSheet(order, window.services, window),
        DestinationDialog(window.services, None, window),
        ReceiptDialog(done, window),
        HelpDialog("1", window),
        Decision("Delete?", yes="Delete", no="Keep", parent=window),
    ]
    for top in tops:
        assert _unnamed(top) == [], type(top).__name__


class Painted(QObject):
    """Counts how often a widget paints."""

    def __init__(self, widget: QWidget) -> None:
        super().__init__(widget)
        self.times = 0
        widget.installEventFilter(self)

    def eventFilter(self, _watched: QObject, event: QEvent) -> bool:
        self.times += event.type() == QEvent.Type.Paint
        return False


def test_the_ring_follows_the_keyboard(qtbot: QtBot, qapp: QApplication, make: Any) -> None:
    rings = FocusRings(qapp)
    try:
        window = make()
        window.activateWindow()
        qtbot.waitUntil(window.isActiveWindow, timeout=2000)
        button = window.imports.start.folder_button
        button.setFocus()
        ring = window.findChild(FocusRing)
        assert ring is not None
        assert ring.on is button
        assert ring.geometry().contains(button.mapTo(window, button.rect().center()))
        assert ring.width() > button.width()
        qtbot.wait(50)
        painted = Painted(ring)
        for _ in range(5):
            QApplication.sendEvent(button.parentWidget(), QEvent(QEvent.Type.LayoutRequest))
            qapp.processEvents()
        assert painted.times == 0  # each time it would paint all that lies below it, too
        window.resize(window.width() - 40, window.height())
        qtbot.waitUntil(lambda: painted.times > 0, timeout=1000)
        assert ring.geometry().contains(button.mapTo(window, button.rect().center()))
        window.show_page(Page.SETTINGS)
        qtbot.waitUntil(lambda: ring.isHidden() or ring.on is not button, timeout=1000)
    finally:
        qapp.focusChanged.disconnect(rings._moved)


def test_the_keyboard_reaches_every_button_of_the_import_page(
    qtbot: QtBot, make: Any, tmp_path: Path
) -> None:
    window = make()
    window.open_paths([tmp_path])
    qtbot.waitUntil(lambda: window.imports.session.stage is Stage.DONE, timeout=3000)
    window.imports.session.model.tick_all(True)
    seen: list[QWidget] = []
    step: QWidget = window.imports.scan.tree
    for _ in range(200):
        if step.isVisible() and step.focusPolicy() & Qt.FocusPolicy.TabFocus:
            seen.append(step)
        step = step.nextInFocusChain()
    footer = window.imports.scan.footer
    wanted = [footer.attach_button, footer.view_button, footer.send_button]
    places = [seen.index(each) for each in wanted]
    assert places == sorted(places)
    assert seen.index(window.imports.scan.tree) < places[0]
