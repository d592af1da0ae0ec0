"""Adding files to the images of a study of the archive: the dialog before, a sentence after."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from PySide6.QtCore import QObject, Signal
from PySide6.QtWidgets import QWidget

from ui.archive.calls import Calls
from ui.archive.deleting import who_of
from ui.dialogs.add_files import AddFilesDialog, AddTarget
from ui.importing.words import counted
from ui.messages import Kind, Message, MessageBar
from ui.models.archive_table import StudyRowLike
from ui.models.people import iso_date
from ui.models.study_view import PatientText
from ui.tasks import Tasks

if TYPE_CHECKING:
    from core.net.adding import Added


class AddingFiles(QObject):
    """Says in *messages* what was done.

    Signals: `added(object)` with the row.
    """

    added = Signal(object)

    def __init__(self, calls: Calls, tasks: Tasks, messages: MessageBar, parent: QWidget) -> None:
        super().__init__(parent)
        self._calls = calls
        self._tasks = tasks
        self._messages = messages
        self._window = parent

    def ask(self, row: StudyRowLike, files: Sequence[Path] = ()) -> None:
        """Let the person choose files, *files* to begin with, and add them."""
        dialog = AddFilesDialog(self._target(row), self._tasks, files, self._window)
        dialog.added.connect(partial(self._added, row))
        dialog.open()

    def _target(self, row: StudyRowLike) -> AddTarget:
        who = PatientText(row.patient_name, row.patient_id, row.patient_birth_date, row.patient_sex)
        accession = self.tr("Acc {n}").format(n=row.accession_number) if row.accession_number else ""
        parts = (row.study_description, iso_date(row.study_date), accession)
        begin = partial(self._calls.adding, row.namespace, row.study_uid)
        return AddTarget(who, " · ".join(part for part in parts if part), begin)

    def _added(self, row: StudyRowLike, result: Added) -> None:
        count, who = len(result.stored), who_of(row)
        words = counted(count, self.tr("{n} file was added"), self.tr("{n} files were added"))
        if result.failed:
            sentence = self.tr("{what} to the images of {who}, but not all: the archive's disk may be full.")
            message = Message(Kind.BAD, sentence.format(what=words, who=who))
        else:
            sentence = self.tr("{what} to the images of {who}.")
            message = Message(Kind.GOOD, sentence.format(what=words, who=who))
        self._messages.show_message(message)
        self.added.emit(row)
