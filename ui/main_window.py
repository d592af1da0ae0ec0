"""The main window: the rail, the pages, messages for all of them, and the status bar."""

from __future__ import annotations

import gc
from collections.abc import Sequence
from enum import IntEnum
from pathlib import Path
from typing import TYPE_CHECKING

from PySide6.QtCore import QByteArray, QTimer
from PySide6.QtGui import QAction, QCloseEvent, QKeySequence, QShowEvent
from PySide6.QtWidgets import QHBoxLayout, QMainWindow, QStackedWidget, QVBoxLayout, QWidget

from core.errors import KnownError
from ui.dialogs.decision import Decision
from ui.icons import application_icon
from ui.importing.page import ImportPage
from ui.keeper import ArchiveKeeper
from ui.messages import Kind, Message, MessageBar, framed, of_error
from ui.rail import Rail
from ui.sending import SendingOnImport
from ui.services import Order, Services
from ui.status_bar import StatusBar
from ui.theme import Theme
from ui.uploads.transfers import Transfer, Transfers
from ui.uploads.words import left_sentence, what, where, whose

if TYPE_CHECKING:
    from core.net.worklist_client import EntryRow
    from ui.archive.archives import Archives
    from ui.models.study_view import StudyView
    from ui.viewer.viewers import Viewers
    from ui.worklist.page import WorklistPage

FIRST_SIZE = (1280, 800)
SMALLEST = (960, 640)


class Page(IntEnum):
    """The pages in the order of the rail."""

    IMPORT = 0
    ARCHIVE = 1
    SENT = 2
    WORKLIST = 3
    PACS = 4
    SETTINGS = 5


