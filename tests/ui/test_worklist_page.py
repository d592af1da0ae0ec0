"""The Worklist page over a real archive: entries made, seen by a modality, edited, finished."""

from __future__ import annotations

import io
from collections.abc import Generator, Iterator
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import pytest
from PySide6.QtCore import QAbstractTableModel, Qt
from PySide6.QtTest import QAbstractItemModelTester
from PySide6.QtWidgets import QApplication, QPushButton
from pytestqt.qtbot import QtBot

from core.media import samples
from tests.core.worklist_entries import SAID
from tests.ui import fakes
from tests.ui.clinic import Clinic, LocalArchive, clinic
from ui.dialogs.add_files import AddFilesDialog
from ui.dialogs.decision import Decision
from ui.keeper import ArchiveKeeper
from ui.models.worklist_table import Column, WorklistTable
from ui.services import ArchiveState
from ui.tasks import Tasks
from ui.worklist.entry_form import EntryForm
from ui.worklist.page import WorklistPage
from ui.worklist.reason import ReasonDialog
from ui.worklist.search_line import Days, days_of

WAIT = 10_000


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Generator[Clinic, None, None]:
    """One archive for the module."""
    with clinic(tmp_path_factory.mktemp("clinic") / "data") as found:
        yield found


@pytest.fixture
def archive(served: Clinic) -> Iterator[Clinic]:
    """Its worklist is empty at first."""
    served.clear()
    yield served


@pytest.fixture
def page(qtbot: QtBot, tasks: Tasks, jobs: Tasks, archive: Clinic, tmp_path: Path) -> Iterator[WorklistPage]:
    """The page on screen."""
    given = fakes.services(tmp_path, tasks, jobs, archive=LocalArchive(archive))
    made = WorklistPage(given, ArchiveKeeper(given.archive, tasks))
    made.resize(1200, 760)
    made.show()
    made.activateWindow()
    qtbot.waitUntil(lambda: "planned" in made.list.sentence.text() or made.model.rowCount() > 0, timeout=WAIT)
    yield made
    made.close()
    made.deleteLater()


def look(qtbot: QtBot, page: WorklistPage, rows: int) -> None:
    """Look again until there are so many rows."""
    page.look()
    qtbot.waitUntil(lambda: page.model.rowCount() == rows, timeout=WAIT)


def fill(form: EntryForm, **values: str) -> None:
    """Write into the fields as a person reads them."""
    for keyword, value in {**SAID, **values}.items():
        form.fields[keyword].show_value(value)


def say_yes(page: WorklistPage) -> None:
    """Press the button that does it."""
    [question] = page.findChildren(Decision)
    question.yes_button.click()


def test_an_entry_made_here_is_on_the_modality_s_worklist(
    qtbot: QtBot, page: WorklistPage, archive: Clinic
) -> None:
    page.new_button.click()
    [form] = page.findChildren(EntryForm)
    form.save_button.click()
    shown = {key for key, field in form.fields.items() if field.error.isVisible()}
    assert shown == {
        "PatientName", "PatientID", "AccessionNumber", "Modality", "ScheduledStationAETitle",
        "ScheduledProcedureStepDescription",
    }  # fmt: skip
    assert form.fields["PatientName"].error.text() == "This must be filled in."
    fill(form)
    assert not form.fields["PatientID"].error.isVisible()  # gone as soon as it is well
    form.save_button.click()
    qtbot.waitUntil(lambda: page.model.rowCount() == 1, timeout=WAIT)
    assert "ÄNDERUNG, Karl" in page.messages.text.text()
    assert page.panel.banner.accessibleName().startswith("Patient: ÄNDERUNG, Karl")
    assert "ID W-1" in page.panel.banner.text() and "1970-01-02" in page.panel.banner.text()
    [answer] = archive.modality(Modality="CT", ScheduledStationAETitle="CT1")
    [step] = answer.ScheduledProcedureStepSequence
    assert (answer.PatientID, answer.AccessionNumber) == ("W-1", "ACC-77")
    assert str(answer.PatientName) == SAID["PatientName"] and answer.PatientBirthDate == "19700102"
    assert step.ScheduledProcedureStepDescription == "CT Abdomen"
    assert archive.modality(Modality="MR") == []


