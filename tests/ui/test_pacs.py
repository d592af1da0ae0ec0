"""The PACS page in the real window: a real PACS elsewhere, a real archive here, studies fetched, opened."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from PySide6.QtCore import Qt
from PySide6.QtTest import QAbstractItemModelTester
from pytestqt.qtbot import QtBot

from core.media.samples import SamplePatient, SampleStudy, ct_slice
from core.net.credentials import Token
from core.net.dimse.association import Association, Message
from core.net.dimse.command import Field, response
from core.net.dimse.pacs import Entry
from core.net.v3_client import V3Client
from core.net.worklist_client import WorklistClient
from server.dimse.admission import Caller
from tests.core.archive_help import store
from tests.dimse.gateways import Running, gateway
from tests.dimse.test_worklist import List
from tests.server.conftest import TOKEN, Served, serving
from tests.ui import fakes
from tests.ui.screens import theme
from tests.ui.test_gateway import Real
from ui.main_window import MainWindow, Page
from ui.models.lines_table import Line, LinesTable
from ui.pacs.lines_list import LinesList
from ui.pacs.page import PacsPage
from ui.pacs.whose import WhoseDialog
from ui.pacs.worklist import fields_of
from ui.services import DestinationText
from ui.tasks import Tasks
from ui.theme import Theme

__all__ = ["theme"]

ANNA = SamplePatient("Müller^Anna", "PA1", "19500301", "F")
BERT = SamplePatient("Bert^Bob", "PB2", "19620814", "M")
ONE = SampleStudy("ui pacs 1", ANNA, "20240211", "CT Abdomen", "UA1")
TWO = SampleStudy("ui pacs 2", ANNA, "20240301", "CT Thorax", "UA2")
THREE = SampleStudy("ui pacs 3", BERT, "20240302", "CT Knee", "UB3")


@pytest.fixture(scope="module")
def there(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    with gateway(tmp_path_factory.mktemp("ui pacs"), worklist=List()) as found:
        for study in (ONE, TWO, THREE):
            for number in (1, 2):
                store(found.archive, ct_slice(study, instance=number, size=32))
        yield found


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    with serving(tmp_path_factory.mktemp("ui here") / "data", token=TOKEN) as found:
        yield found


@pytest.fixture
def destinations(there: Running) -> fakes.FakeDestinations:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        nobody = taken.getsockname()[1]
    return fakes.FakeDestinations(
        {
            "Big PACS": DestinationText("Big PACS", f"dimse:FILMJACKET@127.0.0.1:{there.port}"),
            "Nobody": DestinationText("Nobody", f"dimse:NOBODY@127.0.0.1:{nobody}"),
            "Web": DestinationText("Web", "stow:http://127.0.0.1:1"),
        }
    )


@pytest.fixture
def window(
    tasks: Tasks,
    jobs: Tasks,
    tmp_path: Path,
    *,
    theme: Theme,
    served: Served,
    destinations: fakes.FakeDestinations,
) -> Iterator[MainWindow]:
    with V3Client(served.url, Token(TOKEN)) as client:
        given = fakes.services(tmp_path, tasks, jobs, archive=Real(client), destinations=destinations)
        window = MainWindow(given, theme)
        window.show()
        window.show_page(Page.PACS)
        yield window
        window.leave()
        for each in (tasks, jobs):
            each.shutdown()
        window.deleteLater()


def page_of(window: MainWindow) -> PacsPage:
    page = window.page(Page.PACS)
    assert isinstance(page, PacsPage)
    return page


def search(qtbot: QtBot, page: PacsPage, words: str, count: int) -> None:
    """Type, and wait for so many studies."""
    page.studies.search.text.setText(words)
    page.studies.search.now()
    qtbot.waitUntil(lambda: page.studies.model.rowCount() == count, timeout=20_000)


def test_nothing_is_asked_until_something_is_typed(qtbot: QtBot, window: MainWindow) -> None:
    page = page_of(window)
    assert [page.chooser.itemText(n) for n in range(page.chooser.count())] == ["Big PACS", "Nobody"]
    assert page.studies.model.rowCount() == 0 and "Type a name" in page.studies.list.sentence.text()
    page.studies.search.text.setText("m")
    page.studies.search.now()
    assert "Type a name" in page.studies.list.sentence.text()
    qtbot.mouseClick(page.studies.list.button, Qt.MouseButton.LeftButton)
    qtbot.waitUntil(lambda: page.studies.model.rowCount() == 3, timeout=20_000)
    assert page.studies.count.text() == "3 studies"
    search(qtbot, page, "nobody there", 0)
    qtbot.waitUntil(lambda: page.studies.list.sentence.text() == "No study matches.", timeout=20_000)


def test_a_study_is_found_looked_at_and_fetched(qtbot: QtBot, window: MainWindow) -> None:
    page = page_of(window)
    search(qtbot, page, "müller", 2)
    cells = page.studies.model.line(0).cells
    assert cells[:8] == ("MÜLLER, Anna", "PA1", "1950-03-01", "2024-03-01", "CT Thorax", "CT", "2", "")
    assert cells[8] == "UA2"
    side = page.studies.side
    assert "MÜLLER" in side.patient.text() and "1950-03-01" in side.patient.text()
    qtbot.waitUntil(lambda: side.series.rowCount() == 1, timeout=20_000)
    assert side.series.line(0).cells[2:] == ("CT", "2")
    qtbot.mouseClick(page.studies.retrieve_button, Qt.MouseButton.LeftButton)
    qtbot.waitUntil(lambda: len(page.cards) == 1, timeout=20_000)
    (card,) = page.cards.values()
    qtbot.waitUntil(lambda: card.one.state == "done", timeout=20_000)
    assert "MÜLLER, Anna" in card.who.text() and "Big PACS" in card.about.text()
    assert card.numbers.text() == "2 of 2 images" and not card.trouble.isVisible()
    qtbot.waitUntil(lambda: page.studies.model.line(0).cells[7] == "✓ yes", timeout=20_000)
    with qtbot.waitSignal(page.openViewer, timeout=20_000) as opened:
        qtbot.mouseClick(card.buttons["open"], Qt.MouseButton.LeftButton)
    assert opened.args[0].uid == TWO.uid
    if window.viewers is not None:
        window.viewers.close_all()
    qtbot.mouseClick(card.buttons["reveal"], Qt.MouseButton.LeftButton)
    assert window.stack.currentIndex() == Page.ARCHIVE
    window.show_page(Page.PACS)
    qtbot.mouseClick(card.buttons["forget"], Qt.MouseButton.LeftButton)
    qtbot.waitUntil(lambda: not page.cards, timeout=20_000)


def test_several_patients_are_ticked_one_by_one(qtbot: QtBot, window: MainWindow) -> None:
    page = page_of(window)
    qtbot.mouseClick(page.studies.list.button, Qt.MouseButton.LeftButton)
    qtbot.waitUntil(lambda: page.studies.model.rowCount() == 3, timeout=20_000)
    page.studies.list.table.selectAll()
    assert page.studies.side.hint.text() == "3 studies are chosen."
    page.studies.ask_to_retrieve()
    (dialog,) = page.studies.findChildren(WhoseDialog)
    assert len(dialog.ticks) == 2 and not dialog.retrieve_button.isEnabled()
    bert = next(tick for who, tick in dialog.ticks.items() if "BERT" in who)
    bert.setChecked(True)
    qtbot.mouseClick(dialog.retrieve_button, Qt.MouseButton.LeftButton)
    qtbot.waitUntil(lambda: any(c.one.study_uid == THREE.uid for c in page.cards.values()), timeout=20_000)
    assert all(card.one.study_uid != ONE.uid for card in page.cards.values())


def test_a_retrieval_is_stopped_and_retried(qtbot: QtBot, window: MainWindow, there: Running) -> None:
    begun = threading.Event()

    def slow(association: Association, message: Message, _caller: Caller) -> None:
        association.whole_data_set(message, 1 << 20)
        begun.set()
        association.receive()
        association.send(message.context.id, response(message.command, 0xFE00))

    page = page_of(window)
    search(qtbot, page, "UA1", 1)
    with there.answering({Field.C_GET: slow}):
        qtbot.keyClick(page.studies.list.table, Qt.Key.Key_Return)
        qtbot.waitUntil(begun.is_set, timeout=20_000)
        qtbot.waitUntil(lambda: any(c.one.study_uid == ONE.uid for c in page.cards.values()), timeout=20_000)
        card = next(c for c in page.cards.values() if c.one.study_uid == ONE.uid)
        qtbot.mouseClick(card.buttons["stop"], Qt.MouseButton.LeftButton)
        qtbot.waitUntil(lambda: card.one.state == "stopped", timeout=20_000)
    qtbot.mouseClick(card.buttons["retry"], Qt.MouseButton.LeftButton)
    qtbot.waitUntil(lambda: card.one.state == "done", timeout=20_000)


def test_a_pacs_that_is_away_is_said(qtbot: QtBot, window: MainWindow) -> None:
    page = page_of(window)
    page.chooser.setCurrentIndex(1)
    page.studies.search.text.setText("anybody")
    page.studies.search.now()
    qtbot.waitUntil(lambda: "refuses the connection" in page.messages.text.text(), timeout=20_000)
    assert page.studies.list.sentence.text() == "Nobody cannot be searched now."
    page.chooser.setCurrentIndex(0)
    qtbot.waitUntil(lambda: not page.messages.isVisible(), timeout=20_000)
    qtbot.mouseClick(page.test_button, Qt.MouseButton.LeftButton)
    qtbot.waitUntil(lambda: page.messages.text.text() == "Big PACS answered.", timeout=20_000)


def test_an_entry_there_is_taken_into_our_worklist(qtbot: QtBot, window: MainWindow, served: Served) -> None:
    page = page_of(window)
    page.tabs.setCurrentIndex(1)
    view = page.worklist
    view.days.setCurrentIndex(view.days.findData("any"))
    qtbot.waitUntil(lambda: view.model.rowCount() == 2, timeout=20_000)
    assert view.model.line(0).cells[2] == "MÜLLER, Anna"
    view.list.choose([0])
    qtbot.mouseClick(view.take_button, Qt.MouseButton.LeftButton)
    qtbot.waitUntil(lambda: "is on our worklist now" in page.messages.text.text(), timeout=20_000)
    with V3Client(served.url, Token(TOKEN)) as client:
        found = WorklistClient(client.session).entries()
    assert found is not None and [each.said("PatientName") for each in found.entries] == ["Müller^Anna"]
    qtbot.mouseClick(view.take_button, Qt.MouseButton.LeftButton)
    qtbot.waitUntil(lambda: "is on our worklist now" not in page.messages.text.text(), timeout=20_000)
    view.modality.setCurrentIndex(view.modality.findData("US"))
    qtbot.waitUntil(lambda: "Nothing is scheduled" in view.list.sentence.text(), timeout=20_000)


def test_a_step_without_a_description_is_called_as_its_procedure() -> None:
    entry = Entry(
        {"RequestedProcedureDescription": "Thorax", "ScheduledPerformingPhysicianName": "A^B", "Modality": ""}
    )
    assert fields_of(entry) == {
        "RequestedProcedureDescription": "Thorax",
        "ScheduledProcedureStepDescription": "Thorax",
        "ScheduledPerformingPhysiciansName": "A^B",
    }


def test_without_a_pacs_the_page_leads_to_settings(
    qtbot: QtBot, window: MainWindow, destinations: fakes.FakeDestinations
) -> None:
    for name in ("Big PACS", "Nobody"):
        destinations.remove(name)
    page = page_of(window)
    page.board.all = ()
    page.refresh_names()
    assert page.empty_button.isVisible()
    qtbot.mouseClick(page.empty_button, Qt.MouseButton.LeftButton)
    assert window.stack.currentIndex() == Page.SETTINGS


def test_lines_are_sorted_by_words_and_numbers(qtbot: QtBot) -> None:
    model = LinesTable(("A", "N"))
    QAbstractItemModelTester(model, QAbstractItemModelTester.FailureReportingMode.Fatal)
    lines = [Line(1, ("b", "10")), Line(2, ("A", "9")), Line(3, ("c", ""))]
    model.show(lines)
    model.sort(1)
    assert [model.line(row).key for row in range(3)] == [3, 2, 1]
    model.sort(0, Qt.SortOrder.DescendingOrder)
    assert [model.line(row).key for row in range(3)] == [3, 1, 2]
    model.show([replace(each, hint="new") for each in lines])
    assert [model.line(row).key for row in range(3)] == [3, 1, 2]


def test_sorting_keeps_what_is_chosen(qtbot: QtBot) -> None:
    model = LinesTable(("A", "N"))
    QAbstractItemModelTester(model, QAbstractItemModelTester.FailureReportingMode.Fatal)
    lists = LinesList(model, "Lines", shares={0: 1}, many=True)
    qtbot.addWidget(lists)
    lists.show_lines([Line(number, (name, str(number))) for number, name in enumerate("dbca")])
    lists.choose([0, 2])
    assert lists.keys == [0, 2] and lists.table.currentIndex().row() == 0
    lists.table.sortByColumn(0, Qt.SortOrder.AscendingOrder)
    assert [model.line(row).key for row in range(4)] == [3, 1, 2, 0]
    assert lists.keys == [2, 0] and lists.table.currentIndex().row() == 3
    lists.table.sortByColumn(1, Qt.SortOrder.DescendingOrder)
    assert lists.keys == [2, 0] and model.line(lists.table.currentIndex().row()).key == 0
