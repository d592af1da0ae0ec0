"""Deleted studies on the Archive page: seen, brought back, deleted for good only after a question."""

from __future__ import annotations

from dataclasses import replace

import pytest
from PySide6.QtCore import Qt
from PySide6.QtWidgets import QLabel
from pytestqt.modeltest import ModelTester
from pytestqt.qtbot import QtBot

from core.settings import ServeSettings, Settings
from tests.ui.viewing import FakeClient, row, services_of
from ui.archive.page import ArchivePage
from ui.dialogs.decision import Decision
from ui.models.trash_table import TrashColumn
from ui.tasks import Tasks


@pytest.fixture
def client() -> FakeClient:
    made = FakeClient([row(n) for n in range(3)])
    made.trashed = [row(7), row(8)]
    return made


@pytest.fixture
def page(qtbot: QtBot, tasks: Tasks, client: FakeClient) -> ArchivePage:
    made = ArchivePage(services_of(client, tasks))
    qtbot.addWidget(made)
    made.resize(1100, 700)
    made.show()
    qtbot.waitUntil(lambda: made.model.rowCount() == 3)
    made.trash_button.click()
    qtbot.waitUntil(lambda: made.trash.model.rowCount() == 2)
    return made


def cell(page: ArchivePage, line: int, column: TrashColumn) -> str:
    return str(page.trash.model.index(line, column).data())


def test_it_says_whose_when_by_whom_and_until_when(page: ArchivePage, qtmodeltester: ModelTester) -> None:
    qtmodeltester.check(page.trash.model)
    assert cell(page, 0, TrashColumn.PATIENT) == "MÜLLER007, Anna"
    assert (cell(page, 0, TrashColumn.ID), cell(page, 0, TrashColumn.IMAGES)) == ("ID007", "19")
    assert (cell(page, 0, TrashColumn.BORN), cell(page, 0, TrashColumn.STUDY)) == (
        "1950-03-01",
        "CT Abdomen 2024-08-11",
    )
    assert cell(page, 0, TrashColumn.DELETED).startswith("2024-05-01")
    assert cell(page, 0, TrashColumn.EXPIRES).startswith("2024-05-08")
    assert cell(page, 0, TrashColumn.BY) == "desk"
    assert page.trash.table.hasFocus() and not page.search.isVisible()
    page.trash.back_button.click()
    assert page.search.isVisible() and page.list.table.hasFocus()


def test_restored_it_is_in_the_archive_again(qtbot: QtBot, page: ArchivePage, client: FakeClient) -> None:
    page.trash.table.selectRow(1)
    page.trash.restore_button.click()
    qtbot.waitUntil(lambda: page.trash.model.rowCount() == 1 and page.model.rowCount() == 4)
    assert "MÜLLER008, Anna" in page.messages.text.text()
    assert client.trashed == [row(7)]


def test_for_good_only_after_a_question_that_enter_does_not_answer(
    qtbot: QtBot, page: ArchivePage, client: FakeClient
) -> None:
    page.trash.purge_button.click()
    question = page.trash.findChild(Decision)
    assert question is not None
    words = " ".join(label.text() for label in question.findChildren(QLabel))
    assert "MÜLLER007, Anna · F · 1950-03-01" in words and "ID ID007" in words
    assert "CT Abdomen 2024-08-11" in words and "19 images" in question.yes_button.text()
    qtbot.keyClick(question, Qt.Key.Key_Return)
    assert len(client.trashed) == 2
    page.trash.purge_button.click()
    page.trash.findChildren(Decision)[-1].yes_button.click()
    qtbot.waitUntil(lambda: page.trash.model.rowCount() == 1)
    assert client.trashed == [row(8)] and "for good" in page.messages.text.text()


def test_empty_and_unreachable_are_said(qtbot: QtBot, page: ArchivePage, client: FakeClient) -> None:
    client.trashed = []
    page.trash.look()
    qtbot.waitUntil(lambda: page.trash.sentence.isVisible())
    assert not page.trash.restore_button.isEnabled() and not page.trash.purge_button.isEnabled()
    client.down = True
    page.trash.look()
    qtbot.waitUntil(page.messages.isVisible)
    assert "does not answer" in page.messages.text.text()


def test_where_nothing_is_kept_the_question_says_so(qtbot: QtBot, page: ArchivePage) -> None:
    page.show_trash(False)
    services = page._services
    services.settings.now = Settings(serve=replace(ServeSettings(), trash_days=0))  # type: ignore[misc]
    page.delete()
    question = page.findChild(Decision)
    assert question is not None
    words = " ".join(label.text() for label in question.findChildren(QLabel))
    assert "cannot be restored" in words and "7 days" not in words
    question.yes_button.click()
    qtbot.waitUntil(lambda: "for good" in page.messages.text.text())
