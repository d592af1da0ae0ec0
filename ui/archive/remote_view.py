"""An archive elsewhere: search line, table of its studies, the study panel, and what can be done."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING

from PySide6.QtCore import Qt, QTimer, Signal
from PySide6.QtWidgets import QHBoxLayout, QLabel, QPushButton, QSplitter, QVBoxLayout, QWidget

from ui.archive.line import Line
from ui.archive.remote_sending import RemoteSending
from ui.archive.remote_study import RemoteStudy
from ui.archive.search_line import Search, SearchLine
from ui.archive.table import StudyList
from ui.icons import icon
from ui.messages import MessageBar, of_error
from ui.models.archive_table import ArchiveTable, Column, StudyRowLike
from ui.models.people import iso_date
from ui.models.study_view import StudyView
from ui.services import DestinationText, Services
from ui.widgets.study_panel import StudyPanel

if TYPE_CHECKING:
    from core.net.dicomweb_search import Matches

READ_AFTER_MS = 60
"""Who runs through the list with a key held down does not ask for every study on the way."""
LATE_AFTER_MS = 500
"""So long what was found before may stand under new words."""
UNKNOWN_THERE = (Column.RECEIVED, Column.STATE)
"""Columns a remote archive says nothing for."""


class RemoteView(QWidget):
    """Signals:
    openViewer(object, str): a `StudyView` and the UID of the series to show.
    sendOrder(object): an `Order` a person wants to send; the sheet confirms it.
    """

    openViewer = Signal(object, str)
    sendOrder = Signal(object)

    def __init__(self, services: Services, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._services = services
        self._jobs = services.jobs  # another machine may take its time, short work must not wait for it
        self._searching, self._reading = Line(services.destinations), Line(services.destinations)
        self._asked = 0
        self._asked_study = 0
        self._chosen: StudyRowLike | None = None
        self._open_when_there = ""
        self.name = ""
        self._saved: DestinationText | None = None
        self._failed = False
        self.model = ArchiveTable(self)
        self.messages = MessageBar(self)
        self.search = SearchLine(self)
        self.asking = MessageBar(self)
        self.list = StudyList(self.model, self, many=True)
        self.panel = StudyPanel(services.jobs, self)
        self.count = QLabel(self)
        self.splitter = QSplitter(Qt.Orientation.Horizontal, self)
        self.send_button = QPushButton(icon("ph.paper-plane-tilt", before_text=True), "", self)
        self.sending = RemoteSending(services, self.asking, self)
        self.open_button = QPushButton(icon("ph.eye", "on_primary", before_text=True), self.tr("Open"), self)
        self._soon, self._late = QTimer(self), QTimer(self)
        for timer, after_ms in ((self._soon, READ_AFTER_MS), (self._late, LATE_AFTER_MS)):
            timer.setSingleShot(True)
            timer.setInterval(after_ms)
        self._on_pressed: Callable[[], None] = self.search.clear
        self._from_table = False
        self._build()
        self._connect()

    def _build(self) -> None:
        self.count.setProperty("role", "muted")
        self.open_button.setProperty("role", "primary")
        self.open_button.setEnabled(False)
        self._say_send()
        self.panel.tabs.setTabVisible(self.panel.tabs.indexOf(self.panel.attachments), False)
        self.list.table.setAccessibleName(self.tr("Studies in the archive elsewhere"))
        self.list.table.leave_out(UNKNOWN_THERE)
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
        actions.addStretch(1)
        actions.addWidget(self.send_button)
        actions.addWidget(self.open_button)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(20, 8, 20, 16)
        layout.setSpacing(12)
        layout.addWidget(self.messages)
        layout.addWidget(self.asking)
        layout.addWidget(self.search)
        layout.addWidget(self.splitter, 1)
        layout.addLayout(actions)

    def _connect(self) -> None:
        self._soon.timeout.connect(self._read_study)
        self.search.changed.connect(lambda _search: self.look())
        self.model.orderChanged.connect(lambda _order: self.look())
        self.list.chosen.connect(self._choose)
        self.list.pickedChanged.connect(self._say_send)
        self.send_button.clicked.connect(lambda: self.send())
        self.sending.ready.connect(self.sendOrder)
        self.sending.busyChanged.connect(lambda _busy: self._say_send())
        self._late.timeout.connect(self._say_late)
        self.list.pressed.connect(lambda: self._on_pressed())
        self.list.table.opened.connect(lambda _row: self.open())
        self.panel.openSeries.connect(self.open)
        self.open_button.clicked.connect(lambda: self.open())

    # -- searching

    def show_archive(self, name: str) -> None:
        """Search the archive saved under *name* from now on; anew if that failed, or was changed, since."""
        saved = next((each for each in self._services.destinations.all() if each.name == name), None)
        if (name, saved) == (self.name, self._saved) and not self._failed:
            return
        self._saved = saved
        self.sending.stop()
        self.name = name
        self.model.show_first((), 0)
        self._choose(-1)
        self.look()

    def look(self) -> None:
        """Ask the archive."""
        self._asked = self._searching.take_turn()
        self.messages.put_away()
        if not self.model.rowCount():
            self.count.clear()
            self.list.say(self.tr("Looking…"))
        self._late.start()
        self._jobs.call(
            partial(self._search, self.name, self._asked, self.search.search, self.model.order),
            done=partial(self._found, self._asked),
            failed=partial(self._not_found, self._asked),
        )

    def _say_late(self) -> None:
        """What was found before is no answer to what is looked for now."""
        self._from_table = self.list.table.hasFocus()
        self.count.clear()
        self.send_button.setEnabled(False)  # what is chosen there is out of sight
        self._on_pressed = self.stop
        self.list.say(self.tr("Looking in {archive}…").format(archive=self.name), self.tr("Stop"))

    def stop(self) -> None:
        """Look no longer."""
        self._asked = self._searching.take_turn()
        self._show_none(self.tr("The search was stopped."), self.tr("Search again"))
        self._on_pressed = self.look

    def _show_none(self, sentence: str, button: str = "") -> None:
        self._answered()
        self._failed = True
        self.model.show_first((), 0)
        self._choose(-1)
        self._say_send()
        self.count.clear()
        self.list.say(sentence, button)

    def _answered(self) -> None:
        self._late.stop()
        self._on_pressed = self.search.clear

    def _search(self, name: str, turn: int, wanted: Search, order: str) -> Matches:
        from core.net.dicomweb_search import Wanted, search

        asked = Wanted(wanted.text, wanted.date_from, wanted.date_to, wanted.modalities)
        with self._searching.client(name, turn) as client:
            return search(client, asked, order)

    def _found(self, asked: int, matches: Matches) -> None:
        if asked != self._asked:
            return
        self._answered()
        self._failed = False
        chosen, picked = self._chosen, self.picked
        blocked = self.list.blockSignals(True)
        self.model.show_first(matches.rows, len(matches.rows))
        row = self.model.row_of("", chosen.study_uid) if chosen is not None else -1
        self.list.choose(row if row >= 0 else (0 if matches.rows else -1))
        if row >= 0:
            again = (self.model.row_of("", each.study_uid) for each in picked)
            self.list.choose_too(each for each in again if each >= 0)
        self.list.blockSignals(blocked)
        self._say_send()
        self._say_count(len(matches.rows), matches)
        self._choose(self.list.row)
        if self._from_table:  # it was out of sight meanwhile
            self.list.table.setFocus()
        self._from_table = False

    def _not_found(self, asked: int, error: Exception) -> None:
        if asked != self._asked:
            return
        self._show_none(self.tr("{archive} cannot be searched now.").format(archive=self.name))
        self._fail(error)

    def _say_count(self, count: int, matches: Matches) -> None:
        if matches.since:
            words = self.tr("The {n} newest studies, since {day}; narrow the search to see the others")
        elif matches.more:
            words = self.tr("The first {n} studies; narrow the search to see the others")
        else:
            words = self.tr("1 study") if count == 1 else self.tr("{n} studies")
        self.count.setText(words.format(n=count, day=iso_date(matches.since)))
        if count:
            self.list.show_table()
        elif self.search.search.empty:
            self.list.say(self.tr("{archive} lists no studies.").format(archive=self.name))
        else:
            self.list.say_none_matches()

    # -- the chosen study

    def _choose(self, row: int) -> None:
        before, self._chosen = self._chosen, self.model.row(row) if row >= 0 else None
        self.open_button.setEnabled(self._chosen is not None)
        if self._chosen is None:
            self._asked_study = self._reading.take_turn()
            self._soon.stop()
            self.panel.show_study(None)
        elif before is None or self._chosen.study_uid != before.study_uid or self.panel.study is None:
            self._soon.start()

    def _read_study(self) -> None:
        row = self._chosen
        if row is None:
            return
        self._asked_study = self._reading.take_turn()
        self._jobs.call(
            partial(self._study, self.name, self._asked_study, row.study_uid),
            done=partial(self._show_study, self._asked_study),
            failed=partial(self._no_study, self._asked_study),
        )

    def _study(self, name: str, turn: int, study_uid: str) -> StudyView:
        study = RemoteStudy(self._services.destinations.remote(name), study_uid, name)
        with self._reading.client(name, turn) as client:
            study.listed.detail(client)
        return study.view()

    def _show_study(self, asked: int, view: StudyView) -> None:
        if asked != self._asked_study:
            return
        self.panel.show_study(view)
        if self._open_when_there == view.uid:
            self.open()

    def _no_study(self, asked: int, error: Exception) -> None:
        if asked == self._asked_study:
            self._open_when_there = ""
            self.panel.show_study(None)
            self._fail(error)

    def open(self, series_uid: str = "") -> None:
        """Open the viewer; as soon as the study is there if it is still being read."""
        view, chosen = self.panel.study, self._chosen
        here = view is not None and chosen is not None and view.uid == chosen.study_uid
        self._open_when_there = chosen.study_uid if chosen is not None and not here else ""
        uid = series_uid or self.panel.selected_series()
        if here and view is not None and uid:
            self.openViewer.emit(view, uid)

    # -- sending

    @property
    def picked(self) -> list[StudyRowLike]:
        """The chosen studies, from top to bottom."""
        return [self.model.row(row) for row in self.list.rows if row < self.model.rowCount()]

    def _say_send(self) -> None:
        count = len(self.picked)
        several = self.tr("Send {n} studies to…").format(n=count)
        self.send_button.setText(several if count > 1 else self.tr("Send to…"))
        self.send_button.setEnabled(count > 0 and not self.sending.busy)

    def send(self) -> None:
        """Ask where the chosen studies are to be sent, the local archive first."""
        self.sending.ask(self.name, [row.study_uid for row in self.picked])

    def _fail(self, error: Exception) -> None:
        self.messages.show_message(of_error(error), action=self.tr("Try again"), on_action=self._again)

    def _again(self) -> None:
        self.look()
