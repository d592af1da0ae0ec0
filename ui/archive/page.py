"""The Archive page: search line, table of studies, and the study panel with what can be done."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from PySide6.QtCore import Qt, QTimer, Signal
from PySide6.QtGui import QHideEvent, QShowEvent
from PySide6.QtWidgets import (
    QHBoxLayout,
    QLabel,
    QPushButton,
    QSplitter,
    QStackedWidget,
    QVBoxLayout,
    QWidget,
)

from core.errors import KnownError, Unreachable
from ui.archive.adding import AddingFiles
from ui.archive.calls import Calls
from ui.archive.deleting import Deleting, who_of
from ui.archive.search_line import SearchLine
from ui.archive.study_views import view_of
from ui.archive.table import StudyList
from ui.archive.trash_view import TrashView
from ui.icons import icon
from ui.messages import Kind, Message, MessageBar, of_error
from ui.models.archive_table import PAGE, ArchiveTable, StudyRowLike
from ui.services import ArchiveState, Services
from ui.widgets.opening import Opener
from ui.widgets.study_panel import StudyPanel

if TYPE_CHECKING:
    from core.net.records import Page, StudyDetail, StudyRow

LOOK_AGAIN_MS = 3000
MOST_AT_ONCE = 500


class ArchivePage(QWidget):
    """Shows the archive of the data folder.

    Signals:
        openViewer(object, str): a `StudyView` and the UID of the series to show.
        sendOrder(object): an `Order` a person wants to send; the sheet confirms it.
    """

    openViewer = Signal(object, str)
    sendOrder = Signal(object)

    def __init__(self, services: Services, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._services = services
        self._tasks = services.tasks
        self._calls = Calls(services.archive)
        self._opener = Opener()
        self._asked = 0
        self._asked_detail = 0
        self._chosen: StudyRowLike | None = None
        self._detail: StudyDetail | None = None
        self._stale = True
        self._down = False
        self._open_when_there = False
        self.model = ArchiveTable(self)
        self.messages = MessageBar(self)
        self.search = SearchLine(self)
        self.list = StudyList(self.model, self)
        self.panel = StudyPanel(services.tasks, self)
        self.count = QLabel(self)
        self.splitter = QSplitter(Qt.Orientation.Horizontal, self)
        self.delete_button = QPushButton(self.tr("Delete…"), self)
        self.send_button = QPushButton(
            icon("ph.paper-plane-tilt", before_text=True), self.tr("Send to…"), self
        )
        self.attach_button = QPushButton(icon("ph.paperclip", before_text=True), self.tr("Attach…"), self)
        self.open_button = QPushButton(icon("ph.eye", "on_primary", before_text=True), self.tr("Open"), self)
        self._deleting = Deleting(
            self._calls,
            self._tasks,
            self.messages,
            lambda: services.settings.now.serve.trash_days,
            self,
        )
        self._adding = AddingFiles(self._calls, services.tasks, self.messages, self)
        self.trash_button = QPushButton(icon("ph.trash", before_text=True), self.tr("Deleted…"), self)
        self.trash = TrashView(self._calls, self._tasks, self)
        self.front = QWidget(self)
        self.stack = QStackedWidget(self)
        self._timer = QTimer(self)
        self._timer.setInterval(LOOK_AGAIN_MS)
        self._build()
        self._connect()
        self._enable()

    def _build(self) -> None:
        self.list.say(self.tr("Looking…"))
        self.count.setProperty("role", "muted")
        self.delete_button.setProperty("role", "danger")
        for widget in (self.list, self.panel):
            self.splitter.addWidget(widget)
        self.splitter.setStretchFactor(0, 3)
        self.splitter.setStretchFactor(1, 2)
        self.splitter.setChildrenCollapsible(False)
        self.splitter.setSizes([800, 324])
        actions = QHBoxLayout()
        actions.setSpacing(8)
        actions.setContentsMargins(4, 0, 4, 0)
        actions.addWidget(self.count)
        actions.addWidget(self.trash_button)
        actions.addStretch(1)
        for button in (self.delete_button, self.send_button, self.attach_button, self.open_button):
            actions.addWidget(button)
        self.open_button.setProperty("role", "primary")
        front = QVBoxLayout(self.front)
        front.setContentsMargins(0, 0, 0, 0)
        front.setSpacing(12)
        front.addWidget(self.search)
        front.addWidget(self.splitter, 1)
        front.addLayout(actions)
        for view in (self.front, self.trash):
            self.stack.addWidget(view)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(20, 8, 20, 16)
        layout.setSpacing(12)
        layout.addWidget(self.messages)
        layout.addWidget(self.stack, 1)

    def _connect(self) -> None:
        self.search.changed.connect(lambda _search: self._look())
        self.model.orderChanged.connect(lambda _order: self._look())
        self.model.pageWanted.connect(self._next_page)
        self.list.chosen.connect(self._choose)
        self.list.pressed.connect(self.search.clear)
        self.list.table.opened.connect(lambda _row: self.open())
        self.list.table.deleteWanted.connect(self.delete)
        self.panel.openSeries.connect(self.open)
        self.panel.openAttachment.connect(self.open_attachment)
        self.panel.addPdf.connect(lambda path: self.attach(Path(path)))
        self.open_button.clicked.connect(lambda: self.open())
        self.attach_button.clicked.connect(lambda: self.add_files())
        self.panel.take_files()
        self.panel.filesDropped.connect(self.add_files)
        self.send_button.clicked.connect(lambda: self.send())
        self.delete_button.clicked.connect(lambda: self.delete())
        self._adding.added.connect(lambda _row: self._added())
        self._deleting.deleted.connect(self._deleted)
        self._deleting.restored.connect(self._restored)
        self._deleting.failed.connect(self._fail)
        self.trash_button.clicked.connect(lambda: self.show_trash(True))
        self.trash.back.connect(lambda: self.show_trash(False))
        self.trash.changed.connect(self._look)
        self.trash.said.connect(self.messages.show_message)
        self.trash.failed.connect(self._fail)
        self._timer.timeout.connect(self._look_again)

    def show_trash(self, on: bool) -> None:
        """Show what was deleted, or the archive again."""
        self.messages.put_away()
        self.stack.setCurrentWidget(self.trash if on else self.front)
        if on:
            self.trash.look()
        else:
            self.list.table.setFocus()

    # -- searching

    def refresh(self) -> None:
        """Look again, now or when the page is seen next; the chosen study stays chosen."""
        self._stale = True
        if self.isVisible():
            self._look()

    def _look(self) -> None:
        self._asked += 1
        self._stale = False
        limit = min(MOST_AT_ONCE, max(PAGE, self.model.rowCount()))
        self._tasks.call(
            partial(self._calls.page, self.search.search, self.model.order, 0, limit),
            done=partial(self._found, self._asked),
            failed=partial(self._not_found, self._asked),
        )

    def _found(self, asked: int, page: Page[StudyRow]) -> None:
        if asked != self._asked:
            return
        if self._down:
            self._down = False
            self.messages.put_away()
        chosen = self._chosen
        bar = self.list.table.verticalScrollBar()
        place = bar.value()
        blocked = self.list.blockSignals(True)
        self.model.show_first(page.rows, page.total)
        row = self.model.row_of(chosen.namespace, chosen.study_uid) if chosen is not None else -1
        self.list.choose(row if row >= 0 else (0 if page.rows else -1))
        self.list.blockSignals(blocked)
        bar.setValue(place)
        self._say_count()
        self._choose(self.list.row)

    def _not_found(self, asked: int, error: Exception) -> None:
        if asked != self._asked:
            return
        if isinstance(error, Unreachable) and self._services.archive.state is ArchiveState.STARTING:
            self.list.say(self.tr("The archive is starting…"))
            self._stale = True
            return
        if not self.model.rowCount():
            self.list.say(self.tr("The archive does not answer."))
        self._stale = True
        if not self._down:  # said once, although the page looks again by itself
            self._down = True
            self._fail(error, self.tr("Try again"), self._try_again)

    def _try_again(self) -> None:
        self._down = False
        self.messages.put_away()
        self._look()

    def _next_page(self, offset: int) -> None:
        self._tasks.call(
            partial(self._calls.page, self.search.search, self.model.order, offset, PAGE),
            done=partial(self._more, self._asked, offset),
            failed=partial(self._no_more, self._asked),
        )

    def _more(self, asked: int, offset: int, page: Page[StudyRow]) -> None:
        if asked == self._asked:
            self.model.append(offset, page.rows, page.total)

    def _no_more(self, asked: int, error: Exception) -> None:
        if asked == self._asked:
            self.model.page_failed()
            self._fail(error, self.tr("Try again"), self._try_again)

    def _say_count(self) -> None:
        total = self.model.total
        self.count.setText(self.tr("1 study") if total == 1 else self.tr("{n} studies").format(n=total))
        if total:
            self.list.show_table()
        elif self.search.search.empty:
            self.list.say(self.tr("Nothing here yet. Studies that are sent to this archive appear here."))
        else:
            self.list.say_none_matches()

    # -- the chosen study

    def _choose(self, row: int) -> None:
        before, self._chosen = self._chosen, self.model.row(row) if row >= 0 else None
        self._enable()
        if self._chosen is None:
            self._asked_detail += 1
            self._detail = None
            self.panel.show_study(None)
        elif self._chosen != before or self._detail is None:
            self._read_detail()

    def _read_detail(self) -> None:
        row = self._chosen
        if row is None:
            return
        self._asked_detail += 1
        if self._detail is not None and self._detail.study.study_uid != row.study_uid:
            self._detail = None
        self._tasks.call(
            partial(self._calls.detail, row.namespace, row.study_uid),
            done=partial(self._show_detail, self._asked_detail),
            failed=partial(self._no_detail, self._asked_detail),
        )

    def _show_detail(self, asked: int, detail: StudyDetail) -> None:
        if asked != self._asked_detail:
            return
        self._detail = detail
        self.panel.show_study(view_of(detail, self._services.archive.client))
        self._enable()
        if self._open_when_there:
            self.open()

    def _no_detail(self, asked: int, error: Exception) -> None:
        if asked == self._asked_detail:
            self._open_when_there = False
            self.panel.show_study(None)
            self._fail(error)

    def _enable(self) -> None:
        for button in (self.open_button, self.attach_button, self.send_button, self.delete_button):
            button.setEnabled(self._chosen is not None)

    # -- what can be done

    def open(self, series_uid: str = "") -> None:
        """Open the viewer; as soon as the study is there if it is still being read."""
        view = self.panel.study
        here = view is not None and self._chosen is not None and view.uid == self._chosen.study_uid
        self._open_when_there = not here and self._chosen is not None
        uid = series_uid or self.panel.selected_series()
        if here and view is not None and uid:
            self.openViewer.emit(view, uid)

    def open_attachment(self, attachment_id: str) -> None:
        """Fetch an attachment and open it, or let the person save it."""
        detail = self._detail
        found = next((a for a in detail.attachments if a.id == attachment_id), None) if detail else None
        if detail is None or found is None:
            return
        row = detail.study
        self._tasks.call(
            partial(self._calls.attachment, row.namespace, row.study_uid, found.id, found.version),
            done=partial(self._open_document, found.name or found.id, found.content_type),
            failed=self._fail,
        )

    def _open_document(self, name: str, content_type: str, data: bytes) -> None:
        try:
            self._opener.open(self, name, content_type, data)
        except KnownError as error:
            self._fail(error)

    def send(self) -> None:
        """Ask where the chosen study is to be sent."""
        row = self._chosen
        if row is not None:
            self._tasks.call(
                partial(self._calls.order, row.namespace, row.study_uid),
                done=self.sendOrder.emit,
                failed=self._fail,
            )

    def add_files(self, files: Sequence[Path] = ()) -> None:
        """Let the person add files to the images of the chosen study, *files* to begin with."""
        if self._chosen is not None:
            self._adding.ask(self._chosen, files)

    def _added(self) -> None:
        self.panel.tabs.setCurrentIndex(0)
        self._detail = None
        self._look()

    def attach(self, path: Path) -> None:
        """Attach a PDF beside the images of the chosen study."""
        row = self._chosen
        if row is None:
            return
        self._tasks.call(
            partial(self._calls.attach, row.namespace, row.study_uid, path, self.tr("Desktop")),
            done=partial(self._attached, row),
            failed=self._fail,
        )

    def _attached(self, row: StudyRowLike, name: str) -> None:
        sentence = self.tr("{file} was attached to the study of {who}.").format(file=name, who=who_of(row))
        self.messages.show_message(Message(Kind.GOOD, sentence))
        self.panel.tabs.setCurrentWidget(self.panel.attachments)
        self._detail = None
        self._look()

    def delete(self) -> None:
        """Ask whether the chosen study is to go."""
        if self._chosen is not None:
            self._deleting.ask(self._chosen)

    def _deleted(self, row: StudyRowLike) -> None:
        place = self.model.row_of(row.namespace, row.study_uid)
        if place >= 0:
            self.model.remove(place)
        self._look()

    def _restored(self, row: StudyRowLike) -> None:
        self._chosen = row
        self._look()

    def _fail(
        self, error: Exception, action: str = "", on_action: Callable[[], object] | None = None
    ) -> None:
        self.messages.show_message(of_error(error), action=action, on_action=on_action)

    # -- being seen

    def _look_again(self) -> None:
        arriving = any(self.model.row(n).state == "receiving" for n in range(self.model.rowCount()))
        if self._stale or arriving:
            self._look()

    def showEvent(self, event: QShowEvent) -> None:
        """Look when the page comes up, and again while studies are arriving."""
        super().showEvent(event)
        self._timer.start()
        self._look()

    def hideEvent(self, event: QHideEvent) -> None:
        """Nobody looks: ask nothing."""
        super().hideEvent(event)
        self._timer.stop()
