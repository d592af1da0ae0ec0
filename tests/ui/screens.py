"""Every page and dialog of the program with something on it, for checks that hold for all of them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from PySide6.QtWidgets import QApplication, QWidget
from pytestqt.qtbot import QtBot

from core.errors import Unreachable
from core.media import samples
from core.net.dimse.pacs import Entries, Entry, SeriesThere
from core.net.pacs_client import Arrival, Gateway, Refusal, Retrieval, Today, Visit
from core.net.records import AttachmentRow
from core.net.study_search import Matches
from core.net.worklist_client import EntryRow
from core.upload.nouns import Failure, StudyReceipt, UploadReceipt
from tests.core.worklist_entries import SAID
from tests.plain_files import every_kind
from tests.ui import fakes
from tests.ui.test_send import order_of
from tests.ui.viewing import FakeClient, mixed_study, row
from tests.ui.viewing import view_of as view_of_source
from ui.archive.archives import Archives
from ui.archive.page import ArchivePage
from ui.dialogs.add_files import AddFilesDialog
from ui.dialogs.decision import Decision
from ui.dialogs.destination import DestinationDialog
from ui.dialogs.help import HelpDialog
from ui.dialogs.receipt import ReceiptDialog
from ui.dialogs.send_sheet import SendSheet
from ui.gateway.dialog import GatewayDialog
from ui.importing.session import Stage
from ui.main_window import MainWindow, Page
from ui.pacs.page import PacsPage
from ui.pacs.whose import WhoseDialog
from ui.services import ArchiveState, DestinationText, PastJob
from ui.tasks import Tasks
from ui.theme import Mode, Theme
from ui.uploads.page import SentPage
from ui.uploads.transfers import State, Transfer
from ui.viewer.keys_dialog import KeysDialog
from ui.viewer.window import ViewerWindow
from ui.worklist.entry_form import EntryForm
from ui.worklist.page import WorklistPage
from ui.worklist.reason import ReasonDialog

Screen = Callable[[], QWidget]


class Screens:
    """Brings each screen to the front; the names are those of `NAMES`."""

    def __init__(self, qtbot: QtBot, tasks: Tasks, jobs: Tasks, folder: Path, theme: Theme) -> None:
        self._qtbot = qtbot
        self._tasks = tasks
        self._folder = folder
        self.client = FakeClient([row(n) for n in range(3)])
        self.client.trashed = [row(7)]
        self.client.session = WorklistSession()
        pdf = AttachmentRow("g1", "v1", "Befund.pdf", "application/pdf", 9, "desk", "2024-05-01T10:00:00Z")
        self.client.attachments["1.2.2"] = [(pdf, b"")]
        failed = (Failure("1.2.3", "IM7", "REASON"),)
        lost = UploadReceipt("archive", (StudyReceipt("1.1", 4, 3, 0, 3, "digest", failed),), 1.0)
        uploads = fakes.FakeUploads(
            left=[fakes.FakeJob()], past=[PastJob(fakes.FakeJob(), 1.7e9, receipt=lost)]
        )
        uploads.past[0].job.id = "9"  # type: ignore[misc]  # a fake one
        saved = {
            "Clinic": DestinationText("Clinic", "v3:http://127.0.0.1:1", "joan", True),
            "Clinic B": DestinationText("Clinic B", "stow:http://127.0.0.1:1"),
            "Clinic P": DestinationText("Clinic P", "dimse:PACS@127.0.0.1:1"),
        }
        self._destinations = fakes.FakeDestinations(saved)
        self.services = fakes.services(
            folder, tasks, jobs, uploads=uploads, archive=Archive(self.client),
            destinations=self._destinations,
            drives=lambda: [fakes.FakeDrive(folder, "RAD_CD")],
        )  # fmt: skip
        self.services.state.opened([folder / "older.zip"])
        self.window = MainWindow(self.services, theme)
        self.window.show()
        self.window.activateWindow()
        qtbot.waitUntil(lambda: len(self.window.transfers.all) == 1, timeout=5000)
        self._opened: list[QWidget] = []

    def close(self) -> None:
        """Put everything away."""
        for widget in reversed(self._opened):
            widget.close()
        self.window.leave()
        for client in self._destinations.clients.values():
            client.close()
        self.window.deleteLater()

    def show(self, name: str) -> QWidget:
        """The screen of this name, ready to be looked at."""
        screen: QWidget = getattr(self, name)()
        if screen is not self.window:
            screen.show()
            screen.activateWindow()
            self._opened.append(screen)
        self._qtbot.waitUntil(screen.isVisible, timeout=5000)
        QApplication.processEvents()
        return screen

    def start(self) -> QWidget:
        page = self.window.imports
        self._qtbot.waitUntil(lambda: page.start._drive_row.count() > 0, timeout=5000)
        return self.window

    def scanned(self, tab: int = 0) -> QWidget:
        page = self.window.imports
        self.window.open_paths([self._folder])
        self._qtbot.waitUntil(lambda: page.session.stage is Stage.DONE, timeout=5000)
        model = page.session.model
        model.tick_all(True)
        page.scan.tree.setCurrentIndex(model.index(0, 0, model.index(0, 0)))
        page.attach(self._pdf())
        self._qtbot.waitUntil(lambda: page.scan.panel.study is not None, timeout=5000)
        page.scan.panel.tabs.setCurrentIndex(tab)
        return self.window

    def details(self) -> QWidget:
        window = self.scanned(1)
        table = self.window.imports.scan.panel.details.table
        self._qtbot.waitUntil(lambda: table.model().rowCount() > 0, timeout=5000)
        return window

    def attachments(self) -> QWidget:
        return self.scanned(2)

    def skipped(self) -> QWidget:
        return self.scanned(3)

    def sent_here(self) -> QWidget:
        window = self.scanned()
        self.window.sending.begin(order_of("Yamada"))
        self._qtbot.waitUntil(self.window.sending.receipt.isVisible, timeout=5000)
        return window

    def archive(self) -> QWidget:
        self.window.search()
        page = self._archive()
        self._qtbot.waitUntil(lambda: page.panel.study is not None, timeout=5000)
        return self.window

    def deleted(self) -> QWidget:
        self.archive()
        page = self._archive()
        page.show_trash(True)
        self._qtbot.waitUntil(lambda: page.trash.model.rowCount() == 1, timeout=5000)
        return self.window

    def sent(self) -> QWidget:
        self.window.show_page(Page.SENT)
        page = self.window.page(Page.SENT)
        assert isinstance(page, SentPage)
        self._qtbot.waitUntil(lambda: len(page.cards) == 2, timeout=5000)
        board = self.window.transfers
        for state in (State.SENDING, State.PAUSED, State.WAITING, State.CANCELLED, State.BROKEN):
            error = Unreachable("MESSAGE", "REMEDY") if state is State.BROKEN else None
            board._add(Transfer(state.value, state, job=fakes.FakeJob(), error=error))
        return self.window

    def remote(self) -> QWidget:
        """An archive elsewhere that has just gone away."""
        self.window.show_page(Page.ARCHIVE)
        page = self.window.page(Page.ARCHIVE)
        assert isinstance(page, Archives)
        page.chooser.setCurrentIndex(1)
        remote = page.remote
        assert remote is not None
        self._qtbot.waitUntil(lambda: remote.messages.isVisible(), timeout=5000)
        remote.model.show_first([row(n) for n in range(3)], 3)
        remote.list.show_table()
        remote.panel.show_study(view_of_source(mixed_study(samples.SampleStudy(patient=fakes.ANNA))))
        return self.window

    def worklist(self) -> QWidget:
        """An entry in progress with a study."""
        page = self._worklist()
        page.list.table.choose("1.2")
        self._qtbot.waitUntil(lambda: len(page._studies) == 1, timeout=5000)
        return self.window

    def entry_form(self) -> QWidget:
        """With everything shown and something wrong."""
        page = self._worklist()
        page.list.table.choose("1.1")
        page.edit()
        form = page.findChild(EntryForm)
        assert form is not None
        form.more.setChecked(True)
        form.fields["PatientName"].more.setChecked(True)  # type: ignore[attr-defined]  # the name's field
        form.fields["PatientID"].show_value("")
        form.save()
        return form

    def reason(self) -> QWidget:
        page = self._worklist()
        page.panel.cancel_button.click()
        dialog = page.findChild(ReasonDialog)
        assert dialog is not None
        return dialog

    def for_entry(self) -> QWidget:
        """A disc in hand for an entry."""
        window = self.scanned()
        self.window.imports.take_in_hand(self._entry())
        return window

    def compared(self) -> QWidget:
        """The sheet with somebody else's disc."""
        order = replace(order_of("Yamada", "Müller"), entry=self._entry())
        return SendSheet(order, self.services, self.window)

    def _entry(self) -> EntryRow:
        return EntryRow("1.2", "1.3", "IN PROGRESS", ours=True, fields=SAID)

    def _worklist(self) -> WorklistPage:
        self.window.show_page(Page.WORKLIST)
        page = self.window.page(Page.WORKLIST)
        assert isinstance(page, WorklistPage)
        self._qtbot.waitUntil(lambda: page.model.rowCount() == 3, timeout=5000)
        return page

    def gateway(self) -> QWidget:
        dialog = GatewayDialog(self.services, self.window)
        visit = Visit("CT1", "FILMJACKET", "192.0.2.31", 1_700_000_000, "C-STORE")
        arrival = Arrival(
            "1.2", "default", "CT1", "FILMJACKET", 412, 1_700_000_000, "A^B", "1", "19500301", "F", "CT"
        )
        refusal = Refusal(1_700_000_000, "MR1", "FILMJACKET", "192.0.2.7", "calling-unknown", "WORDS")
        found = Gateway(
            "FILMJACKET", True, "192.0.2.10", 11112, ("192.0.2.10",),
            associations=(visit,), received=(arrival,), refused=(refusal,),
            today=Today(1_700_000_000, 1, 1, 412),
        )  # fmt: skip
        dialog.panel.look = lambda: dialog.panel._show(found)  # type: ignore[method-assign]  # a made-up one
        dialog.panel.tabs.setCurrentIndex(2)
        dialog.panel.look()
        dialog.panel.tables["refusals"].selectRow(0)
        return dialog

    def pacs(self) -> QWidget:
        page = self._pacs()
        page.studies._found(page.studies._asked, Matches(tuple(map(row, range(3))), more=True))
        page.studies.side._show_series(
            page.studies.side._asked, [SeriesThere("1.9", 2, "CT", "axial", 206), SeriesThere("1.8")]
        )
        who = ("A^B", "1", "19500301", "F", "20240211", "CT")
        states = ("waiting", "running", "done", "partial", "failed", "stopped")
        page.board._show(
            tuple(
                Retrieval(
                    state, "Clinic P", "PACS", "default", "1.2", *who, state, 412, 120, 1, 1, "C-GET", "WHY"
                )
                for state in states
            )
        )
        return self.window

    def pacs_worklist(self) -> QWidget:
        page = self._pacs()
        page.worklist.name = "Clinic P"  # it is not asked: nobody is there
        page.tabs.setCurrentIndex(1)
        entry = Entry({"PatientName": "A^B", "PatientID": "1", "ScheduledProcedureStepStartDate": "20260301"})
        page.worklist._found(page.worklist._asked, Entries((entry, entry)))
        return self.window

    def whose(self) -> QWidget:
        rows = [row(1), replace(row(2), patient_name="A^B", patient_id="2")]
        return WhoseDialog(rows, "Clinic P", self.window)

    def _pacs(self) -> PacsPage:
        self.window.show_page(Page.PACS)
        page = self.window.page(Page.PACS)
        assert isinstance(page, PacsPage)
        page.board.watch(False)
        page.board._asking = True  # and is not asked any more
        return page

    def settings(self) -> QWidget:
        self.window.show_page(Page.SETTINGS)
        return self.window

    def sheet(self) -> QWidget:
        return SendSheet(order_of("Yamada", "Müller"), self.services, self.window)

    def destination(self) -> QWidget:
        return DestinationDialog(self.services, self.services.destinations.all()[0], self.window)

    def receipt(self) -> QWidget:
        lost = self.services.uploads.ended(1)[0].receipt
        return ReceiptDialog(Transfer("t", State.FAILED, job=fakes.FakeJob(), receipt=lost), self.window)

    def help(self) -> QWidget:
        return HelpDialog("1.0", self.window)

    def decision(self) -> QWidget:
        self.archive()
        self._archive().delete()
        found = self._archive().findChild(Decision)
        assert found is not None
        return found

    def adding(self) -> QWidget:
        """Files of each kind about to be added to a study."""
        self.archive()
        files = []
        for name, data in every_kind().items():
            files.append(self._folder / name)
            files[-1].write_bytes(data)
        self._archive().add_files(files)
        found = self._archive().findChild(AddFilesDialog)
        assert found is not None
        self._qtbot.waitUntil(lambda: len(found.chosen.files) == len(files), timeout=5000)
        found.chosen.list.setCurrentRow(0)
        return found

    def viewer(self) -> QWidget:
        source = mixed_study(samples.SampleStudy(patient=fakes.ANNA))
        view = view_of_source(source)
        made = ViewerWindow(view, source.stack, self._tasks)
        made.resize(1000, 700)
        made.show()
        made.open_series(view.series[0].uid)
        self._qtbot.waitUntil(lambda: made.active.picture is not None, timeout=10_000)
        return made

    def viewer_keys(self) -> QWidget:
        return KeysDialog(self.window)

    def _archive(self) -> ArchivePage:
        page = self.window.page(Page.ARCHIVE)
        assert isinstance(page, Archives)
        return page.local

    def _pdf(self) -> Path:
        path = self._folder / "Befund.pdf"
        path.write_bytes(samples.pdf_report(["Befund"]))
        return path