def test_from_planned_to_completed_by_keyboard(qtbot: QtBot, page: WorklistPage, archive: Clinic) -> None:
    archive.desk.create(SAID)
    look(qtbot, page, 1)
    table, panel = page.list.table, page.panel
    table.setFocus()
    qtbot.keyClick(table, Qt.Key.Key_Return)
    [form] = page.findChildren(EntryForm)
    assert form.fields["PatientName"].value() == SAID["PatientName"]
    form.fields["ScheduledStationAETitle"].show_value("CT2")
    qtbot.keyClick(form, Qt.Key.Key_Return)
    qtbot.waitUntil(lambda: archive.entries()[0].said("ScheduledStationAETitle") == "CT2", timeout=WAIT)
    qtbot.waitUntil(lambda: page.panel.entry is not None and page.panel.entry.revision == 2, timeout=WAIT)
    panel.start_button.setFocus()
    qtbot.keyClick(panel.start_button, Qt.Key.Key_Space)
    qtbot.waitUntil(panel.complete_button.isVisible, timeout=WAIT)
    assert page.panel.state.text() == "In progress" and not panel.start_button.isVisible()
    assert archive.modality(Modality="CT")  # in progress it is still to be seen
    qtbot.keyClick(panel.complete_button, Qt.Key.Key_Space)
    [question] = page.findChildren(Decision)
    assert question.no_button.isDefault()  # nothing belongs to it: Enter does not complete it
    say_yes(page)
    qtbot.waitUntil(lambda: page.panel.state.text() == "Completed", timeout=WAIT)
    assert archive.entries()[0].state == "COMPLETED" and archive.modality(Modality="CT") == []
    assert not panel.edit_button.isVisible() and not panel.files_button.isVisible()


def test_a_file_becomes_an_image_of_the_entry_s_patient(
    qtbot: QtBot, page: WorklistPage, archive: Clinic, tmp_path: Path
) -> None:
    archive.desk.start(archive.desk.create(SAID))
    look(qtbot, page, 1)
    page.panel.files_button.click()
    [dialog] = page.findChildren(AddFilesDialog)
    assert "ÄNDERUNG, Karl" in dialog.banner.text() and "CT Abdomen" in dialog.what.text()
    letter = tmp_path / "Befund.pdf"
    letter.write_bytes(samples.pdf_report(["Befund"]))
    dialog.chosen.add([letter])
    qtbot.waitUntil(dialog.add_button.isEnabled, timeout=WAIT)
    dialog.send()
    qtbot.waitUntil(lambda: len(page._studies) == 1, timeout=WAIT)
    assert "1 file was attached to the entry of ÄNDERUNG, Karl" in page.messages.text.text()
    [row] = archive.client.search("acc-77", modalities=["DOC"]).rows
    assert (row.patient_id, row.patient_birth_date, row.images) == ("W-1", "19700102", 1)
    assert row.study_uid == archive.entries()[0].study_uid
    page.panel.complete_button.click()
    [question] = page.findChildren(Decision)
    assert not question.no_button.isDefault()  # something belongs to it
    say_yes(page)
    qtbot.waitUntil(lambda: page.panel.state.text() == "Completed", timeout=WAIT)
    archive.client.delete_study("default", row.study_uid)


def test_who_the_patient_is_stays_while_it_is_in_progress(
    qtbot: QtBot, page: WorklistPage, archive: Clinic
) -> None:
    archive.desk.start(archive.desk.create(SAID))
    look(qtbot, page, 1)
    page.edit()
    [form] = page.findChildren(EntryForm)
    locked = {key for key, field in form.fields.items() if not field.isEnabled()}
    assert locked == {"PatientName", "PatientID", "PatientBirthDate", "PatientSex", "AccessionNumber"}
    form.fields["MedicalAlerts"].show_value("Contrast allergy")
    form.save()
    qtbot.waitUntil(lambda: archive.entries()[0].said("MedicalAlerts") != "", timeout=WAIT)


