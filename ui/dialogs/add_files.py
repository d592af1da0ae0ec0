"""The dialog that adds files to the images of a study or a worklist entry: whose, which, and their name."""

from __future__ import annotations

from collections.abc import Callable, Generator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from PySide6.QtCore import QElapsedTimer, Qt, Signal
from PySide6.QtGui import QCloseEvent, QDragEnterEvent, QDropEvent
from PySide6.QtWidgets import (
    QComboBox,
    QDialog,
    QGridLayout,
    QHBoxLayout,
    QLabel,
    QLineEdit,
    QProgressBar,
    QPushButton,
    QVBoxLayout,
    QWidget,
)

from core.net.adding import AddProgress, Naming, Stopped
from ui.icons import icon
from ui.importing.words import counted, time_text
from ui.messages import Kind, Message, MessageBar, announce
from ui.models.people import size_text
from ui.models.study_view import PatientText
from ui.tasks import Tasks
from ui.widgets.banner import ElidedLabel, PatientBanner
from ui.widgets.chosen_files import ChosenFiles, dropped

if TYPE_CHECKING:
    from core.net.adding import Added

SHOW_AFTER_MS, STOP_AFTER_MS, SAY_EVERY_MS = 500, 2000, 5000
LONGEST_TITLE = 64
BAR_STEPS = 1000


class Sending(Protocol):
    """Files on their way."""

    def run(self) -> Generator[AddProgress, None, Added]: ...
    def stop(self) -> bool:
        """Stop unless it is too late; whether nothing will have been added."""


@dataclass(frozen=True, slots=True)
class AddTarget:
    """Whose images the files become, *what* of theirs, and who sends them there; *question* is the title."""

    patient: PatientText
    what: str
    begin: Callable[[Sequence[Path], Naming], Sending]
    question: str = ""