class MainWindow(QMainWindow):
    """Owns the pages; all but Import are built when they are first looked at."""

    def __init__(self, services: Services, theme: Theme) -> None:
        super().__init__()
        self.services = services
        self._theme = theme
        self._built: dict[Page, QWidget] = {}
        self.viewers: Viewers | None = None
        self._leaving = False
        self._archive: Archives | None = None
        self._worklist: WorklistPage | None = None
        self.setWindowTitle(self.tr("Filmjacket"))
        self.setWindowIcon(application_icon())
        self.setMinimumSize(*SMALLEST)
        self.keeper = ArchiveKeeper(services.archive, services.tasks, self)
        self.transfers = Transfers.of(services, self)
        self.rail = Rail(self)
        self.messages = MessageBar(self)
        self.stack = QStackedWidget(self)
        self.imports = ImportPage(services)
        self.sending = SendingOnImport(self.imports, self.transfers, services, self)
        self._build()
        self._connect()
        self.show_page(Page.IMPORT)
        self.imports.start.folder_button.setFocus()
        self._restore()

    def _build(self) -> None:
        for page in Page:
            holder = QWidget(self)
            layout = QVBoxLayout(holder)
            layout.setContentsMargins(0, 0, 0, 0)
            self.stack.addWidget(holder)
            if page is Page.IMPORT:
                self._place(page, self.imports)
        right = QVBoxLayout()
        right.setSpacing(0)
        right.addWidget(framed(self.messages))
        right.addWidget(self.stack, 1)
        middle = QWidget(self)
        row = QHBoxLayout(middle)
        row.setContentsMargins(0, 0, 0, 0)
        row.setSpacing(0)
        row.addWidget(self.rail)
        row.addLayout(right, 1)
        self.setCentralWidget(middle)
        self.status = StatusBar(self.keeper, self.transfers, self.services.tasks, self.services.data, self)
        self.setStatusBar(self.status)

    def _connect(self) -> None:
        self.rail.chosen.connect(lambda number: self.show_page(Page(number)))
        self.status.gatewayWanted.connect(self.show_gateway)
        self.imports.openViewer.connect(self.open_viewer)
        self.imports.sendOrder.connect(self.ask_to_send)
        self.imports.cancelAsked.connect(self.ask_to_cancel)
        self.keeper.failed.connect(self._archive_failed)
        self.keeper.changed.connect(self._archive_changed)
        self.transfers.ended.connect(lambda _transfer: self._archive_changed())
        for signal in (self.transfers.added, self.transfers.changed, self.transfers.removed):
            signal.connect(lambda _t: self.rail.count(Page.SENT, len(self.transfers.busy)))
        for keys, slot in (
            ("Ctrl+F", self.search),
            ("F1", self.help),
            ("Ctrl+Q", self.close),
        ):
            action = QAction(self)
            action.setShortcut(QKeySequence(keys))
            action.triggered.connect(lambda _on=False, slot=slot: slot())
            self.addAction(action)

    def showEvent(self, event: QShowEvent) -> None:
        super().showEvent(event)
        QTimer.singleShot(0, self, self._wake_up)

    def _wake_up(self) -> None:
        """What may wait until the window is on screen: the archive, the ledger, free space."""
        if self.property("awake"):
            return
        self.setProperty("awake", True)
        gc.freeze()  # what is loaded by now stays: no collection needs to walk it again
        self.keeper.watch()
        if self.services.settings.now.desktop.local_archive:
            self.keeper.start()
        self.transfers.look_back(self._offer_to_go_on)
        self.status.measure()
        self.imports.get_ready()

    def _offer_to_go_on(self, left: Sequence[Transfer]) -> None:
        if not left:
            return
        first = left[0]
        sentence = (
            left_sentence(first)
            if len(left) == 1
            else self.tr("{n} uploads of last time were not finished.").format(n=len(left))
        )

        def go_on() -> None:
            self.messages.put_away()
            self.show_page(Page.SENT)
            if len(left) == 1:
                self.transfers.go_on(first)

        self.messages.show_message(
            Message(Kind.INFO, sentence),
            action=self.tr("Go on") if len(left) == 1 else self.tr("Show"),
            on_action=go_on,
        )

    # -- pages

    def page(self, page: Page) -> QWidget:
        """The page itself; built now if nobody looked at it before."""
        if page not in self._built:
            self._place(page, self._make(page))
        return self._built[page]

    def _place(self, page: Page, widget: QWidget) -> None:
        self._built[page] = widget
        holder = self.stack.widget(page)
        layout = holder.layout() if holder is not None else None
        if layout is not None:
            layout.addWidget(widget)

    def _make(self, page: Page) -> QWidget:
        match page:
            case Page.ARCHIVE:
                return self._make_archive()
            case Page.SENT:
                from ui.uploads.page import SentPage

                sent = SentPage(self.transfers)
                sent.cancelAsked.connect(self.ask_to_cancel)
                return sent
            case Page.WORKLIST:
                return self._make_worklist()
            case Page.PACS:
                return self._make_pacs()
            case Page.SETTINGS:
                from ui.settings.page import SettingsPage

                settings = SettingsPage(self.services, self.keeper, self._theme)
                settings.gatewayWanted.connect(self.show_gateway)
                return settings
        return self.imports

    def _make_archive(self) -> QWidget:
        from ui.archive.archives import Archives

        self._archive = Archives(self.services)
        self._archive.openViewer.connect(self.open_viewer)
        self._archive.sendOrder.connect(self.ask_to_send)
        return self._archive

    def _make_worklist(self) -> QWidget:
        from ui.worklist.page import WorklistPage

        self._worklist = WorklistPage(self.services, self.keeper)
        self._worklist.showStudy.connect(self.show_study)
        self._worklist.addDisc.connect(self.import_for)
        return self._worklist

    def import_for(self, entry: EntryRow) -> None:
        """Bring up the Import page with an entry of the worklist in hand."""
        self.imports.take_in_hand(entry)
        self.show_page(Page.IMPORT)

    def _make_pacs(self) -> QWidget:
        from ui.pacs.page import PacsPage

        pacs = PacsPage(self.services)
        pacs.openViewer.connect(self.open_viewer)
        pacs.showStudy.connect(self.show_study)
        pacs.arrived.connect(self._archive_changed)
        pacs.settingsWanted.connect(lambda: self.show_page(Page.SETTINGS))
        return pacs

    def show_study(self, words: str) -> None:
        """Look for a study in the local archive."""
        self.search()
        if self._archive is not None:
            self._archive.find_here(words)

    def show_page(self, page: Page) -> None:
        """Bring *page* to the front."""
        self.page(page)
        self.stack.setCurrentIndex(page)
        self.rail.mark(page)
        holder = self.stack.widget(page)
        if holder is not None and holder.hasFocus():  # Qt gives it to the page where nothing in it takes it
            self.rail.take_focus(page)

    def search(self) -> None:
        """Go to the Archive's search line."""
        self.show_page(Page.ARCHIVE)
        if self._archive is not None:
            self._archive.search.setFocus()

    def help(self) -> None:
        """Show how it goes, and every key."""
        from ui.dialogs.help import HelpDialog

        HelpDialog(self.services.version, self).open()

    def show_gateway(self) -> None:
        """Show how the archive's DICOM door stands; once, however often it is asked for."""
        from ui.gateway.dialog import GatewayDialog

        dialog = next(iter(self.findChildren(GatewayDialog)), None)
        if dialog is None:
            dialog = GatewayDialog(self.services, self)
            dialog.settingsWanted.connect(lambda: self.show_page(Page.SETTINGS))
        dialog.show()
        dialog.raise_()
        dialog.activateWindow()

    def open_paths(self, paths: Sequence[Path]) -> None:
        """Read *paths* on the Import page."""
        self.show_page(Page.IMPORT)
        self.imports.open(paths)

    def open_viewer(self, study: StudyView, series_uid: str) -> None:
        """Show one series of *study* in its viewer, which is opened if there is none yet."""
        from ui.viewer.viewers import Viewers

        if self.viewers is None:
            self.viewers = Viewers(self.services.tasks, self.services.state, self, far=self.services.jobs)
        try:
            self.viewers.open(study, series_uid)
        except KnownError as error:
            self.messages.show_error(error)

    # -- sending

    def ask_to_send(self, order: Order) -> None:
        """What · Whose · Where; then it goes."""
        from ui.dialogs.send_sheet import SendSheet

        sheet = SendSheet(order, self.services, self)
        sheet.confirmed.connect(self.sending.begin if order.from_disc else self._send_on)
        sheet.finished.connect(lambda _code: sheet.deleteLater())
        sheet.open()

    def _send_on(self, order: Order) -> None:
        """From an archive: there is no disc to wait for, the Sent page shows how far it is."""
        self.transfers.begin(order)
        self.show_page(Page.SENT)

    def ask_to_cancel(self, transfer: Transfer) -> None:
        """Name whose sending is to be given up."""
        dialog = Decision(
            self.tr("Give up this sending?"),
            who=whose(transfer),
            detail=self.tr("{what} to {where}. What was sent already stays there.").format(
                what=what(transfer), where=where(transfer)
            ),
            yes=self.tr("Give up"),
            no=self.tr("Go on"),
            parent=self,
        )
        dialog.decided.connect(lambda: self.transfers.cancel(transfer))
        dialog.open()

    def _archive_failed(self, error: Exception) -> None:
        self.messages.show_message(of_error(error), action=self.tr("Try again"), on_action=self._start_again)

    def _archive_changed(self) -> None:
        """The archive came, went or got something new: the page looks again when it is seen."""
        if self._archive is not None:
            self._archive.refresh()
        if self._worklist is not None:
            self._worklist.refresh()

    def _start_again(self) -> None:
        self.messages.put_away()
        self.keeper.start()

    # -- coming and going

    def _restore(self) -> None:
        geometry = self.services.state.blob("window/geometry")
        if geometry is None or not self.restoreGeometry(geometry):
            self.resize(*FIRST_SIZE)
        splitter = self.services.state.blob("window/import-splitter")
        if splitter is not None:
            self.imports.scan.splitter.restoreState(splitter)

    def _remember(self) -> None:
        state = self.services.state
        state.keep_blob("window/geometry", QByteArray(self.saveGeometry()))
        state.keep_blob("window/import-splitter", QByteArray(self.imports.scan.splitter.saveState()))
        state.save()

    def closeEvent(self, event: QCloseEvent) -> None:
        busy = self.transfers.busy
        if busy and not self._leaving:
            event.ignore()
            self._ask_to_leave(busy)
            return
        self._remember()
        if self.viewers is not None:
            self.viewers.close_all()
        self.keeper.stop_watching()
        self.status.stop()
        self.imports.session.stop()
        super().closeEvent(event)

    def _ask_to_leave(self, busy: Sequence[Transfer]) -> None:
        from_disc = any(transfer.job.sources for transfer in busy if transfer.job is not None)
        words = [self.tr("Nothing is lost: the next start offers to go on.")]
        if from_disc:
            words.append(self.tr("The disc must be there again."))
        dialog = Decision(
            self.tr("Quit while studies are being sent?"),
            who="\n".join(dict.fromkeys(line for t in busy for line in whose(t).splitlines())),
            detail=" ".join(words),
            yes=self.tr("Quit"),
            no=self.tr("Stay"),
            parent=self,
        )
        dialog.decided.connect(self.leave)
        dialog.open()

    def leave(self) -> None:
        """Close without asking; what is being sent goes on with the next start."""
        self._leaving = True
        self.close()
