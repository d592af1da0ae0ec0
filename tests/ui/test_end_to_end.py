"""Through the real window into the real archive: drop a disc, tick, attach a PDF, send, find it, open it."""

from __future__ import annotations

import logging
import os
import signal
import subprocess
import sys
import time
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from PySide6.QtCore import QMimeData, QPointF, Qt, QUrl
from PySide6.QtGui import QDropEvent
from PySide6.QtWidgets import QApplication
from pytestqt.qtbot import QtBot

from app.commands.desktop import services
from app.paths import prepare
from core import log
from core.media import samples
from tests.plain_files import jpeg, mp4
from ui.archive.archives import Archives
from ui.archive.page import ArchivePage
from ui.dialogs.add_files import AddFilesDialog
from ui.dialogs.send_sheet import SendSheet
from ui.importing.session import Stage
from ui.main_window import MainWindow, Page
from ui.services import ArchiveState
from ui.theme import Mode, Theme
from ui.uploads.transfers import State

CANARY = samples.SamplePatient("Canary^Phi", "PHI-CANARY", "19451224", "F")
OTHER = samples.SamplePatient("Other^Otto", "O-1", "19500101", "M")
CHECK = Qt.ItemDataRole.CheckStateRole


@pytest.fixture
def disc(tmp_path: Path) -> Path:
    """Two patients, junk, a damaged file."""
    root = tmp_path / "disc ü"
    samples.write_ct_series(
        samples.SampleStudy("mine", CANARY, "20240211", "CT Abdomen", "A7"), root / "A", 6
    )
    samples.write_ct_series(samples.SampleStudy("other", OTHER, "20230101", "CT Skull", "A8"), root / "B", 2)
    (root / "AUTORUN.INF").write_text("[autorun]")
    whole = (root / "B" / "IM000002").read_bytes()
    (root / "B" / "CUT").write_bytes(whole[: len(whole) // 2])
    return root


@contextmanager
def closing_log() -> Generator[None, None, None]:
    """Close the log file at the end."""
    try:
        yield
    finally:
        log.stop()


@contextmanager
def opened(data: Path, qapp: QApplication) -> Generator[MainWindow, None, None]:
    """The window over *data*, with the embedded archive as its child."""
    log.start(verbose=True, file=prepare(data) / "logs" / "desktop.log", stderr=False)
    with closing_log(), services(data) as given:
        made = MainWindow(given, Theme(qapp, Mode.LIGHT))
        made.show()
        yield made
        made.leave()
        made.deleteLater()


@pytest.fixture
def window(qtbot: QtBot, qapp: QApplication, tmp_path: Path) -> Iterator[MainWindow]:
    """The window over a data folder of its own."""
    with opened(tmp_path / "data", qapp) as made:
        yield made


def drop(window: MainWindow, path: Path) -> None:
    """Drop *path* on the Import page."""
    mime = QMimeData()
    mime.setUrls([QUrl.fromLocalFile(str(path))])
    event = QDropEvent(
        QPointF(200, 200),
        Qt.DropAction.CopyAction,
        mime,
        Qt.MouseButton.LeftButton,
        Qt.KeyboardModifier.NoModifier,
    )
    window.imports.dropEvent(event)


def look_and_close(qtbot: QtBot, window: MainWindow) -> None:
    """The one viewer that is open shows a picture with the patient's name; close it."""
    assert window.viewers is not None
    [viewer] = window.viewers.windows.values()
    qtbot.waitUntil(lambda: viewer.active.picture is not None, timeout=20_000)
    assert viewer.active.total == 6
    assert "CANARY, Phi" in viewer.windowTitle()
    viewer.close()
    qtbot.waitUntil(lambda: window.viewers is not None and not window.viewers.windows, timeout=5000)


def add_to_images(qtbot: QtBot, archive: ArchivePage, folder: Path) -> None:
    """A document, a picture and a film, chosen at the page, are series of the study afterwards."""
    files = [folder / "letter.pdf", folder / "wound.jpg", folder / "clip.mp4"]
    for path, data in zip(files, (samples.pdf_report(["Letter"]), jpeg(), mp4()), strict=True):
        path.write_bytes(data)
    archive.add_files(files)
    dialog = archive.findChild(AddFilesDialog)
    assert dialog is not None and "CANARY, Phi" in dialog.banner.text()
    qtbot.waitUntil(lambda: dialog.chosen.files == files)
    dialog.title.setText("Brought along")
    dialog.add_button.click()
    qtbot.waitUntil(lambda: archive.messages.isVisible(), timeout=20_000)
    assert archive.messages.text.text().startswith("3 files were added to the images of CANARY, Phi")
    qtbot.waitUntil(
        lambda: archive.panel.study is not None and archive.panel.study.images == 9, timeout=20_000
    )
    assert archive.panel.study is not None
    new = [each for each in archive.panel.study.series if each.description == "Brought along"]
    assert sorted(each.modality for each in new) == ["DOC", "OT", "XC"]


def test_from_a_disc_to_the_archive_to_the_screen(
    qtbot: QtBot, window: MainWindow, disc: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    page = window.imports
    drop(window, disc)
    qtbot.waitUntil(lambda: page.session.stage is Stage.DONE, timeout=20_000)
    assert "1 is cut short" in page.scan.footer.complete.text()
    model, tree = page.session.model, page.scan.tree
    assert [model.index(row, 0).data() for row in range(2)] == ["CANARY, Phi", "OTHER, Otto"]
    study = model.index(0, 0, model.index(0, 0))
    tree.setCurrentIndex(study)
    qtbot.keyClick(tree, Qt.Key.Key_Space)
    report = tmp_path / "Befund.pdf"
    report.write_bytes(samples.pdf_report(["Befund"]))
    page.attach(report)

    # look at it before it is sent
    page._open_series(page.scan.panel.selected_series())
    look_and_close(qtbot, window)

    page.scan.footer.send_button.click()
    sheet = window.findChild(SendSheet)
    assert sheet is not None
    sheet.send_button.click()
    [transfer] = window.transfers.all
    qtbot.waitUntil(lambda: transfer.state not in (State.PREPARING, State.SENDING), timeout=60_000)
    assert transfer.state is State.DONE, transfer.error
    assert "Sent 6 of 6 images to Local archive, all checked by content. Safe to eject." in (
        window.sending.receipt.sentence.text()
    )
    assert transfer.receipt is not None
    assert transfer.receipt.studies[0].attachments == 1

    window.show_page(Page.ARCHIVE)
    archives = window.page(Page.ARCHIVE)
    assert isinstance(archives, Archives)
    archive = archives.local
    assert window.keeper.state is ArchiveState.RUNNING
    qtbot.keyClicks(archive.search.text, "canary")
    qtbot.waitUntil(lambda: archive.model.rowCount() == 1, timeout=20_000)
    archive.list.table.selectRow(0)
    qtbot.waitUntil(
        lambda: archive.panel.study is not None and archive.panel.study.images == 6, timeout=20_000
    )
    assert archive.panel.study is not None
    assert archive.panel.study.patient.shown_name == "CANARY, Phi"
    assert [a.name for a in archive.panel.study.attachments] == ["Befund.pdf"]
    archive.open()
    look_and_close(qtbot, window)

    add_to_images(qtbot, archive, tmp_path)
    said = caplog.text + "".join(p.read_text("utf-8") for p in (tmp_path / "data").rglob("*.log"))
    assert "CANARY" not in said.upper()
    assert "19451224" not in said


def test_a_restart_offers_to_go_on_and_does(
    qtbot: QtBot, qapp: QApplication, disc: Path, tmp_path: Path
) -> None:
    with opened(tmp_path / "data", qapp) as first:
        page = first.imports
        drop(first, disc)
        qtbot.waitUntil(lambda: page.session.stage is Stage.DONE, timeout=20_000)
        page.session.model.tick(page.session.model.node(page.session.model.index(0, 0)), True)
        order = page.session.order("archive")
        assert order is not None
        first.services.uploads.begin(order)  # written down, and then the program is gone
    with opened(tmp_path / "data", qapp) as second:
        qtbot.waitUntil(lambda: "CANARY, Phi" in second.messages.text.text(), timeout=10_000)
        assert second.messages.action_button.text() == "Go on"
        second.messages.action_button.click()
        [transfer] = second.transfers.all
        qtbot.waitUntil(lambda: transfer.state is State.DONE, timeout=60_000)
        assert transfer.receipt is not None
        assert transfer.receipt.safe_to_eject
    with opened(tmp_path / "data", qapp) as third:
        qtbot.wait(300)
        assert third.messages.isHidden()


@pytest.mark.skipif(os.name != "posix", reason="signals")
def test_the_program_ends_cleanly_when_it_is_told_to(tmp_path: Path) -> None:
    data = tmp_path / "data"
    environ = os.environ | {"FILMJACKET_DATA": str(data), "QT_QPA_PLATFORM": "offscreen"}
    with subprocess.Popen([sys.executable, "-m", "app"], env=environ, stderr=subprocess.PIPE) as program:
        try:
            until = time.monotonic() + 30
            while not (data / "archive").is_dir() and time.monotonic() < until:  # the window is awake
                assert program.poll() is None
                time.sleep(0.05)
            program.send_signal(signal.SIGTERM)
            _out, said = program.communicate(timeout=60)
        finally:
            program.kill()
    assert program.returncode == 0
    assert b"Traceback" not in said
    assert (data / "window.ini").is_file()
