"""What is done with entries: the forms and questions before, the archive's answer after."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING

from PySide6.QtCore import QObject, Signal
from PySide6.QtWidgets import QWidget
from shiboken6 import isValid

from ui.dialogs.add_files import AddFilesDialog, AddTarget
from ui.dialogs.decision import Decision
from ui.importing.words import counted
from ui.messages import Kind, Message, MessageBar, of_error
from ui.models.entries import patient_of, what_of
from ui.models.people import images_text
from ui.tasks import Tasks
from ui.worklist.calls import Calls
from ui.worklist.entry_form import EntryForm
from ui.worklist.reason import ReasonDialog

if TYPE_CHECKING:
    from core.net.adding import Added
    from core.net.records import StudyRow
    from core.net.worklist_client import EntryRow


class Acting(QObject):
    """Asks and does; says how it went in *messages*.

    Signals:
        changed(object): an `EntryRow` as it is now, or None for one that was removed.
        failed(): something was not done; the list may be old.
    """

    changed = Signal(object)
    failed = Signal()

    def __init__(self, calls: Calls, tasks: Tasks, messages: MessageBar, window: QWidget) -> None:
        super().__init__(window)
        self._calls = calls
        self._tasks = tasks
        self._messages = messages
        self._window = window
        self._busy = False

    def form(self, entry: EntryRow | None, stations: Sequence[str]) -> EntryForm:
        """Open the form of a new entry, or of one that may be edited."""
        form = EntryForm(entry, stations, self._window)
        form.saved.connect(partial(self._save, form))
        form.open()
        return form

    def _save(self, form: EntryForm, fields: Mapping[str, str]) -> None:
        entry = form.entry
        work = (
            partial(self._calls.create, fields) if entry is None else partial(self._calls.edit, entry, fields)
        )

        def done(kept: EntryRow) -> None:
            if isValid(form):  # else the person closed it meanwhile
                form.accept()
            self._say(self.tr("The entry of {who} was saved."), kept)
            self.changed.emit(kept)

        def failed(error: Exception) -> None:
            if isValid(form):
                form.failed(error)
            else:
                self._fail(error)

        self._tasks.call(work, done=done, failed=failed)

    def start(self, entry: EntryRow) -> None:
        """Begin it; nothing can be lost by that."""
        self._do(partial(self._calls.start, entry), self.tr("The entry of {who} is in progress."))

    def add_files(self, entry: EntryRow) -> None:
        """Let the person choose files that become images of the entry's patient and order."""
        target = AddTarget(
            patient_of(entry),
            what_of(entry),
            partial(self._calls.adding, entry),
            self.tr("Attach files to this worklist entry?"),
        )
        dialog = AddFilesDialog(target, self._tasks, (), self._window)
        dialog.added.connect(partial(self._added, entry))
        dialog.open()

    def _added(self, entry: EntryRow, result: Added) -> None:
        count, who = len(result.stored), patient_of(entry).banner
        words = counted(count, self.tr("{n} file was attached"), self.tr("{n} files were attached"))
        kind, sentence = Kind.GOOD, self.tr("{what} to the entry of {who}.")
        if result.failed:
            kind = Kind.BAD
            sentence = self.tr("{what} to the entry of {who}, but not all: the archive's disk may be full.")
        self._messages.show_message(Message(kind, sentence.format(what=words, who=who)))
        self.changed.emit(entry)

    def complete(self, entry: EntryRow, studies: Sequence[StudyRow] | None) -> None:
        """Ask whether all is done; *studies* None: it is not known yet what belongs to it."""
        images = sum(study.images for study in studies or ())
        belongs = self.tr("Belongs to it: {images}.").format(images=images_text(images))
        if studies is None:
            belongs = ""
        elif not images:
            belongs = self.tr("Nothing belongs to it yet: no file, no disc.")
        after = self.tr("A completed entry cannot be changed any more.")
        question = self._question(
            self.tr("Complete this entry?"),
            entry,
            f"{belongs} {after}".strip(),
            self.tr("Complete"),
            dangerous=not images,
        )
        question.decided.connect(
            lambda: self._do(
                partial(self._calls.complete, entry), self.tr("The entry of {who} is completed.")
            )
        )
        question.open()

    def cancel(self, entry: EntryRow) -> ReasonDialog:
        """Ask why it is given up."""
        dialog = ReasonDialog(patient_of(entry), what_of(entry), self._window)
        dialog.decided.connect(
            lambda reason: self._do(
                partial(self._calls.cancel, entry, reason), self.tr("The entry of {who} is cancelled.")
            )
        )
        dialog.finished.connect(lambda _code: dialog.deleteLater())
        dialog.open()
        return dialog

    def remove(self, entry: EntryRow) -> None:
        """Ask whether it is to go, naming patient and procedure."""
        note = self.tr("Modalities do not see it any more. Studies stay in the archive.")
        if entry.state == "IN PROGRESS":
            note = self.tr("It is in progress.") + " " + note
        question = self._question(
            self.tr("Delete this entry from the worklist?"),
            entry,
            note,
            self.tr("Delete"),
            no=self.tr("Keep"),
        )
        question.decided.connect(lambda: self._remove(entry))
        question.open()

    def _remove(self, entry: EntryRow) -> None:
        def done(_none: None) -> None:
            self._say(self.tr("The entry of {who} was deleted."), entry)
            self.changed.emit(None)

        self._call(partial(self._calls.remove, entry), done)

    def take_back(self, entry: EntryRow, study_uid: str) -> None:
        """Ask whether a study is to be what it was."""
        question = self._question(
            self.tr("Take this study back from the entry?"),
            entry,
            self.tr("It stays in the archive, under the patient its images name."),
            self.tr("Take back"),
        )
        question.decided.connect(
            lambda: self._do(
                partial(self._calls.unfile, entry, study_uid),
                self.tr("The study does not belong to the entry of {who} any more."),
            )
        )
        question.open()

    def _question(
        self, words: str, entry: EntryRow, note: str, yes: str, *, no: str = "", dangerous: bool = True
    ) -> Decision:
        return Decision(
            words,
            who=patient_of(entry).banner,
            detail=f"{what_of(entry)}\n{note}",
            yes=yes,
            no=no or self.tr("Not now"),
            dangerous=dangerous,
            parent=self._window,
        )

    def _do(self, work: Callable[[], EntryRow], sentence: str) -> None:
        def done(entry: EntryRow) -> None:
            self._say(sentence, entry)
            self.changed.emit(entry)

        self._call(work, done)

    def _call(self, work: Callable[[], object], done: Callable[..., object]) -> None:
        """One at a time: a second click is no second wish."""
        if self._busy:
            return
        self._busy = True

        def ended(then: Callable[[], object]) -> None:
            self._busy = False
            then()

        self._tasks.call(
            work,
            done=lambda found: ended(lambda: done(found)),
            failed=lambda error: ended(lambda: self._fail(error)),
        )

    def _fail(self, error: Exception) -> None:
        self._messages.show_message(of_error(error))
        self.failed.emit()

    def _say(self, sentence: str, entry: EntryRow) -> None:
        who = patient_of(entry).banner
        self._messages.show_message(Message(Kind.GOOD, sentence.format(who=who)))