def test_cancelling_wants_a_reason_and_deleting_a_yes(
    qtbot: QtBot, page: WorklistPage, archive: Clinic
) -> None:
    archive.desk.create(SAID)
    look(qtbot, page, 1)
    page.panel.cancel_button.click()
    [dialog] = page.findChildren(ReasonDialog)
    assert not dialog.yes_button.isEnabled() and dialog.no_button.isDefault()
    dialog.reason.setEditText("Patient went home")
    dialog.yes_button.click()
    qtbot.waitUntil(lambda: page.panel.state.text() == "Cancelled", timeout=WAIT)
    page.list.table.setFocus()
    qtbot.keyClick(page.list.table, Qt.Key.Key_Delete)
    [question] = page.findChildren(Decision)
    words = " ".join(label.text() for label in question.findChildren(type(page.count)))
    assert "ÄNDERUNG, Karl" in words and "W-1" in words and "CT Abdomen" in words
    qtbot.keyClick(question, Qt.Key.Key_Return)
    QApplication.processEvents()
    assert len(archive.entries()) == 1  # Enter keeps it
    page.remove()
    say_yes(page)
    qtbot.waitUntil(lambda: not archive.entries(), timeout=WAIT)
    qtbot.waitUntil(lambda: page.model.rowCount() == 0, timeout=WAIT)
    assert "Nothing is planned" in page.list.sentence.text()


def test_a_change_by_somebody_else_is_not_written_over(
    qtbot: QtBot, page: WorklistPage, archive: Clinic
) -> None:
    made = archive.desk.create(SAID)
    look(qtbot, page, 1)
    page.edit()
    [form] = page.findChildren(EntryForm)
    archive.desk.edit(made, {**SAID, "PatientID": "THEIRS"})
    form.fields["PatientID"].show_value("MINE")
    form.save()
    qtbot.waitUntil(form.messages.isVisible, timeout=WAIT)
    assert "Somebody else" in form.messages.text.text() and form.save_button.isEnabled()
    assert archive.entries()[0].said("PatientID") == "THEIRS"
    form.reject()