class AddFilesDialog(QDialog):
    """Names the patient, lists files, sends them, and says in place what went wrong.

    Signals: `added(object)` with the `Added`; then it closes.
    """

    added = Signal(object)

    def __init__(
        self, target: AddTarget, tasks: Tasks, files: Sequence[Path] = (), parent: QWidget | None = None
    ) -> None:
        super().__init__(parent)
        self._target = target
        self._tasks = tasks
        self._sending: Sending | None = None
        self._clock = QElapsedTimer()
        self._leaving = self._stopping = False
        self._next_said = 0
        self.messages = MessageBar(self)
        self.banner = PatientBanner(self)
        self.what = ElidedLabel(self)
        self.chosen = ChosenFiles(tasks, self)
        self.title = QLineEdit(self)
        self.pictures = QComboBox(self)
        self.progress = QProgressBar(self)
        self.numbers = QLabel(self)
        self.stop_button = QPushButton(self.tr("Stop"), self)
        self.cancel_button = QPushButton(self.tr("Cancel"), self)
        self.add_button = QPushButton(icon("ph.plus-circle", "on_primary", before_text=True), "", self)
        self._build()
        self._refresh()
        self.chosen.add(files)
        self.chosen.choose_button.setFocus()

    def _build(self) -> None:
        question = self._target.question or self.tr("Add files to the images of this study?")
        self.setWindowTitle(question)
        self.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        self.setMinimumWidth(560)
        self.setAcceptDrops(True)
        title = QLabel(question, self)
        title.setProperty("role", "title")
        title.setWordWrap(True)
        self.banner.show_patient(self._target.patient)
        self.what.setObjectName("muted")
        self.what.setText(self._target.what)
        self.what.setToolTip(self._target.what)
        self.what.setAccessibleName(self._target.what)
        self.chosen.changed.connect(self._refresh)
        self.chosen.refused.connect(self._say_refused)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(24, 24, 24, 16)
        layout.setSpacing(12)
        for part in (title, self.messages, self.banner, self.what, self._hint()):
            layout.addWidget(part)
        layout.addWidget(self.chosen, 1)
        layout.addLayout(self._fields())
        layout.addLayout(self._foot())

    def _hint(self) -> QLabel:
        words = self.tr("PDFs, pictures and videos become images: every viewer shows them.")
        more = self.tr("They go along wherever the study is sent.")
        hint = QLabel(f"{words} {more}", self)
        hint.setProperty("role", "muted")
        hint.setWordWrap(True)
        return hint

    def _fields(self) -> QGridLayout:
        self.title.setMaxLength(LONGEST_TITLE)
        self.title.setPlaceholderText(self.tr("As the file is called"))
        self.pictures.addItem(self.tr("Scans or screenshots"), False)
        self.pictures.addItem(self.tr("Photographs"), True)
        form = QGridLayout()
        form.setHorizontalSpacing(12)
        form.setVerticalSpacing(8)
        form.setColumnStretch(1, 1)
        fields = ((self.tr("&Title"), self.title), (self.tr("&Pictures are"), self.pictures))
        for row, (words, field) in enumerate(fields):
            label = QLabel(words, self)
            label.setBuddy(field)
            form.addWidget(label, row, 0)
            form.addWidget(field, row, 1)
        return form

    def _foot(self) -> QVBoxLayout:
        self.progress.setRange(0, BAR_STEPS)
        self.progress.setTextVisible(False)
        self.progress.setAccessibleName(self.tr("Progress"))
        self.numbers.setProperty("role", "muted")
        self.stop_button.clicked.connect(lambda: self.stop())
        self.stop_button.setAutoDefault(False)
        for part in (self.progress, self.numbers, self.stop_button):
            part.hide()
        self.add_button.setProperty("role", "primary")
        self.add_button.setDefault(True)
        self.add_button.clicked.connect(lambda: self.send())
        self.cancel_button.setAutoDefault(False)
        self.cancel_button.clicked.connect(self.reject)
        line = QHBoxLayout()
        line.setSpacing(8)
        line.addWidget(self.numbers)
        line.addStretch(1)
        line.addWidget(self.stop_button)
        line.addWidget(self.cancel_button)
        line.addWidget(self.add_button)
        foot = QVBoxLayout()
        foot.setSpacing(8)
        foot.addWidget(self.progress)
        foot.addLayout(line)
        return foot

    def _say_refused(self, sentences: list[str]) -> None:
        rest = len(sentences) - 1
        more = counted(rest, self.tr("{n} more was left out."), self.tr("{n} more were left out."))
        words = f"{sentences[0]} {more}" if rest else sentences[0]
        self.messages.show_message(Message(Kind.WARN, words))

    def _refresh(self) -> None:
        count, idle = len(self.chosen.files), self._sending is None
        for part in (self.chosen, self.title, self.cancel_button):
            part.setEnabled(idle)
        self.pictures.setEnabled(idle and self.chosen.pictures)
        self.add_button.setEnabled(idle and bool(count))
        words = counted(count, self.tr("Add {n} file"), self.tr("Add {n} files"))
        self.add_button.setText(words if count else self.tr("Add"))

    # -- sending

    def send(self) -> None:
        """Send what is listed."""
        if self._sending is not None or not self.chosen.files:
            return
        photographs = bool(self.pictures.currentData()) and self.chosen.pictures
        naming = Naming(self.title.text().strip(), photographs)
        self._sending = sending = self._target.begin(self.chosen.files, naming)
        self._stopping, self._next_said = False, 0
        self.messages.put_away()
        self._clock.start()
        self._refresh()
        self._tasks.run(
            sending.run(),
            done=self._done,
            failed=self._failed,
            progress=self._step,
            cancelled=self._ended,
        )

    def stop(self) -> None:
        """Stop, unless the archive has everything already."""
        if self._sending is not None and self._sending.stop():
            self._stopping = True
            self.stop_button.setEnabled(False)
            self.numbers.setText(self.tr("Stopping…"))

    def _step(self, step: AddProgress) -> None:
        since = self._clock.elapsed()
        self.progress.setVisible(since >= SHOW_AFTER_MS)
        self.numbers.setVisible(since >= SHOW_AFTER_MS)
        self.stop_button.setVisible(since >= STOP_AFTER_MS)
        self.progress.setValue(BAR_STEPS * step.sent // max(1, step.total))
        if self._stopping:
            return
        self.stop_button.setEnabled(not step.storing)
        if step.storing:
            self._say(self.tr("The archive is storing it…"))
            return
        numbers = self.tr("{sent} of {all} · {size} of {total}").format(
            sent=step.files,
            all=len(self.chosen.files),
            size=size_text(step.sent),
            total=size_text(step.total),
        )
        if step.seconds_left is not None and since >= STOP_AFTER_MS:
            numbers = f"{numbers} · {time_text(step.seconds_left)}"
        self._say(numbers)

    def _say(self, words: str) -> None:
        """Show how far it is; a reader hears it now and then."""
        if words == self.numbers.text():
            return
        self.numbers.setText(words)
        since = self._clock.elapsed()
        if self.numbers.isVisible() and since >= self._next_said:
            self._next_said = since + SAY_EVERY_MS
            announce(self, words)

    def _done(self, result: Added) -> None:
        self._ended()
        self.added.emit(result)
        self.accept()

    def _failed(self, error: Exception) -> None:
        self._ended()
        if not isinstance(error, Stopped):
            self.messages.show_error(error)
        elif self._leaving:
            self.reject()
        else:
            self.messages.show_message(Message(Kind.INFO, self.tr("Stopped. Nothing was added.")))

    def _ended(self) -> None:
        self._sending = None
        for part in (self.progress, self.numbers, self.stop_button):
            part.hide()
        self._refresh()

    # -- leaving, dropping

    def reject(self) -> None:
        """Close; while files are on their way they are stopped first."""
        if self._sending is None:
            super().reject()
            return
        self._leaving = True
        self.stop()

    def closeEvent(self, event: QCloseEvent) -> None:
        if self._sending is None:
            super().closeEvent(event)
            return
        self.reject()
        event.ignore()

    def dragEnterEvent(self, event: QDragEnterEvent) -> None:
        if self._sending is None and dropped(event):
            event.acceptProposedAction()

    def dropEvent(self, event: QDropEvent) -> None:
        self.chosen.add(dropped(event))
        event.acceptProposedAction()
