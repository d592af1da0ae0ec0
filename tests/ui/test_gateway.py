"""The status of the DICOM gateway against a real one: what to tell, who is there, what came, who may come."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import pytest
from PySide6.QtCore import Qt
from PySide6.QtGui import QGuiApplication
from PySide6.QtTest import QAbstractItemModelTester
from pytestqt.qtbot import QtBot

from core.errors import Unreachable
from core.media.samples import SampleStudy
from core.net.credentials import Token
from core.net.dimse.asking import VERIFICATION, echo, wish
from core.net.dimse.requestor import Peer, associate
from core.net.v3_client import V3Client
from core.settings import DimsePeer, Settings
from tests.core.archive_help import tiny
from tests.dimse.gateways import CT, EXPLICIT
from tests.server.conftest import TOKEN, Served, serving
from tests.ui import fakes
from tests.ui.screens import theme
from ui.dialogs.decision import Decision
from ui.gateway.dialog import GatewayDialog
from ui.gateway.panel import GatewayPanel
from ui.main_window import MainWindow, Page
from ui.models.lines_table import Line, LinesTable
from ui.services import ArchiveState
from ui.settings.dicom_part import NETWORK, DicomPart
from ui.tasks import Tasks
from ui.theme import Theme

__all__ = ["theme"]

STUDY = SampleStudy("gateway panel")


@dataclass
class Real:
    """The archive of the window, which is really there."""

    door: V3Client
    state: ArchiveState = ArchiveState.RUNNING
    where: str = "TESTS @ 127.0.0.1:11112"

    def start(self) -> None:
        """It runs."""

    def stop(self) -> None:
        """Somebody else does that."""

    def client(self) -> V3Client:
        """The client."""
        return self.door


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    with serving(tmp_path_factory.mktemp("gateway") / "data", token=TOKEN, dimse_port=0) as found:
        yield found


@pytest.fixture
def port(served: Served) -> int:
    return int(served.dimse.rpartition(":")[2])


@pytest.fixture
def window(
    tasks: Tasks, jobs: Tasks, tmp_path: Path, *, theme: Theme, served: Served
) -> Iterator[MainWindow]:
    with V3Client(served.url, Token(TOKEN)) as client:
        window = MainWindow(fakes.services(tmp_path, tasks, jobs, archive=Real(client)), theme)
        window.show()
        yield window
        window.leave()
        tasks.shutdown()
        window.deleteLater()


def panel_of(qtbot: QtBot, window: MainWindow) -> GatewayPanel:
    """The status as a person opens it."""
    qtbot.waitUntil(window.status.where.isVisible, timeout=5000)
    window.status.where.setFocus()
    qtbot.keyClick(window.status.where, Qt.Key.Key_Space)
    (dialog,) = window.findChildren(GatewayDialog)
    panel = dialog.panel
    panel._timer.setInterval(100)
    qtbot.waitUntil(lambda: panel.gateway is not None, timeout=10_000)
    return panel


def test_it_says_what_the_engineer_must_enter(
    qtbot: QtBot, window: MainWindow, port: int, tmp_path: Path
) -> None:
    panel = panel_of(qtbot, window)
    card = panel.engineer
    assert (card.title.text(), card.address.text(), card.port.text()) == ("TESTS", "127.0.0.1", str(port))
    assert panel.state.text().startswith("Running")
    qtbot.mouseClick(card.copy_button, Qt.MouseButton.LeftButton)
    text = QGuiApplication.clipboard().text()
    assert "TESTS" in text and str(port) in text and "127.0.0.1" in text
    card.save(str(tmp_path / "node.txt"))
    qtbot.waitUntil((tmp_path / "node.txt").exists, timeout=5000)
    assert (tmp_path / "node.txt").read_text("utf-8") == text
    qtbot.waitUntil(lambda: panel.messages.text.text() == "Saved.", timeout=5000)
    card.save(str(tmp_path / "no folder" / "node.txt"))
    qtbot.waitUntil(lambda: "could not be written" in panel.messages.text.text(), timeout=5000)
    window.show_gateway()
    assert len(window.findChildren(GatewayDialog)) == 1


def test_who_is_there_what_came_and_who_was_refused(qtbot: QtBot, window: MainWindow, port: int) -> None:
    panel = panel_of(qtbot, window)
    peer = Peer("TESTS", "127.0.0.1", port, "CT1")
    with closing(associate(peer, [wish(VERIFICATION)])) as line:
        echo(line, next(iter(line.contexts.values())))
        panel.look()
        qtbot.waitUntil(lambda: panel.visits.rowCount() == 1, timeout=5000)
        assert panel.visits.line(0).cells[:4] == ("CT1", "127.0.0.1", "TESTS", "C-ECHO")
        line.release()
    qtbot.waitUntil(lambda: panel.visits.rowCount() == 0, timeout=10_000)
    store(port)
    with pytest.raises(Unreachable):
        associate(Peer("WRONG", "127.0.0.1", port, "CT1"), [wish(VERIFICATION)])
    qtbot.waitUntil(lambda: panel.refusals.rowCount() == 1, timeout=10_000)
    arrival = panel.arrivals.line(0).cells
    assert "PROBE, Paula" in arrival[1] and arrival[3:] == ("CT1", "1")
    assert "WRONG" in panel.refusals.line(0).cells[3] and not panel.allow_button.isEnabled()
    assert "refused: 1" in panel.today.text() and "today: 1" in panel.today.text()


def store(port: int) -> None:
    """One image by pynetdicom."""
    from pynetdicom import AE

    ae = AE("CT1")
    ae.add_requested_context(CT, EXPLICIT)
    association = ae.associate("127.0.0.1", port, ae_title="TESTS")
    assert association.send_c_store(tiny(STUDY)).Status == 0
    association.release()


def test_a_sender_that_was_refused_can_be_allowed(qtbot: QtBot, window: MainWindow) -> None:
    from core.net.pacs_client import Gateway, Refusal

    panel = panel_of(qtbot, window)
    panel._timer.stop()
    one = Refusal(1_700_000_000, "MR1", "TESTS", "192.0.2.7", "calling-unknown", "unknown")
    panel._show(Gateway("TESTS", True, "0.0.0.0", 11112, ("192.0.2.10",), refused=(one,)))  # noqa: S104  made up
    panel.tabs.setCurrentIndex(2)
    panel.tables["refusals"].selectRow(0)
    assert panel.allow_button.isEnabled()
    qtbot.mouseClick(panel.allow_button, Qt.MouseButton.LeftButton)
    (asked,) = panel.findChildren(Decision)
    qtbot.mouseClick(asked.yes_button, Qt.MouseButton.LeftButton)
    qtbot.waitUntil(lambda: panel.messages.text.text() == "MR1 may send now.", timeout=5000)
    assert window.services.settings.now.dimse.peers == (DimsePeer("MR1", "192.0.2.7"),)


def test_an_archive_that_is_off_says_so(qtbot: QtBot, tasks: Tasks, tmp_path: Path, jobs: Tasks) -> None:
    class Off(Real):
        def client(self) -> V3Client:
            raise Unreachable("The local archive is not running.", "Switch it on.")

    panel = GatewayPanel(fakes.services(tmp_path, tasks, jobs, archive=Off(None)))  # type: ignore[arg-type]
    qtbot.addWidget(panel)
    panel.show()
    qtbot.waitUntil(lambda: "does not run" in panel.state.text(), timeout=5000)
    assert not panel.engineer.copy_button.isEnabled()


def test_settings_switch_it_on_for_the_network(qtbot: QtBot, window: MainWindow) -> None:
    window.show_page(Page.SETTINGS)
    page = window.page(Page.SETTINGS)
    (part,) = page.findChildren(DicomPart)
    assert not part.on.isChecked() and not part.reach.isEnabled()
    part.on.click()
    store_now = window.services.settings
    assert store_now.now.desktop.dimse_port == 11112
    part.reach.setCurrentIndex(1)
    part.reach.activated.emit(1)
    part.port.setValue(104)
    part.port.editingFinished.emit()
    assert (store_now.now.dimse.host, store_now.now.desktop.dimse_port) == (NETWORK, 104)
    part.on.click()
    assert store_now.now.desktop.dimse_port == -1
    qtbot.mouseClick(part.status_button, Qt.MouseButton.LeftButton)
    assert window.findChildren(GatewayDialog)


def test_lines_keep_what_is_chosen_where_only_words_change(qtbot: QtBot) -> None:
    model = LinesTable(("A", "B"))
    QAbstractItemModelTester(model, QAbstractItemModelTester.FailureReportingMode.Fatal)
    model.show([Line(1, ("a", "b")), Line(2, ("c", "d"))])
    with qtbot.assertNotEmitted(model.modelReset), qtbot.waitSignal(model.dataChanged):
        model.show([Line(1, ("a", "b")), Line(2, ("c", "e"))])
    with qtbot.waitSignal(model.modelReset):
        model.show([Line(3, ("x", "y"))])
    assert model.row_of(3) == 0 and model.row_of(1) == -1


def test_settings_with_senders_are_written_and_read(tmp_path: Path) -> None:
    from core import settings

    wanted = Settings(dimse=settings.DimseSettings(host=NETWORK, peers=(DimsePeer("MR1", "192.0.2.7"),)))
    settings.save(tmp_path, wanted)
    assert settings.load(tmp_path, {}).dimse == wanted.dimse