def test_what_comes_from_elsewhere_appears_and_nothing_jumps(
    qtbot: QtBot, page: WorklistPage, archive: Clinic
) -> None:
    for hour in range(10, 40):
        archive.desk.create(
            {**SAID, "PatientID": f"H{hour}", "ScheduledProcedureStepStartTime": f"{hour % 24:02}00"}
        )
    look(qtbot, page, 30)
    table = page.list.table
    table.choose(page.model.entries[20].key)
    chosen = page.panel.entry
    bar = table.verticalScrollBar()
    bar.setValue(bar.maximum() // 2)
    place = bar.value()
    archive.desk.create({**SAID, "PatientID": "LAST", "ScheduledProcedureStepStartTime": "2330"})
    page._look_again()
    qtbot.waitUntil(lambda: page.model.rowCount() == 31, timeout=WAIT)
    assert page.panel.entry == chosen and bar.value() == place
    assert chosen is not None
    archive.desk.remove(chosen)
    page._look_again()
    qtbot.waitUntil(lambda: page.model.rowCount() == 30, timeout=WAIT)
    assert page.panel.entry is None  # nobody else slips under the pointer
    page.search.text.setText("last")
    page.search.now()
    qtbot.waitUntil(lambda: page.model.rowCount() == 1, timeout=WAIT)
    page.search.text.setText("nobody")
    qtbot.waitUntil(lambda: page.list.sentence.text() == "No entry matches.", timeout=WAIT)
    page.list.button.click()
    qtbot.waitUntil(lambda: page.model.rowCount() == 30, timeout=WAIT)
    assert page.search.days.currentData() == Days.ANY


def test_without_the_archive_there_is_a_sentence_and_a_button(
    qtbot: QtBot, tasks: Tasks, jobs: Tasks, archive: Clinic, tmp_path: Path
) -> None:
    local = LocalArchive(archive)
    local.state = ArchiveState.OFF
    given = fakes.services(tmp_path, tasks, jobs, archive=local)
    page = WorklistPage(given, ArchiveKeeper(local, tasks))
    page.show()
    assert "does not run" in page.list.sentence.text() and not page.new_button.isEnabled()
    archive.desk.create(SAID)
    page.list.button.click()
    qtbot.waitUntil(lambda: page.model.rowCount() == 1, timeout=WAIT)
    local.state = ArchiveState.OFF
    page._keeper._look()
    assert page.model.rowCount() == 0 and page.list.button.text() == "Start the archive"
    page.close()
    page.deleteLater()


def entry(key: str, **fields: str) -> Any:
    from core.net.worklist_client import EntryRow

    return EntryRow(key, f"1.{key}", fields=fields)


def test_the_table_changes_row_by_row(qtbot: QtBot) -> None:
    model = WorklistTable()
    QAbstractItemModelTester(model, QAbstractItemModelTester.FailureReportingMode.Fatal)
    resets: list[object] = []
    model.modelReset.connect(lambda: resets.append(1))
    for keys in ("", "abc", "abdc", "dcab", "b", "xbz", "zxb", ""):
        rows = [entry(each, PatientName="Tree^Ann") for each in keys]
        model.show_entries(rows, with_day=len(keys) % 2 == 0)
        assert [each.key for each in model.entries] == list(keys)
    assert len(resets) == 2  # from nothing, and to nothing
    assert isinstance(model, QAbstractTableModel) and model.columnCount() == Column.REFERRING + 1


def test_days() -> None:
    today = date(2026, 2, 28)
    assert days_of(Days.TODAY, today) == ("20260228", "20260228")
    assert days_of(Days.TOMORROW, today) == ("20260301", "20260301")
    assert days_of(Days.WEEK, today) == ("20260228", f"{today + timedelta(days=6):%Y%m%d}")
    assert days_of(Days.ANY, today) == ("", "")


def test_studies_that_belong_to_it_are_shown_and_can_be_taken_back(
    qtbot: QtBot, page: WorklistPage, archive: Clinic
) -> None:
    study = samples.SampleStudy("filed", fakes.ANNA, description="CT from elsewhere")
    data = samples.part10(samples.ct_slice(study))
    archive.client.store("default", io.BytesIO(data), len(data))
    made = archive.desk.start(archive.desk.create(SAID))
    look(qtbot, page, 1)
    archive.desk.file(made.uid, [study.uid])
    page.look()
    qtbot.waitUntil(lambda: len(page._studies) == 1, timeout=WAIT)
    shown: list[str] = []
    page.showStudy.connect(shown.append)
    buttons = {button.text(): button for button in page.panel.findChildren(QPushButton)}
    buttons["Show"].click()
    assert shown == ["ACC-77"]
    buttons["Take back…"].click()
    say_yes(page)
    qtbot.waitUntil(lambda: not page._studies, timeout=WAIT)
    assert not archive.entries()[0].studies


def test_an_order_is_read_only_and_can_be_started(qtbot: QtBot, page: WorklistPage, archive: Clinic) -> None:
    patient = {
        "patient_name": "Order^Olga",
        "patient_mrn": "O-1",
        "study_date": SAID["ScheduledProcedureStepStartDate"],
    }
    archive.client.session.request("POST", "/api/v3/storage/order/default", body={"patient": patient})
    look(qtbot, page, 1)
    assert "order" in page.panel.note.text() and not page.panel.edit_button.isVisible()
    page.edit()
    page.remove()
    assert not page.findChildren(EntryForm) and not page.findChildren(Decision)
    page.panel.start_button.click()
    qtbot.waitUntil(page.panel.complete_button.isVisible, timeout=WAIT)
    assert [each.state for each in archive.entries()] == ["IN PROGRESS"]
