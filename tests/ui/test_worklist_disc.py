"""A disc for a worklist entry, through the real window into the real archive, and seen by a modality."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from PySide6.QtWidgets import QApplication, QLabel
from pytestqt.qtbot import QtBot

from core import settings
from core.media import samples
from core.net.worklist_client import EntryRow, WorklistClient
from core.settings import Settings
from tests.core.worklist_entries import SAID
from tests.ui.clinic import modality_worklist
from tests.ui.test_end_to_end import drop, opened
from ui.archive.calls import Calls
from ui.dialogs.comparison import Comparison
from ui.dialogs.decision import Decision
from ui.dialogs.send_sheet import SendSheet
from ui.importing.session import Stage
from ui.main_window import MainWindow, Page
from ui.models.entries import differences
from ui.models.study_view import PatientText
from ui.services import ArchiveState
from ui.uploads.transfers import State
from ui.worklist.entry_form import EntryForm
from ui.worklist.page import WorklistPage

DISC = samples.SamplePatient("Anderung^K.", "ELSEWHERE-9", "19700102", "M")
STUDY = samples.SampleStudy("brought", DISC, "20240211", "CT Abdomen", "OTHER-ACC")
WAIT = 20_000


@pytest.fixture
def dimse_port(tmp_path: Path) -> int:
    """A port the local archive is told to answer modalities on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
    data = tmp_path / "data"
    data.mkdir(mode=0o700)
    found = Settings()
    settings.save(data, replace(found, desktop=replace(found.desktop, dimse_port=port)))
    return port


@pytest.fixture
def window(qtbot: QtBot, qapp: QApplication, tmp_path: Path, dimse_port: int) -> Iterator[MainWindow]:
    """The window with an archive of its own that runs."""
    samples.write_ct_series(STUDY, tmp_path / "disc", 4)
    with opened(tmp_path / "data", qapp) as made:
        qtbot.waitUntil(lambda: made.keeper.state is ArchiveState.RUNNING, timeout=60_000)
        yield made


def worklist_of(window: MainWindow) -> WorklistPage:
    window.show_page(Page.WORKLIST)
    page = window.page(Page.WORKLIST)
    assert isinstance(page, WorklistPage)
    return page


def make_entry(qtbot: QtBot, page: WorklistPage) -> None:
    """By the form, as a person does."""
    page.new()
    [form] = page.findChildren(EntryForm)
    for keyword, value in SAID.items():
        form.fields[keyword].show_value(value)
    form.save()
    qtbot.waitUntil(page.panel.start_button.isVisible, timeout=WAIT)


def sheet_for(qtbot: QtBot, window: MainWindow, disc: Path) -> SendSheet:
    """The sheet before the disc is sent for the entry in hand."""
    imports = window.imports
    drop(window, disc)
    qtbot.waitUntil(lambda: imports.session.stage is Stage.DONE, timeout=WAIT)
    imports.session.model.tick_all(True)
    imports.scan.footer.send_button.click()
    sheet = window.findChild(SendSheet)
    assert sheet is not None
    return sheet


