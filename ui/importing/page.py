"""The Import page: from an empty drop area to studies that are ready to be sent."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from PySide6.QtCore import QMimeData, QTimer, QUrl, Signal
from PySide6.QtGui import (
    QAction,
    QDesktopServices,
    QDragEnterEvent,
    QDragLeaveEvent,
    QDropEvent,
    QHideEvent,
    QKeySequence,
    QShowEvent,
)
from PySide6.QtWidgets import QFileDialog, QMenu, QStackedWidget, QVBoxLayout, QWidget

from core.dicom.tree import Patient, Series, Study
from ui.importing.entry_bar import EntryBar
from ui.importing.scan_page import ScanPage
from ui.importing.session import ScanSession, Stage
from ui.importing.start_page import StartPage
from ui.importing.study_views import get_ready, view_of
from ui.messages import Kind, Message, MessageBar, announce, framed
from ui.models.study_node import Node
from ui.models.study_view import StudyView
from ui.services import LOCAL_ARCHIVE, Order, Services

if TYPE_CHECKING:
    from core.net.worklist_client import EntryRow
    from core.scan.drives import Drive

DRIVES_EVERY_MS = 3000
PANEL_EVERY_MS = 400


class ImportPage(QWidget):
    """Reads one source and hands on what is to be looked at or sent.

    Signals:
        openViewer(object, str): a `StudyView` and the UID of the series to show.
        sendOrder(object): an `Order` a person wants to send; the sheet confirms it.
        cancelAsked(object): a `Transfer` to be given up.
        sourceChanged(): another source was opened, or this one was left.
    """

    openViewer = Signal(object, str)
    sendOrder = Signal(object)
    cancelAsked = Signal(object)
    sourceChanged = Signal()

    def __init__(self, services: Services, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._services = services
        self._drives: list[Drive] = []
        self._looking = False
        self._shown: tuple[Patient, Study] | None = None
        self._shown_as: tuple[int, int, int] = (0, 0, 0)
        self.destination = services.state.text("destination", LOCAL_ARCHIVE)
        self.entry: EntryRow | None = None
        self.session = ScanSession(services, self)
        self.messages = MessageBar(self)
        self.for_entry = EntryBar(self)
        self.start = StartPage(self)
        self.scan = ScanPage(self.session, services.tasks, self)
        self.stack = QStackedWidget(self)
        self._drive_timer = QTimer(self)
        self._drive_timer.setInterval(DRIVES_EVERY_MS)
        self._panel_timer = QTimer(self)
        self._panel_timer.setSingleShot(True)
        self._panel_timer.setInterval(PANEL_EVERY_MS)
        self._build()
        self._connect()
        self._show_session()

    def _build(self) -> None:
        self.setAcceptDrops(True)
        self.stack.addWidget(self.start)
        self.stack.addWidget(self.scan)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(0)
        layout.addWidget(framed(self.messages))
        layout.addWidget(self.for_entry)
        layout.addWidget(self.stack, 1)
        self.send_menu = QMenu(self)
        self.send_menu.setAccessibleName(self.tr("Send to"))
        self.scan.footer.send_button.setMenu(self.send_menu)
        self._name_destination()

    def _connect(self) -> None:
        self.start.open.connect(self.open)
        self.for_entry.letGo.connect(lambda: self.take_in_hand(None))
        self.session.changed.connect(self._show_session)
        self.session.failed.connect(self._broke)
        self.session.attachmentsChanged.connect(lambda _uid: self._refresh_panel())
        page = self.scan
        page.source.stop.connect(self.session.stop)
        page.source.leave.connect(self.leave)
        page.source.again.connect(lambda: self.open(self.session.paths))
        page.tree.selectionModel().currentRowChanged.connect(lambda *_: self._refresh_panel())
        page.tree.opened.connect(self._open_node)
        page.panel.openSeries.connect(self._open_series)
        page.panel.openAttachment.connect(lambda name: QDesktopServices.openUrl(QUrl.fromLocalFile(name)))
        page.panel.addPdf.connect(lambda name: self.attach(Path(name)))
        page.footer.attach.connect(self.choose_pdf)
        page.footer.view.connect(lambda: self._open_series(page.panel.selected_series()))
        page.footer.send.connect(lambda: self.send())
        self.send_menu.aboutToShow.connect(self._fill_menu)
        self._drive_timer.timeout.connect(self.look_for_drives)
        self._panel_timer.timeout.connect(self._refresh_panel)
        for keys, slot in (("Ctrl+O", self.start.choose_folder), ("Ctrl+Return", lambda: self.send())):
            action = QAction(self)
            action.setShortcut(QKeySequence(keys))
            action.triggered.connect(lambda _on=False, slot=slot: slot())
            self.addAction(action)

    def get_ready(self) -> None:
        """Load ahead, in the background, what the first disc will need."""
        self._services.tasks.call(get_ready, done=lambda _loaded: None, failed=lambda _told_when_needed: None)

    # -- the source

    def open(self, paths: Sequence[Path]) -> None:
        """Read *paths* and show them."""
        if not paths:
            return
        self.messages.put_away()
        self._shown = None
        self.scan.panel.show_study(None)
        label = next((d.label for d in self._drives if Path(d.path) == paths[0]), "")
        self.sourceChanged.emit()
        self.session.start(paths, label)
        self.stack.setCurrentWidget(self.scan)
        self.scan.tree.setFocus()

    def _broke(self, error: Exception) -> None:
        """Say why the reading ended; where nothing was found there is nothing to stay for."""
        if not self.session.model.rowCount() and not self.session.skipped:
            self.leave()
        self.messages.show_error(error)

    def leave(self) -> None:
        """Close the source and show the drop area."""
        self.sourceChanged.emit()
        self.session.close()
        self._shown = None
        self.scan.panel.show_study(None)
        self.start.show_recent(self._services.state.recent)
        self.stack.setCurrentWidget(self.start)
        self.start.folder_button.setFocus()

    def look_for_drives(self) -> None:
        """Ask which drives there are; a slow disc must not hold the window."""
        if not self._looking:
            self._looking = True
            self._services.tasks.call(self._services.drives, done=self._drives_found, failed=self._no_drives)

    def _drives_found(self, drives: Sequence[Drive]) -> None:
        self._looking = False
        self._drives = list(drives)
        self.start.show_drives(drives)

    def _no_drives(self, _error: Exception) -> None:
        self._looking = False

    def drive_of(self, paths: Sequence[Path]) -> Drive | None:
        """The drive that *paths* were read from, if it can be ejected."""
        for drive in self._drives:
            inside = any(path == Path(drive.path) or Path(drive.path) in path.parents for path in paths)
            if inside and drive.kind in ("optical", "removable"):
                return drive
        return None

    # -- what is shown

    def _show_session(self) -> None:
        session = self.session
        self.scan.source.show_session(session)
        self.scan.footer.show_session(session, study_chosen=self._chosen() is not None)
        if session.stage is Stage.DONE:
            self._refresh_panel()
            if not session.model.rowCount():
                self.scan.panel.show_left_out(session.skipped)
            self._announce_end()
        elif session.stage is not Stage.IDLE and not self._panel_timer.isActive():
            self._panel_timer.start()

    def _announce_end(self) -> None:
        if self.property("announced") != id(self.session.scan):
            self.setProperty("announced", id(self.session.scan))
            announce(self, self.scan.footer.complete.text())

    def _chosen(self) -> tuple[Patient, Study] | None:
        index = self.scan.tree.currentIndex()
        node: Node | None = self.session.model.node(index) if index.isValid() else None
        study: Node | None = node
        if node is not None and isinstance(node.item, Patient):
            study = node.children[0] if node.children else None
        elif node is not None and isinstance(node.item, Series):
            study = node.parent
        above = study.parent if study is not None else None
        if study is None or above is None:
            return None
        if isinstance(study.item, Study) and isinstance(above.item, Patient):
            return above.item, study.item
        return None

    def _refresh_panel(self) -> None:
        chosen = self._chosen()
        scan = self.session.scan
        if chosen is None or scan is None:
            return
        patient, study = chosen
        files = self.session.attachments.get(study.study_instance_uid, [])
        state = (study.instances, len(self.session.skipped), len(files))
        if chosen == self._shown and state == self._shown_as:
            return
        self._shown, self._shown_as = chosen, state
        self.scan.panel.show_study(view_of(scan, patient, study, files, tuple(self.session.skipped)))
        self.scan.footer.show_session(self.session, study_chosen=True)

    # -- what is done with it

    def _open_node(self, node: Node) -> None:
        self._refresh_panel()
        series = node.item.series_instance_uid if isinstance(node.item, Series) else ""
        self._open_series(series or self.scan.panel.selected_series())

    def _open_series(self, series_uid: str) -> None:
        view: StudyView | None = self.scan.panel.study
        if view is not None and series_uid:
            self.openViewer.emit(view, series_uid)

    def choose_pdf(self) -> None:
        """Ask for PDFs to go along with the chosen study."""
        names, _kind = QFileDialog.getOpenFileNames(
            self, self.tr("Attach PDF"), "", self.tr("PDF files (*.pdf)")
        )
        for name in names:
            self.attach(Path(name))

    def attach(self, path: Path) -> None:
        """Let *path* go along with the chosen study, if it is a PDF that can be read."""
        chosen = self._chosen()
        if chosen is None:
            return
        try:
            with path.open("rb") as file:
                is_pdf = b"%PDF-" in file.read(1024)
        except OSError:
            is_pdf = False
        if not is_pdf:
            self.messages.show_message(
                Message(
                    Kind.WARN,
                    self.tr("{file} is not a PDF that can be read.").format(file=path.name),
                    self.tr("Choose a PDF file."),
                )
            )
            return
        self.session.attach(chosen[1].study_instance_uid, path)
        announce(self, self.tr("{file} goes along with the study.").format(file=path.name))

    def send(self, destination: str = "") -> None:
        """Offer what is ticked to be sent."""
        if destination and self.entry is None:
            self.destination = destination
            self._services.state.keep_text("destination", destination)
            self._name_destination()
        order: Order | None = self.session.order(self.destination)
        if order is None or self.session.stage is Stage.READING:
            return
        if self.entry is not None:
            order = replace(order, entry=self.entry, destination=LOCAL_ARCHIVE)
        self.sendOrder.emit(order)

    def take_in_hand(self, entry: EntryRow | None) -> None:
        """What is sent from now on is for this entry of the worklist, and goes into the local archive."""
        self.entry = entry
        self.for_entry.show_entry(entry)
        self._name_destination()

    def _destination_name(self, name: str) -> str:
        return self.tr("Local archive") if name == LOCAL_ARCHIVE else name

    def _name_destination(self) -> None:
        name = self.destination if self.entry is None else LOCAL_ARCHIVE
        words = self.tr("Send to {destination}").format(destination=self._destination_name(name))
        self.scan.footer.send_button.setText(words)
        self.scan.footer.send_button.setAccessibleName(words)

    def _fill_menu(self) -> None:
        self.send_menu.clear()
        names = [LOCAL_ARCHIVE] if self._services.settings.now.desktop.local_archive else []
        if self.entry is None:
            names += [each.name for each in self._services.destinations.all()]
        for name in names:
            action = self.send_menu.addAction(self._destination_name(name))
            action.triggered.connect(partial(self._send_there, name))

    def _send_there(self, name: str, _checked: bool = False) -> None:
        self.send(name)

    # -- drops, and being seen

    def dragEnterEvent(self, event: QDragEnterEvent) -> None:
        if _local(event.mimeData()):
            self.start.area.light(True)
            event.acceptProposedAction()

    def dragLeaveEvent(self, _event: QDragLeaveEvent) -> None:
        self.start.area.light(False)

    def dropEvent(self, event: QDropEvent) -> None:
        self.start.area.light(False)
        paths = _local(event.mimeData())
        event.acceptProposedAction()
        pdfs = [path for path in paths if path.suffix.lower() == ".pdf"]
        if pdfs and len(pdfs) == len(paths) and self._chosen() is not None:
            for path in pdfs:
                self.attach(path)
        else:
            self.open(paths)

    def showEvent(self, event: QShowEvent) -> None:
        super().showEvent(event)
        self.start.show_recent(self._services.state.recent)
        self._drive_timer.start()
        QTimer.singleShot(0, self, self.look_for_drives)

    def hideEvent(self, event: QHideEvent) -> None:
        super().hideEvent(event)
        self._drive_timer.stop()


def _local(mime: QMimeData) -> list[Path]:
    """Files and folders of a drag that lie on this machine."""
    return [Path(url.toLocalFile()) for url in mime.urls() if url.isLocalFile()]
