"""The send sheet: What · Whose · Where, and an explicit tick for each of several patients."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from PySide6.QtCore import Qt
from PySide6.QtWidgets import QLabel
from pytestqt.qtbot import QtBot

from core.dicom.tree import Tree
from core.errors import Unreachable
from core.settings import DesktopSettings, Settings
from tests.ui import fakes
from ui.dialogs.decision import Decision
from ui.dialogs.send_sheet import SendSheet
from ui.services import Archived, DestinationText, Order, Picked, Services
from ui.tasks import Tasks

CITY = DestinationText("City hospital", "v3:https://archive.example:8500", "desk", has_secret=True)


def order_of(*names: str) -> Order:
    """An order of the studies of these patients (substrings of their names)."""
    scanner = fakes.FakeScanner(fakes.disc())
    tree = Tree()
    for found in scanner._found:
        tree.add(found)
    picked = tuple(
        Picked(p, s) for p, s in tree.studies() if any(name in p.header.patient_name for name in names)
    )
    return Order(scanner.result, picked, {}, "archive")  # type: ignore[arg-type]


@pytest.fixture
def services(tasks: Tasks, jobs: Tasks, tmp_path: Path) -> Services:
    """Services with one saved destination."""
    return fakes.services(tmp_path, tasks, jobs, destinations=fakes.FakeDestinations({CITY.name: CITY}))


def texts(sheet: SendSheet) -> str:
    """Every word on the sheet."""
    return "\n".join(label.text() for label in sheet.findChildren(QLabel))


def test_one_patient_is_named_and_can_be_sent_at_once(
    qtbot: QtBot, services: Services, tmp_path: Path
) -> None:
    order = order_of("Yamada")
    uid = order.picked[0].study.study_instance_uid
    sheet = SendSheet(replace(order, attachments={uid: (tmp_path / "Befund.pdf",)}), services)
    qtbot.addWidget(sheet)
    words = texts(sheet)
    assert "YAMADA, Tarou" in words
    assert "1962-08-14" in words
    assert "JP-77" in words
    assert "CT Schädel nativ" in words
    assert "with Befund.pdf" in words
    assert sheet.send_button.text() == "Send to Local archive"
    with qtbot.waitSignal(sheet.confirmed, timeout=500) as sent:
        sheet.send_button.click()
    assert sent.args[0].destination == "archive"


def test_several_patients_want_a_tick_each(qtbot: QtBot, services: Services) -> None:
    sheet = SendSheet(order_of("Yamada", "Müller"), services)
    qtbot.addWidget(sheet)
    assert len(sheet.ticks) == 2
    assert not sheet.send_button.isEnabled()
    sheet.ticks[0].setChecked(True)
    assert not sheet.send_button.isEnabled()
    sheet.ticks[1].setChecked(True)
    assert sheet.send_button.isEnabled()
    assert "MÜLLER, Anna" in sheet.ticks[0].text() + sheet.ticks[1].text()


def test_enter_does_not_send_before_everyone_is_ticked(qtbot: QtBot, services: Services) -> None:
    sheet = SendSheet(order_of("Yamada", "Müller"), services)
    qtbot.addWidget(sheet)
    sheet.show()
    sent: list[object] = []
    sheet.confirmed.connect(sent.append)
    qtbot.keyClick(sheet, Qt.Key.Key_Return)
    assert sent == []
    assert sheet.isVisible()


def test_the_destination_can_be_changed_and_tested(qtbot: QtBot, services: Services) -> None:
    sheet = SendSheet(order_of("Yamada"), services)
    qtbot.addWidget(sheet)
    sheet.destination.setCurrentIndex(1)
    assert sheet.send_button.text() == "Send to City hospital"
    sheet.test_button.click()
    qtbot.waitUntil(lambda: sheet.answer.text() == "City hospital answered.", timeout=2000)
    assert sheet.answer.property("role") == "good"


def test_a_failed_test_says_why(qtbot: QtBot, tasks: Tasks, jobs: Tasks, tmp_path: Path) -> None:
    broken = fakes.FakeDestinations({CITY.name: CITY}, fault=Unreachable("Nobody answers.", "Check it."))
    sheet = SendSheet(order_of("Yamada"), fakes.services(tmp_path, tasks, jobs, destinations=broken))
    qtbot.addWidget(sheet)
    sheet.destination.setCurrentIndex(1)
    sheet.test_button.click()
    qtbot.waitUntil(lambda: "Nobody answers." in sheet.answer.text(), timeout=2000)
    assert sheet.answer.property("role") == "bad"
    assert sheet.test_button.isEnabled()


def test_without_any_destination_nothing_can_be_sent(
    qtbot: QtBot, tasks: Tasks, jobs: Tasks, tmp_path: Path
) -> None:
    off = fakes.FakeSettings(Settings(desktop=DesktopSettings(local_archive=False)))
    sheet = SendSheet(order_of("Yamada"), fakes.services(tmp_path, tasks, jobs, settings=off))
    qtbot.addWidget(sheet)
    assert not sheet.send_button.isEnabled()
    assert "Add one in Settings" in sheet.messages.text.text()


@pytest.mark.parametrize("key", [Qt.Key.Key_Return, Qt.Key.Key_Enter, Qt.Key.Key_Escape])
def test_enter_never_takes_the_dangerous_way(qtbot: QtBot, key: Qt.Key) -> None:
    asked = Decision("Delete this study?", who="MÜLLER, Anna", yes="Delete", no="Keep")
    asked.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose, False)
    qtbot.addWidget(asked)
    decided: list[bool] = []
    asked.decided.connect(lambda: decided.append(True))
    asked.open()
    qtbot.keyClick(asked, key)
    assert decided == []
    assert not asked.isVisible()


def test_a_decision_names_the_patient(qtbot: QtBot) -> None:
    asked: Any = Decision("Delete this study?", who="MÜLLER, Anna", yes="Delete", no="Keep")
    asked.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose, False)
    qtbot.addWidget(asked)
    assert "MÜLLER, Anna" in [label.text() for label in asked.findChildren(QLabel)]
    with qtbot.waitSignal(asked.decided, timeout=500):
        asked.yes_button.click()


def test_a_study_of_the_archive_is_not_sent_to_where_it_is(qtbot: QtBot, services: Services) -> None:
    order = order_of("Yamada")
    uid = order.picked[0].study.study_instance_uid
    archived = replace(order, scan=Archived("default", uid), attachments={uid: (Path("Befund.pdf"),)})
    sheet = SendSheet(archived, services)
    qtbot.addWidget(sheet)
    assert [sheet.destination.itemData(n) for n in range(sheet.destination.count())] == [CITY.name]
    assert "YAMADA, Tarou" in texts(sheet) and "Befund.pdf" in texts(sheet)
    assert sheet.send_button.isEnabled() and CITY.name in sheet.send_button.text()
    with qtbot.waitSignal(sheet.confirmed) as confirmed:
        sheet.send_button.click()
    assert confirmed.args[0].archived and confirmed.args[0].destination == CITY.name
