"""The Worklist page: search line, table of entries, and the chosen entry with what can be done."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import TYPE_CHECKING

from PySide6.QtCore import Qt, QTimer, Signal
from PySide6.QtGui import QAction, QHideEvent, QKeySequence, QShowEvent
from PySide6.QtWidgets import QHBoxLayout, QLabel, QPushButton, QSplitter, QVBoxLayout, QWidget

from core.errors import Unreachable
from ui.icons import icon
from ui.keeper import ArchiveKeeper
from ui.messages import MessageBar, of_error
from ui.models.worklist_table import DAY, WorklistTable
from ui.services import ArchiveState, Services
from ui.worklist.acting import Acting
from ui.worklist.calls import Calls
from ui.worklist.entry_panel import EntryPanel
from ui.worklist.list_view import WorklistStack
from ui.worklist.search_line import Wanted, WorklistSearch

if TYPE_CHECKING:
    from core.net.records import StudyRow
    from core.net.worklist_client import EntryPage, EntryRow

LOOK_AGAIN_MS = 3000


class WorklistPage(QWidget):
    """The worklist of the archive in the data folder; looks again every few seconds while it is seen.

    Signals:
        addDisc(object): an `EntryRow` that a disc or folder is to be imported for.
        showStudy(str): what a study that is to be shown is found by in the archive.
    """

    addDisc = Signal(object)
    showStudy = Signal(str)

    def __init__(self, services: Services, keeper: ArchiveKeeper, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._keeper = keeper
        self._tasks = services.tasks
        self._calls = Calls(services.archive)
        self._asked = 0
        self._waiting = self._showing = self._known = False
        self._shown: Wanted | None = None
        self._version = ""
        self._chosen = ""
        self._down = False
        self._studies: Sequence[StudyRow] = ()
        self.model = WorklistTable(self)
        self.messages = MessageBar(self)
        self.search = WorklistSearch(self)
        self.list = WorklistStack(self.model, self)
        self.panel = EntryPanel(self)
        self.count = QLabel(self)
        self.new_button = QPushButton(icon("ph.plus", before_text=True), self.tr("New entry…"), self)
        self.splitter = QSplitter(Qt.Orientation.Horizontal, self)
        self._acting = Acting(self._calls, self._tasks, self.messages, self)
        self._timer = QTimer(self)
        self._timer.setInterval(LOOK_AGAIN_MS)
        self._build()
        self._connect()
        self._stand()

    def _build(self) -> None:
        self.count.setProperty("role", "muted")
        self.new_button.setToolTip(self.tr("New entry") + " (Ctrl+N)")
        for widget in (self.list, self.panel):
            self.splitter.addWidget(widget)
        self.splitter.setStretchFactor(0, 3)
        self.splitter.setStretchFactor(1, 2)
        self.splitter.setChildrenCollapsible(False)
        self.splitter.setSizes([800, 340])
        foot = QHBoxLayout()
        foot.setContentsMargins(4, 0, 4, 0)
        foot.setSpacing(8)
        foot.addWidget(self.count)
        foot.addStretch(1)
        foot.addWidget(self.new_button)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(20, 12, 20, 16)
        layout.setSpacing(12)
        layout.addWidget(self.messages)
        layout.addWidget(self.search)
        layout.addWidget(self.splitter, 1)
        layout.addLayout(foot)

    def _connect(self) -> None:
        self.search.changed.connect(self.look)
        self.list.pressed.connect(self._press)
        self.list.table.opened.connect(lambda _row: self.edit())
        self.list.table.deleteWanted.connect(self.remove)
        self.list.table.selectionModel().currentRowChanged.connect(lambda *_: self._choose())
        self.new_button.clicked.connect(lambda: self.new())
        panel = self.panel
        panel.start.connect(lambda: self._with_entry(self._acting.start))
        panel.edit.connect(self.edit)
        panel.addFiles.connect(lambda: self._with_entry(self._acting.add_files))
        panel.addDisc.connect(lambda: self._with_entry(self.addDisc.emit))
        panel.complete.connect(lambda: self._with_entry(self._complete))
        panel.cancel.connect(lambda: self._with_entry(self._acting.cancel))
        panel.remove.connect(self.remove)
        panel.takeBack.connect(lambda uid: self._with_entry(lambda e: self._acting.take_back(e, uid)))
        panel.look.connect(self._show_study)
        self._acting.changed.connect(self._changed)
        self._acting.failed.connect(lambda: self.look(anew=True))
        self._keeper.changed.connect(self._stand)
        self._timer.timeout.connect(self._look_again)
        action = QAction(self)
        action.setShortcut(QKeySequence("Ctrl+N"))
        action.setShortcutContext(Qt.ShortcutContext.WidgetWithChildrenShortcut)
        action.triggered.connect(lambda: self.new())
        self.addAction(action)

    # -- the archive behind it

    @property
    def running(self) -> bool:
        """Whether there is a worklist to look at."""
        return self._keeper.state is ArchiveState.RUNNING

    def _stand(self) -> None:
        """The archive came or went."""
        self.new_button.setEnabled(self.running)
        self.search.setEnabled(self.running)
        if self.running:
            if self._shown is None:
                self.list.say(self.tr("Looking…"))
            if self.isVisible():
                self.look()
            return
        self._asked += 1  # what was asked before is of no use
        self._waiting = False
        self._shown, self._version = None, ""
        self.model.show_entries((), with_day=False)
        self.count.clear()
        self.panel.show_entry(None)
        if self._keeper.state is ArchiveState.STARTING:
            self.list.say(self.tr("The archive is starting…"))
        else:
            self.list.say(
                self.tr("The worklist is kept by the archive, which does not run."),
                self.tr("Start the archive"),
            )

    def _press(self) -> None:
        if not self.running:
            self._keeper.start()
        elif self._shown is not None and (self._shown.narrowed or self._shown.first or self._shown.last):
            self.search.widen()

    # -- looking

    def look(self, *, anew: bool = False) -> None:
        """Ask for what the search line says; *anew* even if nothing seems to have changed."""
        if not self.running:
            return
        wanted = self.search.wanted
        known = "" if anew or wanted != self._shown else self._version
        self._asked += 1
        self._waiting = True
        self._tasks.call(
            partial(self._calls.entries, wanted, known),
            done=partial(self._found, self._asked, wanted),
            failed=partial(self._not_found, self._asked),
        )

    def _look_again(self) -> None:
        if not self._waiting:  # one question at a time, however slow the answer
            self.look()

    def _found(self, asked: int, wanted: Wanted, page: EntryPage | None) -> None:
        if asked != self._asked:
            return
        self._waiting = False
        if self._down:
            self._down = False
            self.messages.put_away()
        if page is None:
            return
        self._version = page.version
        fresh, self._shown = wanted != self._shown, wanted
        chosen, empty = self._chosen, not self.model.entries
        table = self.list.table
        self._showing = True
        self.model.show_entries(page.entries, with_day=not wanted.one_day)
        if fresh:
            table.show_days(not wanted.one_day)
        table.choose(chosen)
        if table.entry is None and (fresh or empty):  # else another patient would slip under the pointer
            table.choose_first()
        self._showing = False
        self._say_count(page)
        self._choose()

    def _not_found(self, asked: int, error: Exception) -> None:
        if asked != self._asked:
            return
        self._waiting = False
        if isinstance(error, Unreachable) and not self.running:
            self._stand()
        elif not self._down:  # said once, although the page looks again by itself
            self._down = True
            self.messages.show_message(
                of_error(error), action=self.tr("Try again"), on_action=self._try_again
            )

    def _try_again(self) -> None:
        self._down = False
        self.messages.put_away()
        self.look(anew=True)

    def _say_count(self, page: EntryPage) -> None:
        n = len(page.entries)
        words = self.tr("1 entry") if n == 1 else self.tr("{n} entries").format(n=n)
        if page.more:
            words = self.tr("The first {n} entries; there are more").format(n=n)
        self.count.setText(words)
        wanted = self._shown or Wanted()
        if n:
            self.list.show_table()
        elif wanted.narrowed:
            self.list.say(self.tr("No entry matches."), self.tr("Show all entries"))
        elif wanted.first or wanted.last:
            self.list.say(self.tr("Nothing is planned for these days."), self.tr("Show all entries"))
        else:
            self.list.say(
                self.tr("Nothing is planned. A new entry, or an order that comes in, appears here.")
            )

    # -- the chosen entry

    def _choose(self) -> None:
        if self._showing:  # rows are on the move: the end counts
            return
        entry = self.list.table.entry
        before = self.panel.entry
        self._chosen = entry.key if entry is not None else ""
        if entry is None or before is None or entry.key != before.key:
            self._studies, self._known = (), False
        self.panel.show_entry(entry, self.model.state_text(entry) if entry is not None else "")
        if entry is not None and entry != before:
            self._read_studies(entry)

    def _read_studies(self, entry: EntryRow) -> None:
        self._tasks.call(
            partial(self._calls.studies, entry),
            done=partial(self._show_studies, entry.key),
            failed=lambda _error: None,  # the list says it when the archive is away
        )

    def _show_studies(self, key: str, studies: Sequence[StudyRow]) -> None:
        if key == self._chosen:
            self._studies, self._known = studies, True
            self.panel.show_studies(key, studies)

    def refresh(self) -> None:
        """Something came into the archive: it may belong to the chosen entry."""
        if self.isVisible() and self.running:
            self.look()
            entry = self.panel.entry
            if entry is not None:
                self._read_studies(entry)

    # -- what can be done

    def _with_entry(self, act: object) -> None:
        entry = self.panel.entry
        if entry is not None and callable(act):
            act(entry)

    def _show_study(self, study_uid: str) -> None:
        for study in self._studies:
            if study.study_uid == study_uid:
                self.showStudy.emit(study.accession_number or study.patient_id)

    def new(self) -> None:
        """Open the form of a new entry."""
        if self.running:
            self._acting.form(None, self._stations())

    def _complete(self, entry: EntryRow) -> None:
        self._acting.complete(entry, self._studies if self._known else None)

    def edit(self) -> None:
        """Open the form of the chosen entry, if its state lets it be edited."""
        entry = self.panel.entry
        if entry is not None and entry.uid and (entry.state == "SCHEDULED" or entry.ours):
            self._acting.form(entry, self._stations())

    def remove(self) -> None:
        """Ask whether the chosen entry is to go."""
        entry = self.panel.entry
        if entry is not None and entry.uid:
            self._acting.remove(entry)

    def _stations(self) -> Sequence[str]:
        titles = (entry.said("ScheduledStationAETitle") for entry in self.model.entries)
        return sorted({title for title in titles if title})

    def _changed(self, entry: EntryRow | None) -> None:
        if entry is not None:
            self._chosen = entry.key
            self.search.show_day(entry.said(DAY))
            self._read_studies(entry)
        self.look(anew=True)
        self.list.table.setFocus()

    # -- being seen

    def showEvent(self, event: QShowEvent) -> None:
        """Look when the page comes up, and again while it is seen."""
        super().showEvent(event)
        self._timer.start()
        self.refresh()

    def hideEvent(self, event: QHideEvent) -> None:
        """Nobody looks: ask nothing."""
        super().hideEvent(event)
        self._timer.stop()
