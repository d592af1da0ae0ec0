"""What was deleted and is still kept: bring it back, or delete it for good."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

from PySide6.QtCore import Qt, Signal
from PySide6.QtWidgets import (
    QHBoxLayout,
    QHeaderView,
    QLabel,
    QPushButton,
    QVBoxLayout,
    QWidget,
)

from ui.archive.calls import Calls
from ui.dialogs.decision import Decision
from ui.icons import icon
from ui.messages import Kind, Message
from ui.models.people import banner_text, images_text, study_text
from ui.models.trash_table import TrashColumn, TrashRow, TrashTable
from ui.tasks import Tasks
from ui.widgets.tables import RowTable

WIDTHS = (150, 110, 104, 190, 78, 146, 90, 146)


class TrashView(QWidget):
    """Restore, or delete for good after a question.

    Signals: `back()`; `changed()` when a study came back or went; `said(object)` and `failed(object)`.
    """

    back = Signal()
    changed = Signal()
    said = Signal(object)
    failed = Signal(object)

    def __init__(self, calls: Calls, tasks: Tasks, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._calls = calls
        self._tasks = tasks
        self._asked = 0
        self.model = TrashTable(self)
        self.back_button = QPushButton(
            icon("ph.arrow-left", before_text=True), self.tr("Back to the archive"), self
        )
        self.table = RowTable(self)
        self.sentence = QLabel(self)
        self.purge_button = QPushButton(self.tr("Delete for good…"), self)
        self.restore_button = QPushButton(
            icon("ph.arrow-counter-clockwise", "on_primary", before_text=True), self.tr("Restore"), self
        )
        self._build()
        self._enable()

    def _build(self) -> None:
        title = QLabel(self.tr("Deleted studies"), self)
        title.setProperty("role", "title")
        self.sentence.setProperty("role", "muted")
        self.sentence.setAlignment(Qt.AlignmentFlag.AlignCenter)
        self.sentence.setWordWrap(True)
        self.purge_button.setProperty("role", "danger")
        self.restore_button.setProperty("role", "primary")
        self.table.setModel(self.model)
        self.table.setAccessibleName(self.tr("Deleted studies"))
        header = self.table.horizontalHeader()
        for column, width in enumerate(WIDTHS):
            self.table.setColumnWidth(column, width)
        header.setSectionResizeMode(TrashColumn.PATIENT, QHeaderView.ResizeMode.Stretch)
        self.table.selectionModel().currentRowChanged.connect(lambda *_: self._enable())
        self.back_button.clicked.connect(lambda: self.back.emit())
        self.restore_button.clicked.connect(lambda: self.restore())
        self.purge_button.clicked.connect(lambda: self.purge())
        top = QHBoxLayout()
        top.addWidget(title, 1)
        top.addWidget(self.back_button)
        buttons = QHBoxLayout()
        buttons.setSpacing(8)
        buttons.addStretch(1)
        buttons.addWidget(self.purge_button)
        buttons.addWidget(self.restore_button)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(4, 0, 4, 0)
        layout.setSpacing(12)
        layout.addLayout(top)
        layout.addWidget(self.table, 1)
        layout.addWidget(self.sentence, 1)
        layout.addLayout(buttons)

    def look(self) -> None:
        """Ask the archive what it keeps."""
        self._asked += 1
        if not self.model.rowCount():
            self._say(self.tr("Looking…"))
        self._tasks.call(
            self._calls.trash,
            done=partial(self._found, self._asked),
            failed=partial(self._not_found, self._asked),
        )

    def _found(self, asked: int, rows: Sequence[TrashRow]) -> None:
        if asked != self._asked:
            return
        row = self.table.currentIndex().row()
        self.model.show_rows(rows)
        self._say("" if rows else self.tr("Nothing is kept here. Deleted studies wait here for some days."))
        if rows:
            self.table.setCurrentIndex(self.model.index(min(max(row, 0), len(rows) - 1), 0))
        self._enable()
        (self.table if rows else self.back_button).setFocus()

    def _not_found(self, asked: int, error: Exception) -> None:
        if asked == self._asked:
            self.model.show_rows(())
            self._say(self.tr("The archive does not say what was deleted."))
            self._enable()
            self.failed.emit(error)

    def _say(self, words: str) -> None:
        self.sentence.setText(words)
        self.sentence.setVisible(bool(words))
        self.table.setVisible(not words)

    def _chosen(self) -> TrashRow | None:
        row = self.table.currentIndex().row()
        return self.model.row(row) if 0 <= row < self.model.rowCount() else None

    def _enable(self) -> None:
        for button in (self.restore_button, self.purge_button):
            button.setEnabled(self._chosen() is not None)

    def restore(self) -> None:
        """Bring the chosen study back."""
        row = self._chosen()
        if row is not None:
            self._tasks.call(
                partial(self._calls.restore_entry, row.id),
                done=lambda _none: self._done(self.tr("The study of {who} is back.").format(who=_who(row))),
                failed=self._failed,
            )

    def purge(self) -> None:
        """Ask, naming the patient and the number of images; Enter keeps them."""
        row = self._chosen()
        if row is None:
            return
        question = Decision(
            self.tr("Delete this study for good?"),
            yes=self.tr("Delete {images} for good").format(images=images_text(row.images)),
            no=self.tr("Keep"),
            who=_who(row),
            detail=" · ".join(
                part
                for part in (
                    study_text(row.study_description, row.study_date),
                    self.tr("Nobody can bring it back after that."),
                )
                if part
            ),
            parent=self,
        )
        question.decided.connect(partial(self._purge, row))
        question.open()

    def _purge(self, row: TrashRow) -> None:
        self._tasks.call(
            partial(self._calls.purge, row.id),
            done=lambda _none: self._done(
                self.tr("The study of {who} was deleted for good.").format(who=_who(row))
            ),
            failed=self._failed,
        )

    def _done(self, sentence: str) -> None:
        self.said.emit(Message(Kind.GOOD, sentence))
        self.changed.emit()
        self.look()

    def _failed(self, error: Exception) -> None:
        self.failed.emit(error)
        self.look()


def _who(row: TrashRow) -> str:
    """The patient's banner."""
    return banner_text(row.patient_name, row.patient_sex, row.patient_birth_date, row.patient_id)