def test_from_the_entry_to_the_archive_under_its_patient(
    qtbot: QtBot, window: MainWindow, tmp_path: Path, dimse_port: int
) -> None:
    page = worklist_of(window)
    make_entry(qtbot, page)
    [told] = modality_worklist("127.0.0.1", dimse_port, Modality="CT")
    assert (told.PatientID, told.AccessionNumber) == ("W-1", "ACC-77")
    page.panel.start_button.click()
    qtbot.waitUntil(page.panel.disc_button.isVisible, timeout=WAIT)
    page.panel.disc_button.click()
    assert window.stack.currentIndex() == Page.IMPORT and window.imports.for_entry.isVisible()
    assert "ÄNDERUNG, Karl" in window.imports.for_entry.banner.text()

    sheet = sheet_for(qtbot, window, tmp_path / "disc")
    words = " ".join(label.text() for label in sheet.findChildren(QLabel))
    assert "ID W-1" in words and "ID ELSEWHERE-9" in words  # both, side by side
    assert "The names differ." in words and "The patient IDs differ." in words
    [tick] = sheet.ticks
    assert not sheet.send_button.isEnabled() and sheet.chosen == "archive"
    tick.setChecked(True)
    assert sheet.send_button.isEnabled()
    sheet.send_button.click()
    [transfer] = window.transfers.all
    qtbot.waitUntil(lambda: transfer.state not in (State.PREPARING, State.SENDING), timeout=60_000)
    assert transfer.state is State.DONE, transfer.error
    assert window.imports.entry is None and not window.imports.for_entry.isVisible()

    client = window.services.archive.client()
    [row] = client.search("acc-77").rows
    assert (row.study_uid, row.patient_id, row.images) == (STUDY.uid, "W-1", 4)
    assert row.patient_name == SAID["PatientName"] and row.accession_number == "ACC-77"
    detail = client.study_detail("default", STUDY.uid)
    image = detail.series[0].images[0]
    with client.payload("default", STUDY.uid, image.image_uid) as pieces:
        assert b"ELSEWHERE-9" in b"".join(pieces)  # what was received is as it was

    order = Calls(window.services.archive).order("default", STUDY.uid)
    onward = SendSheet(replace(order, destination="archive"), window.services, window)
    [tick] = onward.ticks  # the files still name the disc's patient: whoever sends them on must say yes
    assert "ID ELSEWHERE-9" in tick.text() and not onward.send_button.isEnabled()
    onward.deleteLater()

    page = worklist_of(window)
    qtbot.waitUntil(lambda: len(page._studies) == 1, timeout=WAIT)
    page.panel.complete_button.click()
    [question] = page.findChildren(Decision)
    question.yes_button.click()
    qtbot.waitUntil(lambda: page.panel.state.text() == "Completed", timeout=WAIT)
    assert modality_worklist("127.0.0.1", dimse_port, Modality="CT") == []


def test_an_entry_that_went_away_leaves_the_sending_open(
    qtbot: QtBot, window: MainWindow, tmp_path: Path
) -> None:
    worklist = WorklistClient(window.services.archive.client().session)
    entry: EntryRow = worklist.start(worklist.create(SAID))
    window.import_for(entry)
    sheet = sheet_for(qtbot, window, tmp_path / "disc")
    assert isinstance(sheet.comparison, Comparison)
    sheet.ticks[0].setChecked(True)
    worklist.remove(entry)
    sheet.send_button.click()
    [transfer] = window.transfers.all
    qtbot.waitUntil(lambda: transfer.state is State.BROKEN, timeout=60_000)
    assert "could not be put under the worklist entry" in str(transfer.error)
    [job] = window.services.uploads.unfinished()
    assert job.images == 4  # it can be gone on with, or given up
    client = window.services.archive.client()
    assert client.study_detail("default", STUDY.uid).study.patient_id == "ELSEWHERE-9"


@pytest.mark.parametrize(
    ("disc", "expected"),
    [
        (PatientText("Änderung^Karl", "W-1", "19700102", "M"), []),
        (PatientText("ANDERUNG^KARL^^", " w-1 ", "1970.01.02", ""), []),
        (PatientText("山田^太郎", "W-1", "19700102", "M"), []),
        (PatientText("Änderung^Carl", "W-1", "19700102", "M"), ["The names differ."]),
        (PatientText(), ["The names differ.", "The disc has no ID.", "The disc has no birth date."]),
        (PatientText("Änderung^Karl", "W-2", "19700201", "F"),
         ["The patient IDs differ.", "The birth dates differ.", "The sex differs."]),
    ],
)  # fmt: skip
def test_in_what_a_disc_differs(disc: PatientText, expected: list[str]) -> None:
    entry = PatientText(SAID["PatientName"], "W-1", "19700102", "M")
    assert list(differences(entry, disc)) == expected
    unknown = replace(entry, birth_date="")
    assert "The entry has no birth date." in differences(unknown, disc)