class WorklistSession:
    """Answers the worklist's questions with three entries, one of them an order."""

    def request(self, method: str, path: str, **_: Any) -> Any:
        """The answer, whatever is asked."""
        states = (("1.1", "SCHEDULED", False), ("1.2", "IN PROGRESS", True), ("", "SCHEDULED", False))
        rows = [
            {"uid": uid, "study_uid": f"1.3.{n}", "state": state, "revision": 1, "ours": ours,
             "studies": ["1.2.2"] if ours else [], "fields": {**SAID, "PatientID": f"W-{n}"}}
            for n, (uid, state, ours) in enumerate(states)
        ]  # fmt: skip
        answer = {"version": "1", "same": False, "entries": rows, "more": False}
        return SimpleNamespace(object=lambda: answer, json=lambda: rows[0])


class Archive(fakes.FakeArchive):
    """A local archive that runs, with a made-up client."""

    def __init__(self, client: FakeClient) -> None:
        super().__init__(state=ArchiveState.RUNNING)
        self._client = client

    def client(self) -> Any:
        """It answers."""
        return self._client


NAMES = (
    "start", "scanned", "details", "attachments", "skipped", "sent_here", "archive", "deleted",
    "remote", "sent", "settings", "sheet", "destination", "receipt", "help", "decision", "adding", "viewer",
    "viewer_keys", "worklist", "entry_form", "reason", "for_entry", "compared",
    "gateway", "pacs", "pacs_worklist", "whose",
)  # fmt: skip


@pytest.fixture
def theme(qapp: QApplication) -> Theme:
    """The light look."""
    return Theme(qapp, Mode.LIGHT)


@pytest.fixture
def screens(qtbot: QtBot, tasks: Tasks, jobs: Tasks, tmp_path: Path, theme: Theme) -> Iterator[Screens]:
    """The program over made-up services."""
    made = Screens(qtbot, tasks, jobs, tmp_path, theme)
    yield made
    made.close()
    qtbot.wait(50)
