"""An archive elsewhere in the real window, against a real server: searched, looked at, studies sent on."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from PySide6.QtCore import Qt
from PySide6.QtWidgets import QLabel
from pytestqt.qtbot import QtBot

from tests.core.remote_studies import ANNE, BERT, files
from tests.core.stub_v3 import Handler, Stub
from tests.core.stub_v3 import serving as serving_stub
from tests.server.conftest import serving
from tests.ui import fakes
from tests.ui.screens import Archive, theme
from tests.ui.viewing import FakeClient, row
from ui.archive.archives import Archives
from ui.archive.remote_view import RemoteView
from ui.dialogs.send_sheet import SendSheet
from ui.main_window import MainWindow, Page
from ui.models.archive_table import Column
from ui.services import DestinationText, Elsewhere
from ui.tasks import Tasks
from ui.theme import Theme

__all__ = ["theme"]


@pytest.fixture(scope="module")
def address(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with serving(tmp_path_factory.mktemp("elsewhere") / "data", no_auth=True) as served:
        for data in files():
            headers = {"content-type": "application/dicom"}
            address = f"{served.url}/dicom-web"
            httpx.post(
                f"{address}/studies", content=data, headers=headers, trust_env=False
            ).raise_for_status()
        yield address


@pytest.fixture
def destinations(address: str) -> Iterator[fakes.FakeDestinations]:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        nobody = f"stow:http://127.0.0.1:{taken.getsockname()[1]}"
    saved = {
        "Hospital": DestinationText("Hospital", f"stow:{address}"),
        "Nobody": DestinationText("Nobody", nobody),
        "V3 only": DestinationText("V3 only", "v3:http://127.0.0.1:1"),
    }
    made = fakes.FakeDestinations(saved)
    yield made
    for client in made.clients.values():
        client.close()


@pytest.fixture
def window(
    tasks: Tasks,
    jobs: Tasks,
    tmp_path: Path,
    *,
    theme: Theme,
    destinations: fakes.FakeDestinations,
) -> Iterator[MainWindow]:
    local = Archive(FakeClient([row(1)]))
    window = MainWindow(
        fakes.services(tmp_path, tasks, jobs, archive=local, destinations=destinations), theme
    )
    window.show()
    window.show_page(Page.ARCHIVE)
    yield window
    window.leave()
    window.deleteLater()


def archives_of(window: MainWindow) -> Archives:
    page = window.page(Page.ARCHIVE)
    assert isinstance(page, Archives)
    return page


def chosen(qtbot: QtBot, window: MainWindow, downs: int) -> RemoteView:
    """The view of the archive so many below the local one, chosen with the keyboard."""
    archives = archives_of(window)
    archives.chooser.setFocus()
    for _ in range(downs):
        qtbot.keyClick(archives.chooser, Qt.Key.Key_Down)
    assert archives.remote is not None and archives.stack.currentWidget() is archives.remote
    return archives.remote


def test_only_dicomweb_archives_can_be_chosen(
    window: MainWindow, destinations: fakes.FakeDestinations
) -> None:
    chooser = archives_of(window).chooser
    assert [chooser.itemText(n) for n in range(chooser.count())] == ["Local archive", "Hospital", "Nobody"]
    destinations.remove("Nobody")
    window.show_page(Page.SETTINGS)
    window.show_page(Page.ARCHIVE)
    assert chooser.count() == 2 and archives_of(window).stack.currentWidget() is archives_of(window).local


def test_a_study_elsewhere_is_found_and_looked_at(qtbot: QtBot, window: MainWindow) -> None:
    remote = chosen(qtbot, window, 1)
    qtbot.waitUntil(lambda: remote.model.rowCount() == 2, timeout=20_000)
    assert remote.count.text() == "2 studies"
    window.search()
    assert remote.search.text.hasFocus()
    remote.search.text.setText("müller")  # keyClicks knows no umlauts
    qtbot.waitUntil(lambda: remote.model.rowCount() == 1, timeout=20_000)
    index = remote.model.index(0, Column.PATIENT)
    assert remote.model.data(index) == "MÜLLER, Änne"
    qtbot.waitUntil(lambda: remote.panel.study is not None, timeout=20_000)
    study = remote.panel.study
    assert study is not None and (study.uid, study.images) == (ANNE.uid, 9)
    assert study.patient.patient_id == "R-7" and len(study.series) == 3
    thumbnails = remote.panel.thumbnails
    qtbot.waitUntil(lambda: all(thumbnails.get(each) for each in study.series), timeout=20_000)
    assert not [have.reason for each in study.series if (have := thumbnails.get(each)) and have.image is None]
    assert any("R-7" in each.value for each in study.details())

    qtbot.keyClick(remote.list.table, Qt.Key.Key_Return)
    assert window.viewers is not None
    (viewer,) = window.viewers.windows.values()
    qtbot.waitUntil(lambda: viewer.active.picture is not None, timeout=20_000)
    assert "MÜLLER, Änne" in viewer.windowTitle() and viewer.windowTitle().endswith("Hospital")
    loop = next(each for each in study.series if each.modality == "US")
    viewer.open_series(loop.uid)
    qtbot.waitUntil(
        lambda: viewer.active.series_uid == loop.uid and viewer.active.picture is not None, timeout=20_000
    )
    assert viewer.active.picture is not None and viewer.active.picture.total == 12
    viewer.close()


def test_who_runs_through_the_list_asks_for_the_last_study_only(
    qtbot: QtBot, window: MainWindow, monkeypatch: pytest.MonkeyPatch
) -> None:
    remote = chosen(qtbot, window, 1)
    qtbot.waitUntil(lambda: remote.panel.study is not None, timeout=20_000)
    asked: list[str] = []
    read = remote._study

    def counted(name: str, turn: int, study_uid: str) -> object:
        asked.append(study_uid)
        return read(name, turn, study_uid)

    monkeypatch.setattr(remote, "_study", counted)
    for number in (1, 0, 1, 0, 1):
        remote.list.choose(number)
    last = remote.model.row(1).study_uid
    qtbot.waitUntil(lambda: remote.panel.study is not None and remote.panel.study.uid == last, timeout=20_000)
    assert asked == [last]


def test_a_search_that_finds_nothing_offers_all_studies(qtbot: QtBot, window: MainWindow) -> None:
    remote = chosen(qtbot, window, 1)
    qtbot.keyClicks(remote.search.text, "nobody")
    qtbot.waitUntil(lambda: remote.list.sentence.text() == "No study matches.", timeout=20_000)
    remote.list.button.click()
    qtbot.waitUntil(lambda: remote.model.rowCount() == 2, timeout=20_000)
    rows = [remote.model.row(n).study_uid for n in range(2)]
    assert rows == [ANNE.uid, BERT.uid]


def test_a_search_that_takes_long_can_be_stopped_and_shows_nothing_old(
    qtbot: QtBot, window: MainWindow, destinations: fakes.FakeDestinations, address: str
) -> None:
    held, release = threading.Event(), threading.Event()

    def slow(handler: Handler) -> bool:
        held.set()
        release.wait(20)
        handler.answer(200, [])
        return True

    with serving_stub(Stub()) as stub:
        remote = chosen(qtbot, window, 1)
        qtbot.waitUntil(lambda: remote.model.rowCount() == 2, timeout=20_000)
        stub.fault = slow
        destinations.clients.pop("Hospital").close()
        destinations.save(DestinationText("Hospital", f"stow:{stub.url}"), None)
        remote.list.table.setFocus()
        remote.look()
        qtbot.waitUntil(lambda: remote.list.button.text() == "Stop", timeout=20_000)
        assert held.wait(10) and "Hospital" in remote.list.sentence.text()
        assert not remote.list.table.isVisible() and not remote.send_button.isEnabled()
        remote.list.button.click()
        assert remote.model.rowCount() == 0 and remote.panel.study is None
        assert not remote.send_button.isEnabled() and not remote.open_button.isEnabled()
        qtbot.waitUntil(lambda: not window.services.jobs.busy, timeout=20_000)
        destinations.clients.pop("Hospital").close()
        destinations.save(DestinationText("Hospital", f"stow:{address}"), None)
        assert remote.list.button.text() == "Search again"
        remote.list.button.click()
        qtbot.waitUntil(lambda: remote.model.rowCount() == 2, timeout=20_000)
        assert remote.list.table.isVisible()
        release.set()


def test_an_archive_whose_address_was_mended_is_searched_at_once(
    qtbot: QtBot, window: MainWindow, destinations: fakes.FakeDestinations, address: str
) -> None:
    remote = chosen(qtbot, window, 2)
    qtbot.waitUntil(lambda: "cannot be reached" in remote.messages.text.text(), timeout=20_000)
    window.show_page(Page.SETTINGS)
    destinations.clients.pop("Nobody").close()
    destinations.save(DestinationText("Nobody", f"stow:{address}"), None)
    window.show_page(Page.ARCHIVE)
    qtbot.waitUntil(lambda: remote.model.rowCount() == 2, timeout=20_000)
    assert not remote.messages.isVisible()


def test_an_archive_that_is_away_is_said_and_another_can_be_chosen(qtbot: QtBot, window: MainWindow) -> None:
    remote = chosen(qtbot, window, 2)
    qtbot.waitUntil(lambda: "cannot be reached" in remote.messages.text.text(), timeout=20_000)
    assert remote.list.sentence.text() == "Nobody cannot be searched now."
    assert remote.messages.action_button.text() == "Try again"
    assert not remote.open_button.isEnabled() and remote.panel.study is None
    qtbot.keyClick(archives_of(window).chooser, Qt.Key.Key_Up)
    qtbot.waitUntil(lambda: remote.model.rowCount() == 2, timeout=20_000)
    assert not remote.messages.isVisible()


def test_studies_of_two_patients_are_sent_on_after_a_yes_for_each(
    qtbot: QtBot, window: MainWindow, destinations: fakes.FakeDestinations
) -> None:
    remote = chosen(qtbot, window, 1)
    qtbot.waitUntil(lambda: remote.model.rowCount() == 2, timeout=20_000)
    assert remote.send_button.text() == "Send to…"
    remote.list.table.setFocus()
    qtbot.keyClick(remote.list.table, Qt.Key.Key_A, Qt.KeyboardModifier.ControlModifier)
    assert remote.send_button.text() == "Send 2 studies to…"
    remote.list.table.sortByColumn(Column.PATIENT, Qt.SortOrder.AscendingOrder)
    qtbot.waitUntil(lambda: remote.model.row(0).study_uid == BERT.uid, timeout=20_000)
    assert len(remote.picked) == 2
    qtbot.mouseClick(remote.send_button, Qt.MouseButton.LeftButton)
    assert not remote.send_button.isEnabled() and "Asking Hospital" in remote.asking.text.text()
    qtbot.waitUntil(lambda: bool(window.findChildren(SendSheet)), timeout=20_000)
    (sheet,) = window.findChildren(SendSheet)
    assert remote.send_button.isEnabled() and not remote.asking.isVisible()
    names = [sheet.destination.itemData(n) for n in range(sheet.destination.count())]
    assert names == ["archive", "Nobody", "V3 only"] and sheet.chosen == "archive"
    assert sorted(tick.text().split(" · ")[0] for tick in sheet.ticks) == ["BRAUN, Bert", "MÜLLER, Änne"]
    assert any(each.text().endswith("from Hospital") for each in sheet.findChildren(QLabel))
    for tick in sheet.ticks:
        assert not sheet.send_button.isEnabled()
        tick.setChecked(True)
    qtbot.mouseClick(sheet.send_button, Qt.MouseButton.LeftButton)
    uploads = window.services.uploads
    assert isinstance(uploads, fakes.FakeUploads)
    qtbot.waitUntil(lambda: bool(uploads.begun), timeout=20_000)
    order = uploads.begun[0].order
    assert order is not None and order.scan == Elsewhere("Hospital") and order.destination == "archive"
    assert {each.study.study_instance_uid: each.images for each in order.picked} == {ANNE.uid: 9, BERT.uid: 1}
    assert window.stack.currentIndex() == Page.SENT


def test_asking_what_a_study_holds_can_be_stopped(qtbot: QtBot, window: MainWindow) -> None:
    remote = chosen(qtbot, window, 1)
    qtbot.waitUntil(lambda: remote.model.rowCount() == 2, timeout=20_000)
    remote.send()
    assert remote.asking.isVisible()
    qtbot.mouseClick(remote.asking.action_button, Qt.MouseButton.LeftButton)
    assert not remote.asking.isVisible() and remote.send_button.isEnabled()
    qtbot.waitUntil(lambda: not window.services.jobs.busy, timeout=20_000)
    assert not window.findChildren(SendSheet)
    remote.sending.ask("Nobody", [ANNE.uid])
    qtbot.waitUntil(lambda: remote.asking.action_button.text() == "Try again", timeout=20_000)
    assert "cannot be reached" in remote.asking.text.text() and remote.send_button.isEnabled()
