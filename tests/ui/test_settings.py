"""The Settings page: what is changed holds at once, and mistakes are said in place."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from PySide6.QtCore import Qt
from PySide6.QtWidgets import QApplication
from pytestqt.qtbot import QtBot

from core.errors import StorageFault, Unreachable
from core.net.dimse.node import Node, parse_node
from core.net.tls import Tls
from tests.ui import fakes
from ui.dialogs.decision import Decision
from ui.dialogs.destination import DestinationDialog
from ui.keeper import ArchiveKeeper
from ui.services import ArchiveState, DestinationText, Services
from ui.settings.page import SettingsPage
from ui.state import DRAG_DOWN_DARKER
from ui.tasks import Tasks
from ui.theme import DARK, LIGHT, Mode, Theme, tokens

CITY = DestinationText("City hospital", "v3:https://archive.example:8500", "desk", has_secret=True)


@pytest.fixture
def services(tasks: Tasks, jobs: Tasks, tmp_path: Path) -> Services:
    """Made-up services."""
    return fakes.services(tmp_path, tasks, jobs)


@pytest.fixture
def theme(qapp: QApplication) -> Iterator[Theme]:
    """The look, put back to light at the end."""
    made = Theme(qapp, Mode.LIGHT)
    yield made
    made.set_mode(Mode.LIGHT)


@pytest.fixture
def page(qtbot: QtBot, services: Services, theme: Theme) -> SettingsPage:
    """The page on screen."""
    made = SettingsPage(services, ArchiveKeeper(services.archive, services.tasks), theme)
    qtbot.addWidget(made)
    made.show()
    return made


def test_the_archive_is_switched_on_and_off(qtbot: QtBot, page: SettingsPage, services: Services) -> None:
    page.archive_on.setChecked(False)
    assert services.settings.now.desktop.local_archive is False
    assert not page.port.isEnabled()
    page.archive_on.setChecked(True)
    qtbot.waitUntil(lambda: services.archive.state is ArchiveState.RUNNING, timeout=2000)
    qtbot.waitUntil(lambda: "127.0.0.1:8500" in page.archive_state.text(), timeout=2000)
    assert services.settings.now.desktop.local_archive is True


def test_new_ports_are_kept_and_a_restart_is_offered(
    qtbot: QtBot, page: SettingsPage, services: Services
) -> None:
    page._keeper.start()
    qtbot.waitUntil(lambda: page._keeper.state is ArchiveState.RUNNING, timeout=2000)
    page.port.setValue(8501)
    page.port.editingFinished.emit()
    page.internal_port.setValue(9081)
    page.internal_port.editingFinished.emit()
    desktop = services.settings.now.desktop
    assert (desktop.port, desktop.internal_port) == (8501, 9081)
    page.messages.action_button.click()
    qtbot.waitUntil(lambda: services.archive.starts == 2, timeout=2000)


@pytest.mark.parametrize("wrong", ["", "  ", "MÜNCHEN", "A\\B"])
def test_an_ae_title_that_cannot_be_is_refused_in_place(
    page: SettingsPage, services: Services, wrong: str
) -> None:
    page.ae_title.setText(wrong)
    page.ae_title.editingFinished.emit()
    assert services.settings.now.serve.ae_title == "FILMJACKET"
    assert page.ae_title.text() == "FILMJACKET"
    assert "1 to 16 plain letters" in page.messages.text.text()
    page.ae_title.setText("DESK 1")
    page.ae_title.editingFinished.emit()
    assert services.settings.now.serve.ae_title == "DESK 1"


def test_the_theme_changes_at_once_and_is_kept(page: SettingsPage, services: Services) -> None:
    dark = next(b for b in page.themes.buttons() if b.property("mode") == "dark")
    dark.click()
    assert tokens() == DARK
    assert services.settings.now.desktop.theme == "dark"
    next(b for b in page.themes.buttons() if b.property("mode") == "light").click()
    assert tokens() == LIGHT


def test_the_mouse_habit_is_the_viewers(page: SettingsPage, services: Services) -> None:
    from ui.viewer.window import DRAG_SETTING

    assert DRAG_SETTING == DRAG_DOWN_DARKER
    page.darker.setChecked(True)
    assert services.state.text(DRAG_SETTING) == "yes"


def test_settings_that_cannot_be_written_are_said(
    page: SettingsPage, services: Services, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(_self: Any, _settings: Any) -> None:
        raise StorageFault("The disk is full.", "Make room.")

    monkeypatch.setattr(fakes.FakeSettings, "save", full)
    page.keep_running.setChecked(True)
    assert page.messages.text.text() == "The disk is full. Make room."


def test_a_destination_is_added_tested_and_removed(
    qtbot: QtBot, page: SettingsPage, services: Services
) -> None:
    part = page.destinations
    part.add_button.click()
    dialog = part.findChild(DestinationDialog)
    assert dialog is not None
    assert not dialog.save_button.isEnabled()
    dialog.name.setText("City hospital")
    dialog.address.setText("https://archive.example:8500")
    dialog.login.setText("desk")
    dialog.secret.setText("open sesame")
    dialog.test_button.click()
    qtbot.waitUntil(lambda: dialog.answer.text() == "City hospital answered.", timeout=2000)
    dialog.save_button.click()
    qtbot.waitUntil(lambda: part.list.count() == 1, timeout=2000)
    assert services.destinations.all() == [CITY]
    assert services.destinations.secrets == {"City hospital": "open sesame"}  # type: ignore[attr-defined]
    assert part.chosen() == CITY
    part.remove_button.click()
    asked = part.findChild(Decision)
    assert asked is not None
    assert asked.no_button.isDefault()
    asked.yes_button.click()
    qtbot.waitUntil(lambda: part.list.count() == 0, timeout=2000)
    assert services.destinations.all() == []


def test_editing_keeps_the_secret_and_the_name(
    qtbot: QtBot, tasks: Tasks, jobs: Tasks, tmp_path: Path
) -> None:
    saved = fakes.FakeDestinations({CITY.name: CITY}, {CITY.name: "open sesame"})
    dialog = DestinationDialog(fakes.services(tmp_path, tasks, jobs, destinations=saved), CITY)
    qtbot.addWidget(dialog)
    assert not dialog.name.isEnabled()
    assert dialog.address.text() == "https://archive.example:8500"
    assert dialog.secret.placeholderText() == "unchanged"
    dialog.address.setText("https://elsewhere.example:8500")
    assert dialog.secret.placeholderText() == "to be entered again" and not dialog.entered().has_secret
    dialog.address.setText("https://archive.example:8500")
    dialog.login.setText("somebody")
    assert dialog.secret.placeholderText() == "to be entered again" and not dialog.entered().has_secret
    dialog.login.setText("desk")
    dialog.address.setText("dimse:CITY@192.0.2.1:104")
    with qtbot.waitSignal(dialog.saved, timeout=2000):
        dialog.save_button.click()
    assert saved.saved[CITY.name].spec == "dimse:CITY@192.0.2.1:104"
    assert saved.secrets[CITY.name] == "open sesame"


def test_a_dicomweb_archive_is_chosen_by_its_kind(
    qtbot: QtBot, tasks: Tasks, jobs: Tasks, tmp_path: Path
) -> None:
    saved = fakes.FakeDestinations()
    services = fakes.services(tmp_path, tasks, jobs, destinations=saved)
    dialog = DestinationDialog(services)
    qtbot.addWidget(dialog)
    assert dialog.address.placeholderText() == "https://archive.example:8500"
    dialog.kind.setFocus()
    qtbot.keyClick(dialog.kind, Qt.Key.Key_Down)
    assert dialog.address.placeholderText() == "https://archive.example/dicom-web"
    dialog.name.setText("Clinic")
    dialog.address.setText("https://clinic.example/rs")
    with qtbot.waitSignal(dialog.saved, timeout=2000):
        dialog.save_button.click()
    assert saved.saved["Clinic"].spec == "stow:https://clinic.example/rs"
    again = DestinationDialog(services, saved.saved["Clinic"])
    qtbot.addWidget(again)
    assert (again.kind.currentData(), again.address.text()) == ("stow:", "https://clinic.example/rs")
    again.address.setText("v3:https://clinic.example")
    assert again.kind.currentData() == "v3:" and not again.kind.isEnabled()
    again.login.setText("someone")
    again.address.setText("dimse:PACS@192.0.2.1:104")
    assert not again.login.isEnabled() and not again.secret.isEnabled()
    assert again.entered().spec == "dimse:PACS@192.0.2.1:104" and again.entered().login == ""


def test_a_keyring_that_refuses_is_said_in_the_dialog(
    qtbot: QtBot, tasks: Tasks, jobs: Tasks, tmp_path: Path
) -> None:
    broken = fakes.FakeDestinations(fault=Unreachable("The keyring is locked.", "Unlock it."))
    dialog = DestinationDialog(fakes.services(tmp_path, tasks, jobs, destinations=broken), CITY)
    qtbot.addWidget(dialog)
    dialog.show()
    dialog.save_button.click()
    qtbot.waitUntil(lambda: "The keyring is locked." in dialog.messages.text.text(), timeout=2000)
    assert dialog.isVisible()
    assert dialog.save_button.isEnabled()


def test_the_name_of_the_local_archive_is_taken(qtbot: QtBot, services: Services) -> None:
    dialog = DestinationDialog(services)
    qtbot.addWidget(dialog)
    dialog.address.setText("https://x")
    dialog.name.setText("archive")
    assert not dialog.save_button.isEnabled()


def test_how_a_node_is_encrypted_is_chosen_and_kept(
    qtbot: QtBot, monkeypatch: pytest.MonkeyPatch, tasks: Tasks, jobs: Tasks, tmp_path: Path
) -> None:
    saved = fakes.FakeDestinations()
    services = fakes.services(tmp_path, tasks, jobs, destinations=saved)
    dialog = DestinationDialog(services)
    qtbot.addWidget(dialog)
    dialog.show()
    rows = dialog.encryption
    assert not rows.mode.isVisible() and dialog.login.isVisible()
    dialog.kind.setCurrentIndex(dialog.kind.findData("dimse:"))
    assert rows.mode.isVisible() and not rows.trusted.isVisible() and not dialog.login.isVisible()
    dialog.name.setText("Big PACS")
    dialog.address.setText("PACS@192.0.2.1:2762")
    assert dialog.entered().spec == "dimse:PACS@192.0.2.1:2762" and dialog.save_button.isEnabled()
    rows.mode.setCurrentIndex(rows.mode.findData("system"))
    assert dialog.entered().spec == "dimse:PACS@192.0.2.1:2762?tls" and rows.certificate.isVisible()
    rows.mode.setCurrentIndex(rows.mode.findData("pin"))
    assert rows.trusted.isVisible() and not dialog.save_button.isEnabled()
    pem = str(tmp_path / "the pacs.pem")
    monkeypatch.setattr("PySide6.QtWidgets.QFileDialog.getOpenFileName", lambda *_: (pem, ""))
    qtbot.mouseClick(rows.trusted.button, Qt.MouseButton.LeftButton)
    rows.certificate.line.setText("/ours.pem")
    assert dialog.save_button.isEnabled()
    with qtbot.waitSignal(dialog.saved, timeout=2000):
        dialog.save_button.click()
    node = parse_node(saved.saved["Big PACS"].spec.removeprefix("dimse:"))
    assert node == Node("PACS", "192.0.2.1", 2762, Tls(pin=pem, certificate="/ours.pem"))
    again = DestinationDialog(services, saved.saved["Big PACS"])
    qtbot.addWidget(again)
    again.show()
    assert again.address.text() == "PACS@192.0.2.1:2762" and again.encryption.mode.currentData() == "pin"
    assert again.encryption.trusted.path == pem and again.entered() == saved.saved["Big PACS"]
    again.address.setText("PACS@192.0.2.1:2762?tls&ca=/x.pem")  # as the command line has it
    assert not again.encryption.mode.isVisible()
    assert again.entered().spec == "dimse:PACS@192.0.2.1:2762?tls&ca=/x.pem"


def test_whom_an_https_address_trusts_is_chosen_and_kept(
    qtbot: QtBot, tasks: Tasks, jobs: Tasks, tmp_path: Path
) -> None:
    saved = fakes.FakeDestinations({CITY.name: CITY})
    services = fakes.services(tmp_path, tasks, jobs, destinations=saved)
    dialog = DestinationDialog(services, CITY)
    qtbot.addWidget(dialog)
    dialog.show()
    rows = dialog.encryption
    assert rows.mode.isVisible() and rows.mode.currentData() == "system"
    assert rows.mode.findData("") < 0 and not rows.trusted.isVisible() and not rows.certificate.isVisible()
    assert dialog.entered() == CITY
    dialog.address.setText("http://archive.example:8500")
    assert not rows.mode.isVisible() and dialog.entered().spec == "v3:http://archive.example:8500"
    dialog.address.setText("https://archive.example:8500")
    rows.mode.setCurrentIndex(rows.mode.findData("ca"))
    assert rows.trusted.isVisible() and rows.certificate.isVisible() and not dialog.save_button.isEnabled()
    rows.trusted.line.setText("/the ca.pem")
    assert dialog.secret.placeholderText() == "unchanged"
    with qtbot.waitSignal(dialog.saved, timeout=2000):
        dialog.save_button.click()
    assert saved.saved[CITY.name].spec == "v3:https://archive.example:8500?ca=/the%20ca.pem"
    again = DestinationDialog(services, saved.saved[CITY.name])
    qtbot.addWidget(again)
    again.show()
    assert again.address.text() == "https://archive.example:8500"
    assert again.encryption.mode.currentData() == "ca" and again.encryption.trusted.path == "/the ca.pem"
    again.address.setText("https://archive.example:8500?pin=/x.pem")  # as the command line has it
    assert not again.encryption.mode.isVisible()
    assert again.entered().spec == "v3:https://archive.example:8500?pin=/x.pem"
